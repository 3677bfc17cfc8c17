// What the rest of the house relies on from mvcc, as types. The store holds keys and revisions, never values: a value stays
// where it was first written, and mvcc knows its place. It is synchronous and pure; it knows no time, no disk, no lease expiry.
import type { Brand, LeaseId, Revision } from "../base/brand.ts";
import type { RangeEnd } from "../base/key.ts";

/**
 * One revision of one key (a put or a tombstone): a row of the revision table. A Slot is valid until the next write,
 * compaction slice or relocation; nobody keeps one across a turn of the event loop, unless under its Store.slotEpoch. Rows
 * ascend in revision order.
 */
export type Slot = Brand<number, "Slot">;
export const NO_SLOT: Slot = -1 as Slot;

/** A file of the log (segment or run); numbers are never used twice. 0 means "no bytes" (an empty value needs no file). */
export type FileNumber = Brand<number, "FileNumber">;

/** The columns of a row. A value is not here, only its place: see ValueReader. */
export interface SlotView {
  /** The key's bytes: a view that must not be changed or kept. */
  keyOf(slot: Slot): Uint8Array;
  keyLengthOf(slot: Slot): number;
  /** Copies the key's bytes to `into` at `at` and returns their number: cheaper than a view. */
  copyKeyOf(slot: Slot, into: Uint8Array, at: number): number;
  mainOf(slot: Slot): Revision;
  subOf(slot: Slot): number;
  isTombstone(slot: Slot): boolean;
  createRevisionOf(slot: Slot): Revision;
  /** 1 for the first put of a generation. */
  versionOf(slot: Slot): number;
  leaseOf(slot: Slot): LeaseId;
  fileOf(slot: Slot): FileNumber;
  offsetOf(slot: Slot): number;
  valueLengthOf(slot: Slot): number;
}

/** A growable list of slots that callers reuse, so that a range makes no garbage. */
export type SlotList = { slots: Int32Array | Float64Array; length: number };

/** A walk over the keys alive at one revision, in key order, in bites; survives writes between bites while the revision is pinned. */
export interface RangeCursor {
  /** Fills `out` with up to `max` further slots and returns how many; 0 = at the end. */
  next(out: SlotList, max: number): number;
  /** Goes on right behind `slot`, one of those given in this turn: what came after it is given again. */
  goBackTo(slot: Slot): void;
}

export interface ReadView extends SlotView {
  readonly currentRevision: Revision;
  /** 0 before the first compaction. */
  readonly compactedRevision: Revision;
  /** The slot of `key` alive at `at` (a revision ≤ current, ≥ compacted), or NO_SLOT. */
  find(key: Uint8Array, at: Revision): Slot;
  /** Appends up to `max` slots of [key, end) alive at `at`, in key order. Returns true when there are more. */
  range(key: Uint8Array, end: RangeEnd, at: Revision, max: number, out: SlotList): boolean;
  /** How many keys of [key, end) are alive at `at`. O(log n) at the current revision. */
  count(key: Uint8Array, end: RangeEnd, at: Revision): number;
  cursor(key: Uint8Array, end: RangeEnd, at: Revision): RangeCursor;
  /**
   * Appends up to `max` whole revisions' slots with main ≥ `from` in revision order (tombstones too), never splitting one main
   * revision. Returns the first main revision not covered (current + 1 at the end). At the compacted revision and below it gives what
   * is left there, as etcd's backend does: a watch may start at that revision, and a backup takes everything.
   */
  revisionsSince(from: Revision, max: number, out: SlotList): Revision;
  /** The slot of the same key just before `slot` in the same generation or NO_SLOT: what prev_kv shows. */
  previousOf(slot: Slot): Slot;
}

/** One atomic change. Its main revision is current + 1; nothing is visible as "current" until end(). */
export interface WriteTxn {
  readonly mainRevision: Revision;
  /** Puts a value that stands at (file, offset, length). Returns the slot. The key's bytes are copied. */
  put(key: Uint8Array, lease: LeaseId, file: FileNumber, offset: number, length: number): Slot;
  /** Deletes the keys of [key, end) alive now (this txn's own puts included), ascending. Appends the tombstone slots to `out`. */
  delete(key: Uint8Array, end: RangeEnd, out: SlotList): number;
  /** Reads inside the txn see its own writes: pass `readRevision` as `at`. */
  readonly readRevision: Revision;
  /** How many changes so far: the next sub revision. */
  readonly changes: number;
  /** Makes the changes visible; without a change the revision stays. Returns the current revision. */
  end(): Revision;
}

/** Where values are read from; src/log implements it, mvcc (hashes), apply (compares) and service (replies) are handed it. */
export interface ValueReader {
  /**
   * The bytes at a place: a view, valid until the next call. Synchronous: the block cache, or a pread that the page cache
   * serves. A checksum mismatch or a short read throws CorruptionError (file, offset, cause, next step).
   */
  readValue(file: FileNumber, offset: number, length: number): Uint8Array;
  /** Copies the bytes at a place to `into` at `at`. */
  copyValue(file: FileNumber, offset: number, length: number, into: Uint8Array, at: number): void;
}
