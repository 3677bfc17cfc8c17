// Changes of who belongs to the cluster, as the API and other members ask for them: what etcd refuses before it proposes (a quorum of
// started and of connected members must remain), the proposal, and the answer once it is applied. What a committed change does is
// member-change.ts's.
import type { MemberId, Millis } from "../../base/brand.ts";
import { type EtcdError, errors } from "../../base/errors.ts";
import { hexId } from "../../cluster/ids.ts";
import type { ClusterMember, MemberChange } from "../../cluster/membership.ts";
import { quorumOf, type Readiness, readyToAdd, readyToPromote, readyToRemove } from "../../cluster/quorum.ts";
import type { Logger } from "../../ports/logger.ts";
import type { Counters } from "../counters.ts";
import { EtcdFault, etcdErrorOf } from "../fault.ts";
import type { ReadWaiter } from "../member.ts";
import { countConnected } from "../network/connectivity.ts";
import { callLeader, type ForwardingHost } from "../network/leader-calls.ts";
import type { Network } from "../network/network.ts";
import type { MemberOptions } from "../options.ts";

export interface ReconfigurationHost extends ForwardingHost {
  readonly options: Pick<MemberOptions, "electionMillis" | "strictReconfigCheck">;
  readonly membership: {
    readonly clusterId: bigint;
    readonly voters: ClusterMember[];
    members(): ClusterMember[];
    member(id: MemberId): ClusterMember | undefined;
  };
  readonly raft: {
    readonly leader: MemberId;
    /** Of a leader: how far each member's log is. */
    readonly status: { readonly progress: ReadonlyMap<MemberId, { readonly match: number }> };
  };
  readonly network: Network;
  readonly counters: Pick<Counters, "learnersPromoted" | "promotionsFailed">;
  readonly logger: Logger;
  changeMembership(change: MemberChange, waiter: { changed(): void; failed(error: EtcdError): void }): void;
  whenCaughtUp(waiter: ReadWaiter): void;
}

/** Exactly one of the two is called, once. */
export interface MembersWaiter {
  /** The members as they are with the change. */
  changed(members: readonly ClusterMember[]): void;
  failed(error: EtcdError): void;
}

/** Connections must have lasted so long to count (etcd's HealthInterval). */
const HEALTHY_MILLIS = 5000;
/** A learner's log must be so much of the leader's. */
const READY_SHARE = 0.9;

/** Where etcd counts under the words of its membership package. */
const REASONS: ReadonlyMap<EtcdError, string> = new Map([
  [errors.memberNotFound, "membership: ID not found"],
  [errors.memberNotLearner, "membership: can only promote a learner member"],
]);

const CHANGE_TYPES = {
  add: "ConfChangeAddNode",
  learner: "ConfChangeAddLearnerNode",
  promote: "ConfChangeAddNode",
  update: "ConfChangeUpdateNode",
  remove: "ConfChangeRemoveNode",
} as const;

export class Reconfiguration {
  readonly #host: ReconfigurationHost;

  constructor(host: ReconfigurationHost) {
    this.#host = host;
  }

  add(member: ClusterMember, waiter: MembersWaiter): void {
    const refused = this.#mayAdd(member);
    if (refused !== undefined) waiter.failed(refused);
    else this.#configure({ kind: "add", member }, waiter);
  }

  remove(id: MemberId, waiter: MembersWaiter): void {
    const refused = this.#mayRemove(id);
    if (refused !== undefined) waiter.failed(refused);
    else this.#configure({ kind: "remove", id }, waiter);
  }

  update(id: MemberId, peerUrls: readonly string[], waiter: MembersWaiter): void {
    this.#configure({ kind: "update", id, peerUrls }, waiter);
  }

  /** Only the leader knows how far a learner is: who does not lead asks it. */
  promote(id: MemberId, waiter: MembersWaiter, abandoned: () => boolean): void {
    const { counters } = this.#host;
    this.promoteHere(id, {
      changed: (members) => {
        counters.learnersPromoted++;
        waiter.changed(members);
      },
      failed: (error) => {
        if (error === errors.notLeader) {
          this.#forwardPromotion(id, waiter, abandoned);
          return;
        }
        const reason = REASONS.get(error) ?? error.message;
        counters.promotionsFailed.set(reason, (counters.promotionsFailed.get(reason) ?? 0) + 1);
        waiter.failed(error);
      },
    });
  }

  /** Fails with `notLeader` on a member that does not lead. */
  promoteHere(id: MemberId, waiter: MembersWaiter): void {
    this.#host.whenCaughtUp({
      ready: () => {
        const refused = this.#mayPromote(id);
        if (refused !== undefined) waiter.failed(refused);
        else this.#configure({ kind: "promote", id }, waiter);
      },
      failed: (error) => waiter.failed(error),
    });
  }

  #forwardPromotion(id: MemberId, waiter: MembersWaiter, abandoned: () => boolean): void {
    const { peers } = this.#host.network;
    callLeader(this.#host, {
      ask: (peerUrls, timeoutMillis) => peers.promote(peerUrls, id, timeoutMillis),
      own: () =>
        new Promise<readonly ClusterMember[]>((resolve, reject) => {
          this.promoteHere(id, { changed: resolve, failed: (error) => reject(new EtcdFault(error)) });
        }),
      isFinal: (error) =>
        error === errors.learnerNotReady ||
        error === errors.memberNotFound ||
        error === errors.memberNotLearner,
      abandoned,
    }).then(
      (members) => waiter.changed(members),
      (error: unknown) => waiter.failed(etcdErrorOf(error)),
    );
  }

  #configure(change: MemberChange, waiter: MembersWaiter): void {
    const { localId, logger } = this.#host;
    const { id, type } = nameOf(change);
    const tell = (): void =>
      logger.info("applied a configuration change through raft", {
        "local-member-id": hexId(localId),
        "raft-conf-change": type,
        "raft-conf-change-node-id": hexId(id),
      });
    this.#host.changeMembership(change, {
      changed: () => {
        tell();
        waiter.changed(this.#host.membership.members());
      },
      failed: (error) => waiter.failed(error),
    });
  }

  #mayAdd(member: ClusterMember): EtcdError | undefined {
    const { options, membership, localId } = this.#host;
    if (!options.strictReconfigCheck) return undefined;
    const { voters } = membership;
    const asked = { "requested-member-add": describeMember(member) };
    if (!member.isLearner) {
      const readiness = readyToAdd(voters);
      if (!readiness.ready) return this.#notStarted("add", readiness, asked);
    }
    // The new member counts as one that is not there.
    if (voters.length === 1 || this.#connected(voters) >= quorumOf(voters.length + 1)) return undefined;
    this.#host.logger.warn(
      "rejecting member add request; local member has not been connected to majority peers, reconfigure breaks active quorum",
      { "local-member-id": hexId(localId), ...asked, error: errors.unhealthy.message },
    );
    return errors.unhealthy;
  }

  #mayRemove(id: MemberId): EtcdError | undefined {
    const { options, membership, localId, network } = this.#host;
    // Raft cannot go on with nobody, whatever the configuration allows.
    const last = membership.voters.length === 1 && membership.voters[0]!.id === id;
    if (!options.strictReconfigCheck && last) return errors.memberNotEnoughStarted;
    if (!options.strictReconfigCheck || membership.member(id)?.isLearner === true) return undefined;
    const { voters } = membership;
    const readiness = readyToRemove(voters, id);
    if (!readiness.ready)
      return this.#notStarted("remove", readiness, { "requested-member-remove-id": hexId(id) });
    // A member that is down is no part of the quorum that works now.
    if (id !== localId && network.transport.activeSince(id) === undefined) return undefined;
    const active = this.#connected(voters);
    if (active - 1 >= 1 + Math.trunc((voters.length - 1) / 2)) return undefined;
    this.#host.logger.warn(
      "rejecting member remove request; local member has not been connected to all peers, reconfigure breaks active quorum",
      {
        "local-member-id": hexId(localId),
        "requested-member-remove": hexId(id),
        "active-peers": active,
        error: errors.unhealthy.message,
      },
    );
    return errors.unhealthy;
  }

  #mayPromote(id: MemberId): EtcdError | undefined {
    const { options, membership } = this.#host;
    const refused = this.#isLearnerReady(id);
    if (refused !== undefined || !options.strictReconfigCheck) return refused;
    const readiness = readyToPromote(membership.voters);
    return readiness.ready
      ? undefined
      : this.#notStarted("promote", readiness, { "requested-member-remove-id": hexId(id) });
  }

  /** Whether it is a learner at all is judged when the change is applied. */
  #isLearnerReady(id: MemberId): EtcdError | undefined {
    const { raft, localId, logger } = this.#host;
    const { progress } = raft.status;
    const own = progress.get(localId);
    if (own === undefined) return errors.notLeader;
    const learner = progress.get(id);
    if (learner === undefined) return errors.memberNotFound;
    const share = learner.match / own.match;
    if (share >= READY_SHARE) return undefined;
    logger.error("rejecting promote learner: learner is not ready", {
      "learner-ready-percent": share,
      "ready-percent-threshold": READY_SHARE,
    });
    return errors.learnerNotReady;
  }

  #connected(voters: readonly ClusterMember[]): number {
    const { clock, network, localId } = this.#host;
    return countConnected(network.transport, (clock.now() - HEALTHY_MILLIS) as Millis, localId, voters);
  }

  #notStarted(
    change: "add" | "remove" | "promote",
    { started, quorum }: Readiness,
    asked: { readonly [name: string]: string },
  ): EtcdError {
    const { logger, localId, membership } = this.#host;
    const error = errors.memberNotEnoughStarted;
    logger.warn(`rejecting member ${change}; started member will be less than quorum`, {
      "number-of-started-member": started,
      quorum,
      "cluster-id": hexId(membership.clusterId),
      "local-member-id": hexId(localId),
    });
    logger.warn(`rejecting member ${change} request; not enough healthy members`, {
      "local-member-id": hexId(localId),
      ...asked,
      error: error.message,
    });
    return error;
  }
}

function nameOf(change: MemberChange): { readonly id: MemberId; readonly type: string } {
  if (change.kind !== "add") return { id: change.id, type: CHANGE_TYPES[change.kind] };
  return { id: change.member.id, type: CHANGE_TYPES[change.member.isLearner ? "learner" : "add"] };
}

/** As Go prints the struct. */
function describeMember({ id, peerUrls, isLearner, name, clientUrls }: ClusterMember): string {
  const raft = `RaftAttributes:{PeerURLs:[${peerUrls.join(" ")}] IsLearner:${isLearner}}`;
  return `{ID:${hexId(id)} ${raft} Attributes:{Name:${name} ClientURLs:[${clientUrls.join(" ")}]}}`;
}
