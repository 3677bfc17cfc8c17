// Decisions by majority: which index is committed, and how a vote stands. A majority is a sorted list of member ids without
// repetition, treated as a value. Called for every acknowledgement, so small groups are sorted in place without comparators.
import type { MemberId } from "../../base/brand.ts";

export type MajorityConfig = readonly MemberId[];

export const EMPTY_MAJORITY: MajorityConfig = [];

/** Knows how far each voter has acknowledged; undefined when it has not reported. */
export interface AckedIndexer {
  ackedIndex(voter: MemberId): number | undefined;
}

export const VoteResult = { Pending: 1, Lost: 2, Won: 3 } as const;
export type VoteResult = (typeof VoteResult)[keyof typeof VoteResult];

/** Ids in ascending order, each once. */
export function majorityOf(ids: Iterable<MemberId>): MajorityConfig {
  return [...new Set(ids)].sort(compareIds);
}

export function compareIds(a: MemberId, b: MemberId): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/**
 * The largest index that a majority has acknowledged. An empty majority commits everything (Infinity), so that in a joint
 * configuration the empty half leaves the decision to the other.
 */
export function majorityCommittedIndex(config: MajorityConfig, acked: AckedIndexer): number {
  const n = config.length;
  if (n === 0) return Number.POSITIVE_INFINITY;
  if (n === 1) return acked.ackedIndex(config[0]!) ?? 0;
  const sorted: number[] = [];
  for (let i = 0; i < n; i++) {
    const index = acked.ackedIndex(config[i]!) ?? 0;
    let at = i;
    for (; at > 0 && sorted[at - 1]! > index; at--) sorted[at] = sorted[at - 1]!;
    sorted[at] = index;
  }
  // With n = 5 the third from above: three voters have it or more.
  return sorted[n - ((n >> 1) + 1)]!;
}

/** An empty majority votes yes, for the same reason. */
export function majorityVoteResult(
  config: MajorityConfig,
  votes: ReadonlyMap<MemberId, boolean>,
): VoteResult {
  if (config.length === 0) return VoteResult.Won;
  let granted = 0;
  let missing = 0;
  for (const id of config) {
    const vote = votes.get(id);
    if (vote === undefined) missing++;
    else if (vote) granted++;
  }
  const quorum = (config.length >> 1) + 1;
  if (granted >= quorum) return VoteResult.Won;
  return granted + missing >= quorum ? VoteResult.Pending : VoteResult.Lost;
}

/** "(1 2 a)": ids in hex, as etcd logs them. */
export function describeMajority(config: MajorityConfig): string {
  return `(${config.map((id) => id.toString(16)).join(" ")})`;
}

export function describeIndex(index: number): string {
  return index === Number.POSITIVE_INFINITY ? "∞" : String(index);
}

export function describeVoteResult(result: VoteResult): string {
  switch (result) {
    case VoteResult.Pending:
      return "VotePending";
    case VoteResult.Lost:
      return "VoteLost";
    default:
      return "VoteWon";
  }
}

/** A bar for each voter, the longer the further it has acknowledged; equal bars for equal indexes, "?" for the silent. */
export function describeAcknowledged(config: MajorityConfig, acked: AckedIndexer): string {
  if (config.length === 0) return "<empty majority quorum>";
  const n = config.length;
  const rows = config.map((id) => ({ id, index: acked.ackedIndex(id) }));
  const byIndex = rows.map((row) => row.index ?? 0).sort((a, b) => a - b);
  let text = `${" ".repeat(n)}    idx\n`;
  for (const row of rows) {
    const bar = byIndex.indexOf(row.index ?? 0);
    const picture =
      row.index === undefined ? `?${" ".repeat(n)}` : `${"x".repeat(bar)}>${" ".repeat(n - bar)}`;
    text += `${picture} ${describeIndex(row.index ?? 0).padStart(5)}    (id=${row.id.toString(16)})\n`;
  }
  return text;
}
