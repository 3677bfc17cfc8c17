// The messages between raft and the storage of its own member: what to write or apply, and the responses to deliver afterwards.
// With asynchronous storage they travel in Ready.messages; without, advance() steps the responses. Only RawNode calls it.
import {
  type Entry,
  type HardState,
  isEmptySnapshot,
  LOCAL_APPEND_THREAD,
  LOCAL_APPLY_THREAD,
  type Message,
  MessageType,
  newMessage,
  type Snapshot,
} from "./message.ts";
import type { Raft } from "./raft.ts";

/**
 * What to make durable, with the responses that wait for it. A MsgStorageAppend without responses need not be durable. Our own
 * MsgAppResp come before the MsgStorageAppendResp: they find their entries still in memory.
 */
export function newStorageAppend(
  raft: Raft,
  entries: readonly Entry[],
  hardState: HardState | undefined,
  snapshot: Snapshot | undefined,
): Message {
  const message = newMessage(MessageType.MsgStorageAppend, LOCAL_APPEND_THREAD);
  message.from = raft.id;
  message.entries = entries;
  if (hardState !== undefined) {
    message.term = hardState.term;
    message.vote = hardState.vote;
    message.commit = hardState.commit;
  }
  message.snapshot = snapshot;
  const responses = raft.messagesAfterAppend;
  if (needsStorageAppendResponse(raft, snapshot)) {
    responses.push(newStorageAppendResponse(raft, snapshot));
  }
  message.responses = responses;
  return message;
}

/** Not only when this Ready has entries: an earlier response may have been void, because the term had changed. */
export function needsStorageAppendResponse(raft: Raft, snapshot: Snapshot | undefined): boolean {
  return raft.log.unstable.entries.length > 0 || !isEmptySnapshot(snapshot);
}

/**
 * Says that the log up to its present end is stable. It carries our term and is void in any later one. Without that, entries that
 * were replaced and then replaced back by the same ones (A, B, A) would be taken as stable by the first write's response, while the
 * second write has yet to overwrite them on disk.
 */
export function newStorageAppendResponse(raft: Raft, snapshot: Snapshot | undefined): Message {
  const message = newMessage(MessageType.MsgStorageAppendResp, raft.id);
  message.from = LOCAL_APPEND_THREAD;
  message.term = raft.term;
  if (raft.log.unstable.entries.length > 0) {
    message.index = raft.log.lastIndex();
    message.logTerm = raft.log.lastTerm();
  }
  message.snapshot = snapshot;
  return message;
}

export function newStorageApply(raft: Raft, entries: readonly Entry[]): Message {
  const message = newMessage(MessageType.MsgStorageApply, LOCAL_APPLY_THREAD);
  message.from = raft.id;
  message.entries = entries;
  message.responses = [newStorageApplyResponse(raft, entries)];
  return message;
}

/** Without a term: committed entries belong to none. */
export function newStorageApplyResponse(raft: Raft, entries: readonly Entry[]): Message {
  const message = newMessage(MessageType.MsgStorageApplyResp, raft.id);
  message.from = LOCAL_APPLY_THREAD;
  message.entries = entries;
  return message;
}
