// `npm run fuzz`: the seeded tests (storms over clusters, power losses, model fuzz) again and again, each round from another seed.
//   npm run fuzz -- [WORD...] [--minutes N] [--seed S]      (one minute; words narrow the files, as in npm test)
// A failure prints the command that replays it. It ends by itself, after the round under way, with `N passed, N failed`.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { run } from "node:test";
import { parseArgs } from "node:util";

const MINUTES_DEFAULT = 1;
/** From one round's seed to the next: farther than the seeds that one file tries. */
const SEED_STEP = 10_000;
const SEED_MAX = 1_000_000_000;

const { values, positionals: words } = parseArgs({
  allowPositionals: true,
  options: { minutes: { type: "string" }, seed: { type: "string" } },
});
const root = new URL("../src", import.meta.url).pathname;
const files = readdirSync(root, { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".test.js"))
  .filter((name) => words.length === 0 || words.some((word) => name.includes(word)))
  .filter((name) => readFileSync(join(root, name), "utf8").includes("FUZZ_SEED"))
  .sort();

type Round = { passed: number; failed: number };

/** One run of all files. Their processes inherit the seed. */
function runRound(seed: number): Promise<Round> {
  process.env["FUZZ_SEED"] = String(seed);
  const round: Round = { passed: 0, failed: 0 };
  const stream = run({ files: files.map((name) => join(root, name)), concurrency: 1 });
  stream.on("test:pass", () => {
    round.passed++;
  });
  stream.on("test:fail", (event) => {
    round.failed++;
    const cause = event.details.error.cause;
    const word = event.file?.slice(root.length + 1).replace(".test.js", "") ?? "";
    console.log(`FAILED: ${event.name}\n  replay: FUZZ_SEED=${seed} npm test -- ${word}`);
    console.log(cause instanceof Error ? cause.stack : String(cause ?? event.details.error.message));
  });
  return new Promise((resolve) => {
    stream.on("end", () => resolve(round));
    stream.resume();
  });
}

const until = Date.now() + Number(values.minutes ?? MINUTES_DEFAULT) * 60_000;
let seed = values.seed === undefined ? Math.floor(Math.random() * SEED_MAX) : Number(values.seed);
let passed = 0;
let failed = 0;
console.log(`${files.length} seeded files, first seed ${seed}`);
for (let rounds = 0; files.length > 0 && (rounds === 0 || Date.now() < until); rounds++, seed += SEED_STEP) {
  const round = await runRound(seed);
  passed += round.passed;
  failed += round.failed;
  console.log(`seed ${seed}: ${round.passed} passed, ${round.failed} failed`);
}
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed > 0 || passed === 0 ? 1 : 0;
