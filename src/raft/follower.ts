// What a follower does with the leader's MsgApp and MsgHeartbeat (Raft, section 5.3). Also used by a candidate, once it has
// bowed to the leader. Entries are never acknowledged before they are stable: send() sees to that.
import { type Entry, type Message, MessageType, newMessage } from "./message.ts";
import type { Raft } from "./raft.ts";
import { send } from "./send.ts";

export function handleAppendEntries(raft: Raft, message: Message): void {
  const { log } = raft;
  if (!isLogSlice(message)) {
    raft.logger.error(
      `${raft.name} ignored a MsgApp with inconsistent entries from ${message.from.toString(16)}`,
    );
    return;
  }
  const response = newMessage(MessageType.MsgAppResp, message.from);
  if (message.index < log.committed) {
    response.index = log.committed;
    send(raft, response);
    return;
  }
  const last = log.maybeAppend(message.index, message.logTerm, message.entries, message.commit);
  if (last >= 0) {
    response.index = last;
    send(raft, response);
    return;
  }
  if (raft.logger.debugEnabled) {
    raft.logger.debug(
      `${raft.name} [logterm: ${log.termOrZero(message.index)}, index: ${message.index}] rejected MsgApp [logterm: ${message.logTerm}, index: ${message.index}] from ${message.from.toString(16)}`,
    );
  }
  // The hint lets the leader skip all of our entries whose terms are later than its own at that place.
  const hint = log.findConflictByTerm(Math.min(message.index, log.lastIndex()), message.logTerm);
  response.index = message.index;
  response.reject = true;
  response.rejectHint = hint;
  response.logTerm = log.termOrZero(hint);
  send(raft, response);
}

/** What any leader's log looks like: indexes without gap, terms that never fall and never exceed the leader's. */
function isLogSlice(message: Message): boolean {
  const entries: readonly Entry[] = message.entries;
  let term = message.logTerm;
  for (let i = 0; i < entries.length; i++) {
    const entry = entries[i]!;
    if (entry.index !== message.index + 1 + i || entry.term < term) return false;
    term = entry.term;
  }
  return term <= message.term;
}

export function handleHeartbeat(raft: Raft, message: Message): void {
  raft.log.commitTo(message.commit);
  const response = newMessage(MessageType.MsgHeartbeatResp, message.from);
  response.context = message.context;
  send(raft, response);
}
