// Walks over [key, end) in key order: what range, count and cursor do, at the newest revision and at older ones. Called by the
// store. The end is looked up once, so a walk compares no keys.
import { compareBytes, copyBytes } from "../base/bytes.ts";
import { isOpenEnd, type RangeEnd } from "../base/key.ts";
import type { RangeCursor, Slot, SlotList } from "./contract.ts";
import { NO_LEAF } from "./key-tree.ts";
import { CHUNK_BITS, CHUNK_MASK, CHUNK_ROWS, KEY, PREVIOUS, ROW_WORDS } from "./row-table.ts";
import { pushSlot } from "./slot-list.ts";
import type { Tables } from "./tables.ts";

/** Walking a row costs about as much as walking a key; below this many rows the correction is always the cheaper way. */
const CORRECTED_ROWS_MIN = 64;

/** Appends up to `max` slots of [key, end) visible at `at`; true when there are more. `after`: the key itself is left out. */
export function walkRange(
  tables: Tables,
  key: Uint8Array,
  end: RangeEnd,
  after: boolean,
  at: number,
  max: number,
  out: SlotList,
): boolean {
  const { arena, tree, rows } = tables;
  const open = isOpenEnd(end);
  if (!open && compareBytes(key, end) >= 0) return false;
  let lastLeaf = NO_LEAF;
  let lastIndex = 0;
  if (!open) {
    arena.probe(end);
    tree.seek();
    lastLeaf = tree.leaf;
    lastIndex = tree.index;
  }
  arena.probe(key);
  tree.seek();
  let { leaf, index } = tree;
  let skip = after;
  let left = max;
  const newest = at >= tables.tip;
  while (leaf !== NO_LEAF) {
    const words = tree.leafWords(leaf);
    const start = tree.leafStart(leaf);
    const stop = leaf === lastLeaf ? lastIndex : tree.leafCount(leaf);
    for (; index < stop; index++) {
      const id = words[start + index]!;
      if (skip) {
        skip = false;
        if (arena.equalsProbe(id)) continue;
      }
      const slot = newest ? arena.newestAlive(id) : rows.visible(arena.newestOf(id), at);
      if (slot === -1) continue;
      if (left-- <= 0) return true;
      pushSlot(out, slot as Slot);
    }
    if (leaf === lastLeaf) break;
    leaf = tree.nextLeaf(leaf);
    index = 0;
  }
  return false;
}

/** How many keys of [key, end) are visible at `at`. */
export function countRange(tables: Tables, key: Uint8Array, end: RangeEnd, at: number): number {
  const { arena, tree, rows } = tables;
  const open = isOpenEnd(end);
  if (!open && compareBytes(key, end) >= 0) return 0;
  let upper = tree.alive;
  if (!open) {
    arena.probe(end);
    upper = tree.rank();
  }
  arena.probe(key);
  const alive = upper - tree.rank();
  if (at >= tables.tip) return alive;
  const from = rows.seek(at + 1, 0);
  const newer = rows.order.length * CHUNK_ROWS - from;
  if (newer <= Math.max(CORRECTED_ROWS_MIN, alive))
    return alive + correction(tables, key, end, open, at, from);
  return walkCount(tables, key, end, open, at);
}

/** What the count at `at` has more than the one at the newest row: one look at each key changed since. */
function correction(
  tables: Tables,
  key: Uint8Array,
  end: RangeEnd,
  open: boolean,
  at: number,
  from: number,
): number {
  const { arena, rows } = tables;
  let difference = 0;
  for (let chunkIndex = from >>> CHUNK_BITS; chunkIndex < rows.order.length; chunkIndex++) {
    const chunk = rows.order[chunkIndex]!;
    const words = rows.words[chunk]!;
    const first = chunkIndex === from >>> CHUNK_BITS ? from & CHUNK_MASK : 0;
    for (let row = first; row < rows.used[chunk]!; row++) {
      const id = words[row * ROW_WORDS + KEY]!;
      if (id === 0) continue;
      const previous = words[row * ROW_WORDS + PREVIOUS]! as Slot;
      // Only the key's first row after `at` speaks for the key.
      if (previous !== -1 && rows.mainOf(previous) > at) continue;
      const then = previous !== -1 && !rows.isTombstone(previous);
      const now = arena.isAlive(id);
      if (then === now || !isWithin(tables, id, key, end, open)) continue;
      difference += then ? 1 : -1;
    }
  }
  return difference;
}

function isWithin(tables: Tables, id: number, key: Uint8Array, end: RangeEnd, open: boolean): boolean {
  const bytes = tables.arena.bytesOf(id);
  return compareBytes(bytes, key) >= 0 && (open || compareBytes(bytes, end) < 0);
}

function walkCount(tables: Tables, key: Uint8Array, end: RangeEnd, open: boolean, at: number): number {
  const { arena, tree, rows } = tables;
  let lastLeaf = NO_LEAF;
  let lastIndex = 0;
  if (!open) {
    arena.probe(end);
    tree.seek();
    lastLeaf = tree.leaf;
    lastIndex = tree.index;
  }
  arena.probe(key);
  tree.seek();
  let { leaf, index } = tree;
  let count = 0;
  while (leaf !== NO_LEAF) {
    const words = tree.leafWords(leaf);
    const start = tree.leafStart(leaf);
    const stop = leaf === lastLeaf ? lastIndex : tree.leafCount(leaf);
    for (; index < stop; index++) {
      if (rows.visible(arena.newestOf(words[start + index]!), at) !== -1) count++;
    }
    if (leaf === lastLeaf) break;
    leaf = tree.nextLeaf(leaf);
    index = 0;
  }
  return count;
}

/** See RangeCursor. It remembers the last key it gave, so writes and compaction between bites do not matter. */
export class KeyCursor implements RangeCursor {
  readonly #tables: Tables;
  readonly #end: RangeEnd;
  readonly #at: number;
  #key: Uint8Array;
  #after = false;
  #done = false;

  constructor(tables: Tables, key: Uint8Array, end: RangeEnd, at: number) {
    this.#tables = tables;
    this.#key = copyBytes(key);
    this.#end = copyBytes(end);
    this.#at = at;
  }

  next(out: SlotList, max: number): number {
    if (this.#done) return 0;
    const before = out.length;
    const more = walkRange(this.#tables, this.#key, this.#end, this.#after, this.#at, max, out);
    this.#done = !more;
    const given = out.length - before;
    if (given > 0 && more) this.goBackTo(out.slots[out.length - 1]! as Slot);
    return given;
  }

  goBackTo(slot: Slot): void {
    const { arena, rows } = this.#tables;
    this.#key = copyBytes(arena.bytesOf(rows.word(slot, KEY)));
    this.#after = true;
    this.#done = false;
  }
}
