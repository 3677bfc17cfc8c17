// Times reads. A range of one key takes about as long as twenty clock readings, so one in sixteen is read and stands for all since the
// one before; every other range is read by itself. Counts are exact once settle() was called, which /metrics does.
import type { Clock } from "../ports/clock.ts";
import type { Timings } from "./timings.ts";

const SINGLES_PER_READING = 16;
const NOT_TIMED = -1;

export class RangeTimer {
  readonly #clock: Pick<Clock, "now">;
  readonly #timings: Timings;
  #untimed = 0;
  #untimedFailed = 0;
  #lastSeconds = 0;
  #left = 0;
  /** What the last answer held: for the line about a slow one. */
  rows = 0;
  bytes = 0;

  /** The answer at hand is made piece by piece and times itself: see streamedFor. */
  streamed = false;

  constructor(clock: Pick<Clock, "now">, timings: Timings) {
    this.#clock = clock;
    this.#timings = timings;
  }

  /** Begins a range; what it returns goes to end(). */
  begin(single: boolean): number {
    if (single && this.#left > 0) {
      this.#left--;
      return NOT_TIMED;
    }
    return this.#clock.now();
  }

  /** Returns the milliseconds that it took, 0 when nobody looked. */
  end(started: number, single: boolean, success: boolean): number {
    if (started === NOT_TIMED) {
      if (success) this.#untimed++;
      else this.#untimedFailed++;
      return 0;
    }
    const millis = this.#clock.now() - started;
    if (!single) {
      this.observe(millis / 1000, success, 1);
      return millis;
    }
    this.settle();
    this.#left = SINGLES_PER_READING - 1;
    this.#lastSeconds = millis / 1000;
    this.observe(this.#lastSeconds, success, 1);
    return millis;
  }

  /** A long list is made: `millis` of work, without the waiting for its reader. */
  streamedFor(millis: number): void {
    this.observe(millis / 1000, true, 1);
  }

  /** Counts what was not timed yet, with the newest time known. */
  settle(): void {
    if (this.#untimed > 0) this.observe(this.#lastSeconds, true, this.#untimed);
    if (this.#untimedFailed > 0) this.observe(this.#lastSeconds, false, this.#untimedFailed);
    this.#untimed = 0;
    this.#untimedFailed = 0;
  }

  observe(seconds: number, success: boolean, times: number): void {
    this.#timings.ranges.observe("Range", success, seconds, times);
    this.#timings.requests.observe("Range", success, seconds, times);
  }
}
