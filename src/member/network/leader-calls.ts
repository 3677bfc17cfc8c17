// What only the leader can answer, asked by a member that does not lead: over HTTP, again while leaders come and go, until the answer is
// final or the time of a request is over. Used for lease renewals, times to live, and promotions; etcd forwards the same three.
import type { MemberId, Millis } from "../../base/brand.ts";
import { type EtcdError, errors } from "../../base/errors.ts";
import type { ClusterMember } from "../../cluster/membership.ts";
import type { Clock } from "../../ports/clock.ts";
import { EtcdFault, etcdErrorOf } from "../fault.ts";
import { type MemberOptions, requestTimeoutMillis } from "../options.ts";

/** What is asked of a member that forwards. */
export interface ForwardingHost {
  readonly localId: MemberId;
  readonly options: Pick<MemberOptions, "electionMillis">;
  readonly membership: { member(id: MemberId): ClusterMember | undefined };
  readonly raft: { readonly leader: MemberId };
  readonly clock: Clock;
  readonly stopped: boolean;
}

export type LeaderCall<T> = {
  /** Over the network; `timeoutMillis` is what is left of the request's time. */
  ask(peerUrls: readonly string[], timeoutMillis: number): Promise<T>;
  /** This member leads now after all. */
  own(): Promise<T>;
  /** The leader has decided: asking again would not help. */
  isFinal(error: EtcdError): boolean;
  /** Nobody waits for it any more. */
  abandoned(): boolean;
};

/** Between two attempts (etcd's throttle for connection problems). */
const RETRY_MILLIS = 50 as Millis;

export async function callLeader<T>(host: ForwardingHost, call: LeaderCall<T>): Promise<T> {
  const { clock } = host;
  const deadline = clock.now() + requestTimeoutMillis(host.options);
  while (clock.now() < deadline) {
    const leader = await waitForLeader(host, deadline, call);
    try {
      if (leader.id === host.localId) return await call.own();
      return await call.ask(leader.peerUrls, deadline - clock.now());
    } catch (error) {
      if (call.isFinal(etcdErrorOf(error))) throw error;
    }
    await pause(clock, RETRY_MILLIS);
  }
  throw new EtcdFault(errors.timeout);
}

/** An election may be under way: looks again after each election timeout. */
async function waitForLeader(
  host: ForwardingHost,
  deadline: number,
  call: { abandoned(): boolean },
): Promise<ClusterMember> {
  const { clock, options, membership } = host;
  for (;;) {
    if (host.stopped) throw new EtcdFault(errors.stopped);
    if (call.abandoned()) throw new EtcdFault(errors.requestCanceled);
    const leader = membership.member(host.raft.leader);
    if (leader !== undefined && leader.peerUrls.length > 0) return leader;
    const left = deadline - clock.now();
    if (leader !== undefined || left <= 0) throw new EtcdFault(errors.noLeader);
    await pause(clock, Math.min(options.electionMillis, left) as Millis);
  }
}

function pause(clock: Clock, millis: Millis): Promise<void> {
  return new Promise((resolve) => {
    clock.after(millis, resolve);
  });
}
