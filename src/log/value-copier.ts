// Reads values for reclaim without a trace in the block cache: whoever walks through all values once must not push out the blocks that
// clients read. Served from the cache where it has them, else a few pages at a time into a buffer of its own; who walks on in
// file order gets longer stretches. Every page is verified; a view is valid until the next call.
import { must } from "../base/assert.ts";
import { EMPTY } from "../base/bytes.ts";
import type { FileNumber, ValueReader } from "../mvcc/contract.ts";
import type { Digest } from "../ports/digest.ts";
import type { BlockCache } from "./block-cache.ts";
import { CorruptionError } from "./errors.ts";
import { type LogFile, PAGE_BYTES, PAGE_SHIFT } from "./log-file.ts";

/** Pages read at once when the last read ended here. */
const PAGES_AHEAD = 16;

export class ValueCopier implements Pick<ValueReader, "readValue"> {
  readonly #cache: BlockCache;
  readonly #digest: Digest;
  #buffer = new Uint8Array(PAGES_AHEAD * PAGE_BYTES);
  /** What the buffer holds: pages [first, end) of this file. */
  #file: LogFile | undefined;
  #first = 0;
  #end = 0;

  constructor(cache: BlockCache, digest: Digest) {
    this.#cache = cache;
    this.#digest = digest;
  }

  readValue(number: FileNumber, offset: number, length: number): Uint8Array {
    if (length === 0) return EMPTY;
    const cached = this.#cache.peekValue(number, offset, length);
    if (cached !== undefined) return cached;
    const file = must(this.#cache.fileOf(number), "a file with values is known");
    const first = offset >>> PAGE_SHIFT;
    const end = ((offset + length - 1) >>> PAGE_SHIFT) + 1;
    if (file !== this.#file || first < this.#first || end > this.#end) this.#load(file, first, end);
    const at = offset - this.#first * PAGE_BYTES;
    return this.#buffer.subarray(at, at + length);
  }

  #load(file: LogFile, first: number, needed: number): void {
    const onward = file === this.#file && (first === this.#end || first === this.#end - 1);
    const end = onward ? Math.min(Math.max(needed, first + PAGES_AHEAD), file.pageCount()) : needed;
    const bytes = Math.min(end * PAGE_BYTES, file.dataEnd) - first * PAGE_BYTES;
    if (this.#buffer.length < bytes) this.#buffer = new Uint8Array(Math.max(bytes, 2 * this.#buffer.length));
    this.#file = undefined;
    const position = first * PAGE_BYTES;
    const read = file.disk.readSync(this.#buffer.subarray(0, bytes), position);
    if (read < bytes) throw new CorruptionError(file.disk.path, position + read, "the file ends early");
    for (let page = first; page < end; page++) {
      const at = (page - first) * PAGE_BYTES;
      const crc = this.#digest.crc32(this.#buffer.subarray(at, Math.min(at + PAGE_BYTES, bytes)));
      if (crc === file.pageCrcs[page]) continue;
      throw new CorruptionError(file.disk.path, position + at, "the checksum of a page does not match");
    }
    this.#file = file;
    this.#first = first;
    this.#end = end;
  }
}
