// Starts on a data directory of etcd's: turns its database and log into our own, beside the original, which stays untouched. The new
// log is built under another name and renamed when it is whole: an import that was cut off begins anew.
import { type ClusterId, type Index, index, type MemberId, type Term } from "../../base/brand.ts";
import { FormatError } from "../../base/format-error.ts";
import { type EtcdData, EtcdDataError, readEtcdDataDir } from "../../etcdfile/import.ts";
import type { EntryType } from "../../log/contract.ts";
import { LOG_LIMITS } from "../../log/disk-budget.ts";
import { type Log, openLog } from "../../log/log.ts";
import { confStateToBytes } from "../conf-state.ts";
import type { World } from "../open.ts";
import { entryLimits, type MemberOptions } from "../options.ts";
import { encodeTables } from "../tables.ts";
import { reclaimStore } from "../upkeep/reclaim-store.ts";
import { importRows } from "./import-rows.ts";
import { smallTables } from "./small-tables.ts";

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
    limits: { ...LOG_LIMITS, ...entryLimits(options) },
    onFatal: world.onFatal,
    onSpace: () => {},
  });
  await log.start({ memberId: data.nodeId as MemberId, clusterId: data.clusterId as ClusterId });
  const { store, files } = await importRows(data.keys(), data.tables, {
    log,
    clock,
    logger,
    seed: world.random.below(2 ** 31),
  });
  log.adoptRuns(files);
  const { consistentIndex } = data.tables;
  const { lessor, membership, alarms } = await smallTables(data.tables, {
    clusterId: data.clusterId as ClusterId,
    localId: data.nodeId as MemberId,
    learnersMax: options.learnersMax,
    leaseSecondsMin: 0,
    clock,
  });
  const tables = encodeTables(lessor, membership, alarms);
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
