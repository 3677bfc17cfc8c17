// The bytes of all keys, with two words of state each, in slabs of typed arrays: no JavaScript object or string per key, so the
// collector never walks them. A KeyId is the place of an entry; it stays the same until the key is removed. The hash, the tree
// and the rows refer to keys by it. Lookups go through the probe: the key asked for, copied once into words.
// An entry is [length, bit 31 = alive][newest row][key bytes, padded with zeros to whole words].
import { assert } from "../base/assert.ts";
import type { ByteRoom } from "../base/byte-room.ts";

/** slab number << 16 | offset in units of 8 bytes, below 2^31. 0 is no key: slab 0 is never used. */
export type KeyId = number;
export const NO_KEY: KeyId = 0;

const SLAB_WORDS = 131_072;
const UNITS_BITS = 16;
const UNITS_MASK = (1 << UNITS_BITS) - 1;
const HEADER_WORDS = 2;
const ALIVE = 0x8000_0000 | 0;
const LENGTH_MASK = 0x7fff_ffff;
/** Up to this many units each size has a class of its own; above, classes grow by a quarter. */
const EXACT_UNITS_MAX = 64;
const CLASS_UNITS_MAX = 1024;
const SLABS_MAX = 1 << 15;
const NO_WORDS = new Int32Array(0);

type Slab = {
  /** Units of one entry. */
  readonly units: number;
  readonly capacity: number;
  used: number;
  /** Entries never used begin here. */
  fresh: number;
  /** First freed entry (its unit) or −1; freed entries are linked through their first word. */
  free: number;
  /** Whether it stands in its class's list of slabs with room. */
  listed: boolean;
};

function classUnits(units: number): number {
  if (units <= EXACT_UNITS_MAX) return units;
  let size = EXACT_UNITS_MAX;
  while (size < units) size += size >>> 2;
  return size;
}

/**
 * Keys of a leaf that die together, used again for the next leaf. What is done to them is done in short passes over all of them, so that
 * the processor can wait for many of their places in memory at a time.
 */
export class Burial {
  readonly keys: Int32Array;
  readonly rows: Int32Array;
  count = 0;
  keyBytes = 0;

  constructor(keysMax: number) {
    this.keys = new Int32Array(keysMax);
    this.rows = new Int32Array(keysMax);
  }
}

export class KeyArena {
  readonly #words: Int32Array[] = [NO_WORDS];
  readonly #slabs: (Slab | undefined)[] = [undefined];
  readonly #freeNumbers: number[] = [];
  readonly #withRoom = new Map<number, number[]>();
  readonly #seed: number;
  #probe = new Int32Array(64);
  #probeLength = 0;
  #probeWords = 0;
  #bytes = 0;
  /** The class asked for last, which is the next one's mostly. */
  #lastUnits = 0;
  #lastList: number[] = [];
  /** Of the key that addWords() added last. */
  addedHash = 0;

  constructor(seed: number) {
    this.#seed = seed | 0;
  }

  /** Bytes of memory held. */
  get memoryBytes(): number {
    return this.#bytes;
  }

  /** Makes `key` the probe and returns its hash. */
  probe(key: Uint8Array): number {
    const length = key.length;
    const words = (length + 3) >>> 2;
    if (words > this.#probe.length) this.#probe = new Int32Array(words * 2);
    const probe = this.#probe;
    const whole = length >>> 2;
    let hash = this.#seed ^ length;
    let at = 0;
    for (let i = 0; i < whole; i++) {
      const word = key[at]! | (key[at + 1]! << 8) | (key[at + 2]! << 16) | (key[at + 3]! << 24);
      at += 4;
      probe[i] = word;
      hash = mix(hash, word);
    }
    if (words > whole) {
      let word = 0;
      for (let shift = 0; at < length; at++, shift += 8) word |= key[at]! << shift;
      probe[whole] = word;
      hash = mix(hash, word);
    }
    this.#probeLength = length;
    this.#probeWords = words;
    return finish(hash);
  }

  /** Makes an entry's key the probe and returns its hash. */
  probeEntry(id: KeyId): number {
    const source = this.#words[id >>> UNITS_BITS]!;
    const at = (id & UNITS_MASK) << 1;
    const length = source[at]! & LENGTH_MASK;
    const count = (length + 3) >>> 2;
    if (count > this.#probe.length) this.#probe = new Int32Array(count * 2);
    const probe = this.#probe;
    let hash = this.#seed ^ length;
    for (let i = 0; i < count; i++) {
      const word = source[at + HEADER_WORDS + i]!;
      probe[i] = word;
      hash = mix(hash, word);
    }
    this.#probeLength = length;
    this.#probeWords = count;
    return finish(hash);
  }

  /** Copies the key's words to `into` at `at` and returns their number. */
  copyWords(id: KeyId, into: Int32Array, at: number): number {
    const words = this.#words[id >>> UNITS_BITS]!;
    const from = ((id & UNITS_MASK) << 1) + HEADER_WORDS;
    const count = ((words[from - HEADER_WORDS]! & LENGTH_MASK) + 3) >>> 2;
    for (let i = 0; i < count; i++) into[at + i] = words[from + i]!;
    return count;
  }

  /** The hash of an entry's key; leaves the probe alone. */
  hashOf(id: KeyId): number {
    const words = this.#words[id >>> UNITS_BITS]!;
    const at = (id & UNITS_MASK) << 1;
    const length = words[at]! & LENGTH_MASK;
    const end = at + HEADER_WORDS + ((length + 3) >>> 2);
    let hash = this.#seed ^ length;
    for (let i = at + HEADER_WORDS; i < end; i++) hash = mix(hash, words[i]!);
    return finish(hash);
  }

  equalsProbe(id: KeyId): boolean {
    const words = this.#words[id >>> UNITS_BITS]!;
    let at = (id & UNITS_MASK) << 1;
    if ((words[at]! & LENGTH_MASK) !== this.#probeLength) return false;
    at += HEADER_WORDS;
    const probe = this.#probe;
    for (let i = this.#probeWords - 1; i >= 0; i--) if (words[at + i] !== probe[i]) return false;
    return true;
  }

  /** Below 0 when the probe sorts before the entry's key, 0 when equal. */
  compareProbe(id: KeyId): number {
    const words = this.#words[id >>> UNITS_BITS]!;
    let at = (id & UNITS_MASK) << 1;
    const length = words[at]! & LENGTH_MASK;
    at += HEADER_WORDS;
    const probe = this.#probe;
    const mine = this.#probeWords;
    const theirs = (length + 3) >>> 2;
    const count = Math.min(mine, theirs);
    for (let i = 0; i < count; i++) {
      const a = probe[i]!;
      const b = words[at + i]!;
      if (a !== b) return compareWords(a, b);
    }
    // Padding is zero, the smallest byte, so equal words mean that the shorter key is a prefix of the longer.
    return this.#probeLength - length;
  }

  /** How many whole words two keys have in common from the start; bytes beyond a key's end count as zeros. */
  commonWords(a: KeyId, b: KeyId): number {
    const wordsA = this.#words[a >>> UNITS_BITS]!;
    const wordsB = this.#words[b >>> UNITS_BITS]!;
    const atA = (a & UNITS_MASK) << 1;
    const atB = (b & UNITS_MASK) << 1;
    const lengthA = (wordsA[atA]! & LENGTH_MASK) + 3;
    const lengthB = (wordsB[atB]! & LENGTH_MASK) + 3;
    const count = Math.min(lengthA, lengthB) >>> 2;
    let i = 0;
    while (i < count && wordsA[atA + HEADER_WORDS + i] === wordsB[atB + HEADER_WORDS + i]) i++;
    return i;
  }

  /** Whether the probe begins with the first `count` words of an entry's key. */
  sharesWords(id: KeyId, count: number): boolean {
    if (this.#probeWords < count) return false;
    const words = this.#words[id >>> UNITS_BITS]!;
    const from = ((id & UNITS_MASK) << 1) + HEADER_WORDS;
    const probe = this.#probe;
    for (let i = count - 1; i >= 0; i--) if (words[from + i] !== probe[i]) return false;
    return true;
  }

  /** Word `index` of an entry's key, 0 beyond its end, as a number whose order is the order of the bytes. */
  orderedWord(id: KeyId, index: number): number {
    const words = this.#words[id >>> UNITS_BITS]!;
    const at = (id & UNITS_MASK) << 1;
    return index << 2 < (words[at]! & LENGTH_MASK) ? ordered(words[at + HEADER_WORDS + index]!) : ordered(0);
  }

  probeOrderedWord(index: number): number {
    return ordered(index < this.#probeWords ? this.#probe[index]! : 0);
  }

  /** Below 0 when the first entry's key sorts before the second's, 0 when they are equal. */
  compare(a: KeyId, b: KeyId): number {
    const wordsA = this.#words[a >>> UNITS_BITS]!;
    const wordsB = this.#words[b >>> UNITS_BITS]!;
    const atA = (a & UNITS_MASK) << 1;
    const atB = (b & UNITS_MASK) << 1;
    const lengthA = wordsA[atA]! & LENGTH_MASK;
    const lengthB = wordsB[atB]! & LENGTH_MASK;
    const count = (Math.min(lengthA, lengthB) + 3) >>> 2;
    for (let i = HEADER_WORDS; i < HEADER_WORDS + count; i++) {
      const wordA = wordsA[atA + i]!;
      const wordB = wordsB[atB + i]!;
      if (wordA !== wordB) return compareWords(wordA, wordB);
    }
    return lengthA - lengthB;
  }

  /**
   * Makes an entry of the key of `length` bytes that stands in words (padded with zeros): not alive, without a row. Its hash is
   * `addedHash`; the probe stays as it is.
   */
  addWords(source: Int32Array, from: number, length: number): KeyId {
    const count = (length + 3) >>> 2;
    const id = this.#allocate((HEADER_WORDS + count + 1) >>> 1);
    const words = this.#words[id >>> UNITS_BITS]!;
    let at = (id & UNITS_MASK) << 1;
    words[at] = length;
    words[at + 1] = -1;
    at += HEADER_WORDS;
    let hash = this.#seed ^ length;
    for (let i = 0; i < count; i++) {
      const word = source[from + i]!;
      words[at + i] = word;
      hash = mix(hash, word);
    }
    this.addedHash = finish(hash);
    return id;
  }

  /** Makes an entry of the probe: not alive, without a row. */
  addProbe(): KeyId {
    const id = this.#allocate((HEADER_WORDS + this.#probeWords + 1) >>> 1);
    const words = this.#words[id >>> UNITS_BITS]!;
    const at = (id & UNITS_MASK) << 1;
    words[at] = this.#probeLength;
    words[at + 1] = -1;
    const probe = this.#probe;
    for (let i = 0; i < this.#probeWords; i++) words[at + HEADER_WORDS + i] = probe[i]!;
    return id;
  }

  remove(id: KeyId): void {
    const number = id >>> UNITS_BITS;
    const slab = this.#slabs[number]!;
    const words = this.#words[number]!;
    slab.used--;
    if (slab.used === 0) {
      this.#release(number, slab, words);
      return;
    }
    const unit = id & UNITS_MASK;
    words[unit << 1] = slab.free;
    slab.free = unit;
    if (!slab.listed) {
      slab.listed = true;
      this.#classList(slab.units).push(number);
    }
  }

  lengthOf(id: KeyId): number {
    return this.#words[id >>> UNITS_BITS]![(id & UNITS_MASK) << 1]! & LENGTH_MASK;
  }

  isAlive(id: KeyId): boolean {
    return this.#words[id >>> UNITS_BITS]![(id & UNITS_MASK) << 1]! < 0;
  }

  setAlive(id: KeyId, alive: boolean): void {
    const words = this.#words[id >>> UNITS_BITS]!;
    const at = (id & UNITS_MASK) << 1;
    words[at] = alive ? words[at]! | ALIVE : words[at]! & LENGTH_MASK;
  }

  newestOf(id: KeyId): number {
    return this.#words[id >>> UNITS_BITS]![((id & UNITS_MASK) << 1) + 1]!;
  }

  setNewest(id: KeyId, row: number): void {
    this.#words[id >>> UNITS_BITS]![((id & UNITS_MASK) << 1) + 1] = row;
  }

  /** The newest row when the key is alive, else −1: one touch of memory instead of two. */
  newestAlive(id: KeyId): number {
    const words = this.#words[id >>> UNITS_BITS]!;
    const at = (id & UNITS_MASK) << 1;
    return words[at]! < 0 ? words[at + 1]! : -1;
  }

  /** Of the keys ids[from, to) those that are alive die; who they were, and their newest rows, is the burial's new content. */
  bury(ids: Int32Array, from: number, to: number, burial: Burial): void {
    let count = 0;
    let keyBytes = 0;
    for (let i = from; i < to; i++) {
      const id = ids[i]!;
      const words = this.#words[id >>> UNITS_BITS]!;
      const at = (id & UNITS_MASK) << 1;
      const head = words[at]!;
      if (head >= 0) continue;
      words[at] = head & LENGTH_MASK;
      keyBytes += head & LENGTH_MASK;
      burial.keys[count] = id;
      burial.rows[count++] = words[at + 1]!;
    }
    burial.count = count;
    burial.keyBytes = keyBytes;
  }

  /** The burial's rows are the newest of its keys now. */
  setNewestOf(burial: Burial): void {
    const { keys, rows, count } = burial;
    for (let i = 0; i < count; i++) {
      const id = keys[i]!;
      this.#words[id >>> UNITS_BITS]![((id & UNITS_MASK) << 1) + 1] = rows[i]!;
    }
  }

  /** A view of the key's bytes; must not be changed, and not kept beyond the key's removal. */
  bytesOf(id: KeyId): Uint8Array {
    const words = this.#words[id >>> UNITS_BITS]!;
    const at = (id & UNITS_MASK) << 1;
    return new Uint8Array(
      words.buffer,
      words.byteOffset + ((at + HEADER_WORDS) << 2),
      words[at]! & LENGTH_MASK,
    );
  }

  /** Copies the key's bytes and returns their number. */
  copyBytes(id: KeyId, into: Uint8Array, at: number): number {
    const words = this.#words[id >>> UNITS_BITS]!;
    const head = (id & UNITS_MASK) << 1;
    const length = words[head]! & LENGTH_MASK;
    if (length > 256) {
      into.set(this.bytesOf(id), at);
      return length;
    }
    const whole = length >>> 2;
    let from = head + HEADER_WORDS;
    let to = at;
    for (const end = from + whole; from < end; from++, to += 4) {
      const word = words[from]!;
      into[to] = word;
      into[to + 1] = word >> 8;
      into[to + 2] = word >> 16;
      into[to + 3] = word >> 24;
    }
    const end = at + length;
    if (to < end) for (let word = words[from]!; to < end; to++, word >>= 8) into[to] = word;
    return length;
  }

  /** The same for long walks: whole words at a time. */
  copyInto(id: KeyId, { bytes, view }: ByteRoom, at: number): number {
    const words = this.#words[id >>> UNITS_BITS]!;
    const head = (id & UNITS_MASK) << 1;
    const length = words[head]! & LENGTH_MASK;
    if (length > 256) {
      bytes.set(this.bytesOf(id), at);
      return length;
    }
    let from = head + HEADER_WORDS;
    let to = at;
    for (const end = at + length - 3; to < end; from++, to += 4) view.setInt32(to, words[from]!, true);
    const end = at + length;
    if (to < end) for (let word = words[from]!; to < end; to++, word >>= 8) bytes[to] = word;
    return length;
  }

  #classList(units: number): number[] {
    if (units === this.#lastUnits) return this.#lastList;
    let list = this.#withRoom.get(units);
    if (list === undefined) {
      list = [];
      this.#withRoom.set(units, list);
    }
    this.#lastUnits = units;
    this.#lastList = list;
    return list;
  }

  #allocate(need: number): KeyId {
    const units = need > CLASS_UNITS_MAX ? need : classUnits(need);
    const list = this.#classList(units);
    const number = list.length > 0 ? list[list.length - 1]! : this.#addSlab(units, list);
    const slab = this.#slabs[number]!;
    let unit = slab.free;
    if (unit !== -1) slab.free = this.#words[number]![unit << 1]!;
    else {
      unit = slab.fresh;
      slab.fresh += units;
    }
    slab.used++;
    if (slab.used === slab.capacity) {
      slab.listed = false;
      list.pop();
    }
    return number * (1 << UNITS_BITS) + unit;
  }

  #addSlab(units: number, list: number[]): number {
    const capacity = units > CLASS_UNITS_MAX ? 1 : Math.floor(SLAB_WORDS / 2 / units);
    const words = new Int32Array(capacity === 1 ? units * 2 : SLAB_WORDS);
    const slab: Slab = { units, capacity, used: 0, fresh: 0, free: -1, listed: true };
    let number = this.#freeNumbers.pop();
    if (number === undefined) {
      number = this.#slabs.length;
      assert(number < SLABS_MAX, "keys fit into 16 GiB");
      this.#slabs.push(slab);
      this.#words.push(words);
    } else {
      this.#slabs[number] = slab;
      this.#words[number] = words;
    }
    this.#bytes += words.byteLength;
    list.push(number);
    return number;
  }

  #release(number: number, slab: Slab, words: Int32Array): void {
    const list = this.#classList(slab.units);
    if (slab.listed) list.splice(list.lastIndexOf(number), 1);
    if (list.length === 0) {
      this.#withRoom.delete(slab.units);
      this.#lastUnits = 0;
    }
    this.#slabs[number] = undefined;
    this.#words[number] = NO_WORDS;
    this.#freeNumbers.push(number);
    this.#bytes -= words.byteLength;
  }
}

/** Below 0 when the first of two different words sorts before the second. */
function compareWords(a: number, b: number): number {
  // The first differing byte in memory is the lowest one of a little-endian word.
  const difference = a ^ b;
  const shift = (31 - Math.clz32(difference & -difference)) & 24;
  return ((a >>> shift) & 255) - ((b >>> shift) & 255);
}

/** Bytes reversed, so that the first byte weighs most, and the sign flipped, so that signed comparison is unsigned order. */
function ordered(word: number): number {
  const swapped = (word << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24);
  return swapped ^ (0x8000_0000 | 0);
}

function mix(hash: number, word: number): number {
  let k = Math.imul(word, 0xcc9e2d51);
  k = (k << 15) | (k >>> 17);
  const h = hash ^ Math.imul(k, 0x1b873593);
  return (Math.imul((h << 13) | (h >>> 19), 5) + 0xe6546b64) | 0;
}

function finish(hash: number): number {
  let h = hash ^ (hash >>> 16);
  h = Math.imul(h, 0x85ebca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  return h ^ (h >>> 16);
}
