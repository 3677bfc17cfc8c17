// The background work of a member: checkpoints, reclaim, and automatic compaction's clockless half. One job at a time, in slices
// between requests. It decides nothing about data: the log and the store do.
import type { Index, Millis } from "../../base/brand.ts";
import type { CheckpointInput, LogSource } from "../../log/contract.ts";
import type { Timer } from "../../ports/clock.ts";
import type { Histogram } from "../../ports/metrics.ts";
import { confStateToBytes } from "../conf-state.ts";
import type { Member } from "../member.ts";
import { encodeTables } from "../tables.ts";
import { reclaimStore } from "./reclaim-store.ts";

const INTERVAL_MILLIS = 1000;

export class Housekeeping {
  readonly #member: Member;
  readonly #source: LogSource;
  #timer: Timer | undefined;
  #running: Promise<void> = Promise.resolve();
  #busy = false;
  #stopped = false;

  constructor(member: Member) {
    this.#member = member;
    this.#source = {
      get store() {
        return reclaimStore(member.store);
      },
      get appliedIndex() {
        return member.raft.appliedIndex as Index;
      },
      checkpoint: () => checkpointInput(member),
    };
  }

  start(): void {
    this.#timer = this.#member.clock.after(INTERVAL_MILLIS as Millis, () => {
      this.#look();
      if (!this.#stopped) this.start();
    });
  }

  /** Waits for the job that is under way, then writes a last checkpoint, so that the next start has no log to replay. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    await this.#running;
    await this.#checkpoint();
  }

  async #checkpoint(): Promise<void> {
    const { log, logger } = this.#member;
    // The state as of its beginning: entries go on to be applied while it is written.
    const { appliedIndex } = this.#source;
    await log.checkpoint(this.#source);
    logger.info("saved snapshot to disk", { "snapshot-index": appliedIndex });
  }

  /** Reclaims whatever is dead, whether or not it is worth it. */
  async reclaimNow(): Promise<void> {
    await this.#member.log.reclaim(this.#source, true);
  }

  #look(): void {
    const { log } = this.#member;
    if (this.#busy || this.#stopped) return;
    const { timings } = this.#member;
    if (log.reclaimDue(this.#source)) this.#run(log.reclaim(this.#source, false), timings.reclaim);
    else if (log.checkpointDue) this.#run(this.#checkpoint(), timings.checkpoint);
  }

  #run(job: Promise<void>, durations: Histogram): void {
    const { clock } = this.#member;
    const started = clock.now();
    this.#busy = true;
    this.#running = job.then(
      () => {
        durations.observe((clock.now() - started) / 1000);
        this.#busy = false;
      },
      (error: unknown) => this.#member.fatal(error),
    );
  }
}

/** The state as of now: the key index as an image that is made while writes go on, everything else as tables. */
function checkpointInput(member: Member): CheckpointInput {
  const { raft, store, lessor, membership, applyContext } = member;
  return {
    appliedIndex: raft.appliedIndex as never,
    appliedTerm: raft.appliedTerm as never,
    confState: confStateToBytes(raft.confState),
    tables: encodeTables(lessor, membership, applyContext.alarms),
    image: store.checkpoint(),
  };
}
