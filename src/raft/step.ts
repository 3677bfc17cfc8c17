// Where every message enters: first its term, then what is the same in all roles, then the role's own dispatch. RawNode calls it
// for the network, the storage and the application alike; it holds no rules itself.
import { CampaignType, handleVoteRequest, hup } from "./election.ts";
import type { RaftError } from "./errors.ts";
import { type Message, MessageType } from "./message.ts";
import { type Raft, StateType } from "./raft.ts";
import { stepCandidate } from "./step-candidate.ts";
import { stepFollower } from "./step-follower.ts";
import { stepLeader } from "./step-leader/step-leader.ts";
import { handleStorageAppendResponse, handleStorageApplyResponse } from "./storage-response.ts";
import { stepHigherTerm, stepLowerTerm } from "./term.ts";

/** The message must not be changed afterwards. */
export function step(raft: Raft, message: Message): RaftError | undefined {
  // Term 0 marks a local message.
  if (message.term !== 0 && message.term !== raft.term) {
    if (message.term < raft.term) {
      stepLowerTerm(raft, message);
      return undefined;
    }
    if (!stepHigherTerm(raft, message)) return undefined;
  }
  switch (message.type) {
    case MessageType.MsgHup:
      hup(raft, raft.preVote ? CampaignType.PreElection : CampaignType.Election);
      return undefined;
    case MessageType.MsgStorageAppendResp:
      handleStorageAppendResponse(raft, message);
      return undefined;
    case MessageType.MsgStorageApplyResp:
      handleStorageApplyResponse(raft, message);
      return undefined;
    case MessageType.MsgVote:
    case MessageType.MsgPreVote:
      handleVoteRequest(raft, message);
      return undefined;
    default:
      return stepInRole(raft, message);
  }
}

function stepInRole(raft: Raft, message: Message): RaftError | undefined {
  switch (raft.state) {
    case StateType.Leader:
      return stepLeader(raft, message);
    case StateType.Follower:
      return stepFollower(raft, message);
    default:
      return stepCandidate(raft, message);
  }
}
