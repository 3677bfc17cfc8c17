// The entries that became stable last, kept until they are applied: they are committed in the same moment or, where a quorum has to be
// waited for, soon after, and need not be read back from the disk that has just taken them. A copy of what Storage holds, never
// more; raft-log.ts drops it when in doubt.
import { type Entry, NO_ENTRIES } from "./message.ts";
import { countWithin } from "./sizes.ts";

/** Entries of a quorum that takes its time are read back rather than kept beyond this. */
const RECENT_MAX = 16_384;

export class RecentEntries {
  #entries: readonly Entry[] = NO_ENTRIES;
  /** entries[i] stands at index offset + i. */
  #offset = 0;

  /** Adds a batch behind the last one, as long as there is room; otherwise it takes the place of what was kept. */
  keep(entries: readonly Entry[]): void {
    const first = entries[0];
    if (first === undefined) return;
    const kept = this.#entries;
    const follows = kept.length > 0 && this.#offset + kept.length === first.index;
    if (follows && kept.length + entries.length <= RECENT_MAX) {
      this.#entries = kept.concat(entries);
      return;
    }
    this.#entries = entries;
    this.#offset = first.index;
  }

  drop(): void {
    this.#entries = NO_ENTRIES;
  }

  dropApplied(applied: number): void {
    const done = applied + 1 - this.#offset;
    if (this.#entries.length === 0 || done <= 0) return;
    if (done >= this.#entries.length) this.drop();
    else {
      this.#entries = this.#entries.slice(done);
      this.#offset += done;
    }
  }

  /** What Storage would answer for [low, high), or undefined when it must be asked. */
  slice(low: number, high: number, bytesMax: number): readonly Entry[] | undefined {
    if (low < this.#offset || high > this.#offset + this.#entries.length) return undefined;
    const from = low - this.#offset;
    const count = countWithin(this.#entries, from, high - low, bytesMax);
    return count === this.#entries.length ? this.#entries : this.#entries.slice(from, from + count);
  }
}
