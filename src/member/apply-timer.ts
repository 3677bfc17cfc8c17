// Times the entries of a committed batch. Puts take a few microseconds each, so that reading the clock around every one would cost
// a good part of them: up to sixteen share one reading and its mean. Every other entry is read by itself. Counts are exact. What
// took longer than warning-apply-duration is handed to `slow` with the entry during which it was noticed.
import type { Applied } from "../apply/applier.ts";
import { must } from "../base/assert.ts";
import type { Entry } from "../log/contract.ts";
import type { Clock } from "../ports/clock.ts";
import type { OutcomeHistograms } from "./timings.ts";

const PUTS_PER_READING = 16;
/** Below it every put is read by itself, or a mean would hide what was asked for. */
const FINE_WARNING_MILLIS = 10;

export type SlowApply = (entry: Entry, result: Applied, millis: number) => void;

export class ApplyTimer {
  readonly #clock: Pick<Clock, "now">;
  readonly #histograms: OutcomeHistograms;
  readonly #warningMillis: number;
  readonly #putsMax: number;
  readonly #slow: SlowApply;
  #from = 0;
  #succeeded = 0;
  #failed = 0;
  #lastEntry: Entry | undefined;
  #lastResult: Applied | undefined;

  constructor(
    clock: Pick<Clock, "now">,
    histograms: OutcomeHistograms,
    warningMillis: number,
    slow: SlowApply,
  ) {
    this.#clock = clock;
    this.#histograms = histograms;
    this.#warningMillis = warningMillis;
    this.#putsMax = warningMillis < FINE_WARNING_MILLIS ? 1 : PUTS_PER_READING;
    this.#slow = slow;
  }

  /** A batch begins. */
  begin(now: number): void {
    this.#from = now;
  }

  /** Before an entry that is no put: what came before it must not count as its time. */
  separate(): void {
    if (this.#lastEntry !== undefined) this.#endPuts();
  }

  /** An entry was applied. `success` in etcd's sense: a compaction that was done before is one. */
  applied(entry: Entry, result: Applied, success: boolean): void {
    if (result.op === "Put") {
      if (success) this.#succeeded++;
      else this.#failed++;
      this.#lastEntry = entry;
      this.#lastResult = result;
      if (this.#succeeded + this.#failed >= this.#putsMax) this.#endPuts();
      return;
    }
    const now = this.#clock.now();
    const millis = now - this.#from;
    this.#from = now;
    this.#histograms.observe(result.op, success, millis / 1000);
    if (millis > this.#warningMillis) this.#slow(entry, result, millis);
  }

  /** The batch is over. Returns the time. */
  end(): number {
    if (this.#lastEntry !== undefined) this.#endPuts();
    return this.#from;
  }

  #endPuts(): void {
    const entry = must(this.#lastEntry, "a stretch of puts has a last one");
    const result = must(this.#lastResult, "a put has a result");
    this.#lastEntry = undefined;
    this.#lastResult = undefined;
    const now = this.#clock.now();
    const millis = now - this.#from;
    this.#from = now;
    const mean = millis / (this.#succeeded + this.#failed) / 1000;
    if (this.#succeeded > 0) this.#histograms.observe("Put", true, mean, this.#succeeded);
    if (this.#failed > 0) this.#histograms.observe("Put", false, mean, this.#failed);
    this.#succeeded = 0;
    this.#failed = 0;
    if (millis > this.#warningMillis) this.#slow(entry, result, millis);
  }
}
