// Bytes waiting to go out on one connection, written by hand into a slab and handed to the socket in one write per turn. Long
// byte arrays are not copied but stand between two stretches of the slab. Used by sender alone (and by what composes frames
// with it). Bytes given by reference must not change until the socket has them.
import type { Socket } from "node:net";
import { COPY_BYTES_MAX, OUTPUT_SLAB_BYTES, OUTPUT_SLABS_KEPT } from "./limits.ts";

/** Slabs of all connections of a server; an idle connection holds none. */
export class SlabPool {
  readonly #slabs: Buffer[] = [];

  take(): Buffer {
    return this.#slabs.pop() ?? Buffer.allocUnsafeSlow(OUTPUT_SLAB_BYTES);
  }

  give(slab: Buffer): void {
    if (this.#slabs.length < OUTPUT_SLABS_KEPT) this.#slabs.push(slab);
  }
}

/** What may be put byte by byte before a long payload. */
const PREFIX_BYTES_MAX = 16;

const NO_SLAB = Buffer.alloc(0);
/** Below this a loop beats TypedArray.set. */
const LOOP_BYTES_MAX = 24;

export class Output {
  readonly #pool: SlabPool;
  #slab: Buffer = NO_SLAB;
  #start = 0; // what is before it has been handed out
  #at = 0;
  #chunks: Uint8Array[] = [];
  #chunkBytes = 0;

  constructor(pool: SlabPool) {
    this.#pool = pool;
  }

  /** Bytes not yet handed to the socket. */
  get length(): number {
    return this.#chunkBytes + this.#at - this.#start;
  }

  /** Makes room for `size` bytes (far less than a slab) to be put one by one. */
  reserve(size: number): void {
    if (this.#at + size > this.#slab.length) this.#newSlab();
  }

  u8(value: number): void {
    this.#slab[this.#at++] = value;
  }

  u32(value: number): void {
    const slab = this.#slab;
    const at = this.#at;
    slab[at] = value >>> 24;
    slab[at + 1] = value >>> 16;
    slab[at + 2] = value >>> 8;
    slab[at + 3] = value;
    this.#at = at + 4;
  }

  /** A frame header, and room for the payload, or for the prefix of a long one. */
  frame(length: number, type: number, flags: number, streamId: number): void {
    this.reserve(9 + (length <= COPY_BYTES_MAX ? length : PREFIX_BYTES_MAX));
    const slab = this.#slab;
    const at = this.#at;
    slab[at] = length >>> 16;
    slab[at + 1] = length >>> 8;
    slab[at + 2] = length;
    slab[at + 3] = type;
    slab[at + 4] = flags;
    slab[at + 5] = streamId >>> 24;
    slab[at + 6] = streamId >>> 16;
    slab[at + 7] = streamId >>> 8;
    slab[at + 8] = streamId;
    this.#at = at + 9;
  }

  /** Copies bytes[start, end), whatever its length. */
  copy(bytes: Uint8Array, start: number, end: number): void {
    const length = end - start;
    if (length <= LOOP_BYTES_MAX) {
      this.reserve(length);
      const slab = this.#slab;
      let at = this.#at;
      for (let i = start; i < end; i++) slab[at++] = bytes[i]!;
      this.#at = at;
    } else if (length <= COPY_BYTES_MAX) {
      this.reserve(length);
      this.#slab.set(start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end), this.#at);
      this.#at += length;
    } else {
      this.#refer(Uint8Array.prototype.slice.call(bytes, start, end));
    }
  }

  /** Takes bytes[start, end) over: long stretches are not copied. */
  put(bytes: Uint8Array, start: number, end: number): void {
    if (end - start <= COPY_BYTES_MAX) this.copy(bytes, start, end);
    else this.#refer(start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end));
  }

  #refer(bytes: Uint8Array): void {
    this.#cutSlab();
    this.#chunks.push(bytes);
    this.#chunkBytes += bytes.length;
  }

  #cutSlab(): void {
    if (this.#at === this.#start) return;
    this.#chunks.push(this.#slab.subarray(this.#start, this.#at));
    this.#chunkBytes += this.#at - this.#start;
    this.#start = this.#at;
  }

  #newSlab(): void {
    this.#cutSlab();
    // The old slab is still on its way out; it goes to the collector, not to the pool.
    this.#slab = this.#pool.take();
    this.#start = 0;
    this.#at = 0;
  }

  /** Hands everything to the socket; `written` is called when that (and all before it) has gone to the kernel. */
  writeTo(socket: Socket, written: () => void): void {
    if (this.#chunks.length === 0) {
      const bytes = this.#slab.subarray(this.#start, this.#at);
      this.#start = this.#at;
      socket.write(bytes, written);
    } else {
      this.#cutSlab();
      const chunks = this.#chunks;
      this.#chunks = [];
      this.#chunkBytes = 0;
      socket.cork();
      for (let i = 0; i < chunks.length - 1; i++) socket.write(chunks[i]!);
      socket.write(chunks[chunks.length - 1]!, written);
      socket.uncork();
    }
  }

  /** The socket holds nothing of ours: the slab may be written from its start again, or serve another connection. */
  recycle(): void {
    if (this.#slab === NO_SLAB || this.length > 0) return;
    this.#pool.give(this.#slab);
    this.#slab = NO_SLAB;
    this.#start = 0;
    this.#at = 0;
  }

  /** The connection is gone. */
  drop(): void {
    this.#chunks = [];
    this.#chunkBytes = 0;
    this.#slab = NO_SLAB;
    this.#start = 0;
    this.#at = 0;
  }
}
