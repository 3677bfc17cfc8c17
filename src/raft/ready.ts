// Ready: everything the application has to do next, and how it is put together. RawNode calls it; the application treats all of
// it as read-only, and owns the lists until advance() (or, with asynchronous storage, until it has delivered the responses).
import {
  describeEntries,
  describeHardState,
  describeMessage,
  describeSnapshot,
  type EntryFormatter,
} from "./describe.ts";
import {
  type Entry,
  type HardState,
  isEmptyHardState,
  isEmptySnapshot,
  type Message,
  type Snapshot,
} from "./message.ts";
import { describeState, type Raft, type SoftState } from "./raft.ts";
import type { ReadState } from "./read-only.ts";

/**
 * Order of work without asynchronous storage: write hardState, entries and snapshot (flush if mustSync), then send the messages, then
 * apply the committed entries, then advance(). Messages that do not wait for storage (waitsForStorage) may leave while the write is under
 * way. Messages may be stepped, and entries proposed, between ready() and advance(); only ready() itself must wait for advance().
 */
export type Ready = {
  /** Changed since the last Ready, else undefined. */
  readonly softState: SoftState | undefined;
  readonly hardState: HardState | undefined;
  /** Reads that may be served once their index is applied. */
  readonly readStates: readonly ReadState[];
  /** To be appended to the stable log; the first may replace what stands there. */
  readonly entries: readonly Entry[];
  /** To replace the stable log. Never together with entries of an older log or with committed entries. */
  readonly snapshot: Snapshot | undefined;
  /** To be applied, in order. */
  readonly committedEntries: readonly Entry[];
  /** To be sent. A MsgSnap must be answered by reportSnapshot. */
  readonly messages: readonly Message[];
  /** Whether hardState and entries must be flushed before the messages leave. */
  readonly mustSync: boolean;
};

export const NO_READ_STATES: readonly ReadState[] = [];

/** Raft persists term, vote and entries before it answers; a commit index alone may be lost. */
export function mustSync(state: HardState, previous: HardState, entries: number): boolean {
  return entries !== 0 || state.vote !== previous.vote || state.term !== previous.term;
}

/** The messages of a Ready without asynchronous storage: those that wait for the disk are sent after it, except our own. */
export function messagesAfterWrite(raft: Raft): Message[] {
  const messages = raft.messages;
  for (const message of raft.messagesAfterAppend) {
    if (message.to !== raft.id) messages.push(message);
  }
  return messages;
}

export function describeSoftState(state: SoftState): string {
  return `Lead:${state.lead} State:${describeState(state.state)}`;
}

export function describeReady(ready: Ready, format?: EntryFormatter): string {
  let text = "";
  if (ready.softState !== undefined) text += `${describeSoftState(ready.softState)}\n`;
  if (ready.hardState !== undefined && !isEmptyHardState(ready.hardState)) {
    text += `HardState ${describeHardState(ready.hardState)}\n`;
  }
  if (ready.readStates.length > 0)
    text += `ReadStates [${ready.readStates.map(describeReadState).join(" ")}]\n`;
  if (ready.entries.length > 0) text += `Entries:\n${describeEntries(ready.entries, format)}`;
  if (ready.snapshot !== undefined && !isEmptySnapshot(ready.snapshot)) {
    text += `Snapshot ${describeSnapshot(ready.snapshot)}\n`;
  }
  if (ready.committedEntries.length > 0) {
    text += `CommittedEntries:\n${describeEntries(ready.committedEntries, format)}`;
  }
  if (ready.messages.length > 0) {
    text += `Messages:\n${ready.messages.map((message) => `${describeMessage(message, format)}\n`).join("")}`;
  }
  return text === "" ? "<empty Ready>" : `Ready MustSync=${ready.mustSync}:\n${text}`;
}

function describeReadState(state: ReadState): string {
  return `{${state.index} [${state.requestContext.join(" ")}]}`;
}
