// Decisions of a joint configuration: while a membership change is under way, both the incoming and the outgoing majority must
// agree (Raft thesis, section 4.3). Outside of a change the outgoing half is empty and has no say.
import type { MemberId } from "../../base/brand.ts";
import {
  type AckedIndexer,
  describeMajority,
  type MajorityConfig,
  majorityCommittedIndex,
  majorityOf,
  majorityVoteResult,
  VoteResult,
} from "./majority.ts";

export type JointConfig = { readonly incoming: MajorityConfig; readonly outgoing: MajorityConfig };

export function isJoint(config: JointConfig): boolean {
  return config.outgoing.length > 0;
}

/** All voters of both halves, ascending. */
export function jointIds(config: JointConfig): MajorityConfig {
  if (config.outgoing.length === 0) return config.incoming;
  return majorityOf([...config.incoming, ...config.outgoing]);
}

export function jointHas(config: JointConfig, id: MemberId): boolean {
  return config.incoming.includes(id) || config.outgoing.includes(id);
}

export function jointCommittedIndex(config: JointConfig, acked: AckedIndexer): number {
  const incoming = majorityCommittedIndex(config.incoming, acked);
  if (config.outgoing.length === 0) return incoming;
  return Math.min(incoming, majorityCommittedIndex(config.outgoing, acked));
}

export function jointVoteResult(config: JointConfig, votes: ReadonlyMap<MemberId, boolean>): VoteResult {
  const incoming = majorityVoteResult(config.incoming, votes);
  const outgoing = majorityVoteResult(config.outgoing, votes);
  if (incoming === outgoing) return incoming;
  if (incoming === VoteResult.Lost || outgoing === VoteResult.Lost) return VoteResult.Lost;
  return VoteResult.Pending;
}

export function describeJoint(config: JointConfig): string {
  const incoming = describeMajority(config.incoming);
  return isJoint(config) ? `${incoming}&&${describeMajority(config.outgoing)}` : incoming;
}
