// One member: the engine's committed entries go to the applier, its results to the waiting callers and its changes to the watch hub.
// It wires and owns lifetimes; what a request means is the services', what an entry does is apply's. Time enters here, and only here.
import type { ApplyContext } from "../apply/context.ts";
import { exceedsQuota } from "../apply/quota.ts";
import { assert, must } from "../base/assert.ts";
import type { ClusterId, MemberId, Millis, RequestId } from "../base/brand.ts";
import { type EtcdError, errors } from "../base/errors.ts";
import { AlarmType } from "../cluster/alarms.ts";
import { hexId } from "../cluster/ids.ts";
import type { ClusterMember, MemberChange, Membership } from "../cluster/membership.ts";
import type { Lessor } from "../lease/lessor.ts";
import type { Entry } from "../log/contract.ts";
import type { Log } from "../log/log.ts";
import type { ValueReader } from "../mvcc/contract.ts";
import type { Store } from "../mvcc/store.ts";
import type { Clock, Timer } from "../ports/clock.ts";
import type { Digest, StreamDigest } from "../ports/digest.ts";
import type { Logger } from "../ports/logger.ts";
import type { Metrics } from "../ports/metrics.ts";
import type { WatchHub } from "../watch/hub.ts";
import { APPLY_TIMEOUT_MILLIS, AppliedWaits } from "./applied-waits.ts";
import { ApplyLoop } from "./apply-loop.ts";
import type { Engine, EngineEvents, SnapshotDoor } from "./consensus/engine.ts";
import { handOver, transferLeadership } from "./consensus/leadership.ts";
import type { RaftEngine } from "./consensus/raft-engine.ts";
import { Counters } from "./counters.ts";
import { eventEncoder } from "./event-encoder.ts";
import { tellRemoved } from "./membership/advice.ts";
import { proposeMemberChange } from "./membership/member-change.ts";
import { Reconfiguration } from "./membership/reconfiguration.ts";
import { VersionMonitor } from "./membership/version-monitor.ts";
import { LeaderWatch } from "./network/leader-watch.ts";
import { LONE_NETWORK, type Network } from "./network/network.ts";
import { Peers } from "./network/peers.ts";
import type { PeerHash } from "./network/transport.ts";
import { type MemberOptions, requestTimeoutMillis } from "./options.ts";
import { Proposals, type Waiter } from "./proposals.ts";
import { RangeTimer } from "./range-timer.ts";
import { encodeRequest, type RequestField, RequestIds, requestName } from "./request.ts";
import { SlowLog } from "./slow-log.ts";
import { Timings } from "./timings.ts";
import { AlarmRaiser } from "./upkeep/alarm-raiser.ts";
import { Compaction } from "./upkeep/compaction.ts";
import { AutoCompactor } from "./upkeep/compactor.ts";
import { CorruptionCheck } from "./upkeep/corruption-check.ts";
import { FullDevice } from "./upkeep/full-device.ts";
import { hashByRevision } from "./upkeep/hash-run.ts";
import { Housekeeping } from "./upkeep/housekeeping.ts";
import { LeaseKeeper } from "./upkeep/lease-keeper.ts";

export type { Waiter } from "./proposals.ts";

/** Someone who wants to read: called back once. */
export interface ReadWaiter {
  ready(): void;
  failed(error: EtcdError): void;
}

export type MemberParts = {
  readonly options: MemberOptions;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly log: Log;
  readonly store: Store;
  readonly hub: WatchHub;
  readonly lessor: Lessor;
  readonly membership: Membership;
  readonly applyContext: ApplyContext;
  readonly random: (bound: number) => number;
  readonly digest: Digest;
  readonly metrics: Metrics;
  /** The process must end: going on would risk what was promised. */
  readonly onFatal: (error: Error) => void;
};

/** Committed entries that are not applied yet, beyond which proposals are refused (etcd's maxGapBetweenApplyAndCommitIndex). */
const APPLY_GAP_MAX = 5000;
/** etcd's: a removed member goes on for so long. */
const REMOVED_MILLIS = 1000 as Millis;

export class Member implements EngineEvents {
  readonly options: MemberOptions;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly log: Log;
  /** Another one after a snapshot: nobody keeps it over a turn, except to finish a read that began in it. */
  store: Store;
  readonly hub: WatchHub;
  readonly lessor: Lessor;
  readonly membership: Membership;
  readonly applyContext: ApplyContext;
  readonly counters: Counters = new Counters();
  readonly timings: Timings;
  readonly rangeTimer: RangeTimer;
  readonly slowLog: SlowLog;
  readonly leaseKeeper: LeaseKeeper;
  readonly reconfiguration: Reconfiguration;
  readonly leaderWatch: LeaderWatch;
  readonly versions: VersionMonitor;
  readonly corruptionCheck: CorruptionCheck;
  readonly #appliedWaits = new AppliedWaits();
  readonly #proposals = new Proposals();
  readonly #ids: RequestIds;
  readonly #random: (bound: number) => number;
  readonly #digest: Digest;
  readonly #onFatal: (error: Error) => void;
  readonly #compaction: Compaction;
  readonly #applyLoop: ApplyLoop;
  #raft: RaftEngine | undefined;
  #network: Network = LONE_NETWORK;
  #peers: Peers | undefined;
  /** When the present leader was elected. */
  #leaderSince = 0;
  #stopped = false;
  #removed = false;
  #catchingUp = false;
  readonly #alarms: AlarmRaiser;
  readonly #fullDevice: FullDevice;
  readonly #housekeeping: Housekeeping;
  #sweeper: Timer | undefined;
  #lastLeader = 0n;
  /** Called when a batch is applied and answered: the edge sends what it has, before the next flush of the log begins. */
  onBatchAnswered: (() => void) | undefined;
  /** Called when a snapshot has taken the place of the state. */
  onReplaced: (() => void) | undefined;
  /** False while publish() waits for the cluster: this state may be older than what was shown before a restart, so no read is answered from it alone. */
  settled = true;
  /** Called a second after this member was removed from the cluster: it has nothing to do here any more. */
  onRemoved: (() => void) | undefined;
  readonly #autoCompactor: AutoCompactor | undefined;

  constructor(parts: MemberParts) {
    this.options = parts.options;
    this.clock = parts.clock;
    this.logger = parts.logger;
    this.log = parts.log;
    this.store = parts.store;
    this.hub = parts.hub;
    this.lessor = parts.lessor;
    this.membership = parts.membership;
    this.applyContext = parts.applyContext;
    this.#random = parts.random;
    this.#digest = parts.digest;
    this.#onFatal = parts.onFatal;
    this.timings = new Timings(parts.metrics);
    this.rangeTimer = new RangeTimer(parts.clock, this.timings);
    this.slowLog = new SlowLog(parts.options.warningApplyMillis, parts.logger, this.counters);
    this.#alarms = new AlarmRaiser(this);
    this.#fullDevice = new FullDevice(this, this.#alarms);
    this.#compaction = new Compaction(this, () => this.#alarms.clearNoSpace());
    this.#applyLoop = new ApplyLoop(this, this.#proposals, this.#alarms, this.#compaction);
    this.#ids = new RequestIds(parts.membership.localId, parts.clock.wall());
    this.leaseKeeper = new LeaseKeeper(this);
    this.reconfiguration = new Reconfiguration(this);
    this.leaderWatch = new LeaderWatch(this);
    this.versions = new VersionMonitor(this);
    this.corruptionCheck = new CorruptionCheck(this);
    this.#housekeeping = new Housekeeping(this);
    const { autoCompaction } = parts.options;
    this.#autoCompactor = autoCompaction === undefined ? undefined : new AutoCompactor(this, autoCompaction);
  }

  /** The engine is made with this member as its events' receiver, and the network delivers to it, hence both after it. */
  start(engine: RaftEngine, network: Network, door: SnapshotDoor, initial: readonly ClusterMember[]): void {
    assert(this.#raft === undefined, "a member is started once");
    this.#raft = engine;
    this.#network = network;
    this.#peers = new Peers(network.transport, this.membership);
    this.logger.info("starting etcd server", {
      "local-member-id": hexId(this.localId),
      "local-server-version": this.options.serverVersion,
      "cluster-version": this.membership.version ?? "to_be_decided",
    });
    this.#peers.sync(initial);
    this.versions.start();
    engine.start(network.transport, door);
    this.#sweep();
    this.#housekeeping.start();
    this.corruptionCheck.start();
    if (this.store.compactionPending) this.#compaction.resume();
    this.#autoCompactor?.start();
    this.spaceChanged(this.log.full);
  }

  stop(): void {
    this.#stopped = true;
    this.#sweeper?.cancel();
    this.leaseKeeper.stop();
    this.versions.stop();
    this.corruptionCheck.stop();
    this.#fullDevice.stop();
    this.#appliedWaits.failAll(errors.stopped);
    this.#autoCompactor?.stop();
    this.#raft?.stop();
    this.#proposals.failAll(errors.stopped);
  }

  /** Ends everything and gives the directory back. What was acknowledged is on disk already; a checkpoint shortens the next start. */
  async close(): Promise<void> {
    await handOver(this, this.successor());
    this.stop();
    await this.#network.transport.close();
    await this.#housekeeping.stop();
    await this.log.close();
  }

  /** Makes another voter the leader. Resolves when it leads, or with the reason why not. Only a leader is asked. */
  transferLeadership(to: MemberId, timeoutMillis: number): Promise<EtcdError | undefined> {
    return transferLeadership(this, to, timeoutMillis);
  }

  /** The device ran full, or has room again. */
  spaceChanged(full: boolean): void {
    this.#fullDevice.changed(full);
  }

  get deviceFull(): boolean {
    return this.#fullDevice.full;
  }

  get stopped(): boolean {
    return this.#stopped;
  }

  get engine(): Engine {
    return this.raft;
  }

  get raft(): RaftEngine {
    return must(this.#raft, "the engine is there once the member is started");
  }

  get network(): Network {
    return this.#network;
  }

  get clusterId(): ClusterId {
    return this.membership.clusterId;
  }

  get localId(): MemberId {
    return this.membership.localId;
  }

  /** For response headers. */
  get term(): number {
    return this.raft.term;
  }

  get reader(): ValueReader {
    return this.log.values;
  }

  get pendingProposals(): number {
    return this.#proposals.size;
  }

  nextRequestId(): RequestId {
    return this.#ids.next();
  }

  /** Proposes a request in the client's own bytes. The waiter is called exactly once, later or at once. */
  propose(field: RequestField, body: Uint8Array, waiter: Waiter): void {
    const { raft } = this;
    if (raft.committedIndex > raft.appliedIndex + APPLY_GAP_MAX || !this.#proposals.admits(body.length)) {
      waiter.failed(errors.tooManyRequests);
      return;
    }
    const id = this.#ids.next();
    const data = encodeRequest(field, body, id);
    if (data.length > this.options.requestBytesMax) {
      waiter.failed(errors.requestTooLarge);
      return;
    }
    const refused = raft.propose(data);
    if (refused !== undefined) {
      this.counters.proposalsFailed++;
      waiter.failed(refused);
      return;
    }
    const started = this.clock.now();
    this.#proposals.add({
      id,
      waiter,
      type: requestName(field),
      bytes: data.length,
      started,
      deadline: started + requestTimeoutMillis(this.options),
    });
  }

  /** A linearizable read may be answered in this very turn. */
  get canReadNow(): boolean {
    return this.raft.canReadNow;
  }

  read(waiter: ReadWaiter): void {
    this.raft.barrier(
      () => waiter.ready(),
      (error) => waiter.failed(error),
    );
  }

  /** When all that is committed here now is applied too; fails after a second. */
  whenCaughtUp(waiter: ReadWaiter): void {
    const { raft } = this;
    const index = raft.committedIndex;
    if (raft.appliedIndex >= index) waiter.ready();
    else this.#appliedWaits.add(index, this.clock.now() + APPLY_TIMEOUT_MILLIS, waiter);
  }

  /** Bytes on disk are not what was written: nobody gets them, and nothing is changed until somebody has looked. */
  foundCorruption(error: Error): void {
    this.logger.error("found corrupt data", { error: error.message });
    this.raiseAlarm(AlarmType.Corrupt);
  }

  /** Drops what is dead from the disk now, without waiting for the threshold. Blocks nobody. */
  async reclaimNow(): Promise<void> {
    const started = this.clock.now();
    this.counters.reclaims++;
    try {
      await this.#housekeeping.reclaimNow();
    } finally {
      this.counters.reclaims--;
    }
    this.timings.reclaim.observe((this.clock.now() - started) / 1000);
  }

  readonly sha1: Digest["sha1"] = (chunks) => this.#digest.sha1(chunks);

  sha256Stream(onFailure: (error: Error) => void): StreamDigest {
    return this.#digest.sha256Stream(onFailure);
  }

  fatal(error: unknown): void {
    this.#onFatal(error instanceof Error ? error : new Error(String(error)));
  }

  changeMembership(change: MemberChange, waiter: { changed(): void; failed(error: EtcdError): void }): void {
    const id = this.#ids.next();
    const refused = proposeMemberChange(this.raft, change, id);
    if (refused !== undefined) {
      waiter.failed(refused);
      return;
    }
    const pending: Waiter = {
      applied: ({ error }) => (error === undefined ? waiter.changed() : waiter.failed(error)),
      failed: (error) => waiter.failed(error),
    };
    const started = this.clock.now();
    const deadline = started + requestTimeoutMillis(this.options);
    this.#proposals.add({ id, waiter: pending, type: "", bytes: 0, started, deadline });
  }

  /** etcd's quota gate at the API. A refusal raises the alarm, through the log. */
  admits(cost: number): boolean {
    if (cost === 0) return true;
    if (this.#alarms.deviceFull) this.#alarms.raise(AlarmType.NoSpace);
    else if (!exceedsQuota(this.store, cost, this.options.quotaBytes)) return true;
    else this.#alarms.refused(cost);
    return false;
  }

  raiseAlarm(alarm: number): void {
    this.#alarms.raise(alarm);
  }

  raiseCorrupt(id: MemberId): void {
    this.#alarms.raiseCorrupt(id);
  }

  /** This member's hash of its key space as of a revision, 0 = now, as members tell it each other. */
  hashByRevision(revision: number): Promise<PeerHash> {
    return hashByRevision(this, revision);
  }

  /** Calls back when the compactions that are under way have dropped their rows. */
  whenCompacted(callback: () => void): void {
    this.#compaction.whenDone(callback);
  }

  /** A snapshot has replaced the state (replace-state.ts): whoever works in the background goes on with the new one. */
  replaceStore(store: Store): void {
    this.store = store;
    this.applyContext.store = store;
    this.hub.replaceView(store, eventEncoder(store, this.reader));
    this.#alarms.tell();
    this.leaseKeeper.revoked();
    if (store.compactionPending) this.#compaction.resume();
    this.wakeWatchers();
    this.onReplaced?.();
  }

  /** Some watch stream has room again, or a watcher begins in the past. */
  wakeWatchers(): void {
    if (this.#catchingUp || this.#stopped) return;
    this.#catchingUp = true;
    this.clock.endOfTurn(() => {
      this.#catchingUp = false;
      if (!this.#stopped && this.hub.catchUp()) this.wakeWatchers();
    });
  }

  /** Milliseconds until a stream's next progress notifications: the interval and up to a tenth more, so that streams spread. */
  progressInterval(): Millis {
    const interval = this.options.watchProgressMillis;
    return (interval + this.#random(Math.max(1, Math.floor(interval / 10)))) as Millis;
  }

  // EngineEvents

  committed(entries: readonly Entry[]): void {
    this.#applyLoop.run(entries);
    this.onBatchAnswered?.();
    this.#appliedWaits.reached(entries[entries.length - 1]!.index);
    if (this.hub.slowWatcherCount > 0) this.wakeWatchers();
  }

  roleChanged(): void {
    const { raft } = this;
    if (raft.leader !== this.#lastLeader && raft.leader !== 0n) {
      this.counters.leaderChanges++;
      this.#lastLeader = raft.leader;
    }
    if (raft.leader !== 0n) this.#leaderSince = this.clock.now();
    if (raft.isLeader || !this.lessor.isPrimary) return;
    this.lessor.demote();
    this.leaseKeeper.demoted();
  }

  leadershipProved(): void {
    this.lessor.promote(this.clock.now(), this.options.electionMillis);
    this.leaseKeeper.start();
    this.versions.firstCommit();
  }

  restored(): void {
    this.#peers?.sync();
    this.versions.restored();
  }

  successor(): MemberId | undefined {
    return this.#peers?.longestConnected();
  }

  /** A membership change was applied. One who was removed has nothing to do here any more, once the others have heard of it. */
  memberChanged(change: MemberChange): void {
    this.#peers?.changed(change);
    if (change.kind !== "remove" || change.id !== this.localId) return;
    this.clock.after(REMOVED_MILLIS, () => this.removed());
  }

  /** This member, or another one, has found out that it belongs to the cluster no more. */
  removed(): void {
    if (this.#removed) return;
    this.#removed = true;
    tellRemoved(this);
    this.onRemoved?.();
  }

  /** etcd's parseProposeCtxErr: why a proposal of that time got no answer, as far as this member can tell. */
  #timeoutReason(started: number): EtcdError {
    const { raft } = this;
    const lost = this.#leaderSince - 2 * this.options.electionMillis;
    if (started > lost && started < this.#leaderSince) return errors.timeoutDueToLeaderFail;
    const peers = this.#peers;
    if (peers === undefined || raft.leader === 0n) return errors.timeout;
    const connected = raft.isLeader
      ? peers.isConnectedToQuorumSince(started)
      : peers.isConnectedSince(raft.leader, started);
    return connected ? errors.timeout : errors.timeoutDueToConnectionLost;
  }

  /** Once a heartbeat: proposals that got no answer in time. */
  #sweep(): void {
    this.#sweeper = this.clock.after(this.options.heartbeatMillis as Millis, () => {
      if (this.#stopped) return;
      const now = this.clock.now();
      for (const { type, started } of this.#proposals.expire(now, (began) => this.#timeoutReason(began))) {
        this.counters.proposalsFailed++;
        if (type !== "") this.timings.requests.observe(type, false, (now - started) / 1000);
      }
      this.#appliedWaits.expire(now);
      this.leaderWatch.look(now);
      if (this.applyContext.alarms.has(AlarmType.NoSpace)) this.#alarms.clearNoSpace();
      if (this.store.compactionPending && !this.store.compactionHeld) this.#compaction.resume();
      this.#sweep();
    });
  }
}
