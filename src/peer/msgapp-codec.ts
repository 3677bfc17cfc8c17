// The msgappv2 stream (etcd's msgappv2_codec.go): appends from a leader, of which the usual one carries neither addressees nor terms,
// because both ends know what must come next. One byte of type; all numbers u64 big endian:
//   0  heartbeat of the link
//   1  count, then per entry length and raftpb.Entry, then the commit index: continues the append before
//   2  length and raftpb.Message: anything else; what comes next continues it

import type { MemberId } from "../base/brand.ts";
import { writeUint64 } from "../base/bytes.ts";
import type { Message } from "../raft/message.ts";
import { MessageType } from "../raft/message.ts";
import { messageFromWire, messageToWire } from "../raft/wire-message.ts";
import { DecodeError } from "../wire/decode-error.ts";
import {
  createEntry,
  createMessage,
  readEntry,
  sizeEntry,
  sizeMessage,
  writeEntry,
  writeMessage,
} from "../wire/generated/raftpb.ts";
import { Reader } from "../wire/reader.ts";
import { FrameBuffer, StreamError } from "./frame-buffer.ts";
import { STREAM_MESSAGE_BYTES_MAX } from "./limits.ts";
import {
  isLinkHeartbeat,
  LINK_HEARTBEAT,
  parseMessage,
  type StreamDecoder,
  type StreamEncoder,
} from "./message-codec.ts";

const LINK_HEARTBEAT_TYPE = 0;
const APP_ENTRIES_TYPE = 1;
const APP_TYPE = 2;

const TYPE_BYTES = 1;
const NUMBER_BYTES = 8;

export class MsgAppEncoder implements StreamEncoder {
  /** Term and last index of what was written last: what the other end expects to be continued. */
  #term = 0;
  #index = 0;
  #type = LINK_HEARTBEAT_TYPE;
  #messageBytes = 0;

  size(message: Message): number {
    if (isLinkHeartbeat(message)) {
      this.#type = LINK_HEARTBEAT_TYPE;
      return TYPE_BYTES;
    }
    const { term, logTerm, entries } = message;
    if (this.#index === message.index && this.#term === logTerm && logTerm === term) {
      this.#type = APP_ENTRIES_TYPE;
      let size = TYPE_BYTES + 2 * NUMBER_BYTES + entries.length * NUMBER_BYTES;
      for (let i = 0; i < entries.length; i++) size += sizeEntry(entries[i]!);
      return size;
    }
    this.#type = APP_TYPE;
    this.#messageBytes = sizeMessage(messageToWire(message));
    return TYPE_BYTES + NUMBER_BYTES + this.#messageBytes;
  }

  write(message: Message, out: Uint8Array, at: number): number {
    out[at++] = this.#type;
    if (this.#type === LINK_HEARTBEAT_TYPE) return at;
    const { entries } = message;
    if (this.#type === APP_ENTRIES_TYPE) {
      at = writeUint64(entries.length, out, at);
      for (let i = 0; i < entries.length; i++) {
        const entry = entries[i]!;
        const end = writeEntry(entry, out, at + NUMBER_BYTES);
        writeUint64(end - at - NUMBER_BYTES, out, at);
        at = end;
      }
      this.#index += entries.length;
      return writeUint64(message.commit, out, at);
    }
    this.#term = message.term;
    this.#index = lastIndex(message);
    return writeMessage(messageToWire(message), out, writeUint64(this.#messageBytes, out, at));
  }
}

function lastIndex(message: Message): number {
  const { entries } = message;
  return entries.length === 0 ? message.index : entries[entries.length - 1]!.index;
}

export class MsgAppDecoder implements StreamDecoder {
  readonly #buffer = new FrameBuffer();
  readonly #local: MemberId;
  readonly #remote: MemberId;
  #term = 0;
  #index = 0;
  /** How far a frame of entries was looked through: bytes from its start, and the entries still to be seen; -1 = not begun. */
  #scanned = 0;
  #entriesLeft = -1;

  constructor(local: MemberId, remote: MemberId) {
    this.#local = local;
    this.#remote = remote;
  }

  push(chunk: Uint8Array, deliver: (message: Message, bytes: number) => void): void {
    const buffer = this.#buffer;
    buffer.push(chunk);
    for (let size = this.#frame(); size >= 0; size = this.#frame()) {
      const type = buffer.bytes[buffer.start]!;
      const frame = buffer.take(size);
      if (type === LINK_HEARTBEAT_TYPE) deliver(LINK_HEARTBEAT, size);
      else deliver(type === APP_TYPE ? this.#app(frame) : this.#appEntries(frame), size);
    }
    buffer.settle();
  }

  /** Length of the frame at hand, -1 while it is not complete. */
  #frame(): number {
    const { length, start } = this.#buffer;
    if (length === 0) return -1;
    const type = this.#buffer.bytes[start]!;
    switch (type) {
      case LINK_HEARTBEAT_TYPE:
        return TYPE_BYTES;
      case APP_ENTRIES_TYPE:
        return this.#entriesFrame(length, start);
      case APP_TYPE: {
        if (length < TYPE_BYTES + NUMBER_BYTES) return -1;
        const size = TYPE_BYTES + NUMBER_BYTES + this.#bounded(this.#buffer.uint64(start + TYPE_BYTES));
        return length >= size ? size : -1;
      }
      default:
        throw new StreamError(`failed to parse type ${type} in msgappv2 stream`);
    }
  }

  /** Walks over the entries' lengths, and remembers how far it came: every byte is looked at once. */
  #entriesFrame(length: number, start: number): number {
    const buffer = this.#buffer;
    if (this.#entriesLeft < 0) {
      if (length < TYPE_BYTES + NUMBER_BYTES) return -1;
      this.#entriesLeft = this.#bounded(buffer.uint64(start + TYPE_BYTES));
      this.#scanned = TYPE_BYTES + NUMBER_BYTES;
    }
    while (this.#entriesLeft > 0) {
      if (this.#scanned + NUMBER_BYTES > length) return -1;
      this.#scanned += NUMBER_BYTES + this.#bounded(buffer.uint64(start + this.#scanned));
      this.#bounded(this.#scanned);
      this.#entriesLeft--;
    }
    const size = this.#scanned + NUMBER_BYTES;
    if (length < size) return -1;
    this.#entriesLeft = -1;
    return size;
  }

  #bounded(size: number): number {
    if (!(size <= STREAM_MESSAGE_BYTES_MAX)) throw new StreamError("rafthttp: error limit exceeded");
    return size;
  }

  #app(frame: Uint8Array): Message {
    const message = parseMessage(frame.subarray(TYPE_BYTES + NUMBER_BYTES));
    this.#term = message.term;
    this.#index = lastIndex(message);
    return message;
  }

  #appEntries(frame: Uint8Array): Message {
    const buffer = new FrameBuffer();
    buffer.push(frame);
    const wire = createMessage();
    wire.type = MessageType.MsgApp;
    wire.from = this.#remote;
    wire.to = this.#local;
    wire.term = this.#term;
    wire.logTerm = this.#term;
    wire.index = this.#index;
    const count = buffer.uint64(TYPE_BYTES);
    const reader = new Reader(frame, 0, frame.length);
    let at = TYPE_BYTES + NUMBER_BYTES;
    try {
      for (let i = 0; i < count; i++) {
        const length = buffer.uint64(at);
        reader.at = at + NUMBER_BYTES;
        at = reader.at + length;
        reader.end = at;
        wire.entries.push(readEntry(reader, createEntry()));
      }
    } catch (error) {
      throw error instanceof DecodeError ? new StreamError(error.message) : error;
    }
    this.#index += count;
    wire.commit = buffer.uint64(at);
    const message = messageFromWire(wire);
    if (typeof message === "string") throw new StreamError(message);
    return message;
  }
}
