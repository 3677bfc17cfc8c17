// One simulated machine: a disk that outlives everything, and on it one real member at a time, with the real services in front. It
// starts, is stopped, killed, or loses power at any disk operation; whoever is waiting for an answer then is told that it is lost.
// It judges nothing: what may be true after a fault is the checkers'.
import { assert } from "../base/assert.ts";
import { type MemberId, type Millis, millis } from "../base/brand.ts";
import { computeMemberId } from "../cluster/ids.ts";
import { LOG_LIMITS, type LogLimits } from "../log/disk-budget.ts";
import type { Member } from "../member/member.ts";
import { openMember, type World } from "../member/open.ts";
import type { MemberOptions } from "../member/options.ts";
import type { Digest } from "../ports/digest.ts";
import { type Logger, silentLogger } from "../ports/logger.ts";
import type { MethodTable, RequestStream } from "../service/call.ts";
import { HealthService } from "../service/health.ts";
import { methodTable } from "../service/methods.ts";
import type { ProcessClock, Quartz, SimClock } from "./clock.ts";
import { type Fault, type OperationKind, SimDisk } from "./disk.ts";
import type { SimNetwork } from "./network.ts";
import type { SeededRandom } from "./random.ts";
import { RecordedCall, type RecordedCallOptions } from "./recorded-call.ts";

export const DATA_DIRECTORY = "/data";

/** Small files, so that a short history rotates, reclaims and fills many of them. */
export const SIM_LOG_LIMITS: LogLimits = {
  ...LOG_LIMITS,
  inlineFlushBytesMax: 8 << 10,
  segmentBytesFirst: 16 << 10,
  segmentBytesMax: 64 << 10,
  cacheBytesMax: 256 << 10,
  reserveBytes: 16 << 10,
  catchUpEntries: 20,
  catchUpBytesMax: 1 << 20,
  reclaimSlackBytes: 8 << 10,
};

/** A member as its defaults make it, without a quota. */
export const SIM_MEMBER_OPTIONS: MemberOptions = {
  name: "default",
  dataDirectory: DATA_DIRECTORY,
  walDirectory: "",
  clusterToken: "etcd-cluster",
  peerUrls: ["http://localhost:2380"],
  clientUrls: ["http://localhost:2379"],
  heartbeatMillis: 100,
  electionMillis: 1000,
  preVote: true,
  quotaBytes: Number.POSITIVE_INFINITY,
  requestBytesMax: 1_572_864,
  txnOpsMax: 128,
  learnersMax: 1,
  strictReconfigCheck: true,
  leaseCheckpoint: false,
  fastLeaseKeepAlive: true,
  downgradeCheckMillis: 5000,
  corruptCheckMillis: 0,
  compactHashCheckMillis: 0,
  autoCompaction: undefined,
  compactionBatchLimit: 1000,
  watchProgressMillis: 600_000,
  checkpointEntries: 10_000,
  catchUpEntries: 5000,
  warningApplyMillis: 100,
  serverVersion: "3.7.1",
};

export type MachineOptions = {
  readonly clock: SimClock;
  readonly random: SeededRandom;
  readonly digest: Digest;
  readonly member: MemberOptions;
  readonly logger?: Logger;
  /** Absent: the member is alone. */
  readonly network?: SimNetwork;
  /** How many times as fast as the true time its clock goes; 1 when absent. */
  readonly clockRate?: number;
};

type Process = {
  readonly clock: ProcessClock;
  alive: boolean;
  network: ReturnType<SimNetwork["attach"]> | undefined;
  readonly ended: Set<() => void>;
};
type Running = { readonly member: Member; readonly methods: MethodTable };

export class Machine {
  readonly disk: SimDisk;
  readonly #options: MachineOptions;
  /** What the next process is started with. */
  memberOptions: MemberOptions;
  #process: Process | undefined;
  #running: Running | undefined;
  #paused = false;
  readonly #inSockets: (() => void)[] = [];
  readonly #whenOff: (() => void)[] = [];
  /** What the next operations of the disk meet. */
  fault: ((kind: OperationKind, path: string) => Fault) | undefined;
  /** How long a flush, and any other operation, takes. */
  flushMillis = 0;
  operationMillis = 0;
  /** Why the last process ended itself, if it did. */
  fatal: Error | undefined;
  /** How many processes ended themselves. */
  fatals = 0;
  /** How many processes have ended, however. */
  deaths = 0;
  /** It was removed from the cluster: nobody starts it any more. */
  gone = false;
  readonly quartz: Quartz;
  /** The member's id, as its options make it. */
  readonly id: MemberId;

  constructor(options: MachineOptions) {
    this.#options = options;
    this.memberOptions = options.member;
    const { initialCluster, peerUrls, clusterToken } = options.member;
    this.id =
      initialCluster?.localId ?? computeMemberId(peerUrls, clusterToken, undefined, options.digest.sha1);
    this.quartz = { rate: options.clockRate ?? 1, wallSkewMillis: 0 };
    this.disk = new SimDisk({
      random: options.random,
      clock: options.clock,
      delay: (kind) => this.#delay(kind),
      busy: (kind) => this.#process?.clock.spend(this.#delay(kind)),
    });
    this.disk.fault = (kind, path) => this.#meet(kind, path);
  }

  get clock(): SimClock {
    return this.#options.clock;
  }

  /** The term in which its member leads; 0 when it does not. */
  get leadsTerm(): number {
    const raft = this.#running?.member.raft;
    return raft?.isLeader === true ? raft.term : 0;
  }

  /** Names the process that runs now, among all there were. */
  get process(): string {
    return `${this.id}/${this.deaths}`;
  }

  /** Resolves when no process runs. */
  whenOff(): Promise<void> {
    return new Promise((resolve) => {
      if (this.on) this.#whenOff.push(resolve);
      else resolve();
    });
  }

  /** A process runs; it may still be starting. */
  get on(): boolean {
    return this.#process !== undefined;
  }

  /** The member serves. */
  get up(): boolean {
    return this.#running !== undefined && !this.#paused;
  }

  /** SIGSTOP: neither does the process anything, nor hears it anything, until it goes on. */
  pause(): void {
    if (this.#running === undefined) return;
    this.#paused = true;
    this.#process?.clock.pause();
    this.#process?.network?.pause();
  }

  goOn(): void {
    if (!this.#paused) return;
    this.#paused = false;
    // A process that was stopped while it waited for its sockets reads them before it looks at its timers.
    for (const arrived of this.#inSockets.splice(0)) arrived();
    this.#process?.clock.goOn();
    this.#process?.network?.goOn();
  }

  /** A client's bytes reach the machine: a process that is stopped reads them when it goes on, if it lives. */
  arrive(arrived: () => void): void {
    if (this.#paused) this.#inSockets.push(arrived);
    else arrived();
  }

  /** The member as it is, also of a process that is stopped. */
  get memberIfAny(): Member | undefined {
    return this.#running?.member;
  }

  get member(): Member {
    assert(this.#running !== undefined, "the member runs");
    return this.#running.member;
  }

  /** Opens the directory as a new process would. Rejects with the reason of a refusal; resolves false when it died meanwhile. */
  async start(): Promise<boolean> {
    assert(this.#process === undefined, "one process at a time");
    this.fatal = undefined;
    this.disk.restart();
    const clock = this.#options.clock.attach(this.quartz);
    const life: Process = { clock, alive: true, network: undefined, ended: new Set() };
    this.#process = life;
    try {
      const member = await openMember(this.memberOptions, this.#world(life));
      if (!life.alive) return false;
      this.#running = { member, methods: methodTable(member, new HealthService()) };
      member.onRemoved = () => this.remove();
      return true;
    } catch (error) {
      if (!life.alive) return false;
      this.kill();
      throw error;
    }
  }

  /** A clean shutdown. False when it died on the way. */
  async stop(): Promise<boolean> {
    const life = this.#process;
    assert(life !== undefined && this.#running !== undefined, "there is something to stop");
    const { member } = this.#running;
    this.#running = undefined;
    try {
      // A process that dies on the way never gets to its end.
      await Promise.race([member.close(), new Promise<void>((resolve) => life.ended.add(resolve))]);
    } catch (error) {
      if (life.alive) throw error;
    }
    if (!life.alive) return false;
    this.kill();
    return true;
  }

  /** It is no member any more. */
  remove(): void {
    this.gone = true;
    this.kill();
  }

  /** kill -9: what was written stays written. */
  kill(): void {
    this.disk.killProcess();
    this.#die();
  }

  /** Whatever was not flushed is there, or not, or in part. */
  powerLoss(): void {
    this.disk.crash();
    this.#die();
  }

  /** Calls a unary or server-stream method. `lost` is called instead of an end when the process dies first. */
  call(
    path: string,
    message: Uint8Array,
    lost: () => void,
    options: RecordedCallOptions = {},
  ): RecordedCall | undefined {
    if (this.#running === undefined) return undefined;
    const method = this.#running.methods.get(path);
    assert(method !== undefined && method.kind !== "bidi", `${path} is a method with one request`);
    const call = this.#newCall(options, lost);
    method.handle(call, message);
    return call;
  }

  /** Opens a stream of requests. */
  open(
    path: string,
    options: RecordedCallOptions,
    lost: () => void,
  ): { readonly call: RecordedCall; readonly requests: RequestStream } | undefined {
    if (this.#running === undefined) return undefined;
    const method = this.#running.methods.get(path);
    assert(method !== undefined && method.kind === "bidi", `${path} is a method with many requests`);
    const call = this.#newCall(options, lost);
    return { call, requests: method.open(call) };
  }

  #newCall(options: RecordedCallOptions, lost: () => void): RecordedCall {
    const call = new RecordedCall(options);
    const life = this.#process!;
    const ended = (): void => {
      if (call.done) return;
      call.done = true;
      lost();
    };
    life.ended.add(ended);
    void call.ended.then(() => life.ended.delete(ended));
    return call;
  }

  #world(life: Process): World {
    return {
      disk: this.disk.attach(),
      clock: life.clock,
      digest: this.#options.digest,
      random: this.#options.random.fork(),
      logger: this.#options.logger ?? silentLogger,
      logLimits: SIM_LOG_LIMITS,
      ...this.#connected(life),
      lockDatabase: async () => ({ unlock: async () => {} }),
      onFatal: (error) => {
        if (!life.alive) return;
        this.fatal = error;
        this.fatals++;
        // What a failed flush left is as undecided as after a power loss.
        this.powerLoss();
      },
    };
  }

  #connected(life: Process): Pick<World, "connect"> {
    const { network } = this.#options;
    if (network === undefined) return {};
    return {
      connect: (receiver, service) => {
        life.network = network.attach(receiver, service, this.memberOptions.peerUrls, life.clock);
        return life.network;
      },
    };
  }

  #die(): void {
    const life = this.#process;
    this.#process = undefined;
    this.#running = undefined;
    if (life === undefined) return;
    life.alive = false;
    this.deaths++;
    life.clock.kill();
    life.network?.close();
    this.#paused = false;
    this.#inSockets.length = 0;
    for (const ended of life.ended) ended();
    for (const off of this.#whenOff.splice(0)) off();
  }

  #meet(kind: OperationKind, path: string): Fault {
    const fault = this.fault?.(kind, path);
    if (fault === "crash") this.#die();
    return fault;
  }

  #delay(kind: OperationKind): Millis {
    return millis(kind === "sync" ? this.flushMillis : this.operationMillis);
  }
}
