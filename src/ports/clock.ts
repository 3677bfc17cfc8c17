// Time, as the member sees it. Two implementations: src/node (the real one) and src/sim (simulated).
import type { Millis } from "../base/brand.ts";

export interface Timer {
  /** Idempotent; the callback will not run after it. */
  cancel(): void;
}

export interface Clock {
  /** Monotonic; its zero is arbitrary. */
  now(): Millis;
  /** Since 1970, may jump. For ids and log lines only, never for safety. */
  wall(): Millis;
  /** Runs `callback` once, not earlier than `delay` from now. Does not keep the process alive by itself. */
  after(delay: Millis, callback: () => void): Timer;
  /**
   * Runs `callback` after all input that is already waiting has been read: the end of this turn of the event loop. What many
   * connections ask for in one turn becomes one batch by this.
   */
  endOfTurn(callback: () => void): void;
  /** Lets other work (sockets, timers) go first, then goes on: for bulk work cut into slices. */
  yield(): Promise<void>;
}
