// Raft's own data: entries, snapshots, messages and the hard state, with every field always present. The algorithm, the log, the
// peer transport and the wire codec of raftpb share these types. Nothing here encodes bytes, and nothing may hold a clock.

import type { Index, MemberId, Term } from "../base/brand.ts";
import { EMPTY } from "../base/bytes.ts";

/** "Nobody": no leader known, no vote cast. */
export const NONE: MemberId = 0n as MemberId;
/** The addressee of MsgStorageAppend: whoever writes the log. */
export const LOCAL_APPEND_THREAD: MemberId = 0xffff_ffff_ffff_ffffn as MemberId;
/** The addressee of MsgStorageApply: whoever applies committed entries. */
export const LOCAL_APPLY_THREAD: MemberId = 0xffff_ffff_ffff_fffen as MemberId;

/** raftpb.EntryType. */
export const EntryType = { Normal: 0, ConfChange: 1, ConfChangeV2: 2 } as const;
export type EntryType = (typeof EntryType)[keyof typeof EntryType];

/** raftpb.MessageType; the numbers travel on the wire. */
export const MessageType = {
  MsgHup: 0,
  MsgBeat: 1,
  MsgProp: 2,
  MsgApp: 3,
  MsgAppResp: 4,
  MsgVote: 5,
  MsgVoteResp: 6,
  MsgSnap: 7,
  MsgHeartbeat: 8,
  MsgHeartbeatResp: 9,
  MsgUnreachable: 10,
  MsgSnapStatus: 11,
  MsgCheckQuorum: 12,
  MsgTransferLeader: 13,
  MsgTimeoutNow: 14,
  MsgReadIndex: 15,
  MsgReadIndexResp: 16,
  MsgPreVote: 17,
  MsgPreVoteResp: 18,
  MsgStorageAppend: 19,
  MsgStorageAppendResp: 20,
  MsgStorageApply: 21,
  MsgStorageApplyResp: 22,
  MsgForgetLeader: 23,
} as const;
export type MessageType = (typeof MessageType)[keyof typeof MessageType];

/** The same shape as the log's Entry. Immutable once made; `data` is shared, never copied and never changed. */
export type Entry = {
  readonly term: Term;
  readonly index: Index;
  readonly type: EntryType;
  readonly data: Uint8Array;
};

/** What must survive a restart besides the entries. */
export type HardState = { readonly term: Term; readonly vote: MemberId; readonly commit: Index };

/** A membership, as snapshots and the log's manifest keep it. */
export type ConfState = {
  readonly voters: readonly MemberId[];
  readonly learners: readonly MemberId[];
  /** The old majority while a joint change is under way, else empty. */
  readonly votersOutgoing: readonly MemberId[];
  /** Voters of the old majority that become learners when the joint change ends. */
  readonly learnersNext: readonly MemberId[];
  readonly autoLeave: boolean;
};

export type SnapshotMetadata = {
  readonly confState: ConfState;
  readonly index: Index;
  readonly term: Term;
};

export type Snapshot = { readonly data: Uint8Array; readonly metadata: SnapshotMetadata };

/**
 * One message between members, or between a member and its own storage. A message is filled in by whoever makes it and is
 * immutable from the moment it is stepped or handed out in a Ready.
 */
export type Message = {
  type: MessageType;
  to: MemberId;
  from: MemberId;
  /** 0 marks a local message. */
  term: number;
  /** MsgApp: term of the entry before the first. A rejecting MsgAppResp: the term at rejectHint. Votes: term of the last entry. */
  logTerm: number;
  /** MsgApp: index of the entry before the first. Responses: the index answered for. */
  index: number;
  entries: readonly Entry[];
  commit: number;
  vote: MemberId;
  snapshot: Snapshot | undefined;
  reject: boolean;
  rejectHint: number;
  context: Uint8Array;
  /** What to deliver once the storage work that this message asks for is done. */
  responses: readonly Message[];
};

export const NO_ENTRIES: readonly Entry[] = [];
export const NO_MESSAGES: readonly Message[] = [];
const NO_MEMBERS: readonly MemberId[] = [];

/** A message with everything but its type and addressee left empty: one hidden class for all messages. */
export function newMessage(type: MessageType, to: MemberId): Message {
  return {
    type,
    to,
    from: NONE,
    term: 0,
    logTerm: 0,
    index: 0,
    entries: NO_ENTRIES,
    commit: 0,
    vote: NONE,
    snapshot: undefined,
    reject: false,
    rejectHint: 0,
    context: EMPTY,
    responses: NO_MESSAGES,
  };
}

export function newEntry(term: number, index: number, type: EntryType, data: Uint8Array): Entry {
  return { term: term as Term, index: index as Index, type, data };
}

export function newHardState(term: number, vote: MemberId, commit: number): HardState {
  return { term: term as Term, vote, commit: commit as Index };
}

export const EMPTY_HARD_STATE: HardState = newHardState(0, NONE, 0);

export const EMPTY_CONF_STATE: ConfState = {
  voters: NO_MEMBERS,
  learners: NO_MEMBERS,
  votersOutgoing: NO_MEMBERS,
  learnersNext: NO_MEMBERS,
  autoLeave: false,
};

export function newSnapshot(index: number, term: number, confState: ConfState, data: Uint8Array): Snapshot {
  return { data, metadata: { confState, index: index as Index, term: term as Term } };
}

export const EMPTY_SNAPSHOT: Snapshot = newSnapshot(0, 0, EMPTY_CONF_STATE, EMPTY);

export function isHardStateEqual(a: HardState, b: HardState): boolean {
  return a.term === b.term && a.vote === b.vote && a.commit === b.commit;
}

export function isEmptyHardState(state: HardState | undefined): boolean {
  return state === undefined || isHardStateEqual(state, EMPTY_HARD_STATE);
}

/** Peers of older versions send an empty snapshot instead of none. */
export function isEmptySnapshot(snapshot: Snapshot | undefined): boolean {
  return snapshot === undefined || snapshot.metadata.index === 0;
}

export function isLocalTarget(id: MemberId): boolean {
  return id === LOCAL_APPEND_THREAD || id === LOCAL_APPLY_THREAD;
}

/** True for messages that a member sends to itself only; from the network they are refused. */
export function isLocalMessage(type: MessageType): boolean {
  switch (type) {
    case MessageType.MsgHup:
    case MessageType.MsgBeat:
    case MessageType.MsgUnreachable:
    case MessageType.MsgSnapStatus:
    case MessageType.MsgCheckQuorum:
    case MessageType.MsgStorageAppend:
    case MessageType.MsgStorageAppendResp:
    case MessageType.MsgStorageApply:
    case MessageType.MsgStorageApplyResp:
      return true;
    default:
      return false;
  }
}

/**
 * Votes and acknowledgements: what they say must be on disk before anybody hears it. In a Ready without asynchronous storage these must
 * wait for the write; all other messages may leave while it is under way (thesis 10.2.1).
 */
export function waitsForStorage(type: MessageType): boolean {
  switch (type) {
    case MessageType.MsgAppResp:
    case MessageType.MsgVoteResp:
    case MessageType.MsgPreVoteResp:
      return true;
    default:
      return false;
  }
}

/** True for answers, which only make sense from a member of the present configuration. */
export function isResponseMessage(type: MessageType): boolean {
  switch (type) {
    case MessageType.MsgAppResp:
    case MessageType.MsgVoteResp:
    case MessageType.MsgHeartbeatResp:
    case MessageType.MsgUnreachable:
    case MessageType.MsgReadIndexResp:
    case MessageType.MsgPreVoteResp:
    case MessageType.MsgStorageAppendResp:
    case MessageType.MsgStorageApplyResp:
      return true;
    default:
      return false;
  }
}
