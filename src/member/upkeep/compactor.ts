// Automatic compaction, by time or by number of revisions, as etcd's two compactors do it. The leader alone proposes; the rows go when
// the proposal is applied, on every member.
import type { Millis } from "../../base/brand.ts";
import type { EtcdError } from "../../base/errors.ts";
import type { Timer } from "../../ports/clock.ts";
import { encodeCompactionRequest } from "../../wire/generated/etcdserverpb.ts";
import type { Member } from "../member.ts";
import { RequestField } from "../request.ts";

export type AutoCompaction =
  | { readonly mode: "periodic"; readonly periodMillis: number }
  | { readonly mode: "revision"; readonly retention: number };

const HOUR_MILLIS = 3_600_000;
const REVISION_INTERVAL_MILLIS = 300_000;
/** Samples taken in each compaction interval. */
const SAMPLES_PER_INTERVAL = 10;

export class AutoCompactor {
  readonly #member: Member;
  readonly #mode: AutoCompaction;
  #timer: Timer | undefined;
  #stopped = false;
  /** Revisions at the last sampling times, the oldest in front: what the front says is as old as the period. */
  #samples: number[] = [];
  #lastSuccess: number;
  #lastRevision = 0;
  /** The first compaction waits for a whole period, later ones for an hour at most. */
  #intervalMillis: number;

  constructor(member: Member, mode: AutoCompaction) {
    this.#member = member;
    this.#mode = mode;
    this.#lastSuccess = member.clock.now();
    this.#intervalMillis = mode.mode === "periodic" ? mode.periodMillis : REVISION_INTERVAL_MILLIS;
  }

  start(): void {
    const mode = this.#mode;
    const delay = mode.mode === "periodic" ? sampleMillis(mode.periodMillis) : REVISION_INTERVAL_MILLIS;
    this.#timer = this.#member.clock.after(delay as Millis, () => {
      if (this.#stopped) return;
      this.#look();
      this.start();
    });
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  #look(): void {
    const mode = this.#mode;
    const revision = this.#member.store.currentRevision;
    if (mode.mode === "revision") {
      const wanted = revision - mode.retention;
      if (wanted > 0 && wanted !== this.#lastRevision) this.#compact(wanted);
      return;
    }
    this.#samples.push(revision);
    const kept = Math.floor(mode.periodMillis / sampleMillis(mode.periodMillis)) + 1;
    if (this.#samples.length > kept) this.#samples.shift();
    if (this.#member.clock.now() - this.#lastSuccess < this.#intervalMillis) return;
    const wanted = this.#samples[0]!;
    if (wanted !== this.#lastRevision) this.#compact(wanted);
  }

  #compact(revision: number): void {
    const { raft, logger, clock } = this.#member;
    if (!raft.isLeader) return;
    const mode = this.#mode.mode;
    const started = clock.now();
    logger.info(`starting auto ${mode} compaction`, { revision });
    const done = (error: EtcdError | undefined): void => {
      const already = error?.message.endsWith("has been compacted") ?? false;
      if (error !== undefined && !already) {
        logger.warn(`failed auto ${mode} compaction`, { revision, error: error.message });
        return;
      }
      this.#lastRevision = revision;
      this.#lastSuccess = clock.now();
      if (this.#mode.mode === "periodic")
        this.#intervalMillis = Math.min(this.#mode.periodMillis, HOUR_MILLIS);
      logger.info(`completed auto ${mode} compaction`, {
        revision,
        took: `${Math.round(clock.now() - started)}ms`,
      });
    };
    this.#member.propose(RequestField.Compaction, encodeCompactionRequest({ revision, physical: false }), {
      applied: ({ error }) => done(error),
      failed: done,
    });
  }
}

function sampleMillis(periodMillis: number): number {
  return Math.max(1, Math.min(periodMillis, HOUR_MILLIS) / SAMPLES_PER_INTERVAL);
}
