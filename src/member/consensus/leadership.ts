// Handing leadership over: when an operator asks for it (MoveLeader), and before a leader stops. raft does it; here is the waiting, with
// etcd's log lines and errors.
import type { MemberId, Millis } from "../../base/brand.ts";
import { type EtcdError, errors } from "../../base/errors.ts";
import { goDuration } from "../../base/go-duration.ts";
import { hexId } from "../../cluster/ids.ts";
import type { Member } from "../member.ts";
import { requestTimeoutMillis } from "../options.ts";

/** Resolves when `to` leads, or with the error for the client. This member leads when it is called. */
export async function transferLeadership(
  member: Member,
  to: MemberId,
  timeoutMillis: number,
): Promise<EtcdError | undefined> {
  const { membership, raft, clock, logger, options } = member;
  const target = membership.member(to);
  if (target === undefined || target.isLearner) return errors.badLeaderTransferee;
  const from = raft.leader;
  const local = { "local-member-id": hexId(member.localId) };
  logger.info("leadership transfer starting", {
    ...local,
    "current-leader-member-id": hexId(from),
    "transferee-member-id": hexId(to),
  });
  const started = clock.now();
  raft.transferLeader(to);
  while (raft.leader !== to) {
    if (clock.now() - started >= timeoutMillis) return errors.timeoutLeaderTransfer;
    if (member.stopped) return errors.stopped;
    await new Promise<void>((resolve) => clock.after(options.heartbeatMillis as Millis, resolve));
  }
  logger.info("leadership transfer finished", {
    ...local,
    "old-leader-member-id": hexId(from),
    "new-leader-member-id": hexId(to),
    took: goDuration(clock.now() - started),
  });
  return undefined;
}

/** What a member does before it stops: a leader gives the others somebody to go on with, so that they need no election timeout. */
export async function handOver(member: Member, successor: MemberId | undefined): Promise<void> {
  const { raft, membership, logger, localId, options } = member;
  const fields = { "local-member-id": hexId(localId), "current-leader-member-id": hexId(raft.leader) };
  if (!raft.isLeader) {
    logger.info("skipped leadership transfer; local server is not leader", fields);
    return;
  }
  if (membership.voters.length <= 1) {
    logger.info("skipped leadership transfer for single voting member cluster", fields);
    return;
  }
  const error =
    successor === undefined
      ? errors.unhealthy
      : await transferLeadership(member, successor, requestTimeoutMillis(options));
  if (error === undefined) return;
  logger.warn("leadership transfer failed", { "local-member-id": hexId(localId), error: error.message });
}
