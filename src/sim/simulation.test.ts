// Goal: histories under faults keep every guarantee, and one seed is one history. Method: a few seeds of the whole simulation (npm run
// sim runs hundreds), the same seed twice, and the seeds that once found a bug (docs/reproductions.md).
import assert from "node:assert/strict";
import { test } from "node:test";
import { nodeDigest } from "../node/digest.ts";
import { type SimulationResult, simulate } from "./simulation.ts";

const first = Number(process.env["FUZZ_SEED"] ?? 1000);
const runs = Number(process.env["FUZZ_RUNS"] ?? 4);
/** A watcher overtaken by a compaction was told that nothing is outstanding; compaction span while a hash held the rows. */
const FOUND = [3, 7];

function simulateSeed(seed: number, seconds?: number): Promise<SimulationResult> {
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  const options = { seed, digest: nodeDigest(), turn };
  return simulate(seconds === undefined ? options : { ...options, seconds });
}

test("clients, watchers and leases are told the truth under crashes, full disks, failed flushes and flipped bits", async () => {
  for (const seed of [...FOUND, ...Array.from({ length: runs }, (_, n) => first + n)]) {
    const { violations } = await simulateSeed(seed);
    assert.deepEqual(violations, [], `npm run sim -- --seed ${seed}`);
  }
});

test("the same seed gives the same history", async () => {
  const histories = new Set<string>();
  for (let n = 0; n < 3; n++) histories.add((await simulateSeed(5, 4)).fingerprint);
  assert.equal(histories.size, 1);
});
