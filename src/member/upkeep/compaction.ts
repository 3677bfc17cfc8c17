// Compaction under way: drops the rows that an applied Compact made unreachable, in bounded bites and a bounded share of the time, so
// that puts go on in between. Owned by Member, which tells it of applied compactions. What is dropped is the store's to decide.
import { databaseBytes } from "../../apply/quota.ts";
import type { Millis } from "../../base/brand.ts";
import { Duty } from "../../base/duty.ts";
import { goDuration } from "../../base/go-duration.ts";
import type { Member } from "../member.ts";
import { sizeFields } from "./size-fields.ts";

/** A compaction looks again so often whether the backup or hash that holds it is done. */
const HELD_RETRY_MILLIS = 20;
/** What one slice of a compaction may take of a turn, and the fewest rows that it looks at. */
const SLICE_MILLIS = 0.5;
const ROWS_MIN = 32;
/** Its share of a busy thread; and when the next compaction is waiting for this one to end, lest they pile up. */
const SHARE = 0.2;
const SHARE_BEHIND = 0.5;

export class Compaction {
  readonly #member: Member;
  /** Called when nothing is left to drop. */
  readonly #onDone: () => void;
  #running = false;
  #rowsPerSlice = 128;
  #duty = new Duty(SHARE);
  #waiters: (() => void)[] = [];
  #started = 0;
  #dropped = 0;
  #busyMillis = 0;
  #longestMillis = 0;

  constructor(member: Member, onDone: () => void) {
    this.#member = member;
    this.#onDone = onDone;
  }

  /** After a Compact was applied. */
  begin(): void {
    if (this.#running) this.#duty = new Duty(SHARE_BEHIND);
    this.#member.logger.info("compact tree index", { revision: this.#member.store.scheduledCompaction });
    this.resume();
  }

  /** Also after a restart that cut a compaction short, and when a pin that held rows back is released. */
  resume(): void {
    if (this.#running) return;
    this.#running = true;
    this.#duty = new Duty(SHARE);
    this.#started = this.#member.clock.now();
    this.#dropped = 0;
    this.#busyMillis = 0;
    this.#longestMillis = 0;
    this.#member.clock.endOfTurn(() => this.#slice());
  }

  /** Calls back when the compactions that are under way have dropped their rows. */
  whenDone(callback: () => void): void {
    if (this.#running) this.#waiters.push(callback);
    else callback();
  }

  #slice(): void {
    const { stopped, store, clock, reader, timings } = this.#member;
    if (stopped) return;
    if (store.compactionHeld) {
      clock.after(HELD_RETRY_MILLIS as Millis, () => this.#slice());
      return;
    }
    const started = clock.now();
    if (!this.#duty.isDue(started)) {
      clock.endOfTurn(() => this.#slice());
      return;
    }
    const rows = store.rows;
    const done = store.compactSlice(this.#rowsPerSlice, reader);
    const ended = clock.now();
    const millis = ended - started;
    this.#duty.worked(millis, ended);
    this.#fitRows(millis);
    this.#dropped += rows - store.rows;
    this.#busyMillis += millis;
    this.#longestMillis = Math.max(this.#longestMillis, millis);
    timings.compactionPause.observe(millis);
    if (done) this.#finish();
    else clock.endOfTurn(() => this.#slice());
  }

  /** Slices as long as puts hardly notice, whatever a row costs here and now. */
  #fitRows(tookMillis: number): void {
    const fitting = (this.#rowsPerSlice * SLICE_MILLIS) / Math.max(tookMillis, 0.01);
    const bounded = Math.min(fitting, 2 * this.#rowsPerSlice, this.#member.options.compactionBatchLimit);
    this.#rowsPerSlice = Math.max(ROWS_MIN, Math.floor(bounded));
  }

  #finish(): void {
    const { store, clock, counters, timings } = this.#member;
    this.#running = false;
    const took = clock.now() - this.#started;
    counters.compactedKeys += this.#dropped;
    counters.lastCompaction = Math.floor(clock.wall() / 1000);
    timings.compactionTotal.observe(took);
    // Index and rows are dropped in the same slices: the longest is the pause that readers of the index can have seen.
    timings.indexCompactionPause.observe(this.#longestMillis);
    if (store.finishedCompaction > 0) this.#tell();
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const waiter of waiters) waiter();
    this.#onDone();
  }

  #tell(): void {
    const { store, logger } = this.#member;
    const revision = store.finishedCompaction;
    const hash = store.compactionHashes.find((each) => each.revision === revision);
    logger.info("finished scheduled compaction", {
      "compact-revision": revision,
      took: goDuration(this.#busyMillis),
      "number-of-keys-compacted": this.#dropped,
      hash: hash?.hash ?? 0,
      ...sizeFields(databaseBytes(store)),
    });
    if (hash === undefined) return;
    logger.info("storing new hash", {
      hash: hash.hash,
      revision,
      "compact-revision": hash.compactRevision === 0 ? -1 : hash.compactRevision,
    });
  }
}
