// The tables that make up the store, held together: keys (arena, hash, tree), rows, leases, files, and what is counted about
// them. Store, WriteTxn, compaction, hashes, checkpoint and reclaim work on one Tables; nobody outside this folder sees it.
import type { LeaseId } from "../base/brand.ts";
import type { FileNumber, Slot } from "./contract.ts";
import { FileTable } from "./file-table.ts";
import { type Burial, KeyArena, type KeyId } from "./key-arena.ts";
import { KeyHash } from "./key-hash.ts";
import { KeyTree } from "./key-tree.ts";
import { LeaseTable } from "./lease-table.ts";
import { FILE, KEY, LEASE, LENGTH, NEXT, PREVIOUS, RowTable, SUB, TOMBSTONE } from "./row-table.ts";

export class Tables {
  readonly arena: KeyArena;
  readonly hash: KeyHash;
  readonly tree: KeyTree;
  readonly rows = new RowTable();
  readonly leases = new LeaseTable();
  readonly files = new FileTable();
  /** Main revision of the newest finished change; an empty store stands at 1. */
  current = 1;
  /** Main revision of the newest row, which is current + 1 while a txn with changes is open. */
  tip = 1;
  /** Key and value bytes of all rows. */
  liveBytes = 0;

  constructor(seed: number, keysExpected = 0) {
    this.arena = new KeyArena(seed);
    this.hash = new KeyHash(this.arena, keysExpected);
    this.tree = new KeyTree(this.arena);
  }

  /** The key equal to `key`, or NO_KEY. Makes it the probe. */
  findKey(key: Uint8Array): KeyId {
    return this.hash.find(this.arena.probe(key));
  }

  /** A new last row of `key`; mends the links and counts its key bytes. Place and lease come from finishRow. */
  addRow(key: KeyId, main: number, sub: number, tombstone: boolean): Slot {
    const { arena, rows } = this;
    const previous = arena.newestOf(key);
    const slot = rows.append(main, tombstone ? sub | TOMBSTONE : sub, key, previous);
    if (previous !== -1) rows.setWord(previous as Slot, NEXT, slot);
    arena.setNewest(key, slot);
    this.tip = main;
    this.liveBytes += arena.lengthOf(key);
    return slot;
  }

  /** Tombstones for all keys of the burial, whose rows they then are. */
  addTombstones(burial: Burial, main: number, sub: number): void {
    if (burial.count === 0) return;
    this.rows.appendTombstones(main, sub, burial);
    this.arena.setNewestOf(burial);
    this.files.retainNone(burial.count);
    this.tip = main;
    this.liveBytes += burial.keyBytes;
  }

  setValue(slot: Slot, lease: LeaseId, file: FileNumber, offset: number, length: number): void {
    const { rows } = this;
    rows.setWord(slot, LEASE, this.leases.retain(lease));
    // A value without bytes needs no file, so it holds none back from reclaim.
    if (length === 0) rows.setPlace(slot, this.files.retain(this.files.numbers[0]!, 0), 0, 0);
    else rows.setPlace(slot, this.files.retain(file, length), offset, length);
    this.liveBytes += length;
  }

  /** Takes a row away: out of its key's chain, out of the counts, and with the last row the key itself (then it returns true). */
  dropRow(slot: Slot): boolean {
    const { arena, rows } = this;
    const key = rows.word(slot, KEY);
    const previous = rows.word(slot, PREVIOUS);
    const next = rows.word(slot, NEXT);
    if (previous !== -1) rows.setWord(previous as Slot, NEXT, next);
    if (next !== -1) rows.setWord(next as Slot, PREVIOUS, previous);
    else arena.setNewest(key, previous);
    const length = rows.word(slot, LENGTH) >>> 0;
    this.liveBytes -= length + arena.lengthOf(key);
    this.leases.release(rows.word(slot, LEASE));
    this.files.release(rows.word(slot, FILE) & 0xffff, length);
    rows.drop(slot);
    const last = previous === -1 && next === -1;
    if (last) this.#removeKey(key);
    return last;
  }

  /** Whether the row is a tombstone. */
  isTombstone(slot: Slot): boolean {
    return this.rows.word(slot, SUB) < 0;
  }

  get memoryBytes(): number {
    return this.arena.memoryBytes + this.hash.memoryBytes + this.tree.memoryBytes + this.rows.memoryBytes;
  }

  #removeKey(key: KeyId): void {
    const hash = this.arena.probeEntry(key);
    this.tree.remove(key);
    this.hash.remove(hash, key);
    this.arena.remove(key);
  }
}
