// Reads values: a bounded cache of 64 KiB blocks over all files of the log, filled by pread, verified page by page when first touched.
// A lone value costs the read of its pages; the second touch of a block, or a step on from the block before, reads it whole.
// The appender writes straight into blocks of this cache, so the newest bytes are always served from memory. A view handed out is
// valid until the next call. It must never hand out a byte whose checksum was not verified since it was read from disk.
import { assert } from "../base/assert.ts";
import { EMPTY } from "../base/bytes.ts";
import type { FileNumber, ValueReader } from "../mvcc/contract.ts";
import type { Digest } from "../ports/digest.ts";
import { CorruptionError } from "./errors.ts";
import {
  BLOCK_BYTES,
  BLOCK_SHIFT,
  type LogFile,
  PAGE_BYTES,
  PAGE_SHIFT,
  PAGES_PER_BLOCK,
} from "./log-file.ts";
import { PageSums } from "./page-sums.ts";

const BLOCK_MASK = BLOCK_BYTES - 1;
const ALL_PAGES = 0xffff;

/** The bits of the pages that [from, to) of a block touches. */
function pagesOf(from: number, to: number): number {
  const first = from >>> PAGE_SHIFT;
  const last = (to - 1) >>> PAGE_SHIFT;
  return ((2 << last) - 1) & ~((1 << first) - 1);
}

export class BlockCache implements ValueReader {
  readonly #digest: Digest;
  readonly #files = new Map<number, LogFile>();
  /** Slots that may be in use before one is recycled; pinned ones can push it higher for a while. */
  readonly #slotsMax: number;
  readonly #buffers: Uint8Array[] = [];
  readonly #owners: (LogFile | undefined)[] = [];
  readonly #blocks: number[] = [];
  /** Bit sets of the pages of each slot that were read, and of those whose checksum was good. */
  readonly #loaded: number[] = [];
  readonly #verified: number[] = [];
  readonly #pins: number[] = [];
  readonly #touched: number[] = [];
  readonly #free: number[] = [];
  #hand = 0;
  #last: LogFile | undefined;
  #across: Uint8Array = EMPTY;
  #misses = 0;
  #sums: PageSums | undefined = undefined;

  constructor(digest: Digest, bytesMax: number) {
    this.#digest = digest;
    this.#slotsMax = Math.max(4, Math.floor(bytesMax / BLOCK_BYTES));
  }

  get misses(): number {
    return this.#misses;
  }

  get bytes(): number {
    return (this.#buffers.length - this.#free.length) * BLOCK_BYTES;
  }

  addFile(file: LogFile): void {
    this.#files.set(file.number, file);
  }

  /** Forgets a file and gives its blocks back. */
  removeFile(file: LogFile): void {
    this.#files.delete(file.number);
    if (this.#last === file) this.#last = undefined;
    for (let block = 0; block < file.slots.length; block++) {
      const slot = file.slots[block]!;
      if (slot < 0) continue;
      assert(this.#pins[slot] === 0, "a removed file has no pinned block");
      this.#owners[slot] = undefined;
      file.slots[block] = -1;
      this.#free.push(slot);
    }
  }

  fileOf(number: FileNumber): LogFile | undefined {
    return this.#files.get(number);
  }

  /** Where the file's values end now. */
  endOf(number: FileNumber): number {
    return this.#fileFor(number, 0, 0).dataEnd;
  }

  readValue(number: FileNumber, offset: number, length: number): Uint8Array {
    if (length === 0) return EMPTY;
    const file = this.#fileFor(number, offset, length);
    const start = offset & BLOCK_MASK;
    if (start + length <= BLOCK_BYTES) {
      const slot = this.#slotFor(file, offset >>> BLOCK_SHIFT, start, start + length);
      return this.#buffers[slot]!.subarray(start, start + length);
    }
    if (this.#across.length < length || this.#across.length > 4 * Math.max(length, BLOCK_BYTES)) {
      this.#across = new Uint8Array(Math.max(BLOCK_BYTES, length));
    }
    this.#copyAcross(file, offset, length, this.#across, 0);
    return this.#across.subarray(0, length);
  }

  copyValue(number: FileNumber, offset: number, length: number, into: Uint8Array, at: number): void {
    if (length === 0) return;
    const file = this.#fileFor(number, offset, length);
    const start = offset & BLOCK_MASK;
    if (start + length <= BLOCK_BYTES) {
      const slot = this.#slotFor(file, offset >>> BLOCK_SHIFT, start, start + length);
      into.set(this.#buffers[slot]!.subarray(start, start + length), at);
    } else {
      this.#copyAcross(file, offset, length, into, at);
    }
  }

  /** The value when it is here already, verified and in one block; reading it this way does not keep the block. */
  peekValue(number: FileNumber, offset: number, length: number): Uint8Array | undefined {
    const file = this.#fileFor(number, offset, length);
    const slot = file.slots[offset >>> BLOCK_SHIFT]!;
    const start = offset & BLOCK_MASK;
    if (slot === -1 || start + length > BLOCK_BYTES) return undefined;
    const needed = pagesOf(start, start + length);
    if ((this.#verified[slot]! & needed) !== needed) return undefined;
    return this.#buffers[slot]!.subarray(start, start + length);
  }

  /**
   * Reads a file's bytes from `position` on, where a page begins, into memory of the caller's, verifies them, and says how many: no more
   * than are safe on disk. They do not enter the cache.
   */
  readStretch(number: FileNumber, position: number, into: Uint8Array): number {
    const file = this.#fileFor(number, position, 0);
    const bytes = Math.min(into.length, this.#settledEnd(file, position, position + into.length) - position);
    if (bytes <= 0) return 0;
    const read = file.disk.readSync(bytes === into.length ? into : into.subarray(0, bytes), position);
    if (read < bytes) throw new CorruptionError(file.disk.path, position + read, "the file ends early");
    this.#verifyStretch(file, position, bytes === into.length ? into : into.subarray(0, bytes));
    return bytes;
  }

  /**
   * The same for who copies files: what is not safe on disk yet comes too, from memory, up to `into`'s length. `sums` gets the checksum of
   * each page, of the last one as far as it goes.
   */
  readPages(number: FileNumber, position: number, into: Uint8Array, sums: Uint32Array): number {
    const file = this.#fileFor(number, position, into.length);
    const first = position >>> PAGE_SHIFT;
    const settled = this.readStretch(number, position, into);
    if (settled > 0) {
      const whole = Math.ceil(settled / PAGE_BYTES);
      sums.set(file.pageCrcs.subarray(first, first + whole));
      return settled;
    }
    const bytes = Math.min(into.length, BLOCK_BYTES - (position & BLOCK_MASK));
    this.copyValue(number, position, bytes, into, 0);
    for (let at = 0, page = 0; at < bytes; at += PAGE_BYTES, page++)
      sums[page] = this.#digest.crc32(into.subarray(at, Math.min(at + PAGE_BYTES, bytes)));
    return bytes;
  }

  /** Where what the appender still has in hand begins, up to `to`: its blocks are pinned until they are safe. */
  #settledEnd(file: LogFile, from: number, to: number): number {
    const end = Math.min(to, file.dataEnd);
    for (let block = from >>> BLOCK_SHIFT; block * BLOCK_BYTES < end; block++) {
      const slot = file.slots[block]!;
      if (slot >= 0 && this.#pins[slot] !== 0) return block * BLOCK_BYTES;
    }
    return end;
  }

  /** Pages together; only when they differ, and for a short last one, page by page. */
  #verifyStretch(file: LogFile, position: number, bytes: Uint8Array): void {
    this.#sums ??= new PageSums(this.#digest);
    const first = position >>> PAGE_SHIFT;
    const whole = bytes.length >>> PAGE_SHIFT;
    const together = whole * PAGE_BYTES;
    const sum = this.#digest.crc32(together === bytes.length ? bytes : bytes.subarray(0, together));
    const good = sum === this.#sums.combined(file.pageCrcs, first, first + whole) ? whole : 0;
    for (let page = good; page * PAGE_BYTES < bytes.length; page++) {
      const at = page * PAGE_BYTES;
      const one = bytes.subarray(at, Math.min(at + PAGE_BYTES, bytes.length));
      if (this.#digest.crc32(one) === file.pageCrcs[first + page]) continue;
      throw new CorruptionError(
        file.disk.path,
        position + at,
        `the checksum of ${one.length} bytes does not match`,
      );
    }
    assert(good === whole, "checksums of pages add up");
  }

  /** A block for the appender: pinned, complete in its own eyes, its content undefined. */
  takeBlock(file: LogFile, block: number): number {
    file.ensureBlock(block);
    assert(file.slots[block] === -1, "the appender's block is not cached yet");
    const slot = this.#claim(file, block);
    this.#loaded[slot] = ALL_PAGES;
    this.#verified[slot] = ALL_PAGES;
    this.#pins[slot] = 1;
    return slot;
  }

  /** The last block of a segment that is continued after a restart: read back, then pinned for the appender. */
  adoptBlock(file: LogFile, block: number): number {
    const have = file.dataEnd - block * BLOCK_BYTES;
    let slot = file.slots[block] ?? -1;
    if (have > 0) slot = this.#slotFor(file, block, 0, have);
    else if (slot < 0) slot = this.takeBlock(file, block);
    this.#loaded[slot] = ALL_PAGES;
    this.#verified[slot] = ALL_PAGES;
    this.#pins[slot] = 1;
    return slot;
  }

  buffer(slot: number): Uint8Array {
    return this.#buffers[slot]!;
  }

  unpin(slot: number): void {
    assert(this.#pins[slot]! > 0, "an unpinned block was pinned");
    this.#pins[slot] = this.#pins[slot]! - 1;
  }

  #fileFor(number: FileNumber, offset: number, length: number): LogFile {
    let file = this.#last;
    if (file === undefined || file.number !== number) {
      file = this.#files.get(number);
      if (file === undefined) {
        throw new CorruptionError(`file ${number}`, offset, "a value points into a file that is not there");
      }
      this.#last = file;
    }
    if (offset + length > file.dataEnd) {
      throw new CorruptionError(file.disk.path, offset, `a value of ${length} bytes ends beyond the data`);
    }
    return file;
  }

  /** The slot of a block in which the bytes [from, to) are verified. */
  #slotFor(file: LogFile, block: number, from: number, to: number): number {
    let slot = file.slots[block]!;
    const first = from >>> PAGE_SHIFT;
    const last = (to - 1) >>> PAGE_SHIFT;
    const needed = pagesOf(from, to);
    if (slot < 0 || (this.#verified[slot]! & needed) !== needed) {
      slot = this.#load(file, block, slot, first, last);
      this.#verify(file, block, slot, first, last);
    }
    this.#touched[slot] = 1;
    return slot;
  }

  /** Sees to it that the pages [first, last] of a block are read. */
  #load(file: LogFile, block: number, cached: number, first: number, last: number): number {
    const needed = ((2 << last) - 1) & ~((1 << first) - 1);
    if (cached >= 0 && (this.#loaded[cached]! & needed) === needed) return cached;
    this.#misses++;
    const whole = cached >= 0 || (block > 0 && file.slots[block - 1]! >= 0);
    const slot = cached >= 0 ? cached : this.#claim(file, block);
    const from = whole ? 0 : first * PAGE_BYTES;
    const position = block * BLOCK_BYTES;
    const to = Math.min(whole ? BLOCK_BYTES : (last + 1) * PAGE_BYTES, file.dataEnd - position);
    // What was verified before is read anew with the rest, so it is verified anew.
    this.#verified[slot] = 0;
    this.#loaded[slot] = whole ? ALL_PAGES : needed;
    const read = file.disk.readSync(this.#buffers[slot]!.subarray(from, to), position + from);
    if (read < to - from) {
      this.#release(slot);
      throw new CorruptionError(file.disk.path, position + from + read, "the file ends early");
    }
    return slot;
  }

  #verify(file: LogFile, block: number, slot: number, first: number, last: number): void {
    const buffer = this.#buffers[slot]!;
    let verified = this.#verified[slot]!;
    for (let page = first; page <= last; page++) {
      if ((verified & (1 << page)) !== 0) continue;
      const position = block * BLOCK_BYTES + page * PAGE_BYTES;
      const end = Math.min(PAGE_BYTES, file.dataEnd - position);
      const crc = this.#digest.crc32(buffer.subarray(page * PAGE_BYTES, page * PAGE_BYTES + end));
      if (crc !== file.pageCrcs[block * PAGES_PER_BLOCK + page]) {
        this.#release(slot);
        throw new CorruptionError(file.disk.path, position, `the checksum of ${end} bytes does not match`);
      }
      verified |= 1 << page;
    }
    this.#verified[slot] = verified;
  }

  #copyAcross(file: LogFile, offset: number, length: number, into: Uint8Array, at: number): void {
    for (let done = 0; done < length; ) {
      const position = offset + done;
      const start = position & BLOCK_MASK;
      const count = Math.min(BLOCK_BYTES - start, length - done);
      const slot = this.#slotFor(file, position >>> BLOCK_SHIFT, start, start + count);
      into.set(this.#buffers[slot]!.subarray(start, start + count), at + done);
      done += count;
    }
  }

  #release(slot: number): void {
    const owner = this.#owners[slot];
    if (owner !== undefined) owner.slots[this.#blocks[slot]!] = -1;
    this.#owners[slot] = undefined;
    this.#free.push(slot);
  }

  #claim(file: LogFile, block: number): number {
    const slot = this.#free.pop() ?? (this.#buffers.length < this.#slotsMax ? this.#grow() : this.#evict());
    this.#owners[slot] = file;
    this.#blocks[slot] = block;
    this.#touched[slot] = 1;
    file.slots[block] = slot;
    return slot;
  }

  #grow(): number {
    const slot = this.#buffers.push(new Uint8Array(BLOCK_BYTES)) - 1;
    this.#owners.push(undefined);
    this.#blocks.push(0);
    this.#loaded.push(0);
    this.#verified.push(0);
    this.#pins.push(0);
    this.#touched.push(0);
    return slot;
  }

  /** Second chance: the hand passes over blocks touched since its last round. All pinned: the cache grows past its limit. */
  #evict(): number {
    const count = this.#buffers.length;
    for (let step = 0; step < 2 * count; step++) {
      const slot = this.#hand;
      this.#hand = slot + 1 === count ? 0 : slot + 1;
      if (this.#pins[slot] !== 0) continue;
      if (this.#touched[slot] === 1) {
        this.#touched[slot] = 0;
        continue;
      }
      const owner = this.#owners[slot];
      if (owner !== undefined) owner.slots[this.#blocks[slot]!] = -1;
      return slot;
    }
    return this.#grow();
  }
}
