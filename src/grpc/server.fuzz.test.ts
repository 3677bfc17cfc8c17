// Goal: no sequence of frames breaks the server, and sound calls among them are answered. Method: seeded lives of connections
// (testing/fuzz); a failure names its seed, FUZZ_SEED=seed FUZZ_RUNS=1 replays it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Life } from "./testing/fuzz.ts";

const RUNS = Number(process.env["FUZZ_RUNS"] ?? 300);
const FIRST = Number(process.env["FUZZ_SEED"] ?? 1);

test("no life of a connection breaks the server", () => {
  let answered = 0;
  for (let seed = FIRST; seed < FIRST + RUNS; seed++) {
    try {
      const life = new Life(seed);
      life.run(120);
      answered += life.answered;
    } catch (error) {
      throw new Error(`seed ${seed}`, { cause: error });
    }
  }
  // The lives are worth something: most sound calls get through.
  if (RUNS >= 100) assert.ok(answered > RUNS * 5, `${answered} calls answered`);
});
