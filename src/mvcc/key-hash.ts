// From key bytes to KeyId: open addressing in segments that split one at a time (extendible hashing), so that growth never
// stops the world: a split rehashes about 3,000 keys. Used for every point lookup; knows no order. The key asked for is the
// arena's probe.
import { assert } from "../base/assert.ts";
import { type KeyArena, type KeyId, NO_KEY } from "./key-arena.ts";

const SEGMENT_BITS = 12;
/** Beyond this depth (or when all hashes are equal) a segment doubles instead of splitting: hostile keys cost speed, not memory. */
const DEPTH_MAX = 20;
const TAG_SHIFT = 12;

class Segment {
  readonly ids: Int32Array;
  readonly tags: Uint8Array;
  readonly mask: number;
  readonly depth: number;
  readonly countMax: number;
  count = 0;

  constructor(depth: number, slots: number) {
    this.ids = new Int32Array(slots);
    this.tags = new Uint8Array(slots);
    this.mask = slots - 1;
    this.depth = depth;
    this.countMax = Math.floor(slots * 0.8);
  }

  add(hash: number, id: KeyId): void {
    const { ids, mask } = this;
    let at = hash & mask;
    while (ids[at] !== NO_KEY) at = (at + 1) & mask;
    ids[at] = id;
    this.tags[at] = hash >>> TAG_SHIFT;
    this.count++;
  }
}

export class KeyHash {
  readonly #arena: KeyArena;
  #directory: Segment[];
  #depth = 0;
  #slots = 0;

  /** `expected` keys fit without a split. */
  constructor(arena: KeyArena, expected = 0) {
    this.#arena = arena;
    while ((1 << (SEGMENT_BITS + this.#depth)) * 0.75 < expected && this.#depth < DEPTH_MAX) this.#depth++;
    this.#directory = [];
    for (let i = 0; i < 1 << this.#depth; i++)
      this.#directory.push(this.#segment(this.#depth, 1 << SEGMENT_BITS));
  }

  get memoryBytes(): number {
    return this.#slots * 5 + this.#directory.length * 8;
  }

  /** The key that equals the arena's probe, whose hash is `hash`, or NO_KEY. */
  find(hash: number): KeyId {
    const segment = this.#segmentOf(hash);
    const { ids, tags, mask } = segment;
    const tag = (hash >>> TAG_SHIFT) & 255;
    let at = hash & mask;
    for (;;) {
      const id = ids[at]!;
      if (id === NO_KEY) return NO_KEY;
      if (tags[at] === tag && this.#arena.equalsProbe(id)) return id;
      at = (at + 1) & mask;
    }
  }

  /** Adds a key that is not there yet. */
  add(hash: number, id: KeyId): void {
    let segment = this.#segmentOf(hash);
    while (segment.count >= segment.countMax) {
      this.#split(segment, hash);
      segment = this.#segmentOf(hash);
    }
    segment.add(hash, id);
  }

  remove(hash: number, id: KeyId): void {
    const segment = this.#segmentOf(hash);
    const { ids, tags, mask } = segment;
    let hole = hash & mask;
    while (ids[hole] !== id) {
      assert(ids[hole] !== NO_KEY, "a removed key is in the hash");
      hole = (hole + 1) & mask;
    }
    segment.count--;
    // Close the gap: an entry moves back unless its home lies behind the hole.
    let at = hole;
    for (;;) {
      at = (at + 1) & mask;
      const other = ids[at]!;
      if (other === NO_KEY) break;
      const home = this.#arena.hashOf(other) & mask;
      if (((at - home) & mask) < ((at - hole) & mask)) continue;
      ids[hole] = other;
      tags[hole] = tags[at]!;
      hole = at;
    }
    ids[hole] = NO_KEY;
    tags[hole] = 0;
  }

  #segmentOf(hash: number): Segment {
    const depth = this.#depth;
    return this.#directory[depth === 0 ? 0 : hash >>> (32 - depth)]!;
  }

  #segment(depth: number, slots: number): Segment {
    this.#slots += slots;
    return new Segment(depth, slots);
  }

  #split(segment: Segment, hash: number): void {
    this.#slots -= segment.mask + 1;
    if (segment.depth >= DEPTH_MAX) {
      const grown = this.#segment(segment.depth, (segment.mask + 1) * 2);
      this.#move(segment, grown, grown, 0);
      this.#replace(segment, hash, grown, grown);
      return;
    }
    if (segment.depth === this.#depth) {
      const doubled: Segment[] = [];
      for (const one of this.#directory) doubled.push(one, one);
      this.#directory = doubled;
      this.#depth++;
    }
    const slots = segment.mask + 1;
    const low = this.#segment(segment.depth + 1, slots);
    const high = this.#segment(segment.depth + 1, slots);
    this.#move(segment, low, high, 1 << (31 - segment.depth));
    this.#replace(segment, hash, low, high);
  }

  #move(from: Segment, low: Segment, high: Segment, bit: number): void {
    for (let i = 0; i <= from.mask; i++) {
      const id = from.ids[i]!;
      if (id === NO_KEY) continue;
      const hash = this.#arena.hashOf(id);
      ((hash & bit) === 0 ? low : high).add(hash, id);
    }
  }

  #replace(old: Segment, hash: number, low: Segment, high: Segment): void {
    const span = 1 << (this.#depth - old.depth);
    const first = this.#depth === 0 ? 0 : (hash >>> (32 - this.#depth)) & ~(span - 1);
    for (let i = 0; i < span; i++) this.#directory[first + i] = i < span >>> 1 || span === 1 ? low : high;
  }
}
