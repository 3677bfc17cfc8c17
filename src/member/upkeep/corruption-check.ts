// Compares the members' key spaces, as etcd's corruption checks do: at start with the others, from time to time as the leader, and at the
// revisions of compactions. Whoever differs gets a CORRUPT alarm that names it. The timers and questions are here, the judgement is
// src/cluster/hash-comparison.ts's.
import type { MemberId, Millis } from "../../base/brand.ts";
import { type EtcdError, errors } from "../../base/errors.ts";
import { goDuration } from "../../base/go-duration.ts";
import {
  compareCompactions,
  type Difference,
  followerDifferences,
  type HashGroup,
  isLeaderOutvoted,
  type MemberHash,
} from "../../cluster/hash-comparison.ts";
import { hexId } from "../../cluster/ids.ts";
import type { ClusterMember } from "../../cluster/membership.ts";
import { quorumOf } from "../../cluster/quorum.ts";
import type { KeyValueHash } from "../../mvcc/key-value-hash.ts";
import type { Clock, Timer } from "../../ports/clock.ts";
import type { Fields, Logger } from "../../ports/logger.ts";
import { EtcdFault, etcdErrorOf } from "../fault.ts";
import type { ReadWaiter } from "../member.ts";
import type { Network } from "../network/network.ts";
import type { PeerHash } from "../network/transport.ts";
import { type MemberOptions, requestTimeoutMillis } from "../options.ts";

export interface CheckedMember {
  readonly localId: MemberId;
  readonly options: Pick<
    MemberOptions,
    "electionMillis" | "corruptCheckMillis" | "compactHashCheckMillis" | "impliedCheckMillis"
  >;
  readonly membership: { members(): readonly ClusterMember[] };
  readonly raft: { readonly isLeader: boolean };
  readonly store: { readonly compactionHashes: readonly KeyValueHash[] };
  readonly network: Network;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly stopped: boolean;
  read(waiter: ReadWaiter): void;
  hashByRevision(revision: number): Promise<PeerHash>;
  /** Through the log; 0 = nobody in particular. */
  raiseCorrupt(id: MemberId): void;
  /** A check broke off for another reason than another member: the disk. */
  fatal(error: unknown): void;
}

type Asked = MemberHash & { readonly peerUrls: readonly string[]; readonly error: EtcdError | undefined };

const NOBODY = 0n as MemberId;
/** For the question of what kind a member is. */
const KIND_TIMEOUT_MILLIS = 2000;

export class CorruptionCheck {
  readonly #member: CheckedMember;
  readonly #timers = new Set<Timer>();
  /** The newest compaction whose hashes were equal on all members. */
  #latestChecked = 0;

  constructor(member: CheckedMember) {
    this.#member = member;
  }

  start(): void {
    const { options, logger, localId } = this.#member;
    const { corruptCheckMillis, compactHashCheckMillis, impliedCheckMillis } = options;
    if (corruptCheckMillis > 0) {
      logger.info("enabled corruption checking", {
        "local-member-id": hexId(localId),
        interval: goDuration(corruptCheckMillis),
      });
      this.#every(corruptCheckMillis as Millis, () => this.periodic());
    }
    if (compactHashCheckMillis > 0) this.#every(compactHashCheckMillis as Millis, () => this.compactions());
    const { corrupt = 0, compactHash = 0 } = impliedCheckMillis ?? {};
    if (corruptCheckMillis === 0 && corrupt > 0) this.#everyAmongCairn(corrupt, () => this.periodic());
    if (compactHashCheckMillis === 0 && compactHash > 0)
      this.#everyAmongCairn(compactHash, () => this.compactions());
  }

  stop(): void {
    for (const timer of this.#timers) timer.cancel();
  }

  /**
   * The same where nobody has asked for it: while all other members are Cairn's, and refusing only who differs from a quorum, because one
   * bad member must not keep the good ones from starting.
   */
  async impliedInitial(): Promise<string | undefined> {
    const { membership, localId } = this.#member;
    const members = membership.members();
    if (members.every(({ id }) => id === localId) || !(await this.#allAreCairn())) return undefined;
    return this.initial(quorumOf(members.length));
  }

  /** Before serving: the reason why this member must not serve, if there is one: so many others have other data. */
  async initial(differentMax = 1): Promise<string | undefined> {
    const { localId, logger, options } = this.#member;
    const local = { "local-member-id": hexId(localId) };
    const timeout = goDuration(requestTimeoutMillis(options));
    logger.info("starting initial corruption check", { ...local, timeout });
    const own = await this.#member.hashByRevision(0);
    let different = 0;
    for (const asked of await this.#ask(own.hashRevision)) if (this.#isDifferent(own, asked)) different++;
    if (different >= differentMax) return `${hexId(localId)} found data inconsistency with peers`;
    logger.info("initial corruption checking passed; no corruption", local);
    return undefined;
  }

  /** The leader compares everybody's newest state with its own. */
  async periodic(): Promise<void> {
    const { logger, localId } = this.#member;
    try {
      const before = await this.#member.hashByRevision(0);
      const followers = await this.#ask(before.hashRevision);
      await this.#readIndex();
      const after = await this.#member.hashByRevision(0);
      const differing: MemberId[] = [];
      if (isOtherHash(before, after)) {
        logger.warn("found hash mismatch", mismatchFields(before, after));
        differing.push(localId);
      }
      const isOutvoted = isLeaderOutvoted(before, followers);
      if (isOutvoted) {
        logger.error(
          "this member's hash differs from that of a quorum of the others",
          mismatchFields(before, after),
        );
        differing.push(localId);
      }
      for (const difference of followerDifferences(before, after, followers)) {
        this.#tellDifference(difference, before, after);
        differing.push(difference.id);
      }
      // One alarm is enough: nothing is written any more, and the log names the others.
      if (differing.length > 0) this.#member.raiseCorrupt(differing[0]!);
      const checked = followers.filter(({ answer }) => answer !== undefined).length;
      logger.info("finished peer corruption check", { "number-of-peers-checked": checked });
    } catch (error) {
      if (!(error instanceof EtcdFault)) throw error;
      logger.warn("failed to check hash KV", { error: error.message });
    }
  }

  /** The leader compares the hashes that compactions have left, the newest first, until one could be compared on all members. */
  async compactions(): Promise<void> {
    const { logger, localId, options, store } = this.#member;
    const timeout = goDuration(requestTimeoutMillis(options));
    logger.info("starting compact hash check", { "local-member-id": hexId(localId), timeout });
    const unchecked = store.compactionHashes
      .filter(({ revision }) => revision > this.#latestChecked)
      .sort((a, b) => b.revision - a.revision);
    let compared = 0;
    for (const hash of unchecked) {
      compared++;
      const followers = await this.#ask(hash.revision);
      if (followers.length > 0 && this.#compare(hash, followers)) break;
    }
    logger.info("finished compaction hash check", { "number-of-hashes-checked": compared });
  }

  #everyAmongCairn(interval: number, check: () => Promise<void>): void {
    this.#every(interval as Millis, async () => {
      const { membership, localId } = this.#member;
      const isAlone = membership.members().every(({ id }) => id === localId);
      if (!isAlone && (await this.#allAreCairn())) await check();
    });
  }

  /** A member that does not answer, or that does not say what it is, is none of ours. */
  async #allAreCairn(): Promise<boolean> {
    const { membership, localId, network } = this.#member;
    const others = membership.members().filter(({ id }) => id !== localId);
    const asked = others.map(({ peerUrls }) =>
      network.peers.versions(peerUrls, KIND_TIMEOUT_MILLIS).then(
        ({ cairn }) => cairn !== undefined,
        () => false,
      ),
    );
    return (await Promise.all(asked)).every((isCairn) => isCairn);
  }

  #every(interval: Millis, check: () => Promise<void>): void {
    const timer = this.#member.clock.after(interval, () => {
      this.#timers.delete(timer);
      const next = (): void => {
        if (!this.#member.stopped) this.#every(interval, check);
      };
      const failed = (error: unknown): void => this.#member.fatal(error);
      if (this.#member.raft.isLeader) void check().then(next, failed);
      else next();
    });
    this.#timers.add(timer);
  }

  /** What the other members have at this revision. */
  #ask(revision: number): Promise<Asked[]> {
    const { membership, localId, network, options, logger } = this.#member;
    const timeout = requestTimeoutMillis(options);
    const others = membership.members().filter(({ id, peerUrls }) => id !== localId && peerUrls.length > 0);
    return Promise.all(
      others.map(({ id, peerUrls }) =>
        network.peers.hashKv(peerUrls, revision, timeout).then(
          (answer): Asked => ({ id, peerUrls, answer, error: undefined }),
          (fault: unknown): Asked => {
            const error = etcdErrorOf(fault);
            logger.warn("failed hash kv request", {
              "local-member-id": hexId(localId),
              "requested-revision": revision,
              "remote-peer-endpoint": peerUrls[0],
              error: error.message,
            });
            return { id, peerUrls, answer: undefined, error };
          },
        ),
      ),
    );
  }

  #readIndex(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#member.read({ ready: resolve, failed: (error) => reject(new EtcdFault(error)) });
    });
  }

  /** Of the initial check: another hash counts where the compactions are the same. */
  #isDifferent(own: PeerHash, { id, peerUrls, answer, error }: Asked): boolean {
    const { localId, logger } = this.#member;
    const local: Fields = {
      "local-member-id": hexId(localId),
      "local-member-revision": own.hashRevision,
      "local-member-compact-revision": own.compactRevision,
      "local-member-hash": own.hash,
      "remote-peer-id": hexId(id),
      "remote-peer-endpoints": peerUrls,
    };
    if (answer === undefined) {
      const text = error === undefined ? undefined : UNANSWERED.get(error);
      if (text !== undefined) logger.warn(text, { ...local, error: error!.message });
      return false;
    }
    if (answer.hash === own.hash) return false;
    const isSameCompaction = answer.compactRevision === own.compactRevision;
    const what = isSameCompaction ? "hash" : "compact revision";
    logger.warn(`found different ${what} values from remote peer`, {
      ...local,
      "remote-peer-revision": answer.revision,
      "remote-peer-compact-revision": answer.compactRevision,
      "remote-peer-hash": answer.hash,
    });
    return isSameCompaction;
  }

  #tellDifference(difference: Difference, before: PeerHash, after: PeerHash): void {
    const { logger } = this.#member;
    const follower = { "follower-peer-id": hexId(difference.id) };
    switch (difference.kind) {
      case "revision":
        logger.warn("revision from follower must be less than or equal to leader's", {
          "leader-revision": after.revision,
          "follower-revision": difference.revision,
          ...follower,
        });
        break;
      case "compact-revision":
        logger.warn("compact revision from follower must be less than or equal to leader's", {
          "leader-compact-revision": after.compactRevision,
          "follower-compact-revision": difference.compactRevision,
          ...follower,
        });
        break;
      case "hash":
        logger.warn("same compact revision then hashes must match", {
          "leader-compact-revision": after.compactRevision,
          "leader-hash": before.hash,
          "follower-compact-revision": difference.compactRevision,
          "follower-hash": difference.hash,
          ...follower,
        });
        break;
    }
  }

  /** True when nothing older needs to be compared. */
  #compare(own: KeyValueHash, followers: readonly Asked[]): boolean {
    const { logger, localId } = this.#member;
    for (const { id, answer } of followers) {
      const reason = skipReason(own, answer);
      if (reason === undefined) continue;
      logger.warn("Skipped peer's hash", {
        "number-of-peers": followers.length,
        "leader-id": hexId(localId),
        "peer-id": hexId(id),
        reason,
      });
    }
    const verdict = compareCompactions(localId, own, followers);
    switch (verdict.kind) {
      case "consistent":
        logger.info("successfully checked hash on whole cluster", {
          "number-of-peers-checked": verdict.checked,
          revision: own.revision,
          compactRevision: own.compactRevision,
        });
        this.#latestChecked = Math.max(this.#latestChecked, own.revision);
        return true;
      case "incomplete":
        logger.warn("skipped revision in compaction hash check; was not able to check all peers", {
          "number-of-peers-checked": verdict.checked,
          "number-of-peers": followers.length,
          revision: own.revision,
          compactRevision: own.compactRevision,
        });
        return false;
      case "different":
        this.#alarm(own, verdict.majority, verdict.groups);
        return true;
    }
  }

  #alarm(own: KeyValueHash, majority: boolean, groups: readonly HashGroup[]): void {
    const { logger, localId } = this.#member;
    const leader = {
      "leader-id": hexId(localId),
      "leader-revision": own.revision,
      "leader-compact-revision": own.compactRevision,
      "leader-hash": own.hash,
    };
    if (!majority) {
      logger.error(
        "Detected compaction hash mismatch but cannot identify the corrupted members, so intentionally set the memberID as 0",
        leader,
      );
      this.#member.raiseCorrupt(NOBODY);
    }
    for (const { hash, ids } of groups) {
      if (majority) for (const id of ids) this.#member.raiseCorrupt(id);
      logger.error("Detected compaction hash mismatch", {
        ...leader,
        "peer-hash": hash,
        "peer-ids": ids.map(hexId).join(","),
        "quorum-exist": majority,
      });
    }
  }
}

const UNANSWERED: ReadonlyMap<EtcdError, string> = new Map([
  [errors.futureRevision, "cannot fetch hash from slow remote peer"],
  [errors.compacted, "cannot fetch hash from remote peer; local member is behind"],
  [errors.clusterIdMismatch, "cluster ID mismatch"],
]);

/** The leader's own hash must not change while revision and compaction stay. */
function isOtherHash(before: PeerHash, after: PeerHash): boolean {
  if (before.hashRevision !== after.hashRevision || before.compactRevision !== after.compactRevision)
    return false;
  return before.hash !== after.hash;
}

function mismatchFields(before: PeerHash, after: PeerHash): Fields {
  return {
    "revision-1": before.hashRevision,
    "compact-revision-1": before.compactRevision,
    "hash-1": before.hash,
    "revision-2": after.hashRevision,
    "compact-revision-2": after.compactRevision,
    "hash-2": after.hash,
  };
}

function skipReason(own: KeyValueHash, answer: MemberHash["answer"]): string | undefined {
  if (answer === undefined) return "no response";
  if (answer.compactRevision === own.compactRevision) return undefined;
  return `the peer's CompactRevision ${answer.compactRevision} doesn't match leader's CompactRevision ${own.compactRevision}`;
}
