// HashKV at one revision, in bites: etcd's hashByRev. While one is under way no row is dropped or moved to another chunk, so it
// sees the store as of its beginning; writes go on. Whoever starts a job steps it to the end or cancels it.
import { assert } from "../base/assert.ts";
import type { Compactor } from "./compactor.ts";
import type { Slot, SlotView, ValueReader } from "./contract.ts";
import { hashCost, type KeyValueHash, KeyValueHasher } from "./key-value-hash.ts";
import { CHUNK_BITS, CHUNK_MASK, KEY, LENGTH, NEXT, ROW_WORDS } from "./row-table.ts";
import type { Tables } from "./tables.ts";

export interface HashJob {
  /** Goes through up to about `rowsMax` rows; true when `result` is there. */
  step(rowsMax: number, values: ValueReader): boolean;
  readonly result: KeyValueHash | undefined;
  /** Gives up. Harmless on a finished job. */
  cancel(): void;
}

/** The answer was kept from a compaction. */
export class KnownHash implements HashJob {
  readonly result: KeyValueHash;

  constructor(result: KeyValueHash) {
    this.result = result;
  }

  step(): boolean {
    return true;
  }

  cancel(): void {}
}

export class RunningHash implements HashJob {
  result: KeyValueHash | undefined = undefined;
  readonly #tables: Tables;
  readonly #compactor: Compactor;
  readonly #hasher: KeyValueHasher;
  readonly #revision: number;
  readonly #compacted: number;
  #index = 0;
  #row = 0;
  #holding = true;

  constructor(tables: Tables, view: SlotView, compactor: Compactor, revision: number) {
    this.#tables = tables;
    this.#compactor = compactor;
    this.#revision = revision;
    this.#compacted = compactor.compacted;
    this.#hasher = new KeyValueHasher(view, compactor.compacted, revision);
    compactor.holds++;
  }

  step(rowsMax: number, values: ValueReader): boolean {
    if (this.result !== undefined) return true;
    assert(this.#holding, "a cancelled hash is not stepped");
    const { rows } = this.#tables;
    let left = rowsMax;
    while (left > 0) {
      const chunk = rows.order[this.#index];
      if (chunk === undefined) return this.#finish();
      const words = rows.words[chunk]!;
      const used = rows.used[chunk]!;
      for (; this.#row < used && left > 0; this.#row++, left--) {
        const slot = ((chunk << CHUNK_BITS) | this.#row) as Slot;
        const main = rows.mainOf(slot);
        if (main > this.#revision) return this.#finish();
        if (words[(slot & CHUNK_MASK) * ROW_WORDS + KEY] === 0) continue;
        left -= hashCost(rows.word(slot, LENGTH) >>> 0);
        this.#visit(slot, main, values);
      }
      if (this.#row < used) return false;
      this.#index++;
      this.#row = 0;
    }
    return false;
  }

  cancel(): void {
    if (!this.#holding) return;
    this.#holding = false;
    this.#compactor.holds--;
  }

  #visit(slot: Slot, main: number, values: ValueReader): void {
    const { rows } = this.#tables;
    const next = rows.word(slot, NEXT) as Slot;
    const nextMain = next === -1 ? Number.POSITIVE_INFINITY : rows.mainOf(next);
    const tombstone = rows.isTombstone(slot);
    const compacted = this.#compacted;
    // Compaction may be under way, or a pin may hold a row: what it drops in the end does not count already now.
    if (nextMain <= compacted || (tombstone && main < compacted)) return;
    this.#hasher.write(slot, !tombstone && nextMain > this.#revision, values);
  }

  #finish(): boolean {
    this.result = this.#hasher.result();
    this.cancel();
    return true;
  }
}
