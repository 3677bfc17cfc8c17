// The queue of the log's background jobs (checkpoint, reclaim, snapshot install): one at a time, in the order asked for. Log owns it. A
// full device is no reason to stop: such a job leaves nothing behind and is tried again after a pause. It never drops a job.
import { errorText } from "../base/error-text.ts";
import type { Clock } from "../ports/clock.ts";
import type { Logger } from "../ports/logger.ts";
import { isDiskErrorCode } from "./errors.ts";

/** After a background job found no room. */
const FULL_PAUSE_MILLIS = 10_000;

export type JobQueueOptions = { readonly directory: string; readonly clock: Clock; readonly logger: Logger };

export class JobQueue {
  readonly #options: JobQueueOptions;
  #last: Promise<void> = Promise.resolve();
  #waiting = 0;
  #pausedUntil = 0;

  constructor(options: JobQueueOptions) {
    this.#options = options;
  }

  /** True when a job asked for now would begin at once and may find room. */
  get idle(): boolean {
    return !this.busy && this.#options.clock.now() >= this.#pausedUntil;
  }

  /** A job is under way, or about to be. */
  get busy(): boolean {
    return this.#waiting > 0;
  }

  /** Runs `job` after those before it. Its failure is the caller's. */
  run(job: () => Promise<void>): Promise<void> {
    this.#waiting++;
    const done = this.#last.then(job).finally(() => {
      this.#waiting--;
    });
    this.#last = done.catch(() => undefined);
    return done;
  }

  /** The same for a job that may be tried again: ENOSPC is only logged. */
  runUnlessFull(job: () => Promise<void>): Promise<void> {
    return this.run(async () => {
      try {
        await job();
      } catch (error) {
        if (!isDiskErrorCode(error, "ENOSPC")) throw error;
        const { clock, directory, logger } = this.#options;
        this.#pausedUntil = clock.now() + FULL_PAUSE_MILLIS;
        logger.warn("no room for a checkpoint or a reclaim; it is tried again", {
          directory,
          error: errorText(error),
        });
      }
    });
  }

  settled(): Promise<void> {
    return this.#last;
  }
}
