// What a message's term means before its content counts: a higher one makes this member a follower, a lower one is mostly
// noise. Called by step.ts for every message whose term is not ours (Raft, section 5.1; leases: thesis 6.4.1 and 4.2.3).
import { describeMessageType } from "./describe.ts";
import { describeVoteDecision, isTransferRequest } from "./election.ts";
import { type Message, MessageType, NONE, newMessage } from "./message.ts";
import type { Raft } from "./raft.ts";
import { becomeFollower } from "./role.ts";
import { send } from "./send.ts";
import { handleOldStorageAppendResponse } from "./storage-response.ts";

/** Returns whether the message is still to be handled. */
export function stepHigherTerm(raft: Raft, message: Message): boolean {
  const { type } = message;
  const isVoteRequest = type === MessageType.MsgVote || type === MessageType.MsgPreVote;
  if (isVoteRequest && isInLease(raft) && !isTransferRequest(message)) {
    raft.logger.info(
      `${describeVoteDecision(raft, message, "ignored", "from")}: lease is not expired (remaining ticks: ${raft.electionTimeout - raft.electionElapsed})`,
    );
    return false;
  }
  // A pre-vote is asked, and granted, for a term that nobody has entered yet.
  if (type === MessageType.MsgPreVote) return true;
  if (type === MessageType.MsgPreVoteResp && !message.reject) return true;
  raft.logger.info(
    `${raft.name} [term: ${raft.term}] received a ${describeMessageType(type)} message with higher term from ${message.from.toString(16)} [term: ${message.term}]`,
  );
  const fromLeader =
    type === MessageType.MsgApp || type === MessageType.MsgHeartbeat || type === MessageType.MsgSnap;
  becomeFollower(raft, message.term, fromLeader ? message.from : NONE);
  return true;
}

/** A leader was heard of within an election timeout: whoever campaigns now is cut off or removed, and is not listened to. */
function isInLease(raft: Raft): boolean {
  return raft.checkQuorum && raft.lead !== NONE && raft.electionElapsed < raft.electionTimeout;
}

/** A message of an earlier term is never handled as such. */
export function stepLowerTerm(raft: Raft, message: Message): void {
  const { type } = message;
  const fromLeader = type === MessageType.MsgHeartbeat || type === MessageType.MsgApp;
  if (fromLeader && (raft.checkQuorum || raft.preVote)) {
    // This member came to a higher term alone and cannot win by votes, which the others ignore while they hear their leader.
    // The term of this answer makes that leader step down, and an election brings us back together.
    send(raft, newMessage(MessageType.MsgAppResp, message.from));
  } else if (type === MessageType.MsgPreVote) {
    // Not dropped: where pre-vote is being switched on, a candidate with a shorter log must learn the higher term.
    raft.logger.info(describeVoteDecision(raft, message, "rejected", "from"));
    const response = newMessage(MessageType.MsgPreVoteResp, message.from);
    response.term = raft.term;
    response.reject = true;
    send(raft, response);
  } else if (type === MessageType.MsgStorageAppendResp) {
    handleOldStorageAppendResponse(raft, message);
  } else {
    raft.logger.info(
      `${raft.name} [term: ${raft.term}] ignored a ${describeMessageType(type)} message with lower term from ${message.from.toString(16)} [term: ${message.term}]`,
    );
  }
}
