// MsgStorageAppendResp and MsgStorageApplyResp: the disk has what it was given, or the state machine has applied it. The same
// messages serve asynchronous storage and advance(). Called by step.ts.
import { EMPTY } from "../base/bytes.ts";
import { reduceUncommittedSize } from "./append-entry.ts";
import {
  EntryType,
  type Message,
  MessageType,
  NONE,
  newEntry,
  newMessage,
  type Snapshot,
} from "./message.ts";
import { type Raft, StateType } from "./raft.ts";
import { entriesSize, payloadsSize } from "./sizes.ts";
import { handlePropose } from "./step-leader/propose.ts";
import { describeConfig } from "./tracker/tracker.ts";

export function handleStorageAppendResponse(raft: Raft, message: Message): void {
  if (message.index !== 0) raft.log.stableTo(message.index, message.logTerm);
  if (message.snapshot !== undefined) appliedSnapshot(raft, message.snapshot);
}

/**
 * The response of an earlier term. Its entries may have been replaced since, and even replaced back, while a later write is still under
 * way: they are not taken as stable. Every change of term writes a hard state, whose own response will do. A snapshot stays valid.
 */
export function handleOldStorageAppendResponse(raft: Raft, message: Message): void {
  if (message.index !== 0) {
    raft.logger.info(
      `${raft.name} [term: ${raft.term}] ignored entry appends from a MsgStorageAppendResp message with lower term [term: ${message.term}]`,
    );
  }
  if (message.snapshot !== undefined) appliedSnapshot(raft, message.snapshot);
}

export function handleStorageApplyResponse(raft: Raft, message: Message): void {
  const last = message.entries.at(-1);
  if (last === undefined) return;
  appliedTo(raft, last.index, entriesSize(message.entries));
  reduceUncommittedSize(raft, payloadsSize(message.entries));
}

function appliedSnapshot(raft: Raft, snapshot: Snapshot): void {
  const index = snapshot.metadata.index;
  raft.log.unstable.stableSnapshotTo(index);
  appliedTo(raft, index, 0);
}

function appliedTo(raft: Raft, index: number, bytes: number): void {
  const applied = Math.max(index, raft.log.applied);
  raft.log.appliedTo(applied, bytes);
  if (raft.tracker.config.autoLeave && applied >= raft.pendingConfIndex && raft.state === StateType.Leader) {
    leaveJointAutomatically(raft);
  }
}

/** Proposes the end of the joint configuration. Dropped while leadership is handed over; then the next application tries again. */
function leaveJointAutomatically(raft: Raft): void {
  const config = describeConfig(raft.tracker.config);
  const message = newMessage(MessageType.MsgProp, NONE);
  message.entries = [newEntry(0, 0, EntryType.ConfChangeV2, EMPTY)];
  const dropped = handlePropose(raft, message);
  if (dropped !== undefined) {
    raft.logger.debug(
      `not initiating automatic transition out of joint configuration ${config}: ${dropped.message}`,
    );
  } else {
    raft.logger.info(`initiating automatic transition out of joint configuration ${config}`);
  }
}
