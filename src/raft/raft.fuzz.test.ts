// Goal: the four safety properties of Raft hold whatever happens to messages, disks and members, and a healed cluster agrees again.
// Method: seeded storms over simulated clusters of 3 to 5 members with random options; safety.ts watches. FUZZ_SEED names the first
// seed, FUZZ_RUNS how many; a failure names its seed.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Simulation } from "./testing/simulation.ts";

const STEPS = 6000;
const firstSeed = Number(process.env["FUZZ_SEED"] ?? "1");
const runs = Number(process.env["FUZZ_RUNS"] ?? "120");

test("no storm breaks safety, and every cluster agrees again when it heals", () => {
  let commits = 0;
  let reads = 0;
  for (let seed = firstSeed; seed < firstSeed + runs; seed++) {
    try {
      const result = new Simulation(seed).run(STEPS);
      commits += result.commits;
      reads += result.reads;
    } catch (cause) {
      throw new Error(`FUZZ_SEED=${seed} FUZZ_RUNS=1 npm test -- raft.fuzz`, { cause });
    }
  }
  assert.ok(commits > runs * 10, `the storms are not so wild that nothing is committed (${commits})`);
  assert.ok(reads > runs, `and reads are answered (${reads})`);
});
