// The only notion of time in raft: somebody outside calls tick() at a steady pace. Followers and candidates count towards an
// election, leaders towards heartbeats, quorum checks and the end of a leadership transfer.
import { CampaignType, hup, promotable } from "./election.ts";
import { NONE } from "./message.ts";
import { type Raft, StateType } from "./raft.ts";
import { broadcastHeartbeat } from "./replication.ts";
import { abortLeaderTransfer } from "./role.ts";
import { checkQuorum } from "./step-leader/check-quorum.ts";

export function tick(raft: Raft): void {
  if (raft.state === StateType.Leader) tickHeartbeat(raft);
  else tickElection(raft);
}

function tickElection(raft: Raft): void {
  raft.electionElapsed++;
  if (raft.electionElapsed < raft.randomizedElectionTimeout || !promotable(raft)) return;
  raft.electionElapsed = 0;
  hup(raft, raft.preVote ? CampaignType.PreElection : CampaignType.Election);
}

function tickHeartbeat(raft: Raft): void {
  raft.heartbeatElapsed++;
  raft.electionElapsed++;
  if (raft.electionElapsed >= raft.electionTimeout) {
    raft.electionElapsed = 0;
    if (raft.checkQuorum) checkQuorum(raft);
    if (!isLeader(raft)) return;
    if (raft.leadTransferee !== NONE) abortLeaderTransfer(raft);
  }
  if (raft.heartbeatElapsed >= raft.heartbeatTimeout) {
    raft.heartbeatElapsed = 0;
    broadcastHeartbeat(raft);
  }
}

/** Asked anew after a quorum check, which may have ended the leadership. */
function isLeader(raft: Raft): boolean {
  return raft.state === StateType.Leader;
}
