// Starts on a data directory of etcd's: turns its database and log into our own, beside the original, which stays untouched. The new
// log is built under another name and renamed when it is whole: an import that was cut off begins anew.
import { type ClusterId, type Index, index, type LeaseId, type MemberId, type Term } from "../base/brand.ts";
import { FormatError } from "../base/format-error.ts";
import { Alarms } from "../cluster/alarms.ts";
import { Membership } from "../cluster/membership.ts";
import type { BackendTables } from "../etcdfile/backend.ts";
import { type EtcdData, EtcdDataError, readEtcdDataDir } from "../etcdfile/import.ts";
import { Lessor } from "../lease/lessor.ts";
import type { EntryType } from "../log/contract.ts";
import { LOG_LIMITS } from "../log/disk-budget.ts";
import { type Log, openLog } from "../log/log.ts";
import type { FileNumber } from "../mvcc/contract.ts";
import { Importer } from "../mvcc/importer.ts";
import type { Store } from "../mvcc/store.ts";
import { confStateToBytes } from "./conf-state.ts";
import type { World } from "./open.ts";
import type { MemberOptions } from "./options.ts";
import { reclaimStore } from "./reclaim-store.ts";
import { encodeTables } from "./tables.ts";

/** Rows taken between two looks at other work. */
const ROWS_PER_SLICE = 2000;
/** Progress is told this often. */
const ROWS_PER_REPORT = 500_000;
const STAGE_SUFFIX = ".import";

/** Imports when the directory is etcd's and not yet ours. True when it did. Throws an EtcdDataError. */
export async function importEtcdDirectory(
  target: string,
  options: MemberOptions,
  world: World,
): Promise<boolean> {
  const { disk, logger } = world;
  const { dataDirectory } = options;
  if (await disk.exists(target)) return false;
  if (!(await disk.exists(`${dataDirectory}/member/snap/db`))) return false;
  const started = world.clock.now();
  logger.info("importing the data directory of etcd; the original stays untouched", {
    "data-dir": dataDirectory,
  });
  const data = await readEtcdDataDir(disk, dataDirectory, {
    ...(options.walDirectory === "" ? {} : { walDirectory: options.walDirectory }),
    lock: world.lockDatabase,
  });
  try {
    refuseUnsupported(data);
    await build(`${target}${STAGE_SUFFIX}`, data, options, world);
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    const text = `${data.databasePath} is corrupt at offset ${error.offset}: ${error.message}. Nothing was changed`;
    throw new EtcdDataError("corrupt", data.databasePath, text);
  } finally {
    await data.close();
  }
  await disk.rename(`${target}${STAGE_SUFFIX}`, target);
  await disk.syncDirectory(target.slice(0, target.lastIndexOf("/")));
  logger.info("imported the data directory of etcd", {
    took: `${Math.round(world.clock.now() - started)}ms`,
  });
  return true;
}

function refuseUnsupported(data: EtcdData): void {
  const path = data.databasePath;
  const refuse = (what: string): never => {
    throw new EtcdDataError(
      "newer-version",
      path,
      `${path}: ${what} is not supported by this version of Cairn. Nothing was changed`,
    );
  };
  if (data.tables.authEnabled) refuse("authentication, which is enabled in this directory,");
  const { voters, learners } = data.confState;
  if (voters.length + learners.length > 1) refuse("a member of a cluster of several members");
}

async function build(stage: string, data: EtcdData, options: MemberOptions, world: World): Promise<void> {
  const { disk, clock, digest, logger } = world;
  if (await disk.exists(stage))
    for (const name of await disk.list(stage)) await disk.remove(`${stage}/${name}`);
  const log = await openLog({
    directory: stage,
    disk,
    clock,
    digest,
    logger,
    expected: undefined,
    limits: { ...LOG_LIMITS, catchUpEntries: options.catchUpEntries },
    onFatal: world.onFatal,
    onSpace: () => {},
  });
  await log.start({ memberId: data.nodeId as MemberId, clusterId: data.clusterId as ClusterId });
  const store = await importRows(log, data, world);
  const { consistentIndex } = data.tables;
  const tables = tablesOf(data, options, world);
  await log.installSnapshot(
    { index: index(consistentIndex), term: data.term as Term },
    {
      store: reclaimStore(store),
      appliedIndex: index(consistentIndex),
      checkpoint: () => ({
        appliedIndex: index(consistentIndex),
        appliedTerm: data.term as Term,
        confState: confStateToBytes(data.confState as never),
        tables,
        image: store.checkpoint(),
      }),
    },
  );
  appendTail(log, data);
  await log.close();
}

/** Values go to runs, in the order of revisions; rows to a store that knows where they stand. */
async function importRows(log: Log, data: EtcdData, world: World): Promise<Store> {
  const runs = log.newRuns();
  const importer = new Importer({ seed: world.random.below(2 ** 31) });
  const cursor = data.keys();
  let rows = 0;
  while (cursor.next()) {
    const { revision, fields } = cursor;
    const value = fields.value;
    const place = value.length === 0 ? { file: 0 as FileNumber, offset: 0 } : runs.add(value);
    const problem = importer.add({
      main: revision.main,
      sub: revision.sub,
      tombstone: revision.tombstone,
      key: fields.key,
      create: fields.createRevision,
      version: fields.version,
      lease: fields.lease as LeaseId,
      file: place.file,
      offset: place.offset,
      length: value.length,
    });
    if (problem !== undefined) throw new FormatError(0, problem);
    if (runs.full) await runs.drain();
    rows++;
    if (rows % ROWS_PER_SLICE === 0) await world.clock.yield();
    if (rows % ROWS_PER_REPORT === 0) world.logger.info("importing", { revisions: rows });
  }
  log.adoptRuns(await runs.finish());
  const { finishedCompactRevision, scheduledCompactRevision } = data.tables;
  return importer.finish({
    finished: finishedCompactRevision ?? 0,
    scheduled: scheduledCompactRevision ?? 0,
  });
}

function tablesOf(data: EtcdData, options: MemberOptions, world: World): Uint8Array {
  const { tables } = data;
  const lessor = new Lessor(0);
  const now = world.clock.now();
  for (const { id, ttl, remainingTtl } of tables.leases)
    lessor.restore(id as LeaseId, ttl, remainingTtl, now);
  const alarms = new Alarms();
  alarms.restore(tables.alarms.map(({ memberId, alarm }) => ({ memberId: memberId as MemberId, alarm })));
  return encodeTables(lessor, membershipOf(tables, data, options), alarms);
}

function membershipOf(tables: BackendTables, data: EtcdData, options: MemberOptions): Membership {
  const membership = new Membership(
    data.clusterId as ClusterId,
    data.nodeId as MemberId,
    options.learnersMax,
  );
  membership.restore(tables.members, tables.removed, tables.clusterVersion);
  membership.storageVersion = tables.storageVersion;
  if (tables.downgrade !== undefined) membership.downgrade = tables.downgrade;
  return membership;
}

/** What etcd's log holds behind its database: raft hands the committed ones to apply, as it would have in etcd. */
function appendTail(log: Log, data: EtcdData): void {
  const entries = data.entries.map(({ term, index: at, type, data: bytes }) => ({
    term: term as Term,
    index: at as Index,
    type: type as EntryType,
    data: bytes,
  }));
  const { term, vote, commit } = data.hardState;
  const committed = Math.max(commit, data.tables.consistentIndex) as Index;
  log.writer.append(entries, { term: Math.max(term, data.term) as Term, vote, commit: committed });
  log.writer.flushSync();
}
