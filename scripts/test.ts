// `npm test`: runs every *.test.js under dist/ with Node's own runner and closes with `N passed, N failed`.
// Arguments narrow the run: `npm test -- mvcc log` runs the files whose path contains one of the words.
import { readdirSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { run } from "node:test";

const words = process.argv.slice(2);
const root = new URL("../src", import.meta.url).pathname;
const files = readdirSync(root, { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".test.js"))
  .filter((name) => words.length === 0 || words.some((word) => name.includes(word)))
  .map((name) => join(root, name))
  .sort();

let passed = 0;
let failed = 0;
let skipped = 0;
const started = Date.now();
const perFile = new Map<string, { passed: number; failed: number }>();

/** A file that waits for what never comes is ended, and failed. */
const FILE_LIMIT_MILLIS = 240_000;

const concurrency = Math.max(2, availableParallelism());
const stream = run({ files, concurrency, timeout: FILE_LIMIT_MILLIS });
stream.on("test:pass", (event) => {
  if (event.details.type === "suite") return;
  if (event.skip !== undefined) {
    skipped++;
    console.log(`skipped: ${event.name} (${String(event.skip)})`);
    return;
  }
  passed++;
  const counts = perFile.get(event.file ?? "") ?? { passed: 0, failed: 0 };
  counts.passed++;
  perFile.set(event.file ?? "", counts);
});
stream.on("test:fail", (event) => {
  if (event.details.type === "suite") return;
  failed++;
  const cause = event.details.error.cause;
  console.log(`FAILED: ${event.name}\n  in ${event.file ?? "?"}:${event.line ?? 0}`);
  console.log(cause instanceof Error ? cause.stack : String(cause ?? event.details.error.message));
});
stream.on("test:stderr", (event) => process.stderr.write(event.message));
stream.on("end", () => {
  console.log(`${files.length} files, ${((Date.now() - started) / 1000).toFixed(1)} s`);
  console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`);
  process.exitCode = failed > 0 || passed === 0 ? 1 : 0;
});
stream.resume();
