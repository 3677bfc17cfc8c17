// One simulated history: a seed chooses the member's settings, the workloads and the faults; they run in virtual time; then everything is
// mended, the member is restarted once more, and the checkers look back. The same seed gives the same history, always.
// Later, clusters: more machines on one clock and a simulated network; workloads and checkers stay.
import type { MemberOptions } from "../member/options.ts";
import type { Digest } from "../ports/digest.ts";
import { decodeLeaseLeasesResponse, encodeLeaseLeasesRequest } from "../wire/generated/etcdserverpb.ts";
import { audit } from "./audit.ts";
import { checkCompactions, checkKeyValues } from "./check/key-value.ts";
import { checkLeases } from "./check/lease.ts";
import { checkWatches } from "./check/watch.ts";
import { putRequest, SimClient } from "./client.ts";
import { SimClock } from "./clock.ts";
import { type FaultKind, type SimContext, sleep, type Workload } from "./context.ts";
import { bitFlip } from "./fault/bit-flip.ts";
import { diskFull, failedFlush, slowFlush } from "./fault/disk.ts";
import { crash, crashInRecovery, kill, wallJump } from "./fault/power.ts";
import { restart } from "./fault/restart.ts";
import { History } from "./history.ts";
import { Machine, SIM_MEMBER_OPTIONS } from "./machine.ts";
import { SeededRandom } from "./random.ts";
import { byRevision, WatchClient } from "./watch-client.ts";
import { compactor } from "./workload/compactor.ts";
import { leaseChurn } from "./workload/lease-churn.ts";
import { registers } from "./workload/registers.ts";
import { txnAppend } from "./workload/txn-append.ts";
import { watchEverything } from "./workload/watch-everything.ts";

export const WORKLOADS: readonly Workload[] = [registers, txnAppend, leaseChurn, watchEverything, compactor];
export const FAULTS: readonly FaultKind[] = [
  crash,
  crashInRecovery,
  kill,
  wallJump,
  restart,
  diskFull,
  slowFlush,
  failedFlush,
  bitFlip,
];

export type SimulationOptions = {
  readonly seed: number;
  readonly digest: Digest;
  /** Resolves when all microtasks are done: the runner's setImmediate. */
  readonly turn: () => Promise<void>;
  /** Virtual seconds of work and faults; then comes the quiet end. */
  readonly seconds?: number;
  readonly workloads?: readonly Workload[];
  readonly faults?: readonly FaultKind[];
};

export type SimulationResult = {
  readonly violations: readonly string[];
  readonly faults: ReadonlyMap<string, number>;
  readonly calls: number;
  readonly revisions: number;
  readonly events: number;
  /** Equal for equal histories. */
  readonly fingerprint: string;
};

const SECONDS = 12;
/** Longer than any lease of the workloads lives after a restart, and than any watcher reads slowly. */
const QUIET_MILLIS = 12_000;
/** Many times what any history needs: something goes round and round without time passing. */
const STEPS_MAX = 150_000;
const END_PATIENCE_MILLIS = 60_000;

export async function simulate(options: SimulationOptions): Promise<SimulationResult> {
  return new Simulation(options).run();
}

class Simulation {
  readonly #options: SimulationOptions;
  readonly #random: SeededRandom;
  readonly #clock = new SimClock();
  readonly #history = new History();
  readonly #sim: SimContext;
  #finished = false;

  constructor(options: SimulationOptions) {
    this.#options = options;
    this.#random = new SeededRandom(options.seed);
    const member = memberOptions(this.#random.fork());
    const newMachine = (): Machine =>
      new Machine({ clock: this.#clock, random: this.#random.fork(), digest: options.digest, member });
    this.#sim = {
      clock: this.#clock,
      machine: newMachine(),
      history: this.#history,
      watches: [],
      leases: new Map(),
      faults: new Map(),
      held: 0,
      newMachine,
      running: true,
      observed: 1,
    };
  }

  async run(): Promise<SimulationResult> {
    const main = this.#main().catch((error: unknown) => this.#threw("the simulation", error));
    let ended = false;
    void main.then(() => {
      ended = true;
    });
    let steps = 0;
    while (!ended) {
      if (++steps > STEPS_MAX) {
        this.#history.violation(`no end after ${STEPS_MAX} events, at ${this.#clock.now()} ms`);
        return this.#result();
      }
      try {
        if (!this.#clock.step()) break;
      } catch (error) {
        this.#memberThrew(error);
      }
      await this.#options.turn();
    }
    if (!ended && steps <= STEPS_MAX) this.#history.violation("nothing happens any more");
    return this.#result();
  }

  async #main(): Promise<void> {
    const sim = this.#sim;
    const random = this.#random;
    void this.#supervise(random.fork()).catch((error: unknown) => this.#threw("the supervisor", error));
    this.#observeAll();
    const seconds = this.#options.seconds ?? SECONDS;
    const workloads = (this.#options.workloads ?? WORKLOADS).map((workload) =>
      this.#start(workload, random.fork()),
    );
    const nemesis = this.#nemesis(random.fork());
    await sleep(sim, seconds * 1000);
    sim.running = false;
    await Promise.race([Promise.all([...workloads, nemesis]), this.#patience()]);
    this.#mend();
    await sleep(sim, QUIET_MILLIS);
    if (this.#history.violations.length === 0) await this.#look();
    this.#finished = true;
  }

  #start(workload: Workload, random: SeededRandom): Promise<void> {
    return workload
      .run(this.#sim, random)
      .catch((error: unknown) => this.#threw(`workload ${workload.name}`, error));
  }

  /** Some of the faults, one at a time. */
  async #nemesis(random: SeededRandom): Promise<void> {
    const sim = this.#sim;
    const faults = (this.#options.faults ?? FAULTS).filter(
      () => this.#options.faults !== undefined || random.once(2),
    );
    const pace = random.pick([200, 1000, 4000]);
    while (sim.running && faults.length > 0) {
      await sleep(sim, random.below(pace));
      const fault = random.pick(faults);
      await fault.inject(sim, random).catch((error: unknown) => this.#threw(`fault ${fault.name}`, error));
    }
  }

  async #patience(): Promise<void> {
    await sleep(this.#sim, END_PATIENCE_MILLIS);
    this.#history.violation(
      `a workload or fault has not come to its end (machine ${this.#sim.machine.up ? "up" : "down"})`,
    );
  }

  #mend(): void {
    const { machine } = this.#sim;
    machine.fault = undefined;
    machine.disk.capacityBytes = Number.POSITIVE_INFINITY;
    machine.flushMillis = 0;
    machine.operationMillis = 0;
  }

  /** Starts a machine that is off, and reads what its disk has kept. */
  async #supervise(random: SeededRandom): Promise<void> {
    const sim = this.#sim;
    while (!this.#finished) {
      if (!sim.machine.on && sim.held === 0) {
        await sleep(sim, random.below(300));
        if (!sim.machine.on && sim.held === 0) await this.#startMachine();
      }
      await sleep(sim, 10);
    }
  }

  async #startMachine(): Promise<void> {
    const { machine } = this.#sim;
    const full = machine.disk.capacityBytes !== Number.POSITIVE_INFINITY;
    const seen = this.#sim.observed;
    try {
      if (!(await machine.start())) return;
    } catch (error) {
      // A full disk may refuse a start; nothing else may.
      if (full) await sleep(this.#sim, 200);
      else this.#threw("a start", error);
      return;
    }
    const read = await audit(machine);
    if (read === undefined) {
      if (machine.up) this.#history.violation("a started member does not deliver what it has");
      return;
    }
    for (const [revision, changes] of read.changes)
      this.#history.observe(revision, changes, this.#clock.now());
    if (seen > read.revision)
      this.#history.violation(
        `revision ${seen} was seen, and after a restart the newest is ${read.revision}`,
      );
  }

  #observeAll(): void {
    const observer = new WatchClient(this.#sim, {
      key: "\0",
      end: "\0",
      startRevision: 1,
      prevKv: true,
      fragment: false,
      progressNotify: false,
      noPut: false,
      noDelete: false,
      weight: 1,
    });
    observer.onResponse = (response) => {
      for (const [revision, changes] of byRevision(response)) {
        this.#history.observe(revision, changes, this.#clock.now());
        this.#sim.observed = Math.max(this.#sim.observed, revision);
      }
    };
    void observer.run();
  }

  /** The quiet end: leases are gone, writes go through, and a last restart changes nothing. */
  async #look(): Promise<void> {
    const sim = this.#sim;
    const client = new SimClient(sim);
    await this.#lookAtLeases(client);
    const written = await client.put(putRequest("end", "written"));
    if (written.kind === "error" && !this.#hasQuota)
      this.#history.violation(`at the end a put is refused: ${written.error.message}`);
    await sleep(sim, 100);
    const revision = sim.observed;
    await client.hashKv(revision);
    await sim.machine.stop();
    while (!sim.machine.up) await sleep(sim, 10);
    await client.hashKv(revision);
    const read = await audit(sim.machine);
    if (read === undefined) this.#history.violation("the member does not deliver what it has at the end");
    await sleep(sim, 1000);
    this.#check(read?.rows ?? []);
  }

  get #hasQuota(): boolean {
    return Number.isFinite(this.#sim.machine.member.options.quotaBytes);
  }

  async #lookAtLeases(client: SimClient): Promise<void> {
    const left = await client.call(
      "Lease/LeaseLeases",
      encodeLeaseLeasesRequest({}),
      decodeLeaseLeasesResponse,
    );
    if (left.kind !== "ok" || left.response.leases.length === 0) return;
    this.#history.violation(`leases do not end: ${left.response.leases.map(({ id }) => id).join(" ")}`);
  }

  #check(rows: readonly string[]): void {
    const history = this.#history;
    let compacted = 0;
    for (const record of history.records)
      if (record.type === "compact") compacted = Math.max(compacted, record.request.revision);
    const { revocations } = checkKeyValues(history, rows);
    checkCompactions(history);
    checkLeases(history, this.#sim.leases, revocations);
    checkWatches(history, this.#sim.watches, compacted);
  }

  #memberThrew(error: unknown): void {
    const { machine } = this.#sim;
    if (machine.excuses()) return;
    this.#threw("the member", error);
    machine.kill();
  }

  #threw(who: string, error: unknown): void {
    this.#history.violation(`${who} threw ${error instanceof Error ? error.stack : String(error)}`);
  }

  #result(): SimulationResult {
    const { violations, records, newestRevision } = this.#history;
    const watched = this.#sim.watches.flatMap(({ deliveries }) => deliveries.map((each) => each.length));
    const events = watched.reduce((sum, each) => sum + each, 0);
    let hash = 0;
    for (const { type, began, ended, beganAt, outcome } of records) {
      for (const part of [type.length, began, ended, Math.floor(beganAt * 1000), outcome.kind.length])
        hash = (Math.imul(hash, 31) + part) >>> 0;
    }
    const fingerprint = `${records.length} calls, ${newestRevision} revisions, ${events} events, ${hash.toString(16)}`;
    return {
      violations,
      faults: this.#sim.faults,
      calls: records.length,
      revisions: newestRevision,
      events,
      fingerprint,
    };
  }
}

function memberOptions(random: SeededRandom): MemberOptions {
  return {
    ...SIM_MEMBER_OPTIONS,
    quotaBytes: random.once(6) ? 600_000 : Number.POSITIVE_INFINITY,
    compactionBatchLimit: random.pick([1, 10, 1000]),
    watchProgressMillis: random.pick([300, 3000]),
    catchUpEntries: random.pick([0, 20, 1000]),
  };
}
