// The log as the algorithm sees it: stable entries in Storage, the unstable tail in memory, and how far it is committed and
// applied. Pure reading and bookkeeping; it decides nothing about elections or members.
import { assert, lostEntries } from "../base/assert.ts";
import type { Index } from "../base/brand.ts";
import { panic, type RaftLogger } from "./errors.ts";
import { type Entry, EntryType, NO_ENTRIES, type Snapshot } from "./message.ts";
import { RecentEntries } from "./recent.ts";
import { countWithin, entriesSize, entrySize } from "./sizes.ts";
import type { Storage } from "./storage.ts";
import { NO_TERM, Unstable } from "./unstable.ts";

export class RaftLog {
  readonly storage: Storage;
  readonly unstable: Unstable;
  readonly #recent = new RecentEntries();
  readonly #logger: RaftLogger;
  /** The highest index known to be stored by a quorum. */
  committed: number;
  /** The highest index handed out for applying. Invariant: applied <= applying <= committed. */
  applying: number;
  /** The highest index whose application was acknowledged. */
  applied: number;
  /** Limit of the bytes handed out for applying and not acknowledged. */
  readonly applyingBytesMax: number;
  #applyingBytes = 0;
  #applyingPaused = false;

  constructor(storage: Storage, logger: RaftLogger, applyingBytesMax: number) {
    this.storage = storage;
    this.#logger = logger;
    this.applyingBytesMax = applyingBytesMax;
    this.unstable = new Unstable(storage.lastIndex() + 1, logger);
    this.committed = storage.firstIndex() - 1;
    this.applying = this.committed;
    this.applied = this.committed;
  }

  firstIndex(): number {
    const snapshot = this.unstable.snapshot;
    return snapshot === undefined ? this.storage.firstIndex() : snapshot.metadata.index + 1;
  }

  lastIndex(): number {
    const index = this.unstable.lastIndex();
    return index >= 0 ? index : this.storage.lastIndex();
  }

  /** The term at `index`, or NO_TERM when it is compacted or not there yet. */
  term(index: number): number {
    const term = this.unstable.term(index);
    if (term !== NO_TERM) return term;
    if (index + 1 < this.firstIndex() || index > this.lastIndex()) return NO_TERM;
    const stored = this.storage.term(index as Index);
    return typeof stored === "string" ? NO_TERM : stored;
  }

  /** For log lines and comparisons in which an unknown term is 0. */
  termOrZero(index: number): number {
    const term = this.term(index);
    return term === NO_TERM ? 0 : term;
  }

  lastTerm(): number {
    const index = this.lastIndex();
    const term = this.term(index);
    if (term === NO_TERM) panic(this.#logger, `unexpected error when getting the last term at ${index}`);
    return term;
  }

  matches(index: number, term: number): boolean {
    return this.term(index) === term;
  }

  /** Raft, section 5.4.1: the log whose last entry has the later term, or else is longer, is the more up to date. */
  isUpToDate(index: number, term: number): boolean {
    const ours = this.lastTerm();
    return term > ours || (term === ours && index >= this.lastIndex());
  }

  /** The leader appends one entry of its own. */
  push(entry: Entry): void {
    this.unstable.push(entry);
  }

  append(entries: readonly Entry[], from: number): void {
    const first = entries[from];
    if (first === undefined) return;
    if (first.index - 1 < this.committed) {
      panic(this.#logger, `after(${first.index - 1}) is out of range [committed(${this.committed})]`);
    }
    if (first.index < this.unstable.offset) this.#recent.drop();
    this.unstable.truncateAndAppend(entries, from);
  }

  /** See Unstable.stableTo. */
  stableTo(index: number, term: number): void {
    this.#recent.keep(this.unstable.stableTo(index, term));
  }

  /**
   * A follower appends what the leader sent after (prevIndex, prevTerm). Returns the last index that now agrees with the leader's
   * log, or -1 when the entry before is not ours: the leader must go further back.
   */
  maybeAppend(prevIndex: number, prevTerm: number, entries: readonly Entry[], committed: number): number {
    if (!this.matches(prevIndex, prevTerm)) return -1;
    const conflict = this.#findConflict(entries);
    if (conflict !== 0) {
      if (conflict <= this.committed) {
        panic(this.#logger, `entry ${conflict} conflict with committed entry [committed(${this.committed})]`);
      }
      this.append(entries, conflict - prevIndex - 1);
    }
    const last = prevIndex + entries.length;
    this.commitTo(Math.min(committed, last));
    return last;
  }

  /** The index of the first entry that is new or has another term than ours; 0 when we have them all. */
  #findConflict(entries: readonly Entry[]): number {
    for (let i = 0; i < entries.length; i++) {
      const { index, term } = entries[i]!;
      if (this.matches(index, term)) continue;
      if (index <= this.lastIndex()) {
        this.#logger.info(
          `found conflict at index ${index} [existing term: ${this.termOrZero(index)}, conflicting term: ${term}]`,
        );
      }
      return index;
    }
    return 0;
  }

  /**
   * The largest index, not above `index`, at which our log may agree with one that has `term` at `index`: terms never fall within a
   * log, so all our entries of later terms can be skipped. An index whose term we do not know is a possible match.
   */
  findConflictByTerm(index: number, term: number): number {
    let at = index;
    while (at > 0 && this.term(at) > term) at--;
    return at;
  }

  commitTo(index: number): void {
    if (this.committed >= index) return;
    if (this.lastIndex() < index) {
      lostEntries(
        `tocommit(${index}) is out of range [lastIndex(${this.lastIndex()})]. Was the raft log corrupted, truncated, or lost?`,
      );
    }
    this.committed = index;
  }

  /** Raft, section 5.4.2: a leader commits by counting only entries of its own term. */
  maybeCommit(index: number, term: number): boolean {
    if (term === 0 || index <= this.committed || !this.matches(index, term)) return false;
    this.commitTo(index);
    return true;
  }

  appliedTo(index: number, bytes: number): void {
    if (this.committed < index || index < this.applied) {
      panic(
        this.#logger,
        `applied(${index}) is out of range [prevApplied(${this.applied}), committed(${this.committed})]`,
      );
    }
    this.applied = index;
    this.#recent.dropApplied(index);
    if (this.applying < index) this.applying = index;
    this.#applyingBytes = Math.max(0, this.#applyingBytes - bytes);
    this.#applyingPaused = this.#applyingBytes >= this.applyingBytesMax;
  }

  /** Entries up to `index` were handed out. Pauses when the limit is reached, or when it cut the list short. */
  acceptApplying(index: number, bytes: number, allowUnstable: boolean): void {
    if (this.committed < index) {
      panic(
        this.#logger,
        `applying(${index}) is out of range [prevApplying(${this.applying}), committed(${this.committed})]`,
      );
    }
    this.applying = index;
    this.#applyingBytes += bytes;
    this.#applyingPaused =
      this.#applyingBytes >= this.applyingBytesMax || index < this.#appliableIndex(allowUnstable);
  }

  hasNextCommittedEntries(allowUnstable: boolean): boolean {
    // A snapshot is applied alone: nobody should have to ask what comes first.
    if (this.#applyingPaused || this.unstable.snapshot !== undefined) return false;
    return this.applying < this.#appliableIndex(allowUnstable);
  }

  nextCommittedEntries(allowUnstable: boolean): readonly Entry[] {
    if (!this.hasNextCommittedEntries(allowUnstable)) return NO_ENTRIES;
    const room = this.applyingBytesMax - this.#applyingBytes;
    const entries = this.slice(this.applying + 1, this.#appliableIndex(allowUnstable) + 1, room);
    if (entries === "compacted") panic(this.#logger, "unexpected error when getting unapplied entries");
    return entries;
  }

  #appliableIndex(allowUnstable: boolean): number {
    return allowUnstable ? this.committed : Math.min(this.committed, this.unstable.offset - 1);
  }

  /** A snapshot for somebody behind. */
  snapshot(): Snapshot | "temporarilyUnavailable" {
    return this.unstable.snapshot ?? this.storage.snapshot();
  }

  restore(snapshot: Snapshot): void {
    const { index, term } = snapshot.metadata;
    this.#logger.info(`log [${this.describe()}] starts to restore snapshot [index: ${index}, term: ${term}]`);
    this.committed = index;
    this.#recent.drop();
    this.unstable.restore(snapshot);
  }

  /** Entries from `index` on that fit `bytesMax`, at least one if there is any. */
  entriesFrom(index: number, bytesMax: number): readonly Entry[] | "compacted" {
    const last = this.lastIndex();
    return index > last ? NO_ENTRIES : this.slice(index, last + 1, bytesMax);
  }

  /** Entries of [low, high) that fit `bytesMax`, from Storage and the unstable tail. */
  slice(low: number, high: number, bytesMax: number): readonly Entry[] | "compacted" {
    assert(low <= high, "a log slice is not reversed");
    if (low < this.firstIndex()) return "compacted";
    assert(high <= this.lastIndex() + 1, "a log slice ends within the log");
    if (low === high) return NO_ENTRIES;
    const offset = this.unstable.offset;
    if (low >= offset) return this.#unstableSlice(low, high, bytesMax);
    const cut = Math.min(high, offset);
    const stored =
      this.#recent.slice(low, cut, bytesMax) ?? this.storage.entries(low as Index, cut as Index, bytesMax);
    if (stored === "compacted") return "compacted";
    if (stored === "unavailable") {
      panic(this.#logger, `entries[${low}:${cut}) is unavailable from storage`);
    }
    if (high <= offset || stored.length < cut - low) return stored;
    return this.#extend(stored, high, bytesMax);
  }

  #unstableSlice(low: number, high: number, bytesMax: number): readonly Entry[] {
    const from = low - this.unstable.offset;
    const count = countWithin(this.unstable.entries, from, high - low, bytesMax);
    return this.unstable.slice(low, low + count);
  }

  /** Adds unstable entries below `high` while they fit; here even the first may be too much. */
  #extend(stored: readonly Entry[], high: number, bytesMax: number): readonly Entry[] {
    const room = bytesMax - entriesSize(stored);
    if (room <= 0) return stored;
    const tail = this.#unstableSlice(this.unstable.offset, high, room);
    if (tail.length === 1 && entrySize(tail[0]!) > room) return stored;
    return stored.concat(tail);
  }

  /** True when a membership change is committed and not applied yet. Reads page by page. */
  hasUnappliedConfChange(): boolean {
    const high = this.committed + 1;
    let low = this.applied + 1;
    while (low < high) {
      const page = this.slice(low, high, this.applyingBytesMax);
      if (page === "compacted" || page.length === 0) {
        panic(this.#logger, `error scanning unapplied entries [${low}, ${high})`);
      }
      for (const entry of page) if (entry.type !== EntryType.Normal) return true;
      low += page.length;
    }
    return false;
  }

  describe(): string {
    const { offset, offsetInProgress, entries } = this.unstable;
    return (
      `committed=${this.committed}, applied=${this.applied}, applying=${this.applying}, ` +
      `unstable.offset=${offset}, unstable.offsetInProgress=${offsetInProgress}, len(unstable.Entries)=${entries.length}`
    );
  }
}
