// One atomic change of the key space: puts and deletes share one main revision and take sub revisions in order. The store has
// one of these and hands it out again for each write, because a txn per request would be garbage. Nothing here can fail:
// whoever calls has checked what the client sent.
//
// Generations, as in etcd's key_index. put(2) put(3) delete(4) put(5) delete(6) on one key make the rows
//   main     2  3  4t 5  6t
//   create   2  2  –  5  –      a tombstone ends the generation, the next put begins one
//   version  1  2  –  1  –
// find at 3 gives 3, at 4 nothing, at 5 gives 5, at 6 nothing.
// compact(2) drops nothing     (2 is the newest at 2)
// compact(3) drops 2           compact(4) drops 2 3, keeps 4t: a tombstone at exactly the compacted revision stays
// compact(5) drops 2 3 4t      compact(6) leaves 6t     compact(7) drops 6t, and with it the key
import { assert } from "../base/assert.ts";
import { type LeaseId, NO_LEASE, type Revision } from "../base/brand.ts";
import { compareBytes } from "../base/bytes.ts";
import { isOpenEnd, isSingleKey, type RangeEnd } from "../base/key.ts";
import type { FileNumber, Slot, SlotList, WriteTxn } from "./contract.ts";
import { Burial, type KeyId, NO_KEY } from "./key-arena.ts";
import { LEAF_KEYS, NO_LEAF } from "./key-tree.ts";
import { pushSlot, pushSlots } from "./slot-list.ts";
import type { Tables } from "./tables.ts";

const NO_FILE = 0 as FileNumber;

export class StoreTxn implements WriteTxn {
  readonly #tables: Tables;
  readonly #burial = new Burial(LEAF_KEYS);
  #changes = 0;
  #main: Revision = 0 as Revision;
  #open = false;

  constructor(tables: Tables) {
    this.#tables = tables;
  }

  begin(): this {
    assert(!this.#open, "one write txn at a time");
    this.#open = true;
    this.#changes = 0;
    this.#main = (this.#tables.current + 1) as Revision;
    return this;
  }

  get isOpen(): boolean {
    return this.#open;
  }

  get mainRevision(): Revision {
    return this.#main;
  }

  get readRevision(): Revision {
    return (this.#changes === 0 ? this.#main - 1 : this.#main) as Revision;
  }

  get changes(): number {
    return this.#changes;
  }

  put(key: Uint8Array, lease: LeaseId, file: FileNumber, offset: number, length: number): Slot {
    assert(this.#open, "the txn is open");
    const { arena, hash, tree, rows } = this.#tables;
    const main = this.#main;
    const code = arena.probe(key);
    let id = hash.find(code);
    let create: number = main;
    let version = 1;
    if (id === NO_KEY) {
      id = arena.addProbe();
      hash.add(code, id);
      arena.setAlive(id, true);
      tree.add(id, true);
    } else {
      const newest = arena.newestAlive(id) as Slot;
      if (newest !== -1) {
        create = rows.createOf(newest);
        version = rows.versionOf(newest) + 1;
      } else {
        arena.setAlive(id, true);
        tree.adjust(1);
      }
    }
    const slot = this.#tables.addRow(id, main, this.#changes++, false);
    rows.setCreateAndVersion(slot, create, version);
    this.#tables.setValue(slot, lease, file, offset, length);
    return slot;
  }

  delete(key: Uint8Array, end: RangeEnd, out: SlotList): number {
    assert(this.#open, "the txn is open");
    if (!isSingleKey(end)) return this.#deleteRange(key, end, out);
    const { arena, tree } = this.#tables;
    const id = this.#tables.findKey(key);
    if (id === NO_KEY || !arena.isAlive(id)) return 0;
    tree.adjust(-1);
    this.#bury(id, out);
    return 1;
  }

  end(): Revision {
    assert(this.#open, "a txn ends once");
    this.#open = false;
    if (this.#changes > 0) this.#tables.current = this.#main;
    return this.#tables.current as Revision;
  }

  #deleteRange(key: Uint8Array, end: RangeEnd, out: SlotList): number {
    const tables = this.#tables;
    const burial = this.#burial;
    const { arena, tree } = tables;
    const open = isOpenEnd(end);
    if (!open && compareBytes(key, end) >= 0) return 0;
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
    let deleted = 0;
    let { leaf, index } = tree;
    while (leaf !== NO_LEAF) {
      const words = tree.leafWords(leaf);
      const start = tree.leafStart(leaf);
      const stop = leaf === lastLeaf ? lastIndex : tree.leafCount(leaf);
      arena.bury(words, start + index, start + stop, burial);
      const dead = burial.count;
      if (dead > 0) {
        tables.addTombstones(burial, this.#main, this.#changes);
        pushSlots(out, burial.rows, dead);
        this.#changes += dead;
        tree.addAliveOnPath(-dead);
      }
      deleted += dead;
      if (leaf === lastLeaf) break;
      leaf = tree.nextOnPath();
      index = 0;
    }
    return deleted;
  }

  /** Adds the tombstone of an alive key; the tree's count is the caller's to mend. */
  #bury(id: KeyId, out: SlotList): void {
    const tables = this.#tables;
    tables.arena.setAlive(id, false);
    const slot = tables.addRow(id, this.#main, this.#changes++, true);
    tables.rows.setCreateAndVersion(slot, this.#main, 0);
    tables.setValue(slot, NO_LEASE, NO_FILE, 0, 0);
    pushSlot(out, slot);
  }
}
