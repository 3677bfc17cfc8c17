// Runs a hash over the key space to its end, in bites between other work: for HashKV of clients and members, and for the corruption
// checks. Never in one turn, however small the store seems.
import type { HashJob } from "../mvcc/hash-job.ts";
import type { KeyValueHash } from "../mvcc/key-value-hash.ts";
import type { Histogram } from "../ports/metrics.ts";
import type { Member } from "./member.ts";

/** Rows hashed in one turn: well below 10 ms. */
const ROWS_PER_TURN = 2000;

/** `abandoned`: nobody waits any more; then `done` is not called. */
export function runHash(
  member: Pick<Member, "clock" | "reader">,
  job: HashJob,
  durations: Histogram,
  abandoned: () => boolean,
  done: (hash: KeyValueHash) => void,
): void {
  const { clock } = member;
  const started = clock.now();
  const step = (): void => {
    if (abandoned()) {
      job.cancel();
      return;
    }
    if (!job.step(ROWS_PER_TURN, member.reader)) {
      clock.endOfTurn(step);
      return;
    }
    durations.observe((clock.now() - started) / 1000);
    done(job.result!);
  };
  step();
}
