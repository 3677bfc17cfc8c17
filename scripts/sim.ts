// `npm run sim`: simulates histories of a member and of clusters under faults, one per seed, and closes with `N passed, N failed`. A failure
// prints the command that replays it. Options: --seed S (one history, or the first of several), --seeds N, --minutes M (until the time is
// over), --members N (always so many; otherwise one, three or five, by turns).
import { availableParallelism } from "node:os";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { nodeDigest } from "../src/node/digest.ts";
import { simulate } from "../src/sim/simulation.ts";

type Report = {
  readonly seed: number;
  readonly members: number;
  readonly violations: readonly string[];
  readonly faults: ReadonlyMap<string, number>;
  readonly calls: number;
  readonly revisions: number;
  readonly events: number;
  readonly fingerprint: string;
};

const SEEDS = 200;
/** Histories make much that lives shortly: room for it halves the collector's work. */
const YOUNG = { maxYoungGenerationSizeMb: 96 };
const PROGRESS_MILLIS = 10_000;

/** Half of the histories are one member's, the most of the others three members'. */
const MEMBERS_BY_TURNS = [1, 3, 1, 5, 1, 3, 1, 3] as const;

async function simulateSeed(seed: number, members: number): Promise<Report> {
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  return { seed, members, ...(await simulate({ seed, members, digest: nodeDigest(), turn })) };
}

/** A worker is sent seeds one by one and reports each. */
function work(): void {
  const port = parentPort!;
  const stray: string[] = [];
  process.on("unhandledRejection", (error) =>
    stray.push(error instanceof Error ? String(error.stack) : String(error)),
  );
  port.on("message", ({ seed, members }: { readonly seed: number; readonly members: number }) => {
    void simulateSeed(seed, members).then((report) => {
      const violations = [...report.violations, ...stray.splice(0).map((text) => `nobody caught ${text}`)];
      port.postMessage({ ...report, violations });
    });
  });
}

function numberOption(name: string): number | undefined {
  const at = process.argv.indexOf(`--${name}`);
  if (at < 0) return undefined;
  const value = Number(process.argv[at + 1]);
  if (Number.isFinite(value)) return value;
  console.error(`--${name} needs a number`);
  process.exit(2);
}

function main(): void {
  const first = numberOption("seed") ?? 1;
  const minutes = numberOption("minutes");
  const one =
    numberOption("seed") !== undefined && numberOption("seeds") === undefined && minutes === undefined;
  const count = one
    ? 1
    : (numberOption("seeds") ?? (minutes === undefined ? SEEDS : Number.POSITIVE_INFINITY));
  const members = numberOption("members");
  const deadline = minutes === undefined ? Number.POSITIVE_INFINITY : Date.now() + minutes * 60_000;
  const tally = new Tally(count);
  let next = 0;
  let busy = 0;
  const feed = (worker: Worker): void => {
    if (next < count && Date.now() < deadline) {
      const byTurns = one ? 1 : MEMBERS_BY_TURNS[next % MEMBERS_BY_TURNS.length]!;
      worker.postMessage({ seed: first + next++, members: members ?? byTurns });
      return;
    }
    void worker.terminate();
    if (--busy === 0) tally.close();
  };
  for (let n = Math.min(count, Math.max(1, availableParallelism())); n > 0; n--) {
    const worker = new Worker(new URL(import.meta.url), { workerData: "sim", resourceLimits: YOUNG });
    busy++;
    worker.on("message", (report: Report) => {
      tally.add(report, one);
      feed(worker);
    });
    worker.on("error", (error) => {
      console.log(`a simulation ended with ${error.stack}`);
      process.exit(1);
    });
    feed(worker);
  }
}

class Tally {
  readonly #started = Date.now();
  readonly #faults = new Map<string, number>();
  readonly #sums = { calls: 0, revisions: 0, events: 0 };
  readonly #count: number;
  #passed = 0;
  #failed = 0;
  #told = Date.now();

  constructor(count: number) {
    this.#count = count;
  }

  add(report: Report, verbose: boolean): void {
    for (const [name, times] of report.faults) this.#faults.set(name, (this.#faults.get(name) ?? 0) + times);
    this.#sums.calls += report.calls;
    this.#sums.revisions += report.revisions;
    this.#sums.events += report.events;
    this.#progress();
    if (verbose) console.log(`seed ${report.seed}: ${report.fingerprint}`);
    if (report.violations.length === 0) {
      this.#passed++;
      return;
    }
    this.#failed++;
    const cluster = report.members === 1 ? "" : `--members ${report.members} `;
    console.log(`FAILED: npm run sim -- ${cluster}--seed ${report.seed}`);
    for (const violation of report.violations.slice(0, verbose ? 20 : 3))
      console.log(`  ${violation.slice(0, 2000)}`);
  }

  /** One line now and then. */
  #progress(): void {
    const now = Date.now();
    if (now - this.#told < PROGRESS_MILLIS) return;
    this.#told = now;
    const done = this.#passed + this.#failed;
    const rate = (done / ((now - this.#started) / 1000)).toFixed(1);
    const all = Number.isFinite(this.#count) ? ` of ${this.#count}` : "";
    console.log(`${done}${all} histories, ${rate} a second, ${this.#failed} failed`);
  }

  close(): void {
    const { calls, revisions, events } = this.#sums;
    const seconds = ((Date.now() - this.#started) / 1000).toFixed(1);
    console.log(`${calls} calls, ${revisions} revisions, ${events} watch events checked in ${seconds} s`);
    const faults = [...this.#faults].sort().map(([name, times]) => `${name} ${times}`);
    console.log(`faults: ${faults.join(", ")}`);
    console.log(`${this.#passed} passed, ${this.#failed} failed`);
    process.exitCode = this.#failed > 0 || this.#passed === 0 ? 1 : 0;
  }
}

if (isMainThread) main();
else if (workerData === "sim") work();
