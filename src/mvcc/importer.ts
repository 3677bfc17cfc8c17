// Makes a store of rows that somebody else kept: an etcd database file, at start or when a snapshot arrives. Rows come in revision
// order with everything etcd knows about them. What is wrong with them is told, never asserted: they come from a file.
import type { LeaseId } from "../base/brand.ts";
import type { FileNumber } from "./contract.ts";
import { NO_KEY } from "./key-arena.ts";
import { SUB_MASK } from "./row-table.ts";
import { type Compactions, Store, type StoreOptions } from "./store.ts";
import { Tables } from "./tables.ts";

export type ImportRow = {
  readonly main: number;
  readonly sub: number;
  readonly tombstone: boolean;
  /** May be empty: `etcdutl snapshot restore --bump-revision` leaves such a row. */
  readonly key: Uint8Array;
  /** 0 in a tombstone, as are version, lease and place. */
  readonly create: number;
  readonly version: number;
  readonly lease: LeaseId;
  readonly file: FileNumber;
  readonly offset: number;
  readonly length: number;
};

export class Importer {
  readonly #options: StoreOptions;
  readonly #tables: Tables;
  #main = 0;
  #sub = 0;

  /** `keysExpected` spares splits of the hash; 0 when unknown. */
  constructor(options: StoreOptions, keysExpected = 0) {
    this.#options = options;
    this.#tables = new Tables(options.seed, keysExpected);
  }

  /** Adds the next row; the key's bytes are copied. Returns what is wrong with it, if anything. */
  add(row: ImportRow): string | undefined {
    const problem = this.#check(row);
    if (problem !== undefined) return `revision ${row.main}.${row.sub}: ${problem}`;
    this.#main = row.main;
    this.#sub = row.sub;
    const tables = this.#tables;
    const { arena, hash, tree } = tables;
    const alive = !row.tombstone;
    const code = arena.probe(row.key);
    let id = hash.find(code);
    if (id === NO_KEY) {
      id = arena.addProbe();
      hash.add(code, id);
      arena.setAlive(id, alive);
      tree.add(id, alive);
    } else if (arena.isAlive(id) !== alive) {
      arena.setAlive(id, alive);
      tree.adjust(alive ? 1 : -1);
    }
    const slot = tables.addRow(id, row.main, row.sub, row.tombstone);
    tables.rows.setCreateAndVersion(
      slot,
      row.tombstone ? row.main : row.create,
      row.tombstone ? 0 : row.version,
    );
    tables.setValue(slot, row.lease, row.file, row.offset, row.length);
    return undefined;
  }

  /** As etcd's restore: the current revision is the last row's, or that of a compaction behind it. */
  finish(compactions: Compactions): Store {
    const tables = this.#tables;
    tables.current = Math.max(1, this.#main, compactions.finished, compactions.scheduled);
    tables.tip = tables.current;
    return new Store(this.#options, tables, compactions);
  }

  #check(row: ImportRow): string | undefined {
    if (!Number.isSafeInteger(row.main) || row.main < 1) return "it is out of bounds";
    if (!Number.isSafeInteger(row.sub) || row.sub < 0 || row.sub > SUB_MASK)
      return "its sub revision is out of bounds";
    if (row.main < this.#main || (row.main === this.#main && row.sub <= this.#sub && this.#main > 0))
      return `it does not follow ${this.#main}.${this.#sub}`;
    if (!(row.create >= 0 && row.version >= 0)) return "its create revision or version is negative";
    return undefined;
  }
}
