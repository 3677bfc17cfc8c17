// Which handler a message goes to on a candidate or pre-candidate, and what the end of an election leads to. A leader of the
// same term ends the candidacy; called by step.ts after the term was dealt with.

import { describeMessageType } from "./describe.ts";
import { CampaignType, campaign, poll } from "./election.ts";
import { PROPOSAL_DROPPED, type RaftError } from "./errors.ts";
import { handleAppendEntries, handleHeartbeat } from "./follower.ts";
import { type Message, MessageType, NONE } from "./message.ts";
import { VoteResult } from "./quorum/majority.ts";
import { describeState, type Raft, StateType } from "./raft.ts";
import { broadcastAppend } from "./replication.ts";
import { becomeFollower, becomeLeader } from "./role.ts";
import { handleSnapshot } from "./snapshot.ts";

export function stepCandidate(raft: Raft, message: Message): RaftError | undefined {
  switch (message.type) {
    case MessageType.MsgProp:
      raft.logger.info(`${raft.name} no leader at term ${raft.term}; dropping proposal`);
      return PROPOSAL_DROPPED;
    case MessageType.MsgApp:
      becomeFollower(raft, message.term, message.from);
      handleAppendEntries(raft, message);
      return undefined;
    case MessageType.MsgHeartbeat:
      becomeFollower(raft, message.term, message.from);
      handleHeartbeat(raft, message);
      return undefined;
    case MessageType.MsgSnap:
      becomeFollower(raft, message.term, message.from);
      handleSnapshot(raft, message);
      return undefined;
    case MessageType.MsgVoteResp:
      // Answers to the other kind of request are left over from the other candidacy.
      if (raft.state === StateType.Candidate) handleVoteResponse(raft, message);
      return undefined;
    case MessageType.MsgPreVoteResp:
      if (raft.state === StateType.PreCandidate) handleVoteResponse(raft, message);
      return undefined;
    case MessageType.MsgTimeoutNow:
      raft.logger.debug(
        `${raft.name} [term ${raft.term} state ${describeState(raft.state)}] ignored MsgTimeoutNow from ${message.from.toString(16)}`,
      );
      return undefined;
    default:
      return undefined;
  }
}

function handleVoteResponse(raft: Raft, message: Message): void {
  const tally = poll(raft, message.from, message.type, !message.reject);
  raft.logger.info(
    `${raft.name} has received ${tally.granted} ${describeMessageType(message.type)} votes and ${tally.rejected} vote rejections`,
  );
  if (tally.result === VoteResult.Lost) {
    becomeFollower(raft, raft.term, NONE);
  } else if (tally.result === VoteResult.Won) {
    if (raft.state === StateType.PreCandidate) campaign(raft, CampaignType.Election);
    else if (raft.tracker.hasVoted(raft.id)) lead(raft);
  }
}

/**
 * Only with its own vote, which comes when term and vote are on disk. The others' votes may be enough before: a candidate that led on them
 * alone and crashed would forget the term, win it again by the same votes, and write other entries under the same numbers. (With
 * asynchronous storage writes etcd's raft does not wait.)
 */
function lead(raft: Raft): void {
  becomeLeader(raft);
  broadcastAppend(raft);
}
