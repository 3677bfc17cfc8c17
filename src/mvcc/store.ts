// The store: etcd's MVCC without values. It knows every revision of every key since the last compaction and where its value
// stands; find, range and count answer at any of these revisions, write() makes the next one. apply writes to it; service,
// watch and log read it. It must never block for long: everything that grows with the store is done in bites.
import { assert } from "../base/assert.ts";
import type { LeaseId, Revision } from "../base/brand.ts";
import { type EtcdError, errors } from "../base/errors.ts";
import { isSingleKey, type RangeEnd } from "../base/key.ts";
import { type Checkpoint, RunningCheckpoint } from "./checkpoint.ts";
import { Compactor } from "./compactor.ts";
import type { FileNumber, RangeCursor, ReadView, Slot, SlotList, ValueReader, WriteTxn } from "./contract.ts";
import { NO_SLOT } from "./contract.ts";
import { describeTables } from "./describe.ts";
import { type HashJob, KnownHash, RunningHash } from "./hash-job.ts";
import { NO_KEY } from "./key-arena.ts";
import { NO_LEAF } from "./key-tree.ts";
import type { KeyValueHash } from "./key-value-hash.ts";
import type { Pin } from "./pins.ts";
import { countRange, KeyCursor, walkRange } from "./ranges.ts";
import { type Relocation, relocate, rowsInFiles } from "./reclaim.ts";
import {
  CHUNK_BITS,
  CHUNK_MASK,
  FILE,
  KEY,
  LEASE,
  LENGTH,
  PREVIOUS,
  ROW_WORDS,
  SUB,
  SUB_MASK,
} from "./row-table.ts";
import { pushSlot } from "./slot-list.ts";
import { StoredRows } from "./stored-rows.ts";
import { Tables } from "./tables.ts";
import { StoreTxn } from "./write-txn.ts";

export type StoreOptions = {
  /** Mixed into the hash of keys, so that nobody can choose keys that collide. Any number; the member draws it at random. */
  readonly seed: number;
};

/** The newest compaction done, and the newest asked for; −1: none. */
export type Compactions = { readonly finished: number; readonly scheduled: number };

export class Store implements ReadView {
  readonly #tables: Tables;
  readonly #txn: StoreTxn;
  readonly #compactor: Compactor;
  #retired = false;

  /** The other arguments are the restorer's and the importer's. */
  constructor(options: StoreOptions, tables: Tables = new Tables(options.seed), compactions?: Compactions) {
    this.#tables = tables;
    this.#txn = new StoreTxn(tables);
    this.#compactor = new Compactor(tables, this);
    if (compactions !== undefined) this.#compactor.restore(compactions.finished, compactions.scheduled);
  }

  get currentRevision(): Revision {
    return this.#tables.current as Revision;
  }

  get compactedRevision(): Revision {
    return Math.max(0, this.#compactor.compacted) as Revision;
  }

  /** As etcd's FirstRev: the compacted revision, or −1 when nothing was ever compacted. */
  get firstRevision(): number {
    return this.#compactor.compacted;
  }

  /** The newest compaction asked for, and the newest one done; 0: none. */
  get scheduledCompaction(): Revision {
    return Math.max(0, this.#compactor.scheduled) as Revision;
  }

  get finishedCompaction(): Revision {
    return Math.max(0, this.#compactor.finished) as Revision;
  }

  /**
   * Moves the compacted revision at once; the rows go in compactSlice(). One compaction after the other, in order. As in etcd,
   * a revision of 0 or below is "compacted", except that 0 is taken once, by a store that was never compacted.
   */
  compact(revision: Revision): EtcdError | undefined {
    assert(!this.#txn.isOpen, "no txn is open while the store is compacted");
    return this.#compactor.compact(revision);
  }

  /**
   * Looks at up to about `rowsMax` rows. True when nothing is left to do (for now). With `values`, etcd's compaction hash is
   * computed on the way. Does nothing while a hash or a checkpoint is under way.
   */
  compactSlice(rowsMax: number, values: ValueReader | undefined): boolean {
    assert(!this.#txn.isOpen, "no txn is open while the store is compacted");
    return this.#compactor.slice(rowsMax, values);
  }

  /** Whether compactSlice() has something to do: a compaction (also one cut short by a restart), or rows that a pin let go. */
  get compactionPending(): boolean {
    return this.#compactor.hasWork;
  }

  /** Whether compactSlice() would do nothing now because a hash, a checkpoint or a hold is under way: look again later. */
  get compactionHeld(): boolean {
    return this.#compactor.holds > 0;
  }

  /** Those who read on over several turns: pinned revisions, and walks that compaction waits for. */
  get readers(): number {
    return this.#compactor.pins.size + this.#compactor.holds;
  }

  /** A snapshot took its place long ago: whoever still reads from it in his own time ends, so that memory and files can go. */
  get retired(): boolean {
    return this.#retired;
  }

  retire(): void {
    this.#retired = true;
  }

  /** Keeps what is visible at `at` readable until released, however far compaction goes. */
  pin(at: Revision): Pin {
    assert(at >= this.#compactor.compacted, "a pinned revision is not compacted yet");
    return this.#compactor.pins.add(at);
  }

  /** HashKV at `revision`; 0 means the current one. A revision that was compacted at answers with that compaction's hash. */
  hashKv(revision: Revision): HashJob | EtcdError {
    const compactor = this.#compactor;
    const known = compactor.hashes.find(revision);
    if (known !== undefined) return new KnownHash(known);
    const { current } = this.#tables;
    if (revision > 0 && revision < compactor.compacted) return errors.compacted;
    if (revision > 0 && revision > current) return errors.futureRevision;
    return new RunningHash(this.#tables, this, compactor, revision === 0 ? current : revision);
  }

  /** The hashes of the newest ten compactions, ascending. */
  get compactionHashes(): readonly KeyValueHash[] {
    return this.#compactor.hashes.list();
  }

  /** An image of the store as of now, in blocks; see Checkpoint. Restorer makes a store of it. */
  checkpoint(): Checkpoint {
    assert(!this.#txn.isOpen, "no txn is open when a checkpoint begins");
    return new RunningCheckpoint(this.#tables, this.#compactor);
  }

  /** Whether a checkpoint is under way: relocate() must wait. */
  get checkpointing(): boolean {
    return this.#compactor.checkpoints > 0;
  }

  /**
   * Appends the revisions whose values stand in `files`: keys ascending, of each key the newest first. Looks at about `rowsMax`
   * revisions per call. Returns what to pass as `from` to go on, or undefined at the end.
   */
  rowsInFiles(
    files: ReadonlySet<FileNumber>,
    from: Uint8Array | undefined,
    rowsMax: number,
    out: SlotList,
  ): Uint8Array | undefined {
    return rowsInFiles(this.#tables, files, from, rowsMax, out);
  }

  /**
   * Tells that the value of a revision was copied. False: the revision is gone, or stands elsewhere by now; the copy is garbage.
   * Not while a checkpoint is under way, whose image would name both the old and the new file.
   */
  relocate(relocation: Relocation): boolean {
    assert(!this.checkpointing, "nothing is relocated while a checkpoint is under way");
    return relocate(this.#tables, relocation);
  }

  /** Calls back for each key alive with a lease, in key order: how the lessor finds its attachments again after a start. */
  forEachLeased(callback: (key: Uint8Array, lease: LeaseId) => void): void {
    this.forSomeLeased(callback, undefined, Number.POSITIVE_INFINITY);
  }

  /**
   * The same in bites of so many leaves of the key tree (a few dozen keys each), for a store that nobody writes to in between. Returns
   * what to pass as `from` to go on, or undefined at the end.
   */
  forSomeLeased(
    callback: (key: Uint8Array, lease: LeaseId) => void,
    from: number | undefined,
    leavesMax: number,
  ): number | undefined {
    const { arena, leases, rows, tree } = this.#tables;
    if (from === undefined) tree.seekFirst();
    let left = leavesMax;
    for (let leaf = from ?? tree.leaf; leaf !== NO_LEAF; leaf = tree.nextLeaf(leaf)) {
      if (left-- <= 0) return leaf;
      const words = tree.leafWords(leaf);
      const start = tree.leafStart(leaf);
      for (let i = 0; i < tree.leafCount(leaf); i++) {
        const id = words[start + i]!;
        const newest = arena.newestAlive(id) as Slot;
        const lease = newest === -1 ? 0 : rows.word(newest, LEASE);
        if (lease !== 0) callback(arena.bytesOf(id), leases.ids[lease]!);
      }
    }
    return undefined;
  }

  /** Revisions held, tombstones included. */
  get rows(): number {
    return this.#tables.rows.rows;
  }

  get keysAlive(): number {
    return this.#tables.tree.alive;
  }

  /** Key and value bytes of all revisions held: what etcd's backend would have in use, without its overhead. */
  get liveBytes(): number {
    return this.#tables.liveBytes;
  }

  /** Bytes of values, and revisions, that still stand in a file of the log. */
  liveBytesOf(file: FileNumber): number {
    return this.#tables.files.bytesOf(file);
  }

  liveRowsOf(file: FileNumber): number {
    return this.#tables.files.rowsOf(file);
  }

  /** The files that revisions point into, ascending. */
  get files(): FileNumber[] {
    return this.#tables.files.list();
  }

  /** Bytes of memory that the tables hold. */
  get memoryBytes(): number {
    return this.#tables.memoryBytes;
  }

  /**
   * As long as it stays the same, a slot that named a row names that row or a hole: what was learnt of it by its slot holds, because
   * a revision never changes.
   */
  get slotEpoch(): number {
    return this.#tables.rows.renumberings;
  }

  write(): WriteTxn {
    return this.#txn.begin();
  }

  find(key: Uint8Array, at: Revision): Slot {
    const tables = this.#tables;
    const id = tables.findKey(key);
    if (id === NO_KEY) return NO_SLOT;
    if (at >= tables.tip) return tables.arena.newestAlive(id) as Slot;
    return tables.rows.visible(tables.arena.newestOf(id), at) as Slot;
  }

  range(key: Uint8Array, end: RangeEnd, at: Revision, max: number, out: SlotList): boolean {
    if (!isSingleKey(end)) return walkRange(this.#tables, key, end, false, at, max, out);
    const slot = this.find(key, at);
    if (slot === NO_SLOT) return false;
    if (max <= 0) return true;
    pushSlot(out, slot);
    return false;
  }

  count(key: Uint8Array, end: RangeEnd, at: Revision): number {
    if (isSingleKey(end)) return this.find(key, at) === NO_SLOT ? 0 : 1;
    return countRange(this.#tables, key, end, at);
  }

  cursor(key: Uint8Array, end: RangeEnd, at: Revision): RangeCursor {
    if (!isSingleKey(end)) return new KeyCursor(this.#tables, key, end, at);
    const after = new Uint8Array(key.length + 1);
    after.set(key);
    return new KeyCursor(this.#tables, key, after, at);
  }

  /**
   * Until it is released no row is dropped and no slot changes its meaning, so that all rows can be walked in bites (a backup).
   * Compaction waits for it: hold it no longer than the walk takes.
   */
  hold(): Pin {
    const compactor = this.#compactor;
    let held = true;
    compactor.holds++;
    return {
      release() {
        if (held) compactor.holds--;
        held = false;
      },
    };
  }

  /** All rows up to `until`, those at and below the compacted revision too, for who holds the store. */
  storedRows(until: Revision): StoredRows {
    assert(this.#compactor.holds > 0, "the store is held");
    return new StoredRows(this.#tables, until);
  }

  revisionsSince(from: Revision, max: number, out: SlotList): Revision {
    const { rows, current } = this.#tables;
    let position = rows.seek(from, 0);
    // At least one revision, or a caller would never get on.
    let left = Math.max(1, max);
    let main = -1;
    for (let index = position >>> CHUNK_BITS; index < rows.order.length; index++, position = 0) {
      const chunk = rows.order[index]!;
      const words = rows.words[chunk]!;
      for (let row = position & CHUNK_MASK; row < rows.used[chunk]!; row++) {
        if (words[row * ROW_WORDS + KEY] === 0) continue;
        const slot = ((chunk << CHUNK_BITS) | row) as Slot;
        const rowMain = rows.mainOf(slot);
        if (rowMain > current) return (current + 1) as Revision;
        if (rowMain !== main && left <= 0) return rowMain as Revision;
        main = rowMain;
        left--;
        pushSlot(out, slot);
      }
    }
    return (current + 1) as Revision;
  }

  previousOf(slot: Slot): Slot {
    const { rows } = this.#tables;
    const previous = rows.word(slot, PREVIOUS) as Slot;
    return previous === -1 || rows.isTombstone(previous) ? NO_SLOT : previous;
  }

  keyOf(slot: Slot): Uint8Array {
    return this.#tables.arena.bytesOf(this.#tables.rows.word(slot, KEY));
  }

  keyLengthOf(slot: Slot): number {
    return this.#tables.arena.lengthOf(this.#tables.rows.word(slot, KEY));
  }

  copyKeyOf(slot: Slot, into: Uint8Array, at: number): number {
    return this.#tables.arena.copyBytes(this.#tables.rows.word(slot, KEY), into, at);
  }

  mainOf(slot: Slot): Revision {
    return this.#tables.rows.mainOf(slot) as Revision;
  }

  subOf(slot: Slot): number {
    return this.#tables.rows.word(slot, SUB) & SUB_MASK;
  }

  isTombstone(slot: Slot): boolean {
    return this.#tables.rows.isTombstone(slot);
  }

  /** 0 for a tombstone, as in the event etcd sends. */
  createRevisionOf(slot: Slot): Revision {
    const { rows } = this.#tables;
    return (rows.isTombstone(slot) ? 0 : rows.createOf(slot)) as Revision;
  }

  versionOf(slot: Slot): number {
    return this.#tables.rows.versionOf(slot);
  }

  leaseOf(slot: Slot): LeaseId {
    return this.#tables.leases.ids[this.#tables.rows.word(slot, LEASE)]!;
  }

  fileOf(slot: Slot): FileNumber {
    return this.#tables.files.numbers[this.#tables.rows.word(slot, FILE) & 0xffff]!;
  }

  offsetOf(slot: Slot): number {
    return this.#tables.rows.offsetOf(slot);
  }

  valueLengthOf(slot: Slot): number {
    return this.#tables.rows.word(slot, LENGTH) >>> 0;
  }

  /** See describe.ts. */
  describe(): string {
    return describeTables(
      this.#tables,
      `compacted ${this.compactedRevision}, finished ${this.finishedCompaction}`,
    );
  }
}
