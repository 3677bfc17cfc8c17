// Linearizable reads without a log entry (thesis 6.4): the leader notes its commit index, makes sure that it still leads, and
// answers with that index. Called when a request arrives, when heartbeats are answered and at the first commit of a term.
import { ReadOnlyOption } from "./config.ts";
import { PENDING_READS_MAX } from "./limits.ts";
import { type Message, MessageType, NONE, newMessage } from "./message.ts";
import type { Raft } from "./raft.ts";
import { broadcastHeartbeat, committedEntryInCurrentTerm } from "./replication.ts";
import { send } from "./send.ts";

/** MsgReadIndex on the leader. */
export function handleReadIndexOnLeader(raft: Raft, message: Message): void {
  if (message.entries.length === 0) {
    raft.logger.error(
      `${raft.name} invalid format of MsgReadIndex from ${message.from.toString(16)}, entries count: 0`,
    );
    return;
  }
  // The only voter need not be us: a leader that was removed or demoted, and has not stepped down, must ask (etcd does not).
  if (raft.tracker.isSingleton && raft.tracker.config.voters.incoming[0] === raft.id) {
    answerRead(raft, message, raft.log.committed);
    return;
  }
  if (!committedEntryInCurrentTerm(raft)) {
    if (raft.pendingReadIndexMessages.length < PENDING_READS_MAX) {
      raft.pendingReadIndexMessages.push(message);
    } else {
      raft.logger.warn(`${raft.name} too many reads wait for the first commit; dropping index reading msg`);
    }
    return;
  }
  confirmLeadership(raft, message);
}

/** To be called when the commit index moves: the first commit of the term lets the early reads go on. */
export function releasePendingReads(raft: Raft): void {
  if (raft.pendingReadIndexMessages.length === 0) return;
  if (!committedEntryInCurrentTerm(raft)) {
    raft.logger.error("pending MsgReadIndex should be released only after first commit in current term");
    return;
  }
  const messages = raft.pendingReadIndexMessages;
  raft.pendingReadIndexMessages = [];
  for (const message of messages) confirmLeadership(raft, message);
}

function confirmLeadership(raft: Raft, message: Message): void {
  if (raft.readOnlyOption === ReadOnlyOption.LeaseBased) {
    answerRead(raft, message, raft.log.committed);
    return;
  }
  if (raft.readOnly.full) {
    raft.logger.warn(`${raft.name} too many reads wait for a quorum; dropping index reading msg`);
    return;
  }
  raft.readOnly.add(message, raft.log.committed);
  raft.readOnly.receiveAck(raft.id, raft.readOnly.heartbeatContext());
  broadcastHeartbeat(raft);
}

/** A voter answered a heartbeat: releases the reads that a quorum has confirmed by now. */
export function confirmReads(raft: Raft, message: Message): void {
  raft.readOnly.receiveAck(message.from, message.context);
  for (const read of raft.readOnly.advance(raft.tracker.config.voters)) {
    answerRead(raft, read.request, read.index);
  }
}

/** Our own request becomes a read state of the next Ready; another member's is answered by message. */
function answerRead(raft: Raft, request: Message, index: number): void {
  if (request.from === NONE || request.from === raft.id) {
    raft.readStates.push({ index, requestContext: request.entries[0]!.data });
    return;
  }
  const response = newMessage(MessageType.MsgReadIndexResp, request.from);
  response.index = index;
  response.entries = request.entries;
  send(raft, response);
}
