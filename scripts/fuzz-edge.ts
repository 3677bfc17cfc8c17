// A long fuzz of the network edge: `node dist/scripts/fuzz-edge.js --minutes N [--seed S]`. Lives one seeded connection after
// another (src/grpc/testing/fuzz), watches that memory does not grow, and closes with `N passed, N failed`.
import { setImmediate as turn } from "node:timers/promises";
import { Life } from "../src/grpc/testing/fuzz.ts";

function option(name: string, otherwise: number): number {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? otherwise : Number(process.argv[at + 1]);
}

const RSS_GROWTH_MAX = 150 << 20;
/** Lives before memory is first measured: the engine has warmed up by then. */
const WARM_LIVES = 2000;

const until = Date.now() + option("minutes", 1) * 60_000;
const first = option("seed", Date.now() % 1_000_000_000);
console.log(`first seed ${first}`);
let passed = 0;
let failed = 0;
let seed = first;
let warmRss = 0;
for (; Date.now() < until && failed < 10; seed++) {
  try {
    new Life(seed).run(50 + (seed % 400));
    passed++;
  } catch (error) {
    failed++;
    console.log(`FAILED: seed ${seed}`, error);
  }
  // What a life left to the event loop must not pile up behind this loop, and look like growth.
  if (seed % 100 === 0) await turn();
  if (passed === WARM_LIVES) warmRss = process.memoryUsage.rss();
}
const grown = warmRss === 0 ? 0 : process.memoryUsage.rss() - warmRss;
console.log(`memory grew by ${(grown / 1048576).toFixed(1)} MB over ${passed} lives`);
if (grown > RSS_GROWTH_MAX) {
  console.log("FAILED: memory grows");
  failed++;
} else {
  passed++;
}
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;
