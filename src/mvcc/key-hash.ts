// From key bytes to KeyId: buckets of one cache line in segments that split one at a time (extendible hashing), so that a lookup
// costs one miss before the key itself, and growth never stops the world: a split rehashes about 2,500 keys. Used for every
// point lookup; knows no order. The key asked for is the arena's probe.
//
// Bucket: [12 key ids][12 tags of one byte][count, and above it how many keys of earlier buckets went past this full one]
import { assert } from "../base/assert.ts";
import { type KeyArena, type KeyId, NO_KEY } from "./key-arena.ts";

const BUCKET_BITS = 4;
const BUCKET_KEYS = 12;
const TAGS = 12;
const STATE = 15;
const COUNT_MASK = 0xff;
const ONE_PAST = 0x100;
const SEGMENT_BUCKETS = 256;
const FILL_MAX = 0.8;
/** Beyond this depth (when hashes agree in all these bits) a segment doubles instead: hostile keys cost speed, not memory. */
const DEPTH_MAX = 20;
const TAG_SHIFT = 8;
/** Keys that are added together are sorted into so many parts at most. */
const SORTED_BITS_MAX = 12;
const EACH_BYTE = 0x0101_0101;
const HIGH_BITS = 0x8080_8080 | 0;

/** The words of every segment without a key: made ahead of a million keys they would cost a long turn. Never written. */
const NO_BUCKETS = new Int32Array(SEGMENT_BUCKETS << BUCKET_BITS);

class Segment {
  words: Int32Array;
  /** Buckets − 1. */
  readonly mask: number;
  readonly depth: number;
  readonly countMax: number;
  count = 0;

  constructor(depth: number, buckets: number) {
    this.words = buckets === SEGMENT_BUCKETS ? NO_BUCKETS : new Int32Array(buckets << BUCKET_BITS);
    this.mask = buckets - 1;
    this.depth = depth;
    this.countMax = Math.floor(buckets * BUCKET_KEYS * FILL_MAX);
  }

  add(hash: number, id: KeyId): void {
    if (this.words === NO_BUCKETS) this.words = new Int32Array(NO_BUCKETS.length);
    const { words, mask } = this;
    let bucket = hash & mask;
    let at = bucket << BUCKET_BITS;
    while ((words[at + STATE]! & COUNT_MASK) === BUCKET_KEYS) {
      words[at + STATE]! += ONE_PAST;
      bucket = (bucket + 1) & mask;
      at = bucket << BUCKET_BITS;
    }
    const place = words[at + STATE]! & COUNT_MASK;
    words[at + STATE]!++;
    words[at + place] = id;
    setTag(words, at, place, hash >>> TAG_SHIFT);
    this.count++;
  }
}

function setTag(words: Int32Array, bucket: number, place: number, tag: number): void {
  const at = bucket + TAGS + (place >>> 2);
  const shift = (place & 3) << 3;
  words[at] = (words[at]! & ~(0xff << shift)) | ((tag & 0xff) << shift);
}

export class KeyHash {
  readonly #arena: KeyArena;
  readonly #depthMax: number;
  #directory: Segment[];
  #depth = 0;
  #buckets = 0;

  /** `expected` keys fit without many splits. */
  constructor(arena: KeyArena, expected = 0, depthMax = DEPTH_MAX) {
    this.#arena = arena;
    this.#depthMax = depthMax;
    const full = SEGMENT_BUCKETS * BUCKET_KEYS * FILL_MAX;
    while ((1 << this.#depth) * full < expected && this.#depth < depthMax) this.#depth++;
    this.#directory = [];
    for (let i = 0; i < 1 << this.#depth; i++)
      this.#directory.push(this.#segment(this.#depth, SEGMENT_BUCKETS));
  }

  get memoryBytes(): number {
    return (this.#buckets << BUCKET_BITS) * 4 + this.#directory.length * 8;
  }

  /** The key that equals the arena's probe, whose hash is `hash`, or NO_KEY. */
  find(hash: number): KeyId {
    const { words, mask } = this.#segmentOf(hash);
    const pattern = Math.imul((hash >>> TAG_SHIFT) & 0xff, EACH_BYTE);
    for (let bucket = hash & mask; ; bucket = (bucket + 1) & mask) {
      const at = bucket << BUCKET_BITS;
      for (let word = 0; word < BUCKET_KEYS >>> 2; word++) {
        const difference = words[at + TAGS + word]! ^ pattern;
        // A high bit for each byte that is zero, so whose tag is ours (and rarely for one above it: the key decides).
        let matches = (difference - EACH_BYTE) & ~difference & HIGH_BITS;
        while (matches !== 0) {
          const id = words[at + (word << 2) + ((31 - Math.clz32(matches & -matches)) >>> 3)]!;
          if (id !== NO_KEY && this.#arena.equalsProbe(id)) return id;
          matches &= matches - 1;
        }
      }
      if (words[at + STATE]! < ONE_PAST) return NO_KEY;
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

  /**
   * The same for many keys: sorted by segment first, so that those of one segment find it in the processor's cache. One by one, most of
   * the work of adding a million keys is waiting for memory.
   */
  addAll(hashes: Int32Array, ids: Int32Array): void {
    const shift = 32 - Math.min(this.#depth, SORTED_BITS_MAX);
    if (shift === 32) {
      for (let i = 0; i < ids.length; i++) this.add(hashes[i]!, ids[i]!);
      return;
    }
    // Where the keys of each part of the directory begin, counted one place ahead.
    const starts = new Int32Array((1 << (32 - shift)) + 1);
    for (let i = 0; i < hashes.length; i++) starts[(hashes[i]! >>> shift) + 1]!++;
    for (let part = 1; part < starts.length; part++) starts[part]! += starts[part - 1]!;
    const order = new Int32Array(hashes.length);
    for (let i = 0; i < hashes.length; i++) order[starts[hashes[i]! >>> shift]!++] = i;
    for (let i = 0; i < order.length; i++) this.add(hashes[order[i]!]!, ids[order[i]!]!);
  }

  remove(hash: number, id: KeyId): void {
    const segment = this.#segmentOf(hash);
    const { words, mask } = segment;
    for (let bucket = hash & mask; ; bucket = (bucket + 1) & mask) {
      const at = bucket << BUCKET_BITS;
      const last = (words[at + STATE]! & COUNT_MASK) - 1;
      for (let place = 0; place <= last; place++) {
        if (words[at + place] !== id) continue;
        words[at + place] = words[at + last]!;
        setTag(words, at, place, words[at + TAGS + (last >>> 2)]! >>> ((last & 3) << 3));
        words[at + last] = NO_KEY;
        words[at + STATE]!--;
        segment.count--;
        return;
      }
      assert(words[at + STATE]! >= ONE_PAST, "a removed key is in the hash");
      words[at + STATE]! -= ONE_PAST;
    }
  }

  #segmentOf(hash: number): Segment {
    const depth = this.#depth;
    return this.#directory[depth === 0 ? 0 : hash >>> (32 - depth)]!;
  }

  #segment(depth: number, buckets: number): Segment {
    this.#buckets += buckets;
    return new Segment(depth, buckets);
  }

  #split(segment: Segment, hash: number): void {
    const buckets = segment.mask + 1;
    this.#buckets -= buckets;
    if (segment.depth >= this.#depthMax) {
      const grown = this.#segment(segment.depth, buckets * 2);
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
    const low = this.#segment(segment.depth + 1, buckets);
    const high = this.#segment(segment.depth + 1, buckets);
    this.#move(segment, low, high, 1 << (31 - segment.depth));
    this.#replace(segment, hash, low, high);
  }

  #move(from: Segment, low: Segment, high: Segment, bit: number): void {
    const { words } = from;
    for (let at = 0; at < words.length; at += 1 << BUCKET_BITS) {
      const count = words[at + STATE]! & COUNT_MASK;
      for (let place = 0; place < count; place++) {
        const id = words[at + place]!;
        const hash = this.#arena.hashOf(id);
        ((hash & bit) === 0 ? low : high).add(hash, id);
      }
    }
  }

  #replace(old: Segment, hash: number, low: Segment, high: Segment): void {
    const span = 1 << (this.#depth - old.depth);
    const first = this.#depth === 0 ? 0 : (hash >>> (32 - this.#depth)) & ~(span - 1);
    for (let i = 0; i < span; i++) this.#directory[first + i] = i < span >>> 1 || span === 1 ? low : high;
  }
}
