// Which pages of which files hold values that are alive: a bit for each page, set as the rows of a checkpoint go by. A copy for another
// member sends these pages alone, and who takes it crosses them out as they come.
import { assert } from "../base/assert.ts";
import type { FileNumber } from "../mvcc/contract.ts";
import { PAGE_BYTES } from "./log-file.ts";

const WORD_BITS = 32;
const FIRST_WORDS = 512;
/** A stretch goes on over so many pages without a value: cheaper than another stretch. */
const GAP_PAGES_MAX = 7;

export class LivePages {
  readonly #files = new Map<FileNumber, Uint32Array<ArrayBuffer>>();
  #lastFile = -1;
  #last = new Uint32Array(0);

  /** The files with such pages, in the order in which they were met. */
  get files(): FileNumber[] {
    return [...this.#files.keys()];
  }

  /** A value of `length` bytes, which are some, stands there. */
  add(file: FileNumber, offset: number, length: number): void {
    const first = Math.floor(offset / PAGE_BYTES);
    const last = Math.floor((offset + length - 1) / PAGE_BYTES);
    const bits = this.#bitsFor(file, last);
    for (let page = first; page <= last; page++) bits[page >>> 5]! |= 1 << (page & 31);
  }

  /** Crosses out the pages [first, end). */
  remove(file: FileNumber, first: number, end: number): void {
    const bits = this.#files.get(file);
    if (bits === undefined) return;
    const stop = Math.min(end, bits.length * WORD_BITS);
    for (let page = first; page < stop; page++) bits[page >>> 5]! &= ~(1 << (page & 31));
  }

  /** The first page from `from` on that holds something alive, or −1. */
  next(file: FileNumber, from: number): number {
    const bits = this.#files.get(file);
    if (bits === undefined) return -1;
    const end = bits.length * WORD_BITS;
    for (let page = from; page < end; ) {
      const word = bits[page >>> 5]! >>> (page & 31);
      if (word !== 0) return page + 31 - Math.clz32(word & -word);
      page = (page | 31) + 1;
    }
    return -1;
  }

  /** Where the stretch that begins with page `first` ends: at `max` pages, or before too many that hold nothing. */
  endOf(file: FileNumber, first: number, max: number): number {
    let end = first + 1;
    while (end - first < max) {
      const next = this.next(file, end);
      if (next === -1 || next - end > GAP_PAGES_MAX || next >= first + max) break;
      end = next + 1;
    }
    return end;
  }

  /** The end of the last page that holds something alive, in bytes; 0 when none does. */
  bytesOf(file: FileNumber): number {
    const bits = this.#files.get(file);
    if (bits === undefined) return 0;
    for (let word = bits.length - 1; word >= 0; word--)
      if (bits[word] !== 0) return (word * WORD_BITS + WORD_BITS - Math.clz32(bits[word]!)) * PAGE_BYTES;
    return 0;
  }

  #bitsFor(file: FileNumber, page: number): Uint32Array<ArrayBuffer> {
    const words = (page >>> 5) + 1;
    if (file === this.#lastFile && words <= this.#last.length) return this.#last;
    assert(Number.isSafeInteger(page) && page >>> 0 === page, "a file of the log has fewer than 2^32 pages");
    let bits = this.#files.get(file) ?? new Uint32Array(FIRST_WORDS);
    if (words > bits.length) {
      const grown = new Uint32Array(Math.max(words, 2 * bits.length));
      grown.set(bits);
      bits = grown;
    }
    this.#files.set(file, bits);
    this.#lastFile = file;
    this.#last = bits;
    return bits;
  }
}
