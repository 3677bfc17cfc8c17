// One member: the engine's committed entries go to the applier, its results to the waiting callers and its changes to the watch hub.
// It wires and owns lifetimes; what a request means is the services', what an entry does is apply's. Time enters here, and only here.
import { type Applied, Applier } from "../apply/applier.ts";
import type { ApplyContext, EntryAtHand } from "../apply/context.ts";
import { assert, must } from "../base/assert.ts";
import type { ClusterId, LeaseId, MemberId, Millis, RequestId } from "../base/brand.ts";
import { type EtcdError, errors } from "../base/errors.ts";
import { AlarmType } from "../cluster/alarms.ts";
import type { MemberChange, Membership } from "../cluster/membership.ts";
import type { Lessor } from "../lease/lessor.ts";
import { type Entry, EntryType } from "../log/contract.ts";
import type { Log } from "../log/log.ts";
import type { ValueReader } from "../mvcc/contract.ts";
import type { HashJob } from "../mvcc/hash-job.ts";
import type { Store } from "../mvcc/store.ts";
import type { Clock, Timer } from "../ports/clock.ts";
import type { Digest } from "../ports/digest.ts";
import type { Logger } from "../ports/logger.ts";
import type { WatchHub } from "../watch/hub.ts";
import { AlarmAction, encodeAlarmRequest } from "../wire/generated/etcdserverpb.ts";
import { encodeDowngradeInfoSetRequest } from "../wire/generated/membershippb.ts";
import { BackendHash } from "./backup.ts";
import { AutoCompactor } from "./compactor.ts";
import { Counters } from "./counters.ts";
import type { Engine, EngineEvents } from "./engine.ts";
import { Housekeeping } from "./housekeeping.ts";
import { LeaseKeeper, type RenewWaiter } from "./lease-keeper.ts";
import { applyMemberChange, proposeMemberChange } from "./member-change.ts";
import { type MemberOptions, requestTimeoutMillis } from "./options.ts";
import { Proposals, type Waiter } from "./proposals.ts";
import { decideClusterVersion } from "./publish.ts";
import type { RaftEngine } from "./raft-engine.ts";
import { encodeRequest, RequestField, RequestIds } from "./request.ts";

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
  /** The process must end: going on would risk what was promised. */
  readonly onFatal: (error: Error) => void;
};

/** Committed entries that are not applied yet, beyond which proposals are refused (etcd's maxGapBetweenApplyAndCommitIndex). */
const APPLY_GAP_MAX = 5000;
/** A NOSPACE alarm of our own goes when so much of the quota is free again. */
const QUOTA_CLEAR_SHARE = 0.95;
/** What one slice of a compaction may take of a turn, and the fewest rows that it looks at. */
const COMPACTION_SLICE_MILLIS = 0.5;
const COMPACTION_ROWS_MIN = 32;
/** A compaction looks again so often whether the backup or hash that holds it is done. */
const HELD_RETRY_MILLIS = 20;

export class Member implements EngineEvents {
  readonly options: MemberOptions;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly log: Log;
  readonly store: Store;
  readonly hub: WatchHub;
  readonly lessor: Lessor;
  readonly membership: Membership;
  readonly applyContext: ApplyContext;
  readonly counters: Counters = new Counters();
  readonly leaseKeeper: LeaseKeeper;
  readonly #applier: Applier;
  readonly #proposals = new Proposals();
  readonly #ids: RequestIds;
  readonly #random: (bound: number) => number;
  readonly #digest: Digest;
  readonly #onFatal: (error: Error) => void;
  readonly #answers: { readonly waiter: Waiter; readonly result: Applied }[] = [];
  #raft: RaftEngine | undefined;
  #stopped = false;
  #catchingUp = false;
  #compacting = false;
  #compactionWaiters: (() => void)[] = [];
  #alarmPending = false;
  #deviceFull = false;
  #compactionRows = 128;
  readonly #housekeeping: Housekeeping;
  #sweeper: Timer | undefined;
  #lastLeader = 0n;
  /** Called when a batch is applied and answered: the edge sends what it has, before the next flush of the log begins. */
  onBatchAnswered: (() => void) | undefined;
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
    this.#applier = new Applier(parts.applyContext);
    this.#ids = new RequestIds(parts.membership.localId, parts.clock.wall());
    this.leaseKeeper = new LeaseKeeper(this);
    this.#housekeeping = new Housekeeping(this);
    const { autoCompaction } = parts.options;
    this.#autoCompactor = autoCompaction === undefined ? undefined : new AutoCompactor(this, autoCompaction);
  }

  /** The engine is made with this member as its events' receiver, hence after it. */
  start(engine: RaftEngine): void {
    assert(this.#raft === undefined, "a member is started once");
    this.#raft = engine;
    engine.start();
    this.#sweep();
    this.#housekeeping.start();
    if (this.store.compactionPending) this.#resumeCompaction();
    this.#autoCompactor?.start();
  }

  stop(): void {
    this.#stopped = true;
    this.#sweeper?.cancel();
    this.leaseKeeper.stop();
    this.#autoCompactor?.stop();
    this.#raft?.stop();
    this.#proposals.failAll(errors.stopped);
  }

  /** Ends everything and gives the directory back. What was acknowledged is on disk already; a checkpoint shortens the next start. */
  async close(): Promise<void> {
    this.stop();
    await this.#housekeeping.stop();
    await this.log.close();
  }

  /** The device ran full, or has room again: the member turns read-only and back. */
  spaceChanged(full: boolean): void {
    this.#deviceFull = full;
    if (full) this.raiseAlarm(AlarmType.NoSpace);
    else this.#clearNoSpace();
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
    this.#proposals.add(id, waiter, data.length, this.clock.now() + requestTimeoutMillis(this.options));
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

  /** When all that is committed here is applied too. */
  whenApplied(waiter: ReadWaiter): void {
    if (this.raft.appliedIndex >= this.raft.committedIndex && this.raft.isLeader) waiter.ready();
    else this.read(waiter);
  }

  /** Bytes on disk are not what was written: nobody gets them, and nothing is changed until somebody has looked. */
  foundCorruption(error: Error): void {
    this.logger.error("found corrupt data", { error: error.message });
    this.raiseAlarm(AlarmType.Corrupt);
  }

  /** The job of the Hash call. */
  hashBackend(): HashJob {
    return new BackendHash(this);
  }

  /** Begins a downgrade to `version`, or cancels it (undefined), through the log. */
  setDowngrade(version: string | undefined, waiter: Waiter): void {
    const body = encodeDowngradeInfoSetRequest({ enabled: version !== undefined, ver: version ?? "" });
    this.propose(RequestField.DowngradeInfoSet, body, waiter);
  }

  /** Drops what is dead from the disk now, without waiting for the threshold. Blocks nobody. */
  async reclaimNow(): Promise<void> {
    await this.#housekeeping.reclaimNow();
  }

  sha256(): ReturnType<Digest["sha256"]> {
    return this.#digest.sha256();
  }

  fatal(error: unknown): void {
    this.#onFatal(error instanceof Error ? error : new Error(String(error)));
  }

  renewLease(id: LeaseId, waiter: RenewWaiter): void {
    this.leaseKeeper.renew(id, waiter);
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
    this.#proposals.add(id, pending, 0, this.clock.now() + requestTimeoutMillis(this.options));
  }

  /** etcd's quota gate at the API. A refusal raises the alarm, through the log. */
  admits(cost: number): boolean {
    if (cost === 0 || this.store.liveBytes + cost < this.options.quotaBytes) return true;
    this.raiseAlarm(AlarmType.NoSpace);
    return false;
  }

  raiseAlarm(alarm: number): void {
    if (
      this.#alarmPending ||
      this.applyContext.alarms.get(alarm).some((each) => each.memberId === this.localId)
    )
      return;
    this.logger.warn("raising an alarm", { alarm, "quota-size-bytes": this.options.quotaBytes });
    this.#proposeAlarm(AlarmAction.ACTIVATE, alarm);
  }

  /** Calls back when the compactions that are under way have dropped their rows. */
  whenCompacted(callback: () => void): void {
    if (this.#compacting) this.#compactionWaiters.push(callback);
    else callback();
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
    const now = this.clock.now();
    for (let i = 0; i < entries.length; i++) {
      const entry = entries[i]!;
      if (entry.type !== EntryType.Normal) this.#applyMemberChange(entry);
      else if (entry.data.length > 0) this.#applyEntry(entry, now);
    }
    this.counters.proposalsCommitted += entries.length;
    this.counters.proposalsApplied += entries.length;
    this.hub.flush();
    this.#answer();
    this.onBatchAnswered?.();
    if (this.hub.slowWatcherCount > 0) this.wakeWatchers();
  }

  roleChanged(): void {
    const { raft } = this;
    const now = this.clock.now();
    if (raft.leader !== this.#lastLeader && raft.leader !== 0n) {
      this.counters.leaderChanges++;
      this.#lastLeader = raft.leader;
    }
    if (raft.isLeader && !this.lessor.isPrimary) {
      this.lessor.promote(now, this.options.electionMillis);
      this.leaseKeeper.start();
      decideClusterVersion(this);
    } else if (!raft.isLeader && this.lessor.isPrimary) this.lessor.demote();
  }

  #applyEntry(entry: Entry, now: Millis): void {
    const { file, offset } = this.log.writer.placeOf(entry.index);
    const atHand: EntryAtHand = { term: entry.term, index: entry.index, data: entry.data, file, offset, now };
    const result = this.#applier.apply(atHand);
    const { changed } = this.applyContext;
    if (changed.length > 0) this.hub.notify(changed);
    this.#count(result);
    const waiter = this.#proposals.take(result.id);
    if (waiter !== undefined) this.#answers.push({ waiter, result });
  }

  #applyMemberChange(entry: Entry): void {
    const { id, error } = applyMemberChange(this.raft, this.membership, entry);
    const waiter = this.#proposals.take(id);
    if (waiter !== undefined)
      this.#answers.push({ waiter, result: { id, op: "ConfChange", response: undefined, error } });
  }

  /** Events first (hub.flush), then replies: nobody learns a revision from a reply whose events are not queued yet. */
  #answer(): void {
    const answers = this.#answers;
    for (let i = 0; i < answers.length; i++) answers[i]!.waiter.applied(answers[i]!.result);
    answers.length = 0;
  }

  #count(result: Applied): void {
    const { counters } = this;
    switch (result.op) {
      case "Put":
        counters.puts++;
        break;
      case "DeleteRange":
        counters.deletes++;
        break;
      case "Txn":
        counters.txns++;
        break;
      case "Compaction":
        if (result.error === undefined) this.#startCompaction();
        break;
      case "LeaseGrant":
        counters.leasesGranted++;
        break;
      case "LeaseRevoke":
        counters.leasesRevoked++;
        this.leaseKeeper.revoked();
        break;
    }
    if (result.error === errors.noSpace && !this.applyContext.alarms.has(AlarmType.NoSpace)) {
      this.raiseAlarm(AlarmType.NoSpace);
    }
  }

  #startCompaction(): void {
    this.counters.compactions++;
    this.#resumeCompaction();
  }

  /** Also after a restart that cut a compaction short, and when a pin that held rows back is released. */
  #resumeCompaction(): void {
    if (this.#compacting) return;
    this.#compacting = true;
    this.clock.endOfTurn(() => this.#compactSlice());
  }

  /** One bounded bite a turn: puts go on in between. */
  #compactSlice(): void {
    if (this.#stopped) return;
    if (this.store.compactionHeld) {
      this.clock.after(HELD_RETRY_MILLIS as Millis, () => this.#compactSlice());
      return;
    }
    const started = this.clock.now();
    const finished = this.store.compactSlice(this.#compactionRows, this.reader);
    this.#fitCompactionRows(this.clock.now() - started);
    if (!finished) {
      this.clock.endOfTurn(() => this.#compactSlice());
      return;
    }
    this.#compacting = false;
    const waiters = this.#compactionWaiters;
    this.#compactionWaiters = [];
    for (const waiter of waiters) waiter();
    this.#clearNoSpace();
  }

  /** Slices as long as puts hardly notice, whatever a row costs here and now. */
  #fitCompactionRows(tookMillis: number): void {
    const fitting = (this.#compactionRows * COMPACTION_SLICE_MILLIS) / Math.max(tookMillis, 0.01);
    const bounded = Math.min(fitting, 2 * this.#compactionRows, this.options.compactionBatchLimit);
    this.#compactionRows = Math.max(COMPACTION_ROWS_MIN, Math.floor(bounded));
  }

  /** Room again: the alarm that this member raised goes without anybody's doing. */
  #clearNoSpace(): void {
    const own = this.applyContext.alarms
      .get(AlarmType.NoSpace)
      .some((each) => each.memberId === this.localId);
    if (!own || this.#deviceFull || this.store.liveBytes > QUOTA_CLEAR_SHARE * this.options.quotaBytes)
      return;
    this.logger.info("space is available again; disarming the NOSPACE alarm of this member");
    this.#proposeAlarm(AlarmAction.DEACTIVATE, AlarmType.NoSpace);
  }

  #proposeAlarm(action: number, alarm: number): void {
    if (this.#alarmPending) return;
    this.#alarmPending = true;
    const done = (): void => {
      this.#alarmPending = false;
    };
    const body = encodeAlarmRequest({ action, memberId: this.localId, alarm });
    this.propose(RequestField.Alarm, body, { applied: done, failed: done });
  }

  /** Once a heartbeat: proposals that got no answer in time. */
  #sweep(): void {
    this.#sweeper = this.clock.after(this.options.heartbeatMillis as Millis, () => {
      if (this.#stopped) return;
      this.counters.proposalsFailed += this.#proposals.expire(this.clock.now(), errors.timeout);
      if (this.applyContext.alarms.has(AlarmType.NoSpace)) this.#clearNoSpace();
      if (this.store.compactionPending && !this.store.compactionHeld) this.#resumeCompaction();
      this.#sweep();
    });
  }
}
