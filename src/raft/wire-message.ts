// The door between raft's messages and their wire form (src/wire's raftpb): what another member sent is checked here once, so that raft
// may trust the shape of every message. The peer transport calls it; it copies no bytes and judges no protocol.
import type { Index, MemberId, Term } from "../base/brand.ts";
import type * as raftpb from "../wire/generated/raftpb.ts";
import {
  type ConfState,
  EMPTY_CONF_STATE,
  type Entry,
  EntryType,
  type Message,
  MessageType,
  NO_MESSAGES,
  type Snapshot,
} from "./message.ts";

const MESSAGE_TYPE_MAX = MessageType.MsgForgetLeader;
const ENTRY_TYPE_MAX = EntryType.ConfChangeV2;

/**
 * The message, or what is wrong with it. It shares the bytes of entries, context and snapshot with `wire`, and raft keeps them: the caller
 * must own the buffer that was decoded. Responses are for a member's own storage and never come from outside.
 */
export function messageFromWire(wire: raftpb.Message): Message | string {
  if (wire.type < 0 || wire.type > MESSAGE_TYPE_MAX) return `unknown message type ${wire.type}`;
  const numbers = [wire.term, wire.logTerm, wire.index, wire.commit, wire.rejectHint];
  if (!numbers.every(Number.isSafeInteger)) return "a term or index is out of range";
  for (const entry of wire.entries) {
    if (!isEntry(entry)) return `entry ${entry.term}/${entry.index} of type ${entry.type} is out of range`;
  }
  const snapshot = wire.snapshot === undefined ? undefined : snapshotFromWire(wire.snapshot);
  if (typeof snapshot === "string") return snapshot;
  return {
    type: wire.type as MessageType,
    to: wire.to as MemberId,
    from: wire.from as MemberId,
    term: wire.term,
    logTerm: wire.logTerm,
    index: wire.index,
    entries: wire.entries as unknown as readonly Entry[],
    commit: wire.commit,
    vote: wire.vote as MemberId,
    snapshot,
    reject: wire.reject,
    rejectHint: wire.rejectHint,
    context: wire.context,
    responses: NO_MESSAGES,
  };
}

function isEntry(entry: raftpb.Entry): boolean {
  return (
    Number.isSafeInteger(entry.term) &&
    Number.isSafeInteger(entry.index) &&
    entry.type >= 0 &&
    entry.type <= ENTRY_TYPE_MAX
  );
}

/** The snapshot, or what is wrong with it. Absent parts are empty ones. */
export function snapshotFromWire(wire: raftpb.Snapshot): Snapshot | string {
  const index = wire.metadata?.index ?? 0;
  const term = wire.metadata?.term ?? 0;
  if (!Number.isSafeInteger(index) || !Number.isSafeInteger(term)) {
    return "a snapshot's term or index is out of range";
  }
  const confState = wire.metadata?.confState;
  return {
    data: wire.data,
    metadata: {
      confState: confState === undefined ? EMPTY_CONF_STATE : confStateFromWire(confState),
      index: index as Index,
      term: term as Term,
    },
  };
}

export function confStateFromWire(wire: raftpb.ConfState): ConfState {
  return {
    voters: wire.voters as MemberId[],
    learners: wire.learners as MemberId[],
    votersOutgoing: wire.votersOutgoing as MemberId[],
    learnersNext: wire.learnersNext as MemberId[],
    autoLeave: wire.autoLeave,
  };
}

/** The same message for the encoder, which only reads it. Not for messages with responses: those never leave the member. */
export function messageToWire(message: Message): raftpb.Message {
  return message as unknown as raftpb.Message;
}

export function snapshotToWire(snapshot: Snapshot): raftpb.Snapshot {
  return snapshot as unknown as raftpb.Snapshot;
}

export function confStateToWire(state: ConfState): raftpb.ConfState {
  return state as unknown as raftpb.ConfState;
}
