// How much of the time background work may take beside traffic. Jobs that run in slices, one a turn of the event loop, ask it each
// turn: with traffic they rest for a multiple of what the last slice took, without they go on at once. Time is passed in.
//
// Without such a limit a slice of half a millisecond in every turn of one millisecond takes a third of a busy member, for as long as a
// compaction lasts, and everybody's latency grows by more than that.

/** A turn as short as this had nothing else to do. */
const IDLE_TURN_MILLIS = 0.05;

export class Duty {
  readonly #restPerMilli: number;
  /** When the last slice ended, or the last turn was let go by. */
  #since = Number.NEGATIVE_INFINITY;
  #owed = 0;

  /** `share`: the most that the work may take of a busy thread, between 0 and 1. */
  constructor(share: number) {
    this.#restPerMilli = 1 / share - 1;
  }

  /** A slice took `millis` and has just ended. */
  worked(millis: number, now: number): void {
    this.#owed = millis * this.#restPerMilli;
    this.#since = now;
  }

  /** Asked once a turn: whether the next slice is due. */
  isDue(now: number): boolean {
    const turn = now - this.#since;
    this.#since = now;
    if (turn < IDLE_TURN_MILLIS) return true;
    this.#owed -= turn;
    return this.#owed <= 0;
  }
}
