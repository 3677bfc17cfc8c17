// The message stream and the head of a snapshot request: u64 big endian with the length, then a raftpb.Message (etcd's msg_codec.go).
// Encoders say how long a message will be and write it where they are told; decoders take any cut of the bytes.
import { writeUint64 } from "../base/bytes.ts";
import type { Message } from "../raft/message.ts";
import { MessageType, NONE, newMessage } from "../raft/message.ts";
import { messageFromWire, messageToWire } from "../raft/wire-message.ts";
import { DecodeError } from "../wire/decode-error.ts";
import { decodeMessage, sizeMessage, writeMessage } from "../wire/generated/raftpb.ts";
import { FrameBuffer, StreamError } from "./frame-buffer.ts";
import { STREAM_MESSAGE_BYTES_MAX } from "./limits.ts";

/** What a stream writer needs of a codec. `write` follows `size` of the same message, with nothing in between. */
export interface StreamEncoder {
  size(message: Message): number;
  write(message: Message, out: Uint8Array, at: number): number;
}

export interface StreamDecoder {
  /** Calls `deliver` for every message that is complete now. Throws a StreamError when the stream cannot be trusted any more. */
  push(chunk: Uint8Array, deliver: (message: Message, bytes: number) => void): void;
}

/** Keeps a silent stream alive. Raft never sends a message without addressee, so it cannot be mistaken. */
export const LINK_HEARTBEAT: Message = newMessage(MessageType.MsgHeartbeat, NONE);

export function isLinkHeartbeat(message: Message): boolean {
  return message.type === MessageType.MsgHeartbeat && message.from === NONE && message.to === NONE;
}

const LENGTH_BYTES = 8;

export class MessageEncoder implements StreamEncoder {
  #size = 0;

  size(message: Message): number {
    this.#size = sizeMessage(messageToWire(message));
    return LENGTH_BYTES + this.#size;
  }

  write(message: Message, out: Uint8Array, at: number): number {
    return writeMessage(messageToWire(message), out, writeUint64(this.#size, out, at));
  }
}

export class MessageDecoder implements StreamDecoder {
  readonly #buffer = new FrameBuffer();
  readonly #bytesMax: number;

  constructor(bytesMax: number = STREAM_MESSAGE_BYTES_MAX) {
    this.#bytesMax = bytesMax;
  }

  push(chunk: Uint8Array, deliver: (message: Message, bytes: number) => void): void {
    this.#buffer.push(chunk);
    for (let size = this.#frame(); size >= 0; size = this.#frame()) {
      this.#buffer.start += LENGTH_BYTES;
      deliver(parseMessage(this.#buffer.take(size)), size);
    }
    this.#buffer.settle();
  }

  /** For a message with something else behind it: the first one, or undefined while it is not complete. */
  first(
    chunk: Uint8Array,
  ): { readonly message: Message; readonly bytes: number; readonly rest: Uint8Array } | undefined {
    const buffer = this.#buffer;
    buffer.push(chunk);
    const size = this.#frame();
    if (size < 0) {
      buffer.settle();
      return undefined;
    }
    buffer.start += LENGTH_BYTES;
    const message = parseMessage(buffer.take(size));
    return { message, bytes: size, rest: buffer.take(buffer.length) };
  }

  /** Length of the message at hand, -1 while it is not complete. */
  #frame(): number {
    const { length, start } = this.#buffer;
    if (length < LENGTH_BYTES) return -1;
    const size = this.#buffer.uint64(start);
    if (!(size <= this.#bytesMax)) throw new StreamError("rafthttp: error limit exceeded");
    return length - LENGTH_BYTES >= size ? size : -1;
  }
}

/** The message in bytes that nobody else holds: it shares them. Throws a StreamError. */
export function parseMessage(bytes: Uint8Array): Message {
  try {
    const message = messageFromWire(decodeMessage(bytes));
    if (typeof message === "string") throw new StreamError(message);
    return message;
  } catch (error) {
    throw error instanceof DecodeError ? new StreamError(error.message) : error;
  }
}
