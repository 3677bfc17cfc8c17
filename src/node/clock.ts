// The Clock port on the real machine. All callbacks of one turn share one setImmediate: they run together, in order, after the
// sockets that were readable in this turn have been read. What they ask for in turn waits for the next turn.
import { type Millis, millis } from "../base/brand.ts";
import type { Clock, Timer } from "../ports/clock.ts";

/** setTimeout's own limit; longer delays are capped there and the caller looks again. */
const DELAY_MAX = 2 ** 31 - 1;

export function nodeClock(): Clock {
  let waiting: (() => void)[] = [];
  let running: (() => void)[] = [];
  const runTurn = (): void => {
    const batch = waiting;
    waiting = running;
    running = batch;
    for (let i = 0; i < batch.length; i++) {
      try {
        batch[i]!();
      } catch (error) {
        // The rest of the turn still runs; the error ends the process as an uncaught one.
        queueMicrotask(() => {
          throw error;
        });
      }
    }
    batch.length = 0;
  };
  return {
    now: () => performance.now() as Millis,
    wall: () => millis(Date.now()),
    after(delay: Millis, callback: () => void): Timer {
      const timer = setTimeout(callback, Math.min(Math.max(delay, 0), DELAY_MAX));
      timer.unref();
      return { cancel: () => clearTimeout(timer) };
    },
    endOfTurn(callback: () => void): void {
      if (waiting.push(callback) === 1) setImmediate(runTurn);
    },
    yield: () => new Promise((resolve) => setImmediate(resolve)),
  };
}
