// What the log needs to give files back: which revisions still stand in given files, in key order, and to tell the store that a
// value was copied elsewhere. The log copies between the two calls, so a revision is named by (main, sub) and its old place, never by
// a Slot: if it is gone or stands elsewhere by then, nothing happens.
import type { FileNumber, Slot, SlotList } from "./contract.ts";
import type { KeyId } from "./key-arena.ts";
import { NO_LEAF } from "./key-tree.ts";
import { FILE, PREVIOUS, SUB, SUB_MASK } from "./row-table.ts";
import { pushSlot } from "./slot-list.ts";
import type { Tables } from "./tables.ts";

/** A token: the key where the walk stopped, and the last row of it that was looked at (main 0: all of them). */
const TOKEN_HEAD_BYTES = 12;

/**
 * Appends the rows whose values stand in `files`: keys ascending, of each key the newest first. Looks at about `rowsMax` rows.
 * Returns what to pass as `from` to go on, or undefined at the end. Writes and compaction in between do no harm.
 */
export function rowsInFiles(
  tables: Tables,
  files: ReadonlySet<FileNumber>,
  from: Uint8Array | undefined,
  rowsMax: number,
  out: SlotList,
): Uint8Array | undefined {
  const { arena, tree } = tables;
  const wanted = new Uint8Array(tables.files.numbers.length);
  for (const file of files) {
    const index = tables.files.find(file);
    if (index !== undefined && index !== 0) wanted[index] = 1;
  }
  if (from === undefined) tree.seekFirst();
  else {
    arena.probe(from.subarray(TOKEN_HEAD_BYTES));
    tree.seek();
  }
  let { leaf, index } = tree;
  let resumes = from !== undefined;
  let left = Math.max(1, rowsMax);
  while (leaf !== NO_LEAF) {
    const words = tree.leafWords(leaf);
    const start = tree.leafStart(leaf);
    const count = tree.leafCount(leaf);
    for (; index < count; index++) {
      const id = words[start + index]!;
      const first = resumes && arena.equalsProbe(id) ? olderThan(tables, id, from!) : arena.newestOf(id);
      resumes = false;
      const stopped = takeRows(tables, wanted, first, left, out);
      left -= stopped.looked;
      if (left <= 0) return token(tables, id, stopped.last);
    }
    leaf = tree.nextLeaf(leaf);
    index = 0;
  }
  return undefined;
}

/** Looks at up to `max` rows of a key; `last` is the last one looked at when there are older ones, else −1. */
function takeRows(
  tables: Tables,
  wanted: Uint8Array,
  first: number,
  max: number,
  out: SlotList,
): { looked: number; last: number } {
  const { rows } = tables;
  let looked = 0;
  for (let slot = first; slot !== -1; slot = rows.word(slot as Slot, PREVIOUS)) {
    if (wanted[rows.word(slot as Slot, FILE) & 0xffff] === 1) pushSlot(out, slot as Slot);
    looked++;
    if (looked < max) continue;
    return { looked, last: rows.word(slot as Slot, PREVIOUS) === -1 ? -1 : slot };
  }
  return { looked, last: -1 };
}

function token(tables: Tables, id: KeyId, last: number): Uint8Array {
  const { arena, rows } = tables;
  const bytes = new Uint8Array(TOKEN_HEAD_BYTES + arena.lengthOf(id));
  const head = new DataView(bytes.buffer);
  if (last !== -1) {
    head.setFloat64(0, rows.mainOf(last as Slot));
    head.setUint32(8, rows.word(last as Slot, SUB) & SUB_MASK);
  }
  arena.copyBytes(id, bytes, TOKEN_HEAD_BYTES);
  return bytes;
}

/** The newest row of the key that is older than the one in the token. */
function olderThan(tables: Tables, id: KeyId, from: Uint8Array): number {
  const { arena, rows } = tables;
  const head = new DataView(from.buffer, from.byteOffset, TOKEN_HEAD_BYTES);
  const main = head.getFloat64(0);
  const sub = head.getUint32(8);
  if (main === 0) return -1;
  const there = rows.slotAt(main, sub) as Slot;
  if (there !== -1) return rows.word(there, PREVIOUS);
  let slot = arena.newestOf(id) as Slot;
  while (slot !== -1) {
    const rowMain = rows.mainOf(slot);
    if (rowMain < main || (rowMain === main && (rows.word(slot, SUB) & SUB_MASK) < sub)) break;
    slot = rows.word(slot, PREVIOUS) as Slot;
  }
  return slot;
}

/** Where a value stood and where its copy stands. */
export type Relocation = {
  readonly main: number;
  readonly sub: number;
  readonly fromFile: FileNumber;
  readonly fromOffset: number;
  readonly toFile: FileNumber;
  readonly toOffset: number;
};

/** False: the revision is gone, or no longer stands where the copy was made from. Its copy is garbage then. */
export function relocate(tables: Tables, relocation: Relocation): boolean {
  const { rows, files } = tables;
  const slot = rows.slotAt(relocation.main, relocation.sub) as Slot;
  if (slot === -1) return false;
  const file = rows.word(slot, FILE) & 0xffff;
  if (file === 0 || files.numbers[file] !== relocation.fromFile) return false;
  if (rows.offsetOf(slot) !== relocation.fromOffset) return false;
  const length = rows.lengthOf(slot);
  const to = files.retain(relocation.toFile, length);
  files.release(file, length);
  rows.setPlace(slot, to, relocation.toOffset, length);
  return true;
}
