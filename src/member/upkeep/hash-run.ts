// Runs a hash over the key space to its end, in bites between other work: for HashKV of clients and members, and for the corruption
// checks. Never in one turn, however small the store seems. Damaged bytes end it with etcd's DataLoss and raise the CORRUPT alarm.
import { type EtcdError, errors, isEtcdError } from "../../base/errors.ts";
import { CorruptionError } from "../../log/errors.ts";
import type { HashJob } from "../../mvcc/hash-job.ts";
import type { KeyValueHash } from "../../mvcc/key-value-hash.ts";
import type { Histogram } from "../../ports/metrics.ts";
import { EtcdFault } from "../fault.ts";
import type { Member } from "../member.ts";
import type { PeerHash } from "../network/transport.ts";

/** Rows hashed in one turn: well below 10 ms. */
const ROWS_PER_TURN = 2000;

/** One of `done` and `failed` is called, once, unless nobody waits any more. */
export interface HashWaiter {
  abandoned(): boolean;
  done(hash: KeyValueHash): void;
  failed(error: EtcdError): void;
}

export function runHash(
  member: Pick<Member, "clock" | "reader" | "foundCorruption">,
  job: HashJob,
  durations: Histogram,
  waiter: HashWaiter,
): void {
  const { clock } = member;
  const started = clock.now();
  const run = (): void => {
    if (waiter.abandoned()) {
      job.cancel();
      return;
    }
    if (!job.step(ROWS_PER_TURN, member.reader)) {
      clock.endOfTurn(step);
      return;
    }
    durations.observe((clock.now() - started) / 1000);
    waiter.done(job.result!);
  };
  const step = (): void => {
    try {
      run();
    } catch (error) {
      if (!(error instanceof CorruptionError)) throw error;
      job.cancel();
      member.foundCorruption(error);
      waiter.failed(errors.corrupt);
    }
  };
  step();
}

/** This member's hash of its key space as of a revision, 0 = now, as members tell it each other. */
export function hashByRevision(member: Member, revision: number): Promise<PeerHash> {
  const { store, localId, clusterId, timings } = member;
  const job = store.hashKv(revision as never);
  if (isEtcdError(job)) return Promise.reject(new EtcdFault(job));
  const current = store.currentRevision;
  return new Promise((resolve, reject) => {
    const failed = (error: EtcdError): void => reject(new EtcdFault(error));
    runHash(member, job, timings.hashKv, {
      abandoned: () => {
        if (member.stopped) failed(errors.stopped);
        return member.stopped;
      },
      done: ({ hash, compactRevision, revision: hashRevision }) => {
        const { term } = member;
        resolve({
          hash,
          revision: current,
          hashRevision,
          compactRevision,
          memberId: localId,
          clusterId,
          term,
        });
      },
      failed,
    });
  });
}
