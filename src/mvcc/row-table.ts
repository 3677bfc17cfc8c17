// The revision table: one row of eleven words per revision of a key, ascending in (main, sub), in chunks of typed arrays. A Slot
// names chunk and place in the chunk. Compaction leaves holes; sparse neighbours are merged, so that memory follows the rows
// alive. It knows neither keys' bytes nor what a generation is: see store.ts and compactor.ts.
import { assert } from "../base/assert.ts";
import type { Slot } from "./contract.ts";
import type { Burial, KeyId } from "./key-arena.ts";

export const CHUNK_BITS = 12;
export const CHUNK_ROWS = 1 << CHUNK_BITS;
export const CHUNK_MASK = CHUNK_ROWS - 1;

/** The words of a row. */
export const MAIN = 0; // minus the chunk's base
export const SUB = 1; // bit 31: tombstone
export const CREATE = 2; // main minus create revision; WIDE when that does not fit
export const VERSION = 3; // WIDE when it does not fit
export const LEASE = 4; // index in the lease table
export const KEY = 5; // 0 = a hole
export const PREVIOUS = 6; // the key's next older row, or −1
export const NEXT = 7; // the key's next newer row, or −1
export const FILE = 8; // low half: index in the file table; high half: bits 32 to 47 of the offset
export const OFFSET = 9;
export const LENGTH = 10;
export const ROW_WORDS = 11;

export const TOMBSTONE = 0x8000_0000 | 0;
export const SUB_MASK = 0x7fff_ffff;
export const WIDE = -1;
const DELTA_MAX = 0xffff_fffe;
const TWO_32 = 2 ** 32;
const NO_ROWS = new Int32Array(0);
/** Two neighbours are merged when together they fill at most this much of one chunk. */
const MERGED_ROWS_MAX = CHUNK_ROWS * 0.75;

/** What does not fit into a row's words: an age or a version of 2^32 and more. */
export type WideRow = { readonly create: number; readonly version: number };

export class RowTable {
  /** By chunk number; kept public for the hot loops of this folder. */
  readonly words: Int32Array[] = [];
  readonly bases: number[] = [];
  /** Rows appended, and rows that are not holes, by chunk number. */
  readonly used: number[] = [];
  readonly live: number[] = [];
  /** Chunk numbers in revision order. */
  readonly order: number[] = [];
  /** How often slots that were in use have come to name other rows, or none. */
  renumberings = 0;
  readonly #freeNumbers: number[] = [];
  readonly #wide = new Map<string, WideRow>();
  #rows = 0;

  get rows(): number {
    return this.#rows;
  }

  get memoryBytes(): number {
    return this.order.length * CHUNK_ROWS * ROW_WORDS * 4;
  }

  /** Adds a row behind all others; the caller fills in create, version, lease and place. */
  append(main: number, sub: number, key: KeyId, previous: number): Slot {
    const { order, used } = this;
    let chunk = order.length === 0 ? -1 : order[order.length - 1]!;
    if (chunk === -1 || used[chunk] === CHUNK_ROWS || main - this.bases[chunk]! > DELTA_MAX)
      chunk = this.addChunk(main);
    const row = used[chunk]!;
    used[chunk] = row + 1;
    this.live[chunk]!++;
    this.#rows++;
    const words = this.words[chunk]!;
    const at = row * ROW_WORDS;
    words[at + MAIN] = main - this.bases[chunk]!;
    words[at + SUB] = sub;
    words[at + KEY] = key;
    words[at + PREVIOUS] = previous;
    words[at + NEXT] = -1;
    return ((chunk << CHUNK_BITS) | row) as Slot;
  }

  /** A tombstone for each key of the burial, behind its newest row and in its place. Subs ascend from `sub`. Without lease and value. */
  appendTombstones(main: number, sub: number, burial: Burial): void {
    const { keys, rows, count } = burial;
    for (let i = 0; i < count; i++) {
      const previous = rows[i]!;
      const slot = this.append(main, (sub + i) | TOMBSTONE, keys[i]!, previous);
      const words = this.words[slot >>> CHUNK_BITS]!;
      const at = (slot & CHUNK_MASK) * ROW_WORDS;
      // Created now, version 0.
      words[at + CREATE] = 0;
      words[at + VERSION] = 0;
      words[at + LEASE] = 0;
      words[at + FILE] = 0;
      words[at + OFFSET] = 0;
      words[at + LENGTH] = 0;
      this.words[previous >>> CHUNK_BITS]![(previous & CHUNK_MASK) * ROW_WORDS + NEXT] = slot;
      rows[i] = slot;
    }
  }

  /** A new last chunk; returns its number. */
  addChunk(base: number): number {
    const words = new Int32Array(CHUNK_ROWS * ROW_WORDS);
    let chunk = this.#freeNumbers.pop();
    if (chunk === undefined) {
      chunk = this.words.length;
      assert(chunk < 1 << (31 - CHUNK_BITS), "rows fit into 2^31 slots");
      this.words.push(words);
      this.bases.push(base);
      this.used.push(0);
      this.live.push(0);
    } else {
      this.words[chunk] = words;
      this.bases[chunk] = base;
      this.used[chunk] = 0;
      this.live[chunk] = 0;
    }
    this.order.push(chunk);
    return chunk;
  }

  /** Counts rows that were written straight into a chunk's words (restore). */
  adoptRows(chunk: number, count: number): void {
    this.used[chunk] = count;
    this.live[chunk] = count;
    this.#rows += count;
  }

  setCreateAndVersion(slot: Slot, create: number, version: number): void {
    const words = this.words[slot >>> CHUNK_BITS]!;
    const at = (slot & CHUNK_MASK) * ROW_WORDS;
    const age = this.bases[slot >>> CHUNK_BITS]! + (words[at + MAIN]! >>> 0) - create;
    if (age >= 0 && age <= DELTA_MAX && version <= DELTA_MAX) {
      words[at + CREATE] = age;
      words[at + VERSION] = version;
    } else this.setWide(slot, create, version);
  }

  setWide(slot: Slot, create: number, version: number): void {
    this.setWord(slot, CREATE, WIDE);
    this.setWord(slot, VERSION, WIDE);
    this.#wide.set(this.#wideKey(slot), { create, version });
  }

  setPlace(slot: Slot, file: number, offset: number, length: number): void {
    const words = this.words[slot >>> CHUNK_BITS]!;
    const at = (slot & CHUNK_MASK) * ROW_WORDS;
    words[at + FILE] = file | (Math.floor(offset / TWO_32) << 16);
    words[at + OFFSET] = offset | 0;
    words[at + LENGTH] = length;
  }

  word(slot: Slot, word: number): number {
    return this.words[slot >>> CHUNK_BITS]![(slot & CHUNK_MASK) * ROW_WORDS + word]!;
  }

  setWord(slot: Slot, word: number, value: number): void {
    this.words[slot >>> CHUNK_BITS]![(slot & CHUNK_MASK) * ROW_WORDS + word] = value;
  }

  mainOf(slot: Slot): number {
    const chunk = slot >>> CHUNK_BITS;
    return this.bases[chunk]! + (this.words[chunk]![(slot & CHUNK_MASK) * ROW_WORDS + MAIN]! >>> 0);
  }

  createOf(slot: Slot): number {
    const age = this.word(slot, CREATE);
    return age === WIDE ? this.#wide.get(this.#wideKey(slot))!.create : this.mainOf(slot) - (age >>> 0);
  }

  versionOf(slot: Slot): number {
    const version = this.word(slot, VERSION);
    return version === WIDE ? this.#wide.get(this.#wideKey(slot))!.version : version >>> 0;
  }

  isTombstone(slot: Slot): boolean {
    return this.word(slot, SUB) < 0;
  }

  offsetOf(slot: Slot): number {
    return (this.word(slot, FILE) >>> 16) * TWO_32 + (this.word(slot, OFFSET) >>> 0);
  }

  lengthOf(slot: Slot): number {
    return this.word(slot, LENGTH) >>> 0;
  }

  /** Create revision and version of a row that its words cannot hold. */
  wideOf(slot: Slot): WideRow {
    return this.#wide.get(this.#wideKey(slot))!;
  }

  isWide(slot: Slot): boolean {
    return this.word(slot, VERSION) === WIDE;
  }

  /** The key's newest row that is visible at `at`, from its newest row on, or −1. */
  visible(newest: number, at: number): number {
    let slot = newest;
    while (slot !== -1) {
      const chunk = slot >>> CHUNK_BITS;
      const words = this.words[chunk]!;
      const place = (slot & CHUNK_MASK) * ROW_WORDS;
      if (this.bases[chunk]! + (words[place + MAIN]! >>> 0) <= at) return words[place + SUB]! < 0 ? -1 : slot;
      slot = words[place + PREVIOUS]!;
    }
    return -1;
  }

  /**
   * Where the first row (or hole) at or behind (main, sub) stands, as place in `order` × CHUNK_ROWS + row. At the end:
   * order.length × CHUNK_ROWS.
   */
  seek(main: number, sub: number): number {
    const { order } = this;
    let low = 0;
    let high = order.length;
    // The last chunk that begins at or before (main, sub) is the one to look into.
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#isBefore(order[middle]!, 0, main, sub + 1)) low = middle + 1;
      else high = middle;
    }
    if (low === 0) return 0;
    const chunk = order[low - 1]!;
    let first = 0;
    let end = this.used[chunk]!;
    while (first < end) {
      const middle = (first + end) >>> 1;
      if (this.#isBefore(chunk, middle, main, sub)) first = middle + 1;
      else end = middle;
    }
    return first < this.used[chunk]! ? (low - 1) * CHUNK_ROWS + first : low * CHUNK_ROWS;
  }

  /** The row (main, sub), or −1 when it is a hole or was never there. */
  slotAt(main: number, sub: number): number {
    const position = this.seek(main, sub);
    const chunk = this.order[position >>> CHUNK_BITS];
    if (chunk === undefined) return -1;
    const slot = ((chunk << CHUNK_BITS) | (position & CHUNK_MASK)) as Slot;
    if (this.word(slot, KEY) === 0 || this.mainOf(slot) !== main) return -1;
    return (this.word(slot, SUB) & SUB_MASK) === sub ? slot : -1;
  }

  /** Makes a row a hole. Its links must have been mended before. */
  drop(slot: Slot): void {
    if (this.isWide(slot)) this.#wide.delete(this.#wideKey(slot));
    this.setWord(slot, KEY, 0);
    this.live[slot >>> CHUNK_BITS]!--;
    this.#rows--;
  }

  /** Whether the chunk at `index` of the order may be merged into the one before it. The last chunk, still growing, never is. */
  canMerge(index: number): boolean {
    const { order } = this;
    if (index < 1 || index >= order.length - 1) return false;
    const into = order[index - 1]!;
    const from = order[index]!;
    if (this.live[into]! + this.live[from]! > MERGED_ROWS_MAX) return false;
    return this.#lastMain(from) - this.bases[into]! <= DELTA_MAX;
  }

  /** Moves the rows of the chunk at `index` of the order behind those of the one before. `moved` mends who points at them. */
  merge(index: number, moved: (key: KeyId, to: Slot) => void): void {
    const into = this.order[index - 1]!;
    const from = this.order[index]!;
    const end = this.#squeeze(into, into, 0, moved);
    this.used[into] = this.#squeeze(from, into, end, moved);
    this.live[into] = this.used[into]!;
    this.remove(index);
  }

  /** Frees the chunk at `index` of the order, which has no row left that anybody points at. */
  remove(index: number): void {
    const chunk = this.order[index]!;
    this.renumberings++;
    this.order.splice(index, 1);
    this.words[chunk] = NO_ROWS;
    this.used[chunk] = 0;
    this.live[chunk] = 0;
    this.#freeNumbers.push(chunk);
  }

  /** Copies the rows of `from` to `into` from row `end` on, mends the links of each key's rows, and returns the new end. */
  #squeeze(from: number, into: number, end: number, moved: (key: KeyId, to: Slot) => void): number {
    const source = this.words[from]!;
    const target = this.words[into]!;
    const shift = this.bases[from]! - this.bases[into]!;
    const count = this.used[from]! * ROW_WORDS;
    let to = end;
    for (let at = 0; at < count; at += ROW_WORDS) {
      const key = source[at + KEY]!;
      if (key === 0) continue;
      const place = to * ROW_WORDS;
      if (from !== into || place !== at) {
        for (let i = 0; i < ROW_WORDS; i++) target[place + i] = source[at + i]!;
        target[place + MAIN] = (source[at + MAIN]! >>> 0) + shift;
        const slot = ((into << CHUNK_BITS) | to) as Slot;
        const previous = target[place + PREVIOUS]!;
        const next = target[place + NEXT]!;
        if (previous !== -1) this.setWord(previous as Slot, NEXT, slot);
        if (next !== -1) this.setWord(next as Slot, PREVIOUS, slot);
        else moved(key, slot);
      }
      to++;
    }
    return to;
  }

  #lastMain(chunk: number): number {
    return this.bases[chunk]! + (this.words[chunk]![(this.used[chunk]! - 1) * ROW_WORDS + MAIN]! >>> 0);
  }

  #isBefore(chunk: number, row: number, main: number, sub: number): boolean {
    const words = this.words[chunk]!;
    const at = row * ROW_WORDS;
    const rowMain = this.bases[chunk]! + (words[at + MAIN]! >>> 0);
    return rowMain < main || (rowMain === main && (words[at + SUB]! & SUB_MASK) < sub);
  }

  #wideKey(slot: Slot): string {
    return `${this.mainOf(slot)}/${this.word(slot, SUB) & SUB_MASK}`;
  }
}
