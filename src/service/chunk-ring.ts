// The memory of a stream of chunks that two readers take at their own pace: the socket, which sends them, and the thread that hashes them.
// Chunks are used again in turn, so that a file of any length needs no more than these. It must never give out one still being read.
import type { StreamDigest } from "../ports/digest.ts";
import type { ServerCall } from "./call.ts";

export class ChunkRing {
  readonly #call: ServerCall;
  readonly #digest: StreamDigest;
  readonly #chunkBytes: number;
  readonly #chunks: readonly Uint8Array[];
  /** How much the call had been given when each chunk was complete. */
  readonly #givenAt: Float64Array;
  #given = 0;
  #updates = 0;

  /** `memory`, which threads share, is cut into chunks of so many bytes. */
  constructor(call: ServerCall, digest: StreamDigest, memory: Uint8Array, chunkBytes: number) {
    this.#call = call;
    this.#digest = digest;
    this.#chunkBytes = chunkBytes;
    const count = memory.length / chunkBytes;
    this.#chunks = Array.from({ length: count }, (_, i) =>
      memory.subarray(i * chunkBytes, (i + 1) * chunkBytes),
    );
    this.#givenAt = new Float64Array(count);
  }

  /** Memory for the next chunk, or undefined while all of it is being read. A chunk of more than the usual length stands alone. */
  take(bytes: number): Uint8Array | undefined {
    const place = this.#updates % this.#givenAt.length;
    const before = this.#updates - this.#givenAt.length;
    if (before >= 0) {
      if (this.#digest.updatesDone <= before) return undefined;
      if (this.#given - this.#call.unsentBytes < this.#givenAt[place]!) return undefined;
    }
    if (bytes > this.#chunkBytes) return new Uint8Array(new SharedArrayBuffer(bytes));
    return this.#chunks[place];
  }

  /** The chunk taken last is filled, digested and given to the call, as messages of so many bytes altogether. */
  give(bytes: number): void {
    this.#given += bytes;
    this.#givenAt[this.#updates % this.#givenAt.length] = this.#given;
    this.#updates++;
  }
}
