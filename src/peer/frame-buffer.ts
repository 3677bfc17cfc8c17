// Bytes of a stream as they come, until a whole frame is there. The decoders look into it; a frame that is taken out owns its bytes,
// whatever the network does with its buffers. Memory grows with what has really arrived, never with what a length claims.
import { allocate, EMPTY } from "../base/bytes.ts";

/** What a stream may not say: ends it. */
export class StreamError extends Error {
  override readonly name = "StreamError";
}

export class FrameBuffer {
  /** Look at [start, end) only. */
  bytes: Uint8Array = EMPTY;
  start = 0;
  end = 0;
  /** Ours: then a big frame may leave with it instead of being copied. */
  #owned = false;

  get length(): number {
    return this.end - this.start;
  }

  /** The chunk is looked at where it is until `settle`. */
  push(chunk: Uint8Array): void {
    if (this.start === this.end) {
      this.bytes = chunk;
      this.start = 0;
      this.end = chunk.length;
      this.#owned = false;
      return;
    }
    this.#reserve(chunk.length);
    this.bytes.set(chunk, this.end);
    this.end += chunk.length;
  }

  /** After a chunk was worked off: keeps what is left of it, in memory of our own. */
  settle(): void {
    if (this.start === this.end) {
      this.bytes = EMPTY;
      this.start = 0;
      this.end = 0;
      this.#owned = false;
    } else if (!this.#owned) {
      this.#move(this.length);
    }
  }

  /** The next `count` bytes, for the caller to keep. All of them are there. */
  take(count: number): Uint8Array {
    const from = this.start;
    this.start += count;
    if (this.#owned && count * 2 >= this.bytes.length) {
      const taken = this.bytes.subarray(from, this.start);
      this.#move(this.length);
      return taken;
    }
    const taken = allocate(count);
    taken.set(this.bytes.subarray(from, from + count));
    return taken;
  }

  /** An unsigned 64-bit number, big endian, at `at`; NaN when it is not exact in a double. */
  uint64(at: number): number {
    const bytes = this.bytes;
    const high = ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
    const low =
      ((bytes[at + 4]! << 24) | (bytes[at + 5]! << 16) | (bytes[at + 6]! << 8) | bytes[at + 7]!) >>> 0;
    return high > 0x1f_ffff ? Number.NaN : high * 0x1_0000_0000 + low;
  }

  #reserve(more: number): void {
    if (this.#owned && this.end + more <= this.bytes.length) return;
    const needed = this.length + more;
    this.#move(this.#owned ? Math.max(needed, 2 * this.length) : needed);
  }

  /** What is left goes to the beginning of new memory. */
  #move(capacity: number): void {
    const kept = this.bytes.subarray(this.start, this.end);
    const bytes = new Uint8Array(capacity);
    bytes.set(kept);
    this.bytes = bytes;
    this.start = 0;
    this.end = kept.length;
    this.#owned = true;
  }
}
