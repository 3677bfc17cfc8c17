// Texts of raft's data, exactly as etcd's raft prints them: the traces, log lines and diagnosis compare them. Reading only; never
// on a hot path.

import type { MemberId } from "../base/brand.ts";
import { utf8FromBytes } from "../base/bytes.ts";
import {
  type ConfChange,
  type ConfChangeV2,
  confChangeAsV2,
  confChangesToString,
  describeConfChangeType,
  describeTransition,
} from "./conf-change.ts";
import { decodeConfChangeEntry } from "./conf-change-codec.ts";
import {
  type ConfState,
  type Entry,
  EntryType,
  type HardState,
  isEmptySnapshot,
  LOCAL_APPEND_THREAD,
  LOCAL_APPLY_THREAD,
  type Message,
  MessageType,
  NONE,
  type Snapshot,
} from "./message.ts";

/** How an application shows the data of its entries. */
export type EntryFormatter = (data: Uint8Array) => string;

const MESSAGE_NAMES: readonly string[] = Object.keys(MessageType);
const ENTRY_NAMES = ["EntryNormal", "EntryConfChange", "EntryConfChangeV2"] as const;

export function describeMessageType(type: MessageType): string {
  return MESSAGE_NAMES[type] ?? String(type);
}

export function describeHardState(state: HardState): string {
  const vote = state.vote === NONE ? "" : ` Vote:${state.vote}`;
  return `Term:${state.term}${vote} Commit:${state.commit}`;
}

export function describeConfState(state: ConfState): string {
  const list = (ids: readonly MemberId[]): string => `[${ids.join(" ")}]`;
  return (
    `Voters:${list(state.voters)} VotersOutgoing:${list(state.votersOutgoing)} ` +
    `Learners:${list(state.learners)} LearnersNext:${list(state.learnersNext)} AutoLeave:${state.autoLeave}`
  );
}

/** The protobuf text form, which one warning uses. */
export function describeConfStateProto(state: ConfState): string {
  const fields = [
    ...state.voters.map((id) => `voters:${id}`),
    ...state.learners.map((id) => `learners:${id}`),
    ...state.votersOutgoing.map((id) => `voters_outgoing:${id}`),
    ...state.learnersNext.map((id) => `learners_next:${id}`),
    `auto_leave:${state.autoLeave}`,
  ];
  return fields.join(" ");
}

export function describeSnapshot(snapshot: Snapshot): string {
  const { index, term, confState } = snapshot.metadata;
  return `Index:${index} Term:${term} ConfState:${describeConfState(confState)}`;
}

export function describeConfChange(change: ConfChange | ConfChangeV2): string {
  const { transition, changes, context } = confChangeAsV2(change);
  let text = `transition:${describeTransition(transition)}`;
  for (const single of changes) {
    text += ` changes:{type:${describeConfChangeType(single.type)} node_id:${single.nodeId}}`;
  }
  return context.length > 0 ? `${text} context:${quoteBytes(context)}` : text;
}

/** "1/4 EntryNormal \"foo\"". */
export function describeEntry(entry: Entry, format: EntryFormatter = quoteBytes): string {
  const shown = describeData(entry, format);
  return `${entry.term}/${entry.index} ${ENTRY_NAMES[entry.type]}${shown === "" ? "" : ` ${shown}`}`;
}

function describeData(entry: Entry, format: EntryFormatter): string {
  if (entry.type === EntryType.Normal) return format(entry.data);
  const change = decodeConfChangeEntry(entry.type, entry.data);
  if (change === undefined) return "proto: cannot parse invalid wire-format data";
  return confChangesToString(confChangeAsV2(change).changes);
}

export function describeEntries(entries: readonly Entry[], format?: EntryFormatter): string {
  let text = "";
  for (const entry of entries) text += `${describeEntry(entry, format)}\n`;
  return text;
}

/** "1->2 MsgApp Term:1 Log:1/3 Commit:3 Entries:[…]"; `indent` is put before every line. */
export function describeMessage(message: Message, format?: EntryFormatter, indent = ""): string {
  let text =
    `${indent}${describeTarget(message.from)}->${describeTarget(message.to)} ${describeMessageType(message.type)} ` +
    `Term:${message.term} Log:${message.logTerm}/${message.index}`;
  if (message.reject) text += ` Rejected (Hint: ${message.rejectHint})`;
  if (message.commit !== 0) text += ` Commit:${message.commit}`;
  if (message.vote !== NONE) text += ` Vote:${message.vote}`;
  text += describeMessageEntries(message.entries, format, indent);
  if (message.snapshot !== undefined && !isEmptySnapshot(message.snapshot)) {
    text += `\n${indent}  Snapshot: ${describeSnapshot(message.snapshot)}`;
  }
  if (message.responses.length > 0) {
    text += " Responses:[";
    for (const response of message.responses) {
      text += `\n${describeMessage(response, format, `${indent}  `)}`;
    }
    text += `\n${indent}]`;
  }
  return text;
}

function describeMessageEntries(
  entries: readonly Entry[],
  format: EntryFormatter | undefined,
  indent: string,
): string {
  if (entries.length === 0) return "";
  if (entries.length === 1) return ` Entries:[${describeEntry(entries[0]!, format)}]`;
  let text = " Entries:[";
  for (const entry of entries) text += `\n${indent}  ${describeEntry(entry, format)}`;
  return `${text}\n${indent}]`;
}

function describeTarget(id: MemberId): string {
  switch (id) {
    case NONE:
      return "None";
    case LOCAL_APPEND_THREAD:
      return "AppendThread";
    case LOCAL_APPLY_THREAD:
      return "ApplyThread";
    default:
      return id.toString(16);
  }
}

const ESCAPES: Readonly<Record<string, string>> = {
  "\u0007": "\\a",
  "\b": "\\b",
  "\f": "\\f",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
  "\v": "\\v",
  '"': '\\"',
  "\\": "\\\\",
};

/** Bytes between quotes, as Go's %q shows them: invalid UTF-8 byte by byte in hex. */
export function quoteBytes(data: Uint8Array): string {
  let text = '"';
  for (let at = 0; at < data.length; ) {
    const size = sequenceLength(data, at);
    if (size === 0) {
      text += `\\x${data[at]!.toString(16).padStart(2, "0")}`;
      at++;
    } else {
      text += quoteCharacter(utf8FromBytes(data.subarray(at, at + size)));
      at += size;
    }
  }
  return `${text}"`;
}

/** Length of the valid UTF-8 sequence at `at`, or 0. */
function sequenceLength(data: Uint8Array, at: number): number {
  const first = data[at]!;
  if (first < 0x80) return 1;
  const size = first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
  if (size === 0 || at + size > data.length) return 0;
  const decoded = utf8FromBytes(data.subarray(at, at + size));
  if ([...decoded].length !== 1) return 0;
  // A replacement character stands for itself only in its own three bytes.
  return decoded !== "\ufffd" || (first === 0xef && data[at + 1] === 0xbf && data[at + 2] === 0xbd)
    ? size
    : 0;
}

function quoteCharacter(character: string): string {
  const escaped = ESCAPES[character];
  if (escaped !== undefined) return escaped;
  if (/^[ \p{L}\p{M}\p{N}\p{P}\p{S}]$/u.test(character)) return character;
  const code = character.codePointAt(0)!;
  if (code < 0x80) return `\\x${code.toString(16).padStart(2, "0")}`;
  return code < 0x1_0000
    ? `\\u${code.toString(16).padStart(4, "0")}`
    : `\\U${code.toString(16).padStart(8, "0")}`;
}
