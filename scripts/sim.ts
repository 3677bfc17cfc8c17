// `npm run sim`: simulates histories of a member and of clusters under faults, one per seed, and closes with `N passed, N failed`. A failure
// prints the command that replays it. Its options: USAGE.
import { type ChildProcess, fork } from "node:child_process";
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
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
type Task = { readonly seed: number; readonly members: number };

/** Histories make much that lives shortly: room for it halves the collector's work, which other jobs' cores shall not share. */
const NODE_FLAGS = ["--max-semi-space-size=32", "--single-threaded-gc"];
/** Tells a process that it is one of the jobs. */
const JOB_ARGUMENT = "--a-job";
/** Events between two looks at the event loop, which costs more than most events: Node tells there of promises that nobody caught. */
const EVENTS_PER_LOOP = 16;
const PROGRESS_MILLIS = 10_000;

/** Half of the histories are one member's, the most of the others three members'. */
const MEMBERS_BY_TURNS = [1, 3, 1, 5, 1, 3, 1, 3] as const;

async function simulateSeed({ seed, members }: Task): Promise<Report> {
  let turns = 0;
  // A tick's callback comes when all microtasks are done, too.
  const turn = (): Promise<void> =>
    new Promise((resolve) => {
      if (++turns % EVENTS_PER_LOOP === 0) setImmediate(resolve);
      else process.nextTick(resolve);
    });
  return { seed, members, ...(await simulate({ seed, members, digest: nodeDigest(), turn })) };
}

/** A job is sent seeds one by one and reports each. */
function work(): void {
  const stray: string[] = [];
  process.on("unhandledRejection", (error) =>
    stray.push(error instanceof Error ? String(error.stack) : String(error)),
  );
  process.on("message", (task: Task) => {
    void simulateSeed(task).then((report) => {
      const violations = [...report.violations, ...stray.splice(0).map((text) => `nobody caught ${text}`)];
      process.send!({ ...report, violations });
    });
  });
}

const USAGE = `npm run sim -- [options]   simulates histories under faults, one per seed; a failing one prints its replay command

  --seed S      one history; with --seeds or --minutes the first of several (1)
  --seeds N     so many histories (${SEEDS})
  --minutes M   histories until the time is over
  --members N   always so many members; otherwise one, three or five, by turns
  --jobs N      processes that simulate (one per core)`;

const OPTIONS = {
  seed: { type: "string" },
  seeds: { type: "string" },
  minutes: { type: "string" },
  members: { type: "string" },
  jobs: { type: "string" },
  help: { type: "boolean", short: "h" },
} as const;

function fail(problem: string): never {
  console.error(`${problem}\n\n${USAGE}`);
  process.exit(2);
}

function readOptions(): (name: Exclude<keyof typeof OPTIONS, "help">) => number | undefined {
  try {
    const { values } = parseArgs({ options: OPTIONS });
    if (values.help === true) {
      console.log(USAGE);
      process.exit(0);
    }
    return (name) => {
      const text = values[name];
      if (text === undefined) return undefined;
      return Number.isFinite(Number(text)) ? Number(text) : fail(`--${name} needs a number`);
    };
  } catch (error) {
    return fail(error instanceof Error ? error.message : String(error));
  }
}

function main(): void {
  const numberOption = readOptions();
  const seed = numberOption("seed");
  const first = seed ?? 1;
  const minutes = numberOption("minutes");
  const one = seed !== undefined && numberOption("seeds") === undefined && minutes === undefined;
  const count = one
    ? 1
    : (numberOption("seeds") ?? (minutes === undefined ? SEEDS : Number.POSITIVE_INFINITY));
  const members = numberOption("members");
  const deadline = minutes === undefined ? Number.POSITIVE_INFINITY : Date.now() + minutes * 60_000;
  const tally = new Tally(count);
  let next = 0;
  const jobs = Math.min(count, Math.max(1, numberOption("jobs") ?? availableParallelism()));
  let busy = jobs;
  const feed = (job: ChildProcess): Task | undefined => {
    if (next >= count || Date.now() >= deadline) {
      job.disconnect();
      if (--busy === 0) tally.close();
      return undefined;
    }
    const byTurns = one ? 1 : MEMBERS_BY_TURNS[next % MEMBERS_BY_TURNS.length]!;
    const task = { seed: first + next++, members: members ?? byTurns };
    job.send(task);
    return task;
  };
  const begin = (): void => {
    const job = fork(fileURLToPath(import.meta.url), [JOB_ARGUMENT], {
      execArgv: [...process.execArgv, ...NODE_FLAGS],
      serialization: "advanced",
    });
    let task = feed(job);
    job.on("message", (report: Report) => {
      tally.add(report, one);
      task = feed(job);
    });
    job.on("exit", (code, signal) => {
      if (task === undefined) return;
      // The next one goes on with the next seed.
      tally.add({ ...NOTHING, ...task, violations: [`its process ended with ${signal ?? code}`] }, one);
      begin();
    });
  };
  for (let n = jobs; n > 0; n--) begin();
}

/** What is known of a history whose process has ended. */
const NOTHING = { faults: new Map<string, number>(), calls: 0, revisions: 0, events: 0, fingerprint: "none" };

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

if (process.argv[2] === JOB_ARGUMENT) work();
else main();
