// Which handler a message goes to on a follower: obey the leader, pass on what only the leader can answer. Called by step.ts
// after the term was dealt with.
import { ReadOnlyOption } from "./config.ts";
import { CampaignType, hup } from "./election.ts";
import { PROPOSAL_DROPPED, type RaftError } from "./errors.ts";
import { handleAppendEntries, handleHeartbeat } from "./follower.ts";
import { type Message, MessageType, NONE } from "./message.ts";
import type { Raft } from "./raft.ts";
import { send } from "./send.ts";
import { handleSnapshot } from "./snapshot.ts";

export function stepFollower(raft: Raft, message: Message): RaftError | undefined {
  switch (message.type) {
    case MessageType.MsgProp:
      return forwardProposal(raft, message);
    case MessageType.MsgApp:
      hearLeader(raft, message);
      handleAppendEntries(raft, message);
      return undefined;
    case MessageType.MsgHeartbeat:
      hearLeader(raft, message);
      handleHeartbeat(raft, message);
      return undefined;
    case MessageType.MsgSnap:
      hearLeader(raft, message);
      handleSnapshot(raft, message);
      return undefined;
    case MessageType.MsgTransferLeader:
      forwardToLeader(raft, message, "leader transfer msg");
      return undefined;
    case MessageType.MsgReadIndex:
      forwardToLeader(raft, message, "index reading msg");
      return undefined;
    case MessageType.MsgReadIndexResp:
      takeReadState(raft, message);
      return undefined;
    case MessageType.MsgForgetLeader:
      forgetLeader(raft);
      return undefined;
    case MessageType.MsgTimeoutNow:
      raft.logger.info(
        `${raft.name} [term ${raft.term}] received MsgTimeoutNow from ${message.from.toString(16)} and starts an election to get leadership.`,
      );
      // The leader asked for it: no partition to recover from, so no pre-vote.
      hup(raft, CampaignType.Transfer);
      return undefined;
    default:
      return undefined;
  }
}

function hearLeader(raft: Raft, message: Message): void {
  raft.electionElapsed = 0;
  raft.lead = message.from;
}

function forwardProposal(raft: Raft, message: Message): RaftError | undefined {
  if (raft.lead === NONE) {
    raft.logger.info(`${raft.name} no leader at term ${raft.term}; dropping proposal`);
    return PROPOSAL_DROPPED;
  }
  if (raft.disableProposalForwarding) {
    raft.logger.info(
      `${raft.name} not forwarding to leader ${raft.lead.toString(16)} at term ${raft.term}; dropping proposal`,
    );
    return PROPOSAL_DROPPED;
  }
  forward(raft, message);
  return undefined;
}

function forwardToLeader(raft: Raft, message: Message, what: string): void {
  if (raft.lead === NONE) {
    raft.logger.info(`${raft.name} no leader at term ${raft.term}; dropping ${what}`);
    return;
  }
  forward(raft, message);
}

/** A copy: a stepped message is immutable. The sender stays, so that the answer finds its way. */
function forward(raft: Raft, message: Message): void {
  send(raft, { ...message, to: raft.lead });
}

function takeReadState(raft: Raft, message: Message): void {
  const entry = message.entries[0];
  if (entry === undefined || message.entries.length !== 1) {
    raft.logger.error(
      `${raft.name} invalid format of MsgReadIndexResp from ${message.from.toString(16)}, entries count: ${message.entries.length}`,
    );
    return;
  }
  raft.readStates.push({ index: message.index, requestContext: entry.data });
}

/** The leader is known to be gone, whatever the election timeout says: this member may vote and campaign at once. */
function forgetLeader(raft: Raft): void {
  if (raft.readOnlyOption === ReadOnlyOption.LeaseBased) {
    raft.logger.error("ignoring MsgForgetLeader due to ReadOnlyLeaseBased");
    return;
  }
  if (raft.lead === NONE) return;
  raft.logger.info(`${raft.name} forgetting leader ${raft.lead.toString(16)} at term ${raft.term}`);
  raft.lead = NONE;
}
