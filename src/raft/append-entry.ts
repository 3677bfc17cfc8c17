// The leader's append: gives entries their place and term, keeps count of uncommitted bytes, and acknowledges to itself once the
// disk has them. Called when proposals arrive and when a leader begins its term.
import { EMPTY } from "../base/bytes.ts";
import { type Entry, EntryType, MessageType, newEntry, newMessage } from "./message.ts";
import type { Raft } from "./raft.ts";
import { send } from "./send.ts";

/** Appends all or, when they exceed the limit of uncommitted bytes, none. */
export function appendEntries(raft: Raft, proposed: readonly Entry[]): boolean {
  let bytes = 0;
  for (let i = 0; i < proposed.length; i++) bytes += proposed[i]!.data.length;
  if (!increaseUncommittedSize(raft, bytes)) return false;
  let index = raft.log.lastIndex();
  for (let i = 0; i < proposed.length; i++) {
    const entry = proposed[i]!;
    index++;
    raft.log.push(newEntry(raft.term, index, entry.type, entry.data));
  }
  acknowledgeToSelf(raft, index);
  return true;
}

/** The same for one normal entry, without a list. */
export function appendData(raft: Raft, data: Uint8Array): boolean {
  if (!increaseUncommittedSize(raft, data.length)) return false;
  const index = raft.log.lastIndex() + 1;
  raft.log.push(newEntry(raft.term, index, EntryType.Normal, data));
  acknowledgeToSelf(raft, index);
  return true;
}

/** The empty entry with which a leader begins its term. */
export function appendEmpty(raft: Raft): boolean {
  return appendData(raft, EMPTY);
}

/** The leader sends itself no MsgApp, but counts its own copy only when it is stable: this answer waits for the disk. */
function acknowledgeToSelf(raft: Raft, index: number): void {
  const message = newMessage(MessageType.MsgAppResp, raft.id);
  message.index = index;
  send(raft, message);
}

/**
 * Refuses bytes beyond the limit, but never an empty payload (a leader's first entry, the end of a joint configuration), and never
 * the first proposal when nothing is outstanding, however large.
 */
function increaseUncommittedSize(raft: Raft, bytes: number): boolean {
  if (raft.uncommittedSize > 0 && bytes > 0 && raft.uncommittedSize + bytes > raft.uncommittedBytesMax) {
    raft.logger.warn(
      `${raft.name} appending new entries to log would exceed uncommitted entry size limit; dropping proposal`,
    );
    return false;
  }
  raft.uncommittedSize += bytes;
  return true;
}

/** Entries of earlier terms were never counted here, so the sum may fall short: it stops at zero. */
export function reduceUncommittedSize(raft: Raft, bytes: number): void {
  raft.uncommittedSize = Math.max(0, raft.uncommittedSize - bytes);
}
