// Compaction in bites: what etcd's compact means for rows, one job at a time in the order they came. The compacted revision
// moves at once; rows go later, a few per call, between writes. It honours pins, computes etcd's compaction hash on the way,
// and merges sparse chunks behind itself. While a hash or a checkpoint is under way it stands still.
import { assert } from "../base/assert.ts";
import { type EtcdError, errors } from "../base/errors.ts";
import type { Slot, SlotView, ValueReader } from "./contract.ts";
import type { KeyId } from "./key-arena.ts";
import { CompactionHashes, hashCost, KeyValueHasher } from "./key-value-hash.ts";
import { Pins } from "./pins.ts";
import { CHUNK_BITS, CHUNK_MASK, KEY, NEXT, PREVIOUS, ROW_WORDS } from "./row-table.ts";
import type { Tables } from "./tables.ts";

/** etcd's mark for "never compacted". */
const NEVER = -1;

/** Taking a key out of tree, hash and arena costs about as much as looking at so many rows. */
const KEY_COST = 5;

type Job = {
  readonly revision: number;
  /** False for the pass that only drops what pins had held back. */
  readonly compacts: boolean;
  /** undefined: no hash is kept of this pass. */
  readonly hasher: KeyValueHasher | undefined;
};

export class Compactor {
  readonly pins = new Pins();
  readonly hashes = new CompactionHashes();
  /** etcd's compactMainRev: reads below fail. */
  compacted = NEVER;
  scheduled = NEVER;
  finished = NEVER;
  /** How many hashes and checkpoints are under way. */
  holds = 0;
  /** How many of them are checkpoints, which bear no relocation either. */
  checkpoints = 0;
  readonly #tables: Tables;
  readonly #view: SlotView;
  readonly #queue: Job[] = [];
  readonly #moved: (key: KeyId, to: Slot) => void;
  #job: Job | undefined = undefined;
  /** Where the running pass stands: place in the order of chunks, row in the chunk. */
  #index = 0;
  #row = 0;
  /** Whether the finished passes left rows behind for pins, and how many pins had been released by then. */
  #leftover = false;
  #releasesSeen = 0;

  constructor(tables: Tables, view: SlotView) {
    this.#tables = tables;
    this.#view = view;
    this.#moved = (key, to) => tables.arena.setNewest(key, to);
  }

  /** etcd's order of checks: a revision compacted before comes first. */
  compact(revision: number): EtcdError | undefined {
    if (revision <= this.compacted) return errors.compacted;
    if (revision > this.#tables.current) return errors.futureRevision;
    const previousCompleted = this.scheduled === this.finished;
    const previous = this.compacted;
    this.compacted = revision;
    this.scheduled = revision;
    const hasher = previousCompleted ? new KeyValueHasher(this.#view, previous, revision) : undefined;
    this.#queue.push({ revision, compacts: true, hasher });
    return undefined;
  }

  /** As etcd after a restart: what was finished counts; a compaction that was cut short runs again, without a hash. */
  restore(finished: number, scheduled: number): void {
    this.compacted = finished;
    this.finished = finished;
    this.scheduled = Math.max(finished, scheduled);
    // Pins may have held rows back when the image was made; nobody holds them now.
    this.#leftover = finished !== NEVER;
    this.#releasesSeen = -1;
    if (scheduled > finished)
      assert(this.compact(scheduled) === undefined, "a scheduled compaction is not in the future");
  }

  get hasWork(): boolean {
    return this.#job !== undefined || this.#queue.length > 0 || this.#mustSweep();
  }

  /** Visits up to about `rowsMax` rows. True when nothing is left to do. Without `values` no hash is computed. */
  slice(rowsMax: number, values: ValueReader | undefined): boolean {
    if (this.holds > 0) return !this.hasWork;
    let left = rowsMax;
    while (left > 0) {
      if (this.#job === undefined && !this.#begin(values !== undefined)) return true;
      // A hash that lacks rows is none.
      if (values === undefined && this.#job!.hasher !== undefined)
        this.#job = { ...this.#job!, hasher: undefined };
      left = this.#advance(this.#job!, left, values);
    }
    return !this.hasWork;
  }

  #mustSweep(): boolean {
    return this.#leftover && this.pins.releases !== this.#releasesSeen;
  }

  #begin(hashing: boolean): boolean {
    const queued = this.#queue.shift();
    if (queued !== undefined) this.#job = hashing ? queued : { ...queued, hasher: undefined };
    else if (this.#mustSweep()) this.#job = { revision: this.finished, compacts: false, hasher: undefined };
    else return false;
    this.#index = 0;
    this.#row = 0;
    this.#leftover = false;
    this.#releasesSeen = this.pins.releases;
    return true;
  }

  /** Works through (a part of) the chunk the pass stands at; returns what is left of the bite. */
  #advance(job: Job, bite: number, values: ValueReader | undefined): number {
    const { rows } = this.#tables;
    if (this.#index >= rows.order.length) {
      this.#finish(job);
      return bite - 1;
    }
    const chunk = rows.order[this.#index]!;
    const words = rows.words[chunk]!;
    const used = rows.used[chunk]!;
    let left = bite;
    while (this.#row < used && left > 0) {
      left--;
      const slot = ((chunk << CHUNK_BITS) | this.#row) as Slot;
      const main = rows.mainOf(slot);
      if (main > job.revision) {
        this.#finish(job);
        return left;
      }
      this.#row++;
      if (words[(slot & CHUNK_MASK) * ROW_WORDS + KEY] !== 0) left -= this.#visit(job, slot, main, values);
    }
    if (this.#row < used) return left;
    this.#row = 0;
    return left - this.#settle();
  }

  /** Hashes, keeps or drops one row; returns what that cost beyond looking at it, in rows. */
  #visit(job: Job, slot: Slot, main: number, values: ValueReader | undefined): number {
    const { rows } = this.#tables;
    const { revision } = job;
    const next = rows.word(slot, NEXT) as Slot;
    const nextMain = next === -1 ? Number.POSITIVE_INFINITY : rows.mainOf(next);
    const tombstone = rows.isTombstone(slot);
    const superseded = nextMain <= revision;
    const gone = superseded || (tombstone && main < revision);
    let cost = 0;
    if (job.hasher !== undefined && values !== undefined) {
      // Rows that only a pin still holds are among these, and left out by the hasher: they are not to be kept.
      job.hasher.write(slot, !gone, values);
      cost = hashCost(rows.lengthOf(slot));
    }
    if (!gone) return cost;
    // A tombstone must outlive the older rows that a pin holds, or they would rise from the dead.
    const held = tombstone ? rows.word(slot, PREVIOUS) !== -1 : this.pins.covers(main, nextMain);
    if (held) this.#leftover = true;
    else cost += this.#tables.dropRow(slot) ? KEY_COST : 1;
    return cost;
  }

  /** The chunk at #index is done: frees it, merges it into its neighbour, or moves on. Returns the rows moved. */
  #settle(): number {
    const { rows } = this.#tables;
    const index = this.#index;
    const chunk = rows.order[index]!;
    if (rows.live[chunk] === 0 && index < rows.order.length - 1) {
      rows.remove(index);
      return 0;
    }
    if (rows.canMerge(index)) {
      rows.merge(index, this.#moved);
      return rows.live[rows.order[index - 1]!]!;
    }
    this.#index++;
    return 0;
  }

  #finish(job: Job): void {
    this.#job = undefined;
    if (!job.compacts) return;
    this.finished = job.revision;
    if (job.hasher !== undefined) this.hashes.add(job.hasher.result());
  }
}
