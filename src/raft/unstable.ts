// The tail of the log that is not known to be on stable storage: new entries and a received snapshot. It keeps them after they
// are handed out for writing, until the write is acknowledged, because only then do queries of Storage show them.
// Only raft-log.ts calls it.
import { assert } from "../base/assert.ts";
import type { RaftLogger } from "./errors.ts";
import { type Entry, NO_ENTRIES, type Snapshot } from "./message.ts";

/** Marks "no such entry" where a term is asked for; real terms are never negative. */
export const NO_TERM = -1;

export class Unstable {
  readonly #logger: RaftLogger;
  /** A received snapshot that Storage does not hold yet. */
  snapshot: Snapshot | undefined = undefined;
  #snapshotInProgress = false;
  /** entries[i] stands at index offset + i. Offset may lie below the end of Storage: the next write then cuts it off there. */
  entries: Entry[] = [];
  offset: number;
  /** Entries below this index have been handed out for writing. */
  offsetInProgress: number;

  constructor(offset: number, logger: RaftLogger) {
    this.#logger = logger;
    this.offset = offset;
    this.offsetInProgress = offset;
  }

  /** The last index held here, or -1 when Storage knows it. */
  lastIndex(): number {
    if (this.entries.length > 0) return this.offset + this.entries.length - 1;
    return this.snapshot === undefined ? -1 : this.snapshot.metadata.index;
  }

  /** The term at `index`, or NO_TERM when it is not held here. */
  term(index: number): number {
    if (index < this.offset) {
      const metadata = this.snapshot?.metadata;
      return metadata !== undefined && metadata.index === index ? metadata.term : NO_TERM;
    }
    const entry = this.entries[index - this.offset];
    return entry === undefined ? NO_TERM : entry.term;
  }

  hasNextEntries(): boolean {
    return this.entries.length > this.offsetInProgress - this.offset;
  }

  /** Entries not handed out yet: a list of the caller's own. */
  nextEntries(): readonly Entry[] {
    const inProgress = this.offsetInProgress - this.offset;
    return this.entries.length === inProgress ? NO_ENTRIES : this.entries.slice(inProgress);
  }

  nextSnapshot(): Snapshot | undefined {
    return this.#snapshotInProgress ? undefined : this.snapshot;
  }

  /** All that is here has been handed out for writing. */
  acceptInProgress(): void {
    this.offsetInProgress = this.offset + this.entries.length;
    if (this.snapshot !== undefined) this.#snapshotInProgress = true;
  }

  /**
   * Entries up to (index, term) are written, and no write under way can replace them. An acknowledgement that does not match what
   * is here (the tail was replaced meanwhile) is ignored. Returns the entries that left.
   */
  stableTo(index: number, term: number): readonly Entry[] {
    const held = this.term(index);
    if (held === NO_TERM) {
      this.#logger.info(`entry at index ${index} missing from unstable log; ignoring`);
      return NO_ENTRIES;
    }
    if (index < this.offset) {
      this.#logger.info(`entry at index ${index} matched unstable snapshot; ignoring`);
      return NO_ENTRIES;
    }
    if (held !== term) {
      this.#logger.info(
        `entry at (index,term)=(${index},${term}) mismatched with entry at (${index},${held}) in unstable log; ignoring`,
      );
      return NO_ENTRIES;
    }
    const written = index + 1 - this.offset;
    const all = written === this.entries.length;
    const left = all ? this.entries : this.entries.slice(0, written);
    this.entries = all ? [] : this.entries.slice(written);
    this.offset = index + 1;
    if (this.offsetInProgress < this.offset) this.offsetInProgress = this.offset;
    return left;
  }

  stableSnapshotTo(index: number): void {
    if (this.snapshot === undefined || this.snapshot.metadata.index !== index) return;
    this.snapshot = undefined;
    this.#snapshotInProgress = false;
  }

  /** The snapshot replaces everything. */
  restore(snapshot: Snapshot): void {
    this.offset = snapshot.metadata.index + 1;
    this.offsetInProgress = this.offset;
    this.entries = [];
    this.snapshot = snapshot;
    this.#snapshotInProgress = false;
  }

  /** The leader's own way to append: one entry right behind the last. */
  push(entry: Entry): void {
    assert(entry.index === this.offset + this.entries.length, "a pushed entry follows the last one");
    this.entries.push(entry);
  }

  /** Appends `entries` from position `from` on; what stands at or behind the first of them is dropped. */
  truncateAndAppend(entries: readonly Entry[], from: number): void {
    const first = entries[from]!.index;
    const end = this.offset + this.entries.length;
    if (first === end) {
      for (let i = from; i < entries.length; i++) this.entries.push(entries[i]!);
      return;
    }
    if (first <= this.offset) {
      this.#logger.info(`replace the unstable entries from index ${first}`);
      this.entries = entries.slice(from);
      this.offset = first;
      this.offsetInProgress = first;
      return;
    }
    assert(first < end, "appended entries leave no gap");
    this.#logger.info(`truncate the unstable entries before index ${first}`);
    // The old list is not cut in place: nothing handed out shares it, but a list that only grows is easier to trust.
    const kept = this.entries.slice(0, first - this.offset);
    for (let i = from; i < entries.length; i++) kept.push(entries[i]!);
    this.entries = kept;
    if (this.offsetInProgress > first) this.offsetInProgress = first;
  }

  slice(low: number, high: number): Entry[] {
    assert(low <= high, "an unstable slice is not reversed");
    assert(low >= this.offset, "an unstable slice starts in the unstable log");
    assert(high <= this.offset + this.entries.length, "an unstable slice ends in the unstable log");
    return this.entries.slice(low - this.offset, high - this.offset);
  }
}
