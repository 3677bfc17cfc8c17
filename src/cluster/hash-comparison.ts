// What the leader concludes from the members' hashes of the key space: who differs, and whether the differing ones are known to be wrong.
// Pure; src/member/upkeep/corruption-check.ts asks the members, logs and raises the alarms. The rules are those of etcd's corrupt.go.
import type { MemberId } from "../base/brand.ts";
import { quorumOf } from "./quorum.ts";

/** A hash over all revisions up to `revision` that a compaction at `compactRevision` has left. */
export type SpaceHash = { readonly hash: number; readonly compactRevision: number };

export type MemberHash = {
  readonly id: MemberId;
  /** Undefined = it did not answer. `revision`: its newest. */
  readonly answer: (SpaceHash & { readonly revision: number }) | undefined;
};

export type Difference =
  | { readonly kind: "revision"; readonly id: MemberId; readonly revision: number }
  | { readonly kind: "compact-revision"; readonly id: MemberId; readonly compactRevision: number }
  | { readonly kind: "hash"; readonly id: MemberId; readonly hash: number; readonly compactRevision: number };

/**
 * Of a follower nothing may be ahead of the leader as it was after the followers were asked (`after`), and where the compactions are
 * the same the hashes must be (`before` is the leader's at the revision that the followers were asked for).
 */
export function followerDifferences(
  before: SpaceHash,
  after: { readonly revision: number; readonly compactRevision: number },
  followers: readonly MemberHash[],
): Difference[] {
  const found: Difference[] = [];
  for (const { id, answer } of followers) {
    if (answer === undefined) continue;
    const { revision, compactRevision, hash } = answer;
    if (revision > after.revision) found.push({ kind: "revision", id, revision });
    if (compactRevision > after.compactRevision)
      found.push({ kind: "compact-revision", id, compactRevision });
    if (compactRevision === before.compactRevision && hash !== before.hash)
      found.push({ kind: "hash", id, hash, compactRevision });
  }
  return found;
}

export type CompactionVerdict =
  | { readonly kind: "consistent"; readonly checked: number }
  /** Not all could be compared, and those that could are equal. */
  | { readonly kind: "incomplete"; readonly checked: number }
  /** `majority`: the others (`groups`) are wrong; without one nobody knows who is. */
  | { readonly kind: "different"; readonly majority: boolean; readonly groups: readonly HashGroup[] };

export type HashGroup = { readonly hash: number; readonly ids: readonly MemberId[] };

/** Members that were compacted at the same revisions must have the same hash of it. */
export function compareCompactions(
  leader: MemberId,
  own: SpaceHash,
  followers: readonly MemberHash[],
): CompactionVerdict {
  const groups = new Map<number, MemberId[]>([[own.hash, [leader]]]);
  let checked = 0;
  for (const { id, answer } of followers) {
    if (answer === undefined || answer.compactRevision !== own.compactRevision) continue;
    checked++;
    const group = groups.get(answer.hash);
    if (group === undefined) groups.set(answer.hash, [id]);
    else group.push(id);
  }
  if (groups.size === 1) return { kind: checked === followers.length ? "consistent" : "incomplete", checked };
  const quorum = quorumOf(followers.length + 1);
  const all = [...groups].map(([hash, ids]) => ({ hash, ids }));
  const others = all.filter(({ ids }) => ids.length < quorum);
  return { kind: "different", majority: others.length < all.length, groups: others };
}

/** A quorum of members agrees on another hash than the leader has: then it is the leader who is wrong. etcd always believes the leader. */
export function isLeaderOutvoted(own: SpaceHash, followers: readonly MemberHash[]): boolean {
  const votes = new Map<number, number>();
  for (const { answer } of followers) {
    if (answer === undefined || answer.compactRevision !== own.compactRevision || answer.hash === own.hash)
      continue;
    votes.set(answer.hash, (votes.get(answer.hash) ?? 0) + 1);
  }
  const quorum = quorumOf(followers.length + 1);
  return [...votes.values()].some((count) => count >= quorum);
}
