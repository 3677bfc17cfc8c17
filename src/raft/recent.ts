// The entries that became stable last, kept until they are applied: they are committed in the same moment or soon after, and need not be
// read back from the disk that has just taken them. A copy of what Storage holds, never more; raft-log.ts drops it when in doubt.
import { type Entry, NO_ENTRIES } from "./message.ts";
import { countWithin } from "./sizes.ts";

export class RecentEntries {
  #entries: readonly Entry[] = NO_ENTRIES;
  /** entries[i] stands at index offset + i. */
  #offset = 0;

  /** Replaces what was kept: one batch at a time, so that memory stays bounded by what was unstable. */
  keep(entries: readonly Entry[]): void {
    const first = entries[0];
    if (first === undefined) return;
    this.#entries = entries;
    this.#offset = first.index;
  }

  drop(): void {
    this.#entries = NO_ENTRIES;
  }

  dropApplied(applied: number): void {
    if (this.#entries.length > 0 && this.#offset + this.#entries.length - 1 <= applied) this.drop();
  }

  /** What Storage would answer for [low, high), or undefined when it must be asked. */
  slice(low: number, high: number, bytesMax: number): readonly Entry[] | undefined {
    if (low < this.#offset || high > this.#offset + this.#entries.length) return undefined;
    const from = low - this.#offset;
    const count = countWithin(this.#entries, from, high - low, bytesMax);
    return count === this.#entries.length ? this.#entries : this.#entries.slice(from, from + count);
  }
}
