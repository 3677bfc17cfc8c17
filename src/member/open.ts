// Opens a member on its data directory: the newest checkpoint, then the log behind it; or a first start. Everything that can be wrong
// with a directory is found here, before anything is changed in it.

import { noEntry } from "../apply/applier.ts";
import type { ApplyContext } from "../apply/context.ts";
import { OpCounts } from "../apply/op-counts.ts";
import { type Index, index } from "../base/brand.ts";
import { utf8ToBytes } from "../base/bytes.ts";
import { keyFromBytes } from "../base/key.ts";
import { Alarms } from "../cluster/alarms.ts";
import { hexId } from "../cluster/ids.ts";
import { type ClusterMember, Membership } from "../cluster/membership.ts";
import { encodeMember } from "../etcdfile/member-json.ts";
import { Lessor } from "../lease/lessor.ts";
import { LOG_LIMITS, type LogLimits } from "../log/disk-budget.ts";
import { LogOpenError } from "../log/errors.ts";
import { type Log, openLog } from "../log/log.ts";
import { logDirectory } from "../log/paths.ts";
import { Restorer } from "../mvcc/restorer.ts";
import { newSlotList } from "../mvcc/slot-list.ts";
import { Store } from "../mvcc/store.ts";
import type { Clock } from "../ports/clock.ts";
import type { Digest } from "../ports/digest.ts";
import type { Disk } from "../ports/disk.ts";
import type { Logger } from "../ports/logger.ts";
import { type Metrics, silentMetrics } from "../ports/metrics.ts";
import type { Random } from "../ports/random.ts";
import { type ConfState, EMPTY_CONF_STATE } from "../raft/message.ts";
import { WatchHub } from "../watch/hub.ts";
import { confStateFromBytes } from "./conf-state.ts";
import { RaftEngine } from "./consensus/raft-engine.ts";
import { newReceiver } from "./consensus/receiver.ts";
import { eventEncoder } from "./event-encoder.ts";
import { Member, type MemberParts } from "./member.ts";
import { forceNewCluster } from "./membership/force-new-cluster.ts";
import { type InitialCluster, newCluster } from "./membership/initial-cluster.ts";
import { checkVersion } from "./membership/version-monitor.ts";
import { type Connect, LONE_NETWORK } from "./network/network.ts";
import { MemberPeerService } from "./network/peer-service.ts";
import { entryLimits, leaseSecondsMin, type MemberOptions, requestTimeoutMillis } from "./options.ts";
import { importEtcdDirectory } from "./snapshot/import-etcd.ts";
import { PeerSnapshots } from "./snapshot/peer-snapshots.ts";
import { restoreTables } from "./tables.ts";

export type World = {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly digest: Digest;
  readonly random: Random;
  readonly logger: Logger;
  /** For raft's own lines, which etcd writes under a name of their own; absent: `logger`. */
  readonly raftLogger?: Logger;
  /** Makes the network of a member, which delivers to `receiver`; absent: the member is alone. */
  readonly connect?: Connect;
  /** Absent: nobody counts. */
  readonly metrics?: Metrics;
  /** Takes bbolt's own lock on a database of etcd's; undefined = another process holds it. Absent where that cannot be known. */
  readonly lockDatabase: (path: string) => Promise<{ unlock(): Promise<void> } | undefined>;
  /** Sizes of the log's files and caches, where they are not the usual ones: a simulation makes them small. */
  readonly logLimits?: LogLimits;
  /** The process must end: going on would risk what was promised. */
  readonly onFatal: (error: Error) => void;
};

/** There is a directory, and nothing in it that was ever safe: an earlier first start was cut off. */
export class NoDataError extends Error {
  override readonly name = "NoDataError";
}

/** Opens, recovers and starts a member. When it resolves, a member that is alone leads, and may be served. */
export async function openMember(options: MemberOptions, world: World): Promise<Member> {
  const { clock, digest, logger } = world;
  const initial = initialCluster(options, digest);
  const space: { changed: (full: boolean) => void } = { changed: () => {} };
  const directory = logDirectory(options.dataDirectory, options.walDirectory);
  await importEtcdDirectory(directory, options, world);
  const log = await openLog({
    directory,
    disk: world.disk,
    clock,
    digest,
    logger,
    expected: undefined,
    limits: { ...(world.logLimits ?? LOG_LIMITS), ...entryLimits(options) },
    onFatal: world.onFatal,
    onSpace: (full) => space.changed(full),
  });
  const identity = log.identity ?? { memberId: initial.localId, clusterId: initial.clusterId };
  const fresh = log.hardState === undefined && log.checkpointMeta === undefined;
  if (fresh && options.initialCluster === undefined && options.mayBeginAlone === false) {
    await log.close();
    throw new NoDataError(`${directory} holds no data yet`);
  }
  const state = await recoverState(
    log,
    new Membership(identity.clusterId, identity.memberId, options.learnersMax),
    options,
    world,
  );
  checkVersion(options.serverVersion, state.membership.version);
  if (fresh) {
    log.forgetUnvoted();
    state.membership.expect(initial.members);
  }
  await log.start(identity);
  if (!fresh) tellRestart(log, state, options, directory, logger);
  const random = (bound: number): number => world.random.below(bound);
  const hub = new WatchHub(state.store, eventEncoder(state.store, log.values), newSlotList());
  const member = new Member({
    options,
    clock,
    digest,
    logger,
    log,
    hub,
    random,
    metrics: world.metrics ?? silentMetrics,
    onFatal: world.onFatal,
    ...partsOf(state, options, log),
  });
  const engine = newEngine(member, state, options, world);
  if (fresh && initial.kind === "new") bootstrap(engine, initial.members);
  const snapshots = newSnapshots(member, engine, directory, world);
  const receiver = newReceiver(member, engine, snapshots);
  const network = world.connect?.(receiver, new MemberPeerService(member)) ?? LONE_NETWORK;
  member.start(engine, network, snapshots, initial.members);
  space.changed = (full) => member.spaceChanged(full);
  return member;
}

/** In etcd's words; with --force-new-cluster the log is changed first. */
function tellRestart(
  log: Log,
  state: RecoveredState,
  options: MemberOptions,
  directory: string,
  logger: Logger,
): void {
  if (options.forceNewCluster === true) {
    forceNewCluster(log, state, directory, logger);
    return;
  }
  const { clusterId, localId } = state.membership;
  logger.info("restarting local member", {
    "cluster-id": hexId(clusterId),
    "local-member-id": hexId(localId),
    "commit-index": log.hardState?.commit ?? 0,
  });
}

type RecoveredState = {
  readonly store: Store;
  readonly lessor: Lessor;
  readonly membership: Membership;
  readonly alarms: Alarms;
  readonly confState: ConfState;
  readonly applied: Index;
};

/** The newest checkpoint, or nothing. The entries behind it come from raft, once it knows that they are committed. */
async function recoverState(
  log: Log,
  membership: Membership,
  options: MemberOptions,
  world: World,
): Promise<RecoveredState> {
  const lessor = new Lessor(leaseSecondsMin(options), options.leaseCheckpoint);
  const alarms = new Alarms();
  const seed = world.random.below(2 ** 31);
  const meta = log.checkpointMeta;
  if (meta === undefined) {
    return {
      store: new Store({ seed }),
      lessor,
      membership,
      alarms,
      confState: EMPTY_CONF_STATE,
      applied: index(0),
    };
  }
  const restorer = new Restorer({ seed });
  for await (const chunk of log.imageChunks()) if (!restorer.push(chunk)) break;
  const restored = restorer.finish();
  if (!restored.ok) {
    const path = logDirectory(options.dataDirectory, options.walDirectory);
    throw new LogOpenError(
      "corrupt",
      path,
      `${path}: ${restored.problem}; restore this member from a snapshot`,
      undefined,
    );
  }
  const { store } = restored;
  restoreTables(meta.tables, lessor, membership, alarms, world.clock.now());
  store.forEachLeased((key, lease) => {
    if (lessor.lookup(lease) !== undefined) lessor.attach(lease, keyFromBytes(key));
  });
  return {
    store,
    lessor,
    membership,
    alarms,
    confState: confStateFromBytes(meta.confState),
    applied: meta.appliedIndex,
  };
}

function partsOf(
  state: RecoveredState,
  options: MemberOptions,
  log: Log,
): Pick<MemberParts, "store" | "lessor" | "membership" | "applyContext"> {
  const { store, lessor, membership, alarms } = state;
  const applyContext: ApplyContext = {
    store,
    reader: log.values,
    lessor,
    membership,
    alarms,
    localId: membership.localId,
    quotaBytes: options.quotaBytes,
    changed: newSlotList(),
    counts: new OpCounts(),
    scratch: newSlotList(),
    entry: noEntry(0),
  };
  return { store, lessor, membership, applyContext };
}

function newEngine(member: Member, state: RecoveredState, options: MemberOptions, world: World): RaftEngine {
  const { log } = member;
  return new RaftEngine(
    {
      id: member.localId,
      storage: log.raft,
      writer: log.writer,
      clock: world.clock,
      random: (bound) => world.random.below(bound),
      logger: world.raftLogger ?? world.logger,
      hardState: log.hardState,
      confState: state.confState,
      applied: state.applied,
      heartbeatMillis: options.heartbeatMillis,
      electionTicks: Math.floor(options.electionMillis / options.heartbeatMillis),
      preVote: options.preVote,
      requestTimeoutMillis: requestTimeoutMillis(options),
      nextId: () => member.nextRequestId(),
      onReadSlow: () => {
        member.counters.slowReadIndexes++;
      },
      onReadFailed: () => {
        member.counters.readIndexesFailed++;
      },
      onFlushed: (millis, writtenMillis) => member.timings.flushed(millis, writtenMillis),
    },
    member,
  );
}

function newSnapshots(
  member: Member,
  engine: RaftEngine,
  directory: string,
  { disk, digest, random }: World,
): PeerSnapshots {
  return new PeerSnapshots({
    member,
    disk,
    digest,
    directory,
    seed: () => random.below(2 ** 31),
    raft: {
      step(message) {
        if (member.membership.isRemoved(message.from)) return "removed";
        engine.receive(message);
        return undefined;
      },
      pendingSnapshotIndex: () => engine.pendingSnapshotIndex,
      reportSnapshot: (id, failed) => engine.reportSnapshot(id, failed),
    },
  });
}

function initialCluster(options: MemberOptions, digest: Digest): InitialCluster {
  if (options.initialCluster !== undefined) return options.initialCluster;
  const alone = new Map([[options.name, options.peerUrls]]);
  return newCluster(alone, options.name, options.clusterToken, digest.sha1);
}

function bootstrap(engine: RaftEngine, members: readonly ClusterMember[]): void {
  const peers = members.map((member) => ({ id: member.id, context: utf8ToBytes(encodeMember(member)) }));
  const problem = engine.bootstrap(peers);
  if (problem !== undefined) throw new Error(problem);
}
