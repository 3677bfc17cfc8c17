// The transitions between follower, pre-candidate, candidate and leader: one function each, and what every new term forgets.
// Called by elections, by messages of a higher term and by membership changes; it sends nothing but the leader's first entry.
import { assert } from "../base/assert.ts";
import type { MemberId } from "../base/brand.ts";
import { appendEmpty } from "./append-entry.ts";
import { NONE } from "./message.ts";
import { type Raft, StateType } from "./raft.ts";
import { ReadOnly } from "./read-only.ts";
import { Inflights } from "./tracker/inflights.ts";

export function becomeFollower(raft: Raft, term: number, lead: MemberId): void {
  reset(raft, term);
  raft.lead = lead;
  raft.state = StateType.Follower;
  raft.logger.info(`${raft.name} became follower at term ${raft.term}`);
}

/** Asks who would vote, without touching term or vote. */
export function becomePreCandidate(raft: Raft): void {
  assert(raft.state !== StateType.Leader, "invalid transition [leader -> pre-candidate]");
  raft.tracker.resetVotes();
  raft.lead = NONE;
  raft.state = StateType.PreCandidate;
  raft.logger.info(`${raft.name} became pre-candidate at term ${raft.term}`);
}

export function becomeCandidate(raft: Raft): void {
  assert(raft.state !== StateType.Leader, "invalid transition [leader -> candidate]");
  reset(raft, raft.term + 1);
  raft.vote = raft.id;
  raft.state = StateType.Candidate;
  raft.logger.info(`${raft.name} became candidate at term ${raft.term}`);
}

export function becomeLeader(raft: Raft): void {
  assert(raft.state !== StateType.Follower, "invalid transition [follower -> leader]");
  reset(raft, raft.term);
  raft.lead = raft.id;
  raft.state = StateType.Leader;
  const own = raft.tracker.progress.get(raft.id);
  assert(own !== undefined, "a leader is a member");
  own.becomeReplicate();
  own.recentActive = true;
  // Some entry of the tail may be a membership change not yet applied; rather than search, wait until all of the tail is.
  raft.pendingConfIndex = raft.log.lastIndex();
  assert(appendEmpty(raft), "empty entry was dropped");
  raft.logger.info(`${raft.name} became leader at term ${raft.term}`);
}

export function abortLeaderTransfer(raft: Raft): void {
  raft.leadTransferee = NONE;
}

function reset(raft: Raft, term: number): void {
  if (raft.term !== term) {
    raft.term = term;
    raft.vote = NONE;
  }
  raft.lead = NONE;
  raft.electionElapsed = 0;
  raft.heartbeatElapsed = 0;
  const { from, below } = raft.electionDelay;
  raft.randomizedElectionTimeout = raft.electionTimeout + from + raft.random(below - from);
  abortLeaderTransfer(raft);
  raft.tracker.resetVotes();
  const last = raft.log.lastIndex();
  const { inflightMessagesMax, inflightBytesMax } = raft.tracker;
  for (const member of raft.tracker.members) {
    const inflights = new Inflights(inflightMessagesMax, inflightBytesMax);
    member.restart(member.id === raft.id ? last : 0, last + 1, inflights);
  }
  raft.pendingConfIndex = 0;
  raft.uncommittedSize = 0;
  raft.readOnly = new ReadOnly();
}
