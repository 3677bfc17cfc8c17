// Raft over our own log. Everything that raft asks for is done as soon as it can be: messages leave first, entries are staged and flushed
// (log-thread.ts), what is committed and safe here is applied and answered, all of it while an earlier flush may still be under way.
// All that this turn's callers proposed goes out as one message per follower and is written with one flush.
import { assert } from "../../base/assert.ts";
import type { Index, MemberId, Millis } from "../../base/brand.ts";
import { Code, type EtcdError, errors, etcdError } from "../../base/errors.ts";
import type { Entry, HardState, LogWriter, RaftStorage } from "../../log/contract.ts";
import type { Clock, Timer } from "../../ports/clock.ts";
import type { Logger } from "../../ports/logger.ts";
import type { ConfChange, ConfChangeV2 } from "../../raft/conf-change.ts";
import {
  type ConfState,
  EMPTY_CONF_STATE,
  EntryType,
  isLocalMessage,
  LOCAL_APPEND_THREAD,
  LOCAL_APPLY_THREAD,
  type Message,
  MessageType,
  NONE,
  type Snapshot,
} from "../../raft/message.ts";
import { StateType } from "../../raft/raft.ts";
import { RawNode } from "../../raft/raw-node.ts";
import { payloadsSize } from "../../raft/sizes.ts";
import { describeStatus, type Status } from "../../raft/status.ts";
import type { Transport } from "../network/transport.ts";
import { elections } from "./elections.ts";
import type { Engine, EngineEvents, SnapshotDoor } from "./engine.ts";
import { LogThread } from "./log-thread.ts";
import { ProposalBatch } from "./proposal-batch.ts";
import { ReadRounds } from "./read-rounds.ts";
import { nextTickDue } from "./tick-pace.ts";

/** Bytes of entries in one MsgApp; of those applied together; and the time after which what is left lets the sockets go first. */
const BATCH_BYTES_MAX = 1 << 20;
const APPLY_BYTES_MAX = 64 << 10;
const TURN_MILLIS_MAX = 4;
const INFLIGHT_MESSAGES_MAX = 512;
/** Entries of MsgApp and MsgProp taken from others since the last flush ended; beyond it such messages are dropped, as by a network. */
const RECEIVED_BYTES_MAX = 64 << 20;
/** Payload that a leader has appended and that is not committed; beyond it proposals are dropped. */
const UNCOMMITTED_BYTES_MAX = 512 << 20;
/** Heartbeats that a tick may be late, until time counts as standing still. */
const TICKS_LATE_MAX = 2;

export type RaftEngineOptions = {
  readonly id: MemberId;
  readonly storage: RaftStorage;
  readonly writer: LogWriter;
  readonly clock: Clock;
  readonly random: (bound: number) => number;
  readonly logger: Logger;
  /** What the log says of the last run. */
  readonly hardState: HardState | undefined;
  readonly confState: ConfState;
  readonly applied: Index;
  readonly heartbeatMillis: number;
  readonly electionTicks: number;
  readonly preVote: boolean;
  /** After so long a read that nobody could vouch for is refused, and a proposal that nobody could take is forgotten. */
  readonly requestTimeoutMillis: number;
  /** Unique among the members. */
  readonly nextId: () => bigint;
  readonly onReadSlow: () => void;
  readonly onReadFailed: () => void;
  /** Milliseconds that a flush took in all, and those of its writes, for the metrics. */
  readonly onFlushed: (millis: number, writtenMillis: number) => void;
};

/** As etcd passes raft's own text on. */
const DROPPED = etcdError(Code.Unknown, "raft proposal dropped");

export class RaftEngine implements Engine {
  readonly #node: RawNode;
  readonly #options: RaftEngineOptions;
  readonly #events: EngineEvents;
  readonly #log: LogThread;
  readonly #reads: ReadRounds;
  readonly #proposals: ProposalBatch;
  #transport: Transport | undefined;
  #door: SnapshotDoor | undefined;
  #confState: ConfState;
  #scheduled = false;
  #working = false;
  #stopped = false;
  /** The term whose first entry was applied here while this member led it: from then on its reads are linearizable. */
  #readableTerm = 0;
  #toldLeader: bigint = NONE;
  #appliedIndex: number;
  #appliedTerm = 0;
  /** Messages for others that are ready to leave. */
  #outgoing: Message[] = [];
  #receivedBytes = 0;
  #droppedMessages = 0;
  /** A leader whose disk stands still has asked another to take over. */
  #lettingGo = false;
  #ticker: Timer | undefined;
  #tickDue = 0;
  #tickedInTime = false;
  readonly #run = (): void => this.#work();

  constructor(options: RaftEngineOptions, events: EngineEvents) {
    this.#options = options;
    this.#events = events;
    this.#appliedIndex = options.applied;
    this.#confState = options.confState;
    const { storage, hardState, confState, clock } = options;
    const term = storage.term(options.applied);
    if (typeof term === "number") this.#appliedTerm = term;
    this.#log = new LogThread({
      writer: options.writer,
      clock,
      deliver: (responses) => this.#deliver(responses),
      install: (snapshot, done) => this.#install(snapshot, done),
      onDone: () => {
        this.#receivedBytes = 0;
        this.#work();
      },
      onFlushed: options.onFlushed,
    });
    this.#reads = new ReadRounds({
      clock,
      logger: options.logger,
      nextId: options.nextId,
      timeoutMillis: options.requestTimeoutMillis,
      ask: (context) => {
        if (this.leader !== NONE) this.#node.readIndex(context);
      },
      onSlow: options.onReadSlow,
      onFailed: options.onReadFailed,
    });
    const take = (entries: readonly Entry[]) => this.#node.proposeAll(entries) === undefined;
    this.#proposals = new ProposalBatch(take, options.requestTimeoutMillis);
    this.#node = new RawNode({
      id: options.id,
      ...elections(options.electionTicks, options.preVote),
      storage: {
        initialState: () => ({ hardState: hardState as never, confState }),
        firstIndex: () => storage.firstIndex(),
        lastIndex: () => storage.lastIndex(),
        term: (index) => storage.term(index),
        entries: (low, high, bytesMax) => storage.entries(low, high, bytesMax),
        snapshot: () => this.#door?.current() ?? "temporarilyUnavailable",
      },
      logger: options.logger,
      random: options.random,
      applied: options.applied,
      asyncStorageWrites: true,
      maxSizePerMsg: BATCH_BYTES_MAX,
      maxCommittedSizePerReady: APPLY_BYTES_MAX,
      maxUncommittedEntriesSize: UNCOMMITTED_BYTES_MAX,
      maxInflightMsgs: INFLIGHT_MESSAGES_MAX,
    });
  }

  /** A new cluster's first start: the members become the log's first entries. */
  bootstrap(peers: readonly { readonly id: MemberId; readonly context: Uint8Array }[]): string | undefined {
    const problem = this.#node.bootstrap(peers);
    if (problem === undefined) this.#confState = { ...EMPTY_CONF_STATE, voters: peers.map(({ id }) => id) };
    return problem;
  }

  /** Begins to tick and to work. A member that is the only voter does not wait for an election timeout. */
  start(transport: Transport, door: SnapshotDoor): void {
    this.#transport = transport;
    this.#door = door;
    this.#work();
    if (this.#isSoleVoter) {
      this.#node.campaign();
      this.#work();
    }
    this.#tickDue = this.#options.clock.now();
    this.#tickLater();
  }

  stop(): void {
    this.#stopped = true;
    this.#ticker?.cancel();
    this.#log.stop();
    this.#reads.failAll(errors.stopped);
  }

  propose(data: Uint8Array): EtcdError | undefined {
    if (this.#stopped) return errors.stopped;
    // The only voter sends nothing, so a batch would only cost.
    if (!this.#isSoleVoter || !this.isLeader) this.#proposals.add(EntryType.Normal, data);
    else if (this.#node.propose(data) !== undefined) return DROPPED;
    this.#wake();
    return undefined;
  }

  proposeConfChange(encoded: Uint8Array): EtcdError | undefined {
    if (this.#stopped) return errors.stopped;
    this.#proposals.add(EntryType.ConfChange, encoded);
    this.#wake();
    return undefined;
  }

  /** What apply says of a committed membership change: it is in force from now on. */
  applyConfChange(change: ConfChange | ConfChangeV2): void {
    this.#confState = this.#node.applyConfChange(change);
  }

  /** A message of another member. Never blocks: what is too much is dropped, and raft makes up for it. */
  receive(message: Message): void {
    if (this.#stopped || isLocalMessage(message.type)) return;
    if (message.entries.length > 0 && message.type !== MessageType.MsgReadIndexResp) {
      const bytes = payloadsSize(message.entries);
      if (this.#receivedBytes > 0 && this.#receivedBytes + bytes > RECEIVED_BYTES_MAX) {
        this.#droppedMessages++;
        return;
      }
      this.#receivedBytes += bytes;
    }
    // etcd drops what is forwarded while nobody can take it, and its callers wait for their timeout.
    if (message.type === MessageType.MsgProp && !this.#takesProposals)
      this.#proposals.holdForwarded(message.entries, this.#options.clock.now());
    else this.#node.step(message);
    this.#wake();
  }

  reportUnreachable(id: MemberId): void {
    if (this.#stopped) return;
    this.#node.reportUnreachable(id);
    this.#wake();
  }

  reportSnapshot(id: MemberId, failed: boolean): void {
    if (this.#stopped) return;
    this.#node.reportSnapshot(id, failed);
    this.#wake();
  }

  /** Asks the leader, this member or another, to hand over. Whether it happens is seen by who leads then. */
  transferLeader(to: MemberId): void {
    if (this.#stopped) return;
    this.#node.transferLeader(to);
    this.#wake();
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
    else {
      this.#reads.add(ready, failed);
      this.#wake();
    }
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

  /** A copy of raft's own view; on a leader with the progress of each member. */
  get status(): Status {
    return this.#node.status();
  }

  /** See RawNode. */
  get pendingSnapshotIndex(): number {
    return this.#node.pendingSnapshotIndex;
  }

  /** raft's status as JSON, in etcd's form. */
  statusJson(): string {
    return describeStatus(this.#node.status());
  }

  describe(): string {
    const leader = this.leader.toString(16);
    return `raft: term ${this.term}, leader ${leader}, committed ${this.committedIndex}, applied ${this.#appliedIndex}, ${this.#droppedMessages} messages dropped`;
  }

  get #isSoleVoter(): boolean {
    const { voters, votersOutgoing } = this.#confState;
    return voters.length === 1 && votersOutgoing.length === 0 && voters[0] === this.#options.id;
  }

  get #electionMillis(): number {
    return this.#options.electionTicks * this.#options.heartbeatMillis;
  }

  /**
   * Raft's time goes on, so that a leader without a majority has stepped down, or does so within the time that a new leader adds to every
   * lease: what it says of leases needs no question to the others. etcd's isActive.
   */
  get isActive(): boolean {
    const { clock, heartbeatMillis } = this.#options;
    return this.#tickedInTime && clock.now() <= this.#tickDue + TICKS_LATE_MAX * heartbeatMillis;
  }

  #tickLater(): void {
    const { clock, heartbeatMillis } = this.#options;
    const now = clock.now();
    this.#tickDue = nextTickDue(this.#tickDue, now, heartbeatMillis);
    this.#ticker = clock.after((this.#tickDue - now) as Millis, () => {
      if (this.#stopped) return;
      this.#tick();
      this.#tickLater();
    });
  }

  #tick(): void {
    const late = this.#options.clock.now() - this.#tickDue;
    // After so long a standstill the others have elected somebody else. What is proposed now must wait for that leader, not for us.
    if (late > this.#electionMillis) this.#letGo(`no tick for ${Math.round(late)} ms`);
    this.#tickedInTime = late <= TICKS_LATE_MAX * this.#options.heartbeatMillis && !this.#isDiskStalled();
    if (!this.#isDiskStalled()) this.#node.tick();
    this.#proposals.expire(this.#options.clock.now());
    this.#reads.tick();
    this.#wake();
  }

  /**
   * A flush that takes longer than an election timeout: this member cannot lead. A leader hands over to who is connected and up to date
   * or, when that has not happened an election timeout later, stops sending heartbeats. Nobody campaigns in this state.
   */
  #isDiskStalled(): boolean {
    const since = this.#log.flushingSince;
    if (since === undefined || this.#isSoleVoter) {
      this.#lettingGo = false;
      return false;
    }
    const stalled = this.#options.clock.now() - since;
    if (stalled <= this.#electionMillis) {
      this.#lettingGo = false;
      return false;
    }
    if (!this.isLeader) return true;
    if (stalled > 2 * this.#electionMillis) this.#letGo(`a flush has taken ${Math.round(stalled)} ms`);
    else if (!this.#lettingGo) {
      this.#lettingGo = true;
      const to = this.#events.successor();
      if (to !== undefined) this.#node.transferLeader(to);
    }
    return !this.isLeader;
  }

  #letGo(why: string): void {
    if (!this.isLeader || this.#isSoleVoter) return;
    this.#options.logger.warn("stepping down: the leader could not do its work for an election timeout", {
      reason: why,
      "election-timeout": `${this.#electionMillis}ms`,
    });
    this.#node.stepDown();
  }

  #wake(): void {
    if (this.#scheduled || this.#stopped) return;
    this.#scheduled = true;
    this.#options.clock.endOfTurn(this.#run);
  }

  /** Works off Readys until there is none, or the turn is over. What a flush must make safe first comes back through the log thread. */
  #work(): void {
    this.#scheduled = false;
    if (this.#stopped || this.#working) return;
    this.#working = true;
    const { clock } = this.#options;
    // Until the first read can be vouched for nobody is served, so nobody is kept waiting by an inline flush or a long turn.
    const unserved = this.#readableTerm === 0 && this.#isSoleVoter;
    const turnEnds = unserved ? Number.POSITIVE_INFINITY : clock.now() + TURN_MILLIS_MAX;
    this.#proposals.flush(this.#takesProposals, clock.now());
    if (!this.#isSoleVoter) this.#reads.begin(this.leader);
    else if (this.canReadNow) this.#reads.releaseAll();
    while (!this.#stopped && clock.now() <= turnEnds && this.#node.hasReady()) {
      const ready = this.#node.ready();
      if (ready.softState !== undefined) this.#roleChanged();
      for (const state of ready.readStates) this.#reads.answered(state, this.#appliedIndex);
      this.#dispatch(ready.messages, ready.mustSync);
      this.#log.flush(unserved);
    }
    if (this.#node.hasReady()) this.#wake();
    this.#send();
    if (!this.#log.busy) this.#receivedBytes = 0;
    this.#working = false;
  }

  /** Others first: they write while we do. Then our own log, then what is committed. */
  #dispatch(messages: readonly Message[], mustSync: boolean): void {
    let append: Message | undefined;
    let apply: Message | undefined;
    for (let i = 0; i < messages.length; i++) {
      const message = messages[i]!;
      if (message.to === LOCAL_APPEND_THREAD) append = message;
      else if (message.to === LOCAL_APPLY_THREAD) apply = message;
      else if (message.type === MessageType.MsgSnap) this.#door?.send(message);
      else this.#outgoing.push(message);
    }
    this.#send();
    if (append !== undefined) this.#log.append(append, mustSync);
    if (apply === undefined) return;
    this.#apply(apply.entries);
    this.#deliver(apply.responses);
  }

  #send(): void {
    if (this.#outgoing.length === 0) return;
    const messages = this.#outgoing;
    this.#outgoing = [];
    this.#transport?.send(messages);
  }

  #deliver(responses: readonly Message[]): void {
    for (let i = 0; i < responses.length; i++) {
      const response = responses[i]!;
      if (response.to === this.#options.id) this.#node.step(response);
      else this.#outgoing.push(response);
    }
  }

  #install(snapshot: Snapshot, done: () => void): void {
    const { index, term, confState } = snapshot.metadata;
    assert(this.#door !== undefined, "snapshots come to a started member");
    this.#door.install(snapshot, () => {
      // Also in a member that is ending: its last checkpoint is of the state that is there now.
      this.#appliedIndex = index;
      this.#appliedTerm = term;
      this.#confState = confState;
      if (this.#stopped) return;
      this.#events.restored();
      done();
      this.#reads.applied(index);
    });
  }

  #roleChanged(): void {
    this.#tellLeader();
    this.#events.roleChanged();
    this.#reads.leaderIs(this.leader);
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

  /** While leadership is handed over, a leader takes nothing; what comes meanwhile waits for the one who leads then. */
  get #takesProposals(): boolean {
    return this.leader !== NONE && this.#node.leadTransferee === NONE;
  }

  #apply(entries: readonly Entry[]): void {
    this.#events.committed(entries);
    const last = entries[entries.length - 1]!;
    this.#appliedIndex = last.index;
    this.#appliedTerm = last.term;
    if (this.isLeader && last.term === this.#node.term && this.#readableTerm !== last.term) {
      this.#readableTerm = last.term;
      this.#events.leadershipProved();
      if (this.#isSoleVoter) this.#reads.releaseAll();
      else this.#reads.leaderIs(this.leader);
    }
    this.#reads.applied(last.index);
  }
}
