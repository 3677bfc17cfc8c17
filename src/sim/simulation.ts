// One simulated history: a seed chooses the settings, the workloads and the faults of one member, or of a cluster on a simulated network;
// they run in virtual time; then everything is mended, the members are restarted once more, and the checkers look back. The same
// seed and number of members give the same history, always.
import type { MemberOptions } from "../member/options.ts";
import type { Digest } from "../ports/digest.ts";
import { decodeLeaseLeasesResponse, encodeLeaseLeasesRequest } from "../wire/generated/etcdserverpb.ts";
import { audit } from "./audit.ts";
import { CommittedCheck } from "./check/committed.ts";
import { checkCompactions, checkKeyValues, checkMonotone } from "./check/key-value.ts";
import { LeaderCheck } from "./check/leader.ts";
import { checkLeases } from "./check/lease.ts";
import { MembersCheck } from "./check/members.ts";
import { checkWatches } from "./check/watch.ts";
import { putRequest, SimClient } from "./client.ts";
import { SimClock } from "./clock.ts";
import { type FaultKind, leading, type SimContext, sleep, type Workload } from "./context.ts";
import { History } from "./history.ts";
import { Machine } from "./machine.ts";
import { SimNetwork } from "./network.ts";
import { SeededRandom } from "./random.ts";
import { CLUSTER_FAULTS, CLUSTER_WORKLOADS, FAULTS, WORKLOADS } from "./repertoire.ts";
import { clusterOptions, memberOptions } from "./settings.ts";
import { checkConfigurations, settle } from "./settle.ts";
import { byRevision, WatchClient } from "./watch-client.ts";

export type SimulationOptions = {
  readonly seed: number;
  /** 1 when absent. */
  readonly members?: number;
  readonly digest: Digest;
  /** Resolves when all microtasks are done: the runner's setImmediate. */
  readonly turn: () => Promise<void>;
  /** Virtual seconds of work and faults, chosen by the seed when absent; then comes the quiet end. */
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

/** How often the supervisor looks whether it may start a machine that somebody keeps off. */
const HELD_MILLIS = 50;
const SECONDS = [3, 6, 12] as const;
/** A few seconds of several members are as much work. */
const CLUSTER_SECONDS = [3, 4, 6, 10] as const;
/** How many times as fast or slow one clock may go: more than any real one. */
const CLOCK_DRIFT_MAX = 0.02;
/** Of a cluster's clients: one that would wait for a member that is cut off until that one gives up misses what the others do. */
const PATIENCE_MILLIS = [200, 800, Number.POSITIVE_INFINITY] as const;
/** Longer than any watcher reads slowly. */
const SLOW_READER_MILLIS = 3000;
/** Longer than any lease of the workloads lives after a restart. */
const QUIET_MILLIS = 12_000;
/** Many times what any history needs: something goes round and round without time passing. */
const STEPS_MAX = 150_000;
/** A fault may have looked at four damaged copies that deliver nothing, each with a patience of its own. */
const END_PATIENCE_MILLIS = 120_000;
/** Without pre-vote a member that was away may spoil several elections before one who has everything wins. */
const LEADERLESS_MILLIS_MAX = 30_000;

export async function simulate(options: SimulationOptions): Promise<SimulationResult> {
  return new Simulation(options).run();
}

class Simulation {
  readonly #options: SimulationOptions;
  readonly #random: SeededRandom;
  readonly #clock = new SimClock();
  readonly #history = new History();
  readonly #sim: SimContext;
  readonly #settings: MemberOptions;
  readonly #lookers: readonly { look(machines: readonly Machine[]): void }[];
  readonly #machines: Machine[];
  /** Workloads and faults that have not come to their end. */
  readonly #busy: string[] = [];
  #finished = false;

  constructor(options: SimulationOptions) {
    this.#options = options;
    this.#random = new SeededRandom(options.seed);
    const members = options.members ?? 1;
    const settings = memberOptions(this.#random.fork(), members > 1);
    this.#settings = settings;
    this.#lookers =
      members > 1 ? [LeaderCheck, CommittedCheck, MembersCheck].map((Check) => new Check(this.#history)) : [];
    const clocks = this.#random.fork();
    const drift = members > 1 && clocks.once(3) ? CLOCK_DRIFT_MAX : 0;
    const newMachine = (member = settings, network?: SimNetwork): Machine =>
      new Machine({
        clock: this.#clock,
        random: this.#random.fork(),
        digest: options.digest,
        member,
        clockRate: 1 + (drift * clocks.between(-100, 100)) / 100,
        ...(network === undefined ? {} : { network }),
      });
    const network = members > 1 ? new SimNetwork(this.#clock, this.#random.fork()) : undefined;
    const machines =
      network === undefined
        ? [newMachine()]
        : [...clusterOptions(settings, members, options.digest)].map((member) => newMachine(member, network));
    this.#machines = machines;
    const dice = network === undefined ? undefined : this.#random.fork();
    this.#sim = {
      clock: this.#clock,
      machine: machines[0]!,
      machines,
      get members() {
        return machines.filter(({ gone }) => !gone);
      },
      network,
      serving: () => {
        const up = machines.filter((machine) => machine.up);
        return up.length <= 1 || dice === undefined ? up[0] : dice.pick(up);
      },
      history: this.#history,
      watches: [],
      leases: new Map(),
      faults: new Map(),
      held: new Set(),
      newMachine: () => newMachine(),
      join: (name, peerUrl, initialCluster) => {
        const machine = newMachine({ ...settings, name, peerUrls: [peerUrl], initialCluster }, network);
        machines.push(machine);
        this.#keepUp(machine);
        return machine;
      },
      clockRateMax: 1 + drift,
      patience: () => dice?.pick(PATIENCE_MILLIS) ?? Number.POSITIVE_INFINITY,
      callsWaiting: 0,
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
    const stepsMax = STEPS_MAX * this.#sim.machines.length;
    while (!ended) {
      if (++steps > stepsMax) {
        this.#history.violation(`no end after ${stepsMax} events, at ${this.#clock.now()} ms`);
        return this.#result();
      }
      const deaths = this.#deaths;
      try {
        if (!this.#clock.step()) break;
      } catch (error) {
        // Expected from a process whose disk has just failed it, and that is dead by now; and from a damaged copy of a directory.
        if (this.#deaths === deaths && this.#sim.held.size === 0) this.#memberThrew(error);
      }
      await this.#options.turn();
      for (let i = 0; i < this.#lookers.length; i++) this.#lookers[i]!.look(this.#machines);
    }
    if (!ended && steps <= stepsMax) this.#history.violation("nothing happens any more");
    return this.#result();
  }

  async #main(): Promise<void> {
    const sim = this.#sim;
    const random = this.#random;
    for (const machine of this.#machines) this.#keepUp(machine);
    this.#observeAll();
    const chosen = random.pick(this.#isCluster ? CLUSTER_SECONDS : SECONDS);
    const seconds = this.#options.seconds ?? chosen;
    const usual = this.#isCluster ? CLUSTER_WORKLOADS : WORKLOADS;
    const workloads = (this.#options.workloads ?? usual).map((workload) =>
      this.#start(workload, random.fork()),
    );
    // In a cluster two faults may meet.
    const nemeses = (this.#isCluster ? [0, 1] : [0]).map(() => this.#nemesis(random.fork()));
    await sleep(sim, seconds * 1000);
    sim.running = false;
    await Promise.race([Promise.all([...workloads, ...nemeses]), this.#patience()]);
    this.#mend();
    await sleep(sim, SLOW_READER_MILLIS);
    await this.#until(QUIET_MILLIS, () => sim.callsWaiting === 0 && sim.members.every(hasNoLease));
    if (sim.callsWaiting > 0) this.#history.violation(`${sim.callsWaiting} calls are never answered`);
    if (this.#history.violations.length === 0) await this.#look();
    this.#finished = true;
  }

  #start(workload: Workload, random: SeededRandom): Promise<void> {
    return this.#underWay(`workload ${workload.name}`, workload.run(this.#sim, random));
  }

  async #underWay(name: string, work: Promise<void>): Promise<void> {
    this.#busy.push(name);
    await work.catch((error: unknown) => this.#threw(name, error));
    this.#busy.splice(this.#busy.indexOf(name), 1);
  }

  /** Some of the faults, one at a time. */
  async #nemesis(random: SeededRandom): Promise<void> {
    const sim = this.#sim;
    const usual = this.#isCluster ? CLUSTER_FAULTS : FAULTS;
    const faults = (this.#options.faults ?? usual).filter(
      () => this.#options.faults !== undefined || random.once(2),
    );
    const pace = random.pick([100, 500, 2000]);
    while (sim.running && faults.length > 0) {
      await sleep(sim, random.below(pace));
      const fault = random.pick(faults);
      await this.#underWay(`fault ${fault.name}`, fault.inject(sim, random));
    }
  }

  async #patience(): Promise<void> {
    await sleep(this.#sim, END_PATIENCE_MILLIS);
    if (this.#busy.length === 0) return;
    this.#history.violation(
      `${this.#busy.join(", ")}: not come to an end (${this.#sim.members.map(({ up }) => (up ? "up" : "down")).join(" ")})`,
    );
  }

  #mend(): void {
    this.#sim.network?.heal();
    for (const machine of this.#sim.machines) {
      machine.goOn();
      machine.fault = undefined;
      machine.disk.capacityBytes = Number.POSITIVE_INFINITY;
      machine.flushMillis = 0;
      machine.operationMillis = 0;
    }
  }

  /** All members have applied the same. */
  get #areEven(): boolean {
    const { observed, members } = this.#sim;
    return members.every((machine) => machine.up && machine.member.store.currentRevision >= observed);
  }

  /** Lets time pass until it is so, and not more than that; what is not so then is for the checks. */
  async #until(millis: number, done: () => boolean): Promise<void> {
    const end = this.#clock.now() + millis;
    while (this.#clock.now() < end && !done()) await sleep(this.#sim, 50);
  }

  get #isCluster(): boolean {
    return this.#sim.network !== undefined;
  }

  get #deaths(): number {
    let deaths = 0;
    for (const machine of this.#sim.machines) deaths += machine.deaths;
    return deaths;
  }

  /** Starts a machine that is off, and reads what its disk has kept. */
  #keepUp(machine: Machine): void {
    void this.#supervise(machine, this.#random.fork()).catch((error: unknown) =>
      this.#threw("the supervisor", error),
    );
  }

  async #supervise(machine: Machine, random: SeededRandom): Promise<void> {
    const sim = this.#sim;
    while (!this.#finished) {
      await machine.whenOff();
      if (machine.gone) return;
      if (sim.held.has(machine)) await sleep(sim, HELD_MILLIS);
      else {
        await sleep(sim, random.below(300));
        if (!machine.on && !machine.gone && !sim.held.has(machine)) await this.#startMachine(machine);
      }
    }
  }

  async #startMachine(machine: Machine): Promise<void> {
    const isFull = (): boolean => machine.disk.capacityBytes !== Number.POSITIVE_INFINITY;
    const wasFull = isFull();
    const seen = this.#sim.observed;
    try {
      if (!(await machine.start())) return;
    } catch (error) {
      // A disk that was full before, or became so meanwhile, may refuse a start; nothing else may.
      if (wasFull || isFull()) await sleep(this.#sim, 200);
      else this.#threw("a start", error);
      return;
    }
    // A learner, or one who has not yet joined, serves nobody.
    if (this.#isCluster && machine.up && machine.member.membership.local?.isLearner !== false) return;
    const read = await audit(machine);
    if (read === undefined) {
      if (machine.up) this.#history.violation("a started member does not deliver what it has");
      return;
    }
    for (const [revision, changes] of read.changes)
      this.#history.observe(revision, changes, this.#clock.now());
    // A member of several need not know yet what the others have committed.
    if (seen > read.revision && !this.#isCluster)
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
    const client = new SimClient(sim, Number.POSITIVE_INFINITY);
    if (this.#isCluster) {
      await this.#until(LEADERLESS_MILLIS_MAX, () => leading(sim) !== undefined);
      await settle(sim, client);
      // A leader that was elected only now gives every lease its whole time again.
      await this.#until(QUIET_MILLIS, () => sim.members.every(hasNoLease));
    }
    await this.#lookAtLeases(client);
    const written = await client.put(putRequest("end", "written"));
    if (written.kind === "error" && !this.#hasQuota)
      this.#history.violation(`at the end a put is refused: ${written.error.message}`);
    await this.#until(2000, () => this.#areEven);
    const revision = sim.observed;
    await this.#hashEverywhere(client, revision);
    if (this.#isCluster) checkConfigurations(sim);
    for (const machine of sim.members) {
      await machine.stop();
      while (!machine.up) await sleep(sim, 10);
    }
    if (this.#isCluster)
      await this.#until(LEADERLESS_MILLIS_MAX, () => leading(sim) !== undefined && this.#areEven);
    await this.#hashEverywhere(client, revision);
    const rows: string[][] = [];
    for (const machine of sim.members) {
      const read = await audit(machine);
      if (read === undefined) this.#history.violation("a member does not deliver what it has at the end");
      rows.push([...(read?.rows ?? [])]);
    }
    await sleep(sim, 1000);
    if (new Set(rows.map((each) => each.join())).size > 1)
      this.#history.violation(`members differ at the end: ${rows.map((each) => each.join()).join(" | ")}`);
    this.#check(rows[0]!);
  }

  /** Everybody has everything by now, and says so. */
  async #hashEverywhere(client: SimClient, revision: number): Promise<void> {
    for (const machine of this.#sim.members) {
      if (!(await client.hashKv(revision, machine)) && this.#isCluster)
        this.#history.violation(`a member has no hash of revision ${revision}`);
    }
  }

  get #hasQuota(): boolean {
    return Number.isFinite(this.#settings.quotaBytes);
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
    if (this.#isCluster) checkMonotone(history);
    checkLeases(history, this.#sim.leases, revocations);
    checkWatches(history, this.#sim.watches, compacted);
  }

  #memberThrew(error: unknown): void {
    this.#threw("a member", error);
    for (const machine of this.#sim.machines) machine.kill();
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
    const { faults, network } = this.#sim;
    if (network !== undefined) {
      const { lost, doubled, cut, snapshots, copies } = network.counts;
      faults.set("messages lost", lost).set("messages doubled", doubled).set("messages cut off", cut);
      faults.set("snapshots sent", snapshots);
      faults.set("copies among them", copies);
    }
    return {
      violations,
      faults,
      calls: records.length,
      revisions: newestRevision,
      events,
      fingerprint,
    };
  }
}

function hasNoLease(machine: Machine): boolean {
  return machine.up && machine.member.lessor.size === 0;
}
