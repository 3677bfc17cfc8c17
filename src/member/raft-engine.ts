// Raft over our own log. One Ready at a time: what is committed is applied and answered first, then new entries are written, with one
// flush for all that this turn's callers proposed. While a flush runs in the thread pool further proposals gather in raft and make
// the next one: group commit without a timer. An idle member on a fast disk flushes inline and answers in the same turn.
import type { Index, MemberId, Millis } from "../base/brand.ts";
import { Code, type EtcdError, errors, etcdError } from "../base/errors.ts";
import type { HardState, LogWriter, RaftStorage } from "../log/contract.ts";
import type { Clock, Timer } from "../ports/clock.ts";
import type { ConfChange, ConfChangeV2 } from "../raft/conf-change.ts";
import type { RaftLogger } from "../raft/errors.ts";
import { type ConfState, NONE } from "../raft/message.ts";
import { StateType } from "../raft/raft.ts";
import { RawNode } from "../raft/raw-node.ts";
import type { Ready } from "../raft/ready.ts";
import { describeStatus } from "../raft/status.ts";
import type { Engine, EngineEvents } from "./engine.ts";

/** Bytes of entries in one MsgApp, and in one batch of committed entries. */
const BATCH_BYTES_MAX = 1 << 20;
const INFLIGHT_MESSAGES_MAX = 512;

export type RaftEngineOptions = {
  readonly id: MemberId;
  readonly storage: RaftStorage;
  readonly writer: LogWriter;
  readonly clock: Clock;
  readonly random: (bound: number) => number;
  readonly logger: RaftLogger;
  /** What the log says of the last run. */
  readonly hardState: HardState | undefined;
  readonly confState: ConfState;
  readonly applied: Index;
  readonly heartbeatMillis: number;
  readonly electionTicks: number;
  readonly preVote: boolean;
  /** After so long a read that nobody could vouch for is refused. */
  readonly requestTimeoutMillis: number;
  /** So many reads were given up because nobody could vouch for them. */
  readonly onReadsFailed: (count: number) => void;
  /** Milliseconds that a flush took in all, and those of its writes, for the metrics. */
  readonly onFlushed: (millis: number, writtenMillis: number) => void;
};

/** As etcd passes raft's own text on. */
const DROPPED = etcdError(Code.Unknown, "raft proposal dropped");

type Barrier = {
  readonly ready: () => void;
  readonly failed: (error: EtcdError) => void;
  readonly deadline: number;
};

export class RaftEngine implements Engine {
  readonly #node: RawNode;
  readonly #options: RaftEngineOptions;
  readonly #events: EngineEvents;
  #confState: ConfState;
  #scheduled = false;
  /** A flush is under way: its Ready is not done. */
  #flushing = false;
  #stopped = false;
  /** The term whose first entry was applied here while this member led it: from then on its reads are linearizable. */
  #readableTerm = 0;
  #toldLeader: bigint = NONE;
  #appliedIndex: number;
  #appliedTerm = 0;
  #barriers: Barrier[] = [];
  #held: Uint8Array[] = [];
  #ticker: Timer | undefined;
  readonly #run = (): void => this.#work();

  constructor(options: RaftEngineOptions, events: EngineEvents) {
    this.#options = options;
    this.#events = events;
    this.#appliedIndex = options.applied;
    this.#confState = options.confState;
    const { storage, hardState, confState } = options;
    this.#node = new RawNode({
      id: options.id,
      electionTick: options.electionTicks,
      heartbeatTick: 1,
      storage: {
        initialState: () => ({ hardState: hardState as never, confState }),
        firstIndex: () => storage.firstIndex(),
        lastIndex: () => storage.lastIndex(),
        term: (index) => storage.term(index),
        entries: (low, high, bytesMax) => storage.entries(low, high, bytesMax),
        snapshot: () => "temporarilyUnavailable",
      },
      logger: options.logger,
      random: options.random,
      applied: options.applied,
      maxSizePerMsg: BATCH_BYTES_MAX,
      maxInflightMsgs: INFLIGHT_MESSAGES_MAX,
      checkQuorum: true,
      preVote: options.preVote,
    });
  }

  /** A new cluster's first start: the members become the log's first entries. */
  bootstrap(peers: readonly { readonly id: MemberId; readonly context: Uint8Array }[]): string | undefined {
    return this.#node.bootstrap(peers);
  }

  /** Begins to tick and to work. A member that is the only voter does not wait for an election timeout. */
  start(): void {
    this.#work();
    if (this.#isSoleVoter) {
      this.#node.campaign();
      this.#work();
    }
    this.#tickLater();
  }

  stop(): void {
    this.#stopped = true;
    this.#ticker?.cancel();
    const waiting = this.#barriers;
    this.#barriers = [];
    for (const barrier of waiting) barrier.failed(errors.stopped);
  }

  propose(data: Uint8Array): EtcdError | undefined {
    if (this.#stopped) return errors.stopped;
    // Without a leader a proposal waits for one, as in etcd: its caller has a deadline, and the callers' number has a limit.
    if (this.leader === NONE) this.#held.push(data);
    else if (this.#node.propose(data) !== undefined) return DROPPED;
    this.#wake();
    return undefined;
  }

  proposeConfChange(change: ConfChange): EtcdError | undefined {
    if (this.#stopped) return errors.stopped;
    if (this.#node.proposeConfChange(change) !== undefined) return DROPPED;
    this.#wake();
    return undefined;
  }

  /** What apply says of a committed membership change: it is in force from now on. */
  applyConfChange(change: ConfChange | ConfChangeV2): void {
    this.#confState = this.#node.applyConfChange(change);
  }

  get confState(): ConfState {
    return this.#confState;
  }

  get canReadNow(): boolean {
    return this.#readableTerm === this.#node.term && this.isLeader && this.#isSoleVoter;
  }

  barrier(ready: () => void, failed: (error: EtcdError) => void): void {
    if (this.#stopped) failed(errors.stopped);
    else if (this.canReadNow) ready();
    else
      this.#barriers.push({
        ready,
        failed,
        deadline: this.#options.clock.now() + this.#options.requestTimeoutMillis,
      });
  }

  get leader(): MemberId {
    return this.#node.lead;
  }

  get isLeader(): boolean {
    return this.#node.state === StateType.Leader;
  }

  get term(): number {
    return this.#node.term;
  }

  get committedIndex(): number {
    return this.#node.committed;
  }

  get appliedIndex(): number {
    return this.#appliedIndex;
  }

  get appliedTerm(): number {
    return this.#appliedTerm;
  }

  /** raft's status as JSON, in etcd's form. */
  statusJson(): string {
    return describeStatus(this.#node.status());
  }

  describe(): string {
    const leader = this.leader.toString(16);
    return `raft: term ${this.term}, leader ${leader}, committed ${this.committedIndex}, applied ${this.#appliedIndex}`;
  }

  get #isSoleVoter(): boolean {
    const { voters, votersOutgoing } = this.#confState;
    return voters.length === 1 && votersOutgoing.length === 0 && voters[0] === this.#options.id;
  }

  #tickLater(): void {
    this.#ticker = this.#options.clock.after(this.#options.heartbeatMillis as Millis, () => {
      if (this.#stopped) return;
      this.#node.tick();
      this.#expireBarriers();
      this.#wake();
      this.#tickLater();
    });
  }

  #wake(): void {
    if (this.#scheduled || this.#flushing || this.#stopped) return;
    this.#scheduled = true;
    this.#options.clock.endOfTurn(this.#run);
  }

  /** Works off Readys until there is none, or until a flush has to be waited for. */
  #work(): void {
    this.#scheduled = false;
    if (this.#flushing || this.#stopped) return;
    const { writer, clock } = this.#options;
    while (this.#node.hasReady()) {
      const ready = this.#node.ready();
      if (ready.softState !== undefined) {
        this.#tellLeader();
        this.#events.roleChanged();
        this.#proposeHeld();
      }
      if (ready.entries.length > 0 || ready.hardState !== undefined)
        writer.append(ready.entries, ready.hardState);
      this.#apply(ready);
      if (ready.mustSync) {
        // Until the first read can be vouched for nobody is served, so nobody is kept waiting by an inline flush.
        if (!writer.prefersSync && this.#readableTerm !== 0) {
          this.#flushLater();
          break;
        }
        const started = clock.now();
        writer.flushSync();
        this.#options.onFlushed(clock.now() - started, writer.writtenMillis);
      }
      this.#node.advance();
    }
  }

  /** In the words of etcd/raft's node. */
  #tellLeader(): void {
    const { leader, term } = this;
    const before = this.#toldLeader;
    if (leader === before) return;
    this.#toldLeader = leader;
    const { id, logger } = this.#options;
    const hex = (each: bigint): string => each.toString(16);
    if (leader === NONE) logger.info(`raft.node: ${hex(id)} lost leader ${hex(before)} at term ${term}`);
    else if (before === NONE)
      logger.info(`raft.node: ${hex(id)} elected leader ${hex(leader)} at term ${term}`);
    else {
      const change = `from ${hex(before)} to ${hex(leader)}`;
      logger.info(`raft.node: ${hex(id)} changed leader ${change} at term ${term}`);
    }
  }

  #proposeHeld(): void {
    if (this.#held.length === 0 || this.leader === NONE) return;
    const held = this.#held;
    this.#held = [];
    for (const data of held) this.#node.propose(data);
  }

  #flushLater(): void {
    const { writer, clock } = this.#options;
    this.#flushing = true;
    const started = clock.now();
    writer.flush(() => {
      this.#flushing = false;
      if (this.#stopped) return;
      this.#options.onFlushed(clock.now() - started, writer.writtenMillis);
      this.#node.advance();
      this.#work();
    });
  }

  #apply(ready: Ready): void {
    const { committedEntries } = ready;
    if (committedEntries.length === 0) return;
    this.#events.committed(committedEntries);
    const last = committedEntries[committedEntries.length - 1]!;
    this.#appliedIndex = last.index;
    this.#appliedTerm = last.term;
    if (this.isLeader && last.term === this.#node.term && this.#readableTerm !== last.term) {
      this.#readableTerm = last.term;
      this.#releaseBarriers();
    }
  }

  #releaseBarriers(): void {
    const waiting = this.#barriers;
    this.#barriers = [];
    for (const barrier of waiting) barrier.ready();
  }

  #expireBarriers(): void {
    if (this.#barriers.length === 0) return;
    const now = this.#options.clock.now();
    const late = this.#barriers.filter((barrier) => barrier.deadline <= now);
    if (late.length === 0) return;
    this.#barriers = this.#barriers.filter((barrier) => barrier.deadline > now);
    this.#options.onReadsFailed(late.length);
    for (const barrier of late) barrier.failed(errors.timeout);
  }
}
