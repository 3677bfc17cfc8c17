// A Storage in memory, for tests and simulations: the log as an array behind one entry that stands for all compacted ones.
// It checks what it is told, as the real log does, but flushes nothing.
import { assert } from "../base/assert.ts";
import type { Index, Term } from "../base/brand.ts";
import {
  type ConfState,
  EMPTY_SNAPSHOT,
  type Entry,
  type HardState,
  newSnapshot,
  type Snapshot,
} from "./message.ts";
import { countWithin } from "./sizes.ts";
import type { Storage, StorageError } from "./storage.ts";

export class MemoryStorage implements Storage {
  #hardState: HardState | undefined = undefined;
  #snapshot: Snapshot = EMPTY_SNAPSHOT;
  /** The position just before the first entry. */
  #offset = 0;
  #offsetTerm = 0;
  /** entries[i] stands at index offset + 1 + i. */
  #entries: Entry[] = [];

  initialState(): { readonly hardState: HardState | undefined; readonly confState: ConfState } {
    return { hardState: this.#hardState, confState: this.#snapshot.metadata.confState };
  }

  setHardState(state: HardState): void {
    this.#hardState = state;
  }

  firstIndex(): Index {
    return (this.#offset + 1) as Index;
  }

  lastIndex(): Index {
    return (this.#offset + this.#entries.length) as Index;
  }

  term(index: Index): Term | StorageError {
    if (index < this.#offset) return "compacted";
    if (index === this.#offset) return this.#offsetTerm as Term;
    return this.#entries[index - this.#offset - 1]?.term ?? "unavailable";
  }

  entries(low: Index, high: Index, bytesMax: number): readonly Entry[] | StorageError {
    if (low <= this.#offset) return "compacted";
    if (high > this.lastIndex() + 1) return "unavailable";
    const from = low - this.#offset - 1;
    const count = countWithin(this.#entries, from, high - low, bytesMax);
    return this.#entries.slice(from, from + count);
  }

  snapshot(): Snapshot | "temporarilyUnavailable" {
    return this.#snapshot;
  }

  /** Replaces everything by the snapshot. False when it is older than the one held. */
  applySnapshot(snapshot: Snapshot): boolean {
    const { index, term } = snapshot.metadata;
    const held = this.#snapshot.metadata.index;
    if (held !== 0 && held >= index) return false;
    this.#snapshot = snapshot;
    this.#offset = index;
    this.#offsetTerm = term;
    this.#entries = [];
    return true;
  }

  /** A snapshot at `index`, which must be applied; undefined when the one held is as new. */
  createSnapshot(index: number, confState: ConfState | undefined, data: Uint8Array): Snapshot | undefined {
    if (index <= this.#snapshot.metadata.index) return undefined;
    const term = this.term(index as Index);
    assert(typeof term === "number", "a snapshot is made of entries at hand");
    this.#snapshot = newSnapshot(index, term, confState ?? this.#snapshot.metadata.confState, data);
    return this.#snapshot;
  }

  /** Drops the entries up to `index`, which must be applied. False when they are gone already. */
  compact(index: number): boolean {
    if (index <= this.#offset) return false;
    const term = this.term(index as Index);
    assert(typeof term === "number", "compaction stays within the log");
    this.#entries = this.#entries.slice(index - this.#offset);
    this.#offset = index;
    this.#offsetTerm = term;
    return true;
  }

  /** Appends; entries that overlap the end replace it. */
  append(entries: readonly Entry[]): void {
    const first = entries[0];
    if (first === undefined) return;
    const skip = Math.max(0, this.firstIndex() - first.index);
    if (skip >= entries.length) return;
    const keep = first.index + skip - this.#offset - 1;
    assert(keep <= this.#entries.length, "missing log entry");
    if (keep < this.#entries.length) this.#entries = this.#entries.slice(0, keep);
    for (let i = skip; i < entries.length; i++) this.#entries.push(entries[i]!);
  }
}
