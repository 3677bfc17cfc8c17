// Cuts the bytes of a connection into frames: first the preface, then frame after frame, in one pass over each buffer the
// socket gives, without copying. Only a frame that lies across two reads is put together in a buffer of its own.
// Called by connection, which is its sink; never keeps a reference to the socket's buffer.
import { FRAME_BYTES, FRAME_HEADER_BYTES, PREFACE } from "./protocol.ts";

/** Receives frames. `buffer` is valid during the call. Returns false to stop: the connection is closing. */
export interface FrameSink {
  frame(type: number, flags: number, streamId: number, buffer: Buffer, start: number, end: number): boolean;
  /** The first bytes are not HTTP/2's preface. */
  badPreface(): void;
  frameTooLong(type: number, streamId: number): void;
  preface(): void;
}

export class FrameReader {
  readonly #sink: FrameSink;
  #prefaceSeen = 0;
  /** The beginning of a frame whose end has not come; undefined when none. */
  #partial: Buffer | undefined = undefined;
  #partialLength = 0;

  constructor(sink: FrameSink) {
    this.#sink = sink;
  }

  get started(): boolean {
    return this.#prefaceSeen === PREFACE.length;
  }

  read(buffer: Buffer): void {
    let at = 0;
    if (this.#prefaceSeen < PREFACE.length) {
      at = this.#preface(buffer);
      if (at < 0) return;
    }
    if (this.#partial !== undefined) {
      at = this.#complete(buffer, at);
      if (at < 0) return;
    }
    const end = buffer.length;
    while (end - at >= FRAME_HEADER_BYTES) {
      const length = (buffer[at]! << 16) | (buffer[at + 1]! << 8) | buffer[at + 2]!;
      if (length > FRAME_BYTES) {
        this.#tooLong(buffer, at);
        return;
      }
      const next = at + FRAME_HEADER_BYTES + length;
      if (next > end) break;
      if (!this.#emit(buffer, at, next)) return;
      at = next;
    }
    if (at < end) this.#keep(buffer, at);
  }

  #emit(buffer: Buffer, at: number, end: number): boolean {
    const streamId =
      ((buffer[at + 5]! & 0x7f) << 24) | (buffer[at + 6]! << 16) | (buffer[at + 7]! << 8) | buffer[at + 8]!;
    return this.#sink.frame(buffer[at + 3]!, buffer[at + 4]!, streamId, buffer, at + FRAME_HEADER_BYTES, end);
  }

  #tooLong(buffer: Buffer, at: number): void {
    const streamId = buffer.readUInt32BE(at + 5) & 0x7fffffff;
    this.#sink.frameTooLong(buffer[at + 3]!, streamId);
  }

  /** Consumes preface bytes; returns where frames begin, or -1. */
  #preface(buffer: Buffer): number {
    const count = Math.min(PREFACE.length - this.#prefaceSeen, buffer.length);
    for (let i = 0; i < count; i++) {
      if (buffer[i] === PREFACE.charCodeAt(this.#prefaceSeen + i)) continue;
      this.#sink.badPreface();
      return -1;
    }
    this.#prefaceSeen += count;
    if (this.started) this.#sink.preface();
    return count;
  }

  #keep(buffer: Buffer, at: number): void {
    const have = buffer.length - at;
    const need =
      have < FRAME_HEADER_BYTES
        ? FRAME_HEADER_BYTES
        : FRAME_HEADER_BYTES + ((buffer[at]! << 16) | (buffer[at + 1]! << 8) | buffer[at + 2]!);
    this.#partial = Buffer.allocUnsafe(need);
    buffer.copy(this.#partial, 0, at);
    this.#partialLength = have;
  }

  /** Finishes the partial frame from `buffer`; returns where the next one begins, or -1 when there is no more to do. */
  #complete(buffer: Buffer, from: number): number {
    let at = this.#fill(buffer, from);
    let partial = this.#partial!;
    if (this.#partialLength < partial.length) return -1;
    if (partial.length === FRAME_HEADER_BYTES) {
      const length = (partial[0]! << 16) | (partial[1]! << 8) | partial[2]!;
      if (length > FRAME_BYTES) {
        this.#tooLong(partial, 0);
        return -1;
      }
      if (length > 0) {
        this.#partial = Buffer.allocUnsafe(FRAME_HEADER_BYTES + length);
        partial.copy(this.#partial, 0);
        partial = this.#partial;
        at = this.#fill(buffer, at);
        if (this.#partialLength < partial.length) return -1;
      }
    }
    this.#partial = undefined;
    return this.#emit(partial, 0, partial.length) ? at : -1;
  }

  #fill(buffer: Buffer, from: number): number {
    const partial = this.#partial!;
    const count = Math.min(partial.length - this.#partialLength, buffer.length - from);
    buffer.copy(partial, this.#partialLength, from, from + count);
    this.#partialLength += count;
    return from + count;
  }
}
