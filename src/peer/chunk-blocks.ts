// What a stream writer fills: memory in blocks, each framed as one chunk of HTTP's chunked encoding, so that messages are written once,
// next to each other, and go to the socket as they are. A block's free end serves the next flush; nothing written is ever changed.

const BLOCK_BYTES = 64 * 1024;
/** Eight hexadecimal digits (leading zeros are allowed) and a line end, filled in when the chunk is closed. */
const HEAD_BYTES = 10;
const TAIL_BYTES = 2;
const CR = 13;
const LF = 10;
const HEX = Buffer.from("0123456789abcdef");

export class ChunkBlocks {
  /** Write at `at`, after `reserve`; then set `at` to the end. */
  bytes: Buffer = Buffer.alloc(0);
  at = 0;
  /** Where the open chunk begins; -1 = none is open. */
  #chunk = -1;
  #closed: Buffer[] = [];

  /** Makes room for `size` bytes at `at`. */
  reserve(size: number): void {
    if (this.#chunk >= 0) {
      if (this.at + size + TAIL_BYTES <= this.bytes.length) return;
      this.#close();
    }
    const needed = HEAD_BYTES + size + TAIL_BYTES;
    if (this.at + needed > this.bytes.length) {
      this.bytes = Buffer.allocUnsafeSlow(Math.max(BLOCK_BYTES, needed));
      this.at = 0;
    }
    this.#chunk = this.at;
    this.at += HEAD_BYTES;
  }

  /** What was written since the last call, as whole chunks. */
  take(): Buffer[] {
    if (this.#chunk >= 0) this.#close();
    const taken = this.#closed;
    this.#closed = [];
    return taken;
  }

  #close(): void {
    const { bytes } = this;
    const start = this.#chunk;
    let size = this.at - start - HEAD_BYTES;
    for (let i = 7; i >= 0; i--) {
      bytes[start + i] = HEX[size & 15]!;
      size >>>= 4;
    }
    bytes[start + 8] = CR;
    bytes[start + 9] = LF;
    bytes[this.at++] = CR;
    bytes[this.at++] = LF;
    this.#closed.push(bytes.subarray(start, this.at));
    this.#chunk = -1;
  }
}
