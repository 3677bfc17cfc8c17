// Opens a data directory of etcd 3.5–3.7 and tells what is in it, for a member that starts on one, as etcd itself would recover it:
// the database, or a leader's database received and not yet put in place, plus the log above. Read-only: nothing in the directory is
// touched. Any doubt is an error that names file, offset, cause and next step.
import { FormatError } from "../base/format-error.ts";
import { BoltFile } from "../bbolt/reader.ts";
import { type Disk, DiskError, type DiskFile } from "../ports/disk.ts";
import { DecodeError } from "../wire/decode-error.ts";
import { type ConfState, type Entry, EntryType, type HardState } from "../wire/generated/raftpb.ts";
import { type BackendTables, readTables } from "./backend.ts";
import { FileSource } from "./file-source.ts";
import { KeyCursor } from "./key-cursor.ts";
import { snapDatabaseName } from "./snap-file.ts";
import { modernRequest } from "./v2-request.ts";
import {
  parseWalName,
  readWal,
  selectWalNames,
  validSnapshots,
  type WalContent,
  WalError,
  type WalSegment,
} from "./wal-reader.ts";

/** The newest storage version whose files are understood. */
const VERSION_MAX = { major: 3, minor: 7 };

export type EtcdDataKind = "in-use" | "unreadable" | "corrupt" | "newer-version" | "incomplete";

/** Why a directory of etcd's was not imported. */
export class EtcdDataError extends Error {
  override readonly name = "EtcdDataError";
  readonly kind: EtcdDataKind;
  readonly path: string;
  constructor(kind: EtcdDataKind, path: string, message: string) {
    super(message);
    this.kind = kind;
    this.path = path;
  }
}

const RESTORE_STEP =
  "Nothing was changed. Start etcd itself on this directory to see whether it can recover; else restore the newest snapshot, or in a " +
  "cluster remove this member and add it anew with an empty directory";

function corrupt(path: string, offset: number, reason: string): EtcdDataError {
  return new EtcdDataError(
    "corrupt",
    path,
    `${path} is corrupt at offset ${offset}: ${reason}. ${RESTORE_STEP}`,
  );
}

export type EtcdDataOptions = {
  /** Where the log is when it was kept apart (--wal-dir). */
  readonly walDirectory?: string;
  /**
   * Takes a shared lock of bbolt's kind (flock) on the file, undefined when another process holds it. etcd holds one on its database
   * as long as it runs; the Disk port does not know flock. Without this the caller must make sure that etcd is stopped.
   */
  readonly lock?: (path: string) => Promise<{ unlock(): Promise<void> } | undefined>;
};

/** An opened directory. close() it when the rows were read. */
export type EtcdData = {
  /** The database that counts: member/snap/db, or a received snapshot's. */
  readonly databasePath: string;
  readonly nodeId: bigint;
  readonly clusterId: bigint;
  readonly hardState: HardState;
  /**
   * At consistentIndex: built from the members in the file, as etcd 3.7 does at every start. The conf state that the meta bucket holds
   * may be another cluster's, when the file was restored from a snapshot.
   */
  readonly confState: ConfState;
  readonly tables: BackendTables;
  /** A new walk over all key rows, in revision order. It throws a FormatError for a row that is broken: databasePath names the file. */
  keys(): KeyCursor;
  /**
   * The log behind tables.consistentIndex. Those up to hardState.commit are committed and not in the tables yet: the caller applies
   * them. Later ones are not known to be committed, but this member may have voted for them: they belong into its log. Requests of
   * the v2 API, which 3.5 still logs, come as today's.
   */
  readonly entries: readonly Entry[];
  /** The term of the entry at consistentIndex: what the log before `entries` ends with. */
  readonly term: number;
  /** The log ends in a half-written record, which was left out. */
  readonly torn: boolean;
  close(): Promise<void>;
};

/** Throws an EtcdDataError. */
export async function readEtcdDataDir(
  disk: Disk,
  directory: string,
  options: EtcdDataOptions = {},
): Promise<EtcdData> {
  const snapDirectory = `${directory}/member/snap`;
  const walDirectory = options.walDirectory ?? `${directory}/member/wal`;
  const open: DiskFile[] = [];
  const database = `${snapDirectory}/db`;
  const locked = (await disk.exists(database)) ? await lockOrRefuse(database, options) : undefined;
  const close = async (): Promise<void> => {
    for (const file of open.splice(0)) await file.close();
    await locked?.unlock();
  };
  try {
    const wal = await openWal(disk, walDirectory, open);
    const log = readLog(wal, walDirectory, 0, 0, true);
    const snapshot = validSnapshots(log).at(-1) ?? { index: 0, term: 0 };
    const found = await openDatabase(disk, snapDirectory, snapshot.index, open);
    refuseNewer(found);
    const content = readLog(wal, walDirectory, snapshot.index, snapshot.term, false);
    return { ...assemble(found, content, snapshot.index, walDirectory), close };
  } catch (error) {
    await close();
    if (error instanceof DiskError) {
      throw new EtcdDataError(
        "unreadable",
        error.path,
        `${error.path} cannot be read: ${error.message}. Nothing was changed`,
      );
    }
    throw error;
  }
}

async function lockOrRefuse(
  path: string,
  options: EtcdDataOptions,
): Promise<{ unlock(): Promise<void> } | undefined> {
  if (options.lock === undefined) return undefined;
  const locked = await options.lock(path);
  if (locked !== undefined) return locked;
  throw new EtcdDataError(
    "in-use",
    path,
    `${path} is locked by another process: stop the etcd that runs on it, then start again`,
  );
}

async function openSource(disk: Disk, path: string, open: DiskFile[]): Promise<FileSource> {
  const file = await disk.open(path, "read");
  open.push(file);
  return new FileSource(file);
}

async function openWal(disk: Disk, directory: string, open: DiskFile[]): Promise<WalSegment[]> {
  const names = (await disk.list(directory)).filter((name) => parseWalName(name) !== undefined);
  if (names.length === 0) {
    throw new EtcdDataError(
      "incomplete",
      directory,
      `${directory} holds no log (*.wal). If it is kept elsewhere, name it with --wal-dir`,
    );
  }
  const segments: WalSegment[] = [];
  for (const name of names)
    segments.push({ name, source: await openSource(disk, `${directory}/${name}`, open) });
  return segments;
}

/** `all`: every segment, for its snapshot records; else only those behind the snapshot. */
function readLog(
  wal: readonly WalSegment[],
  directory: string,
  index: number,
  term: number,
  all: boolean,
): WalContent {
  const names = all
    ? wal.map((each) => each.name)
    : selectWalNames(
        wal.map((each) => each.name),
        index,
      );
  if (typeof names === "string")
    throw new EtcdDataError("incomplete", directory, `${directory}: ${names}. ${RESTORE_STEP}`);
  try {
    // A first walk is after snapshot records alone: no entry has an index above this.
    const start = all ? { index: Number.MAX_SAFE_INTEGER, term: 0 } : { index, term };
    return readWal(
      wal.filter((each) => names.includes(each.name)),
      start,
    );
  } catch (error) {
    if (!(error instanceof WalError)) throw error;
    throw corrupt(`${directory}/${error.segment}`, error.offset, error.message);
  }
}

type Database = { readonly path: string; readonly file: BoltFile; readonly tables: BackendTables };

/**
 * etcd received a leader's database, recorded the snapshot in the log, and stopped before it put the file in place: then the
 * received file is the one that counts.
 */
async function openDatabase(
  disk: Disk,
  directory: string,
  snapshotIndex: number,
  open: DiskFile[],
): Promise<Database> {
  const database = await readDatabase(disk, `${directory}/db`, open);
  const { consistentIndex } = database.tables;
  if (consistentIndex >= snapshotIndex) return database;
  const received = `${directory}/${snapDatabaseName(snapshotIndex)}`;
  if (await disk.exists(received)) return readDatabase(disk, received, open);
  const reason = `database file (${database.path} index ${consistentIndex}) does not match with snapshot (index ${snapshotIndex})`;
  throw new EtcdDataError("incomplete", database.path, `${reason}. ${RESTORE_STEP}`);
}

async function readDatabase(disk: Disk, path: string, open: DiskFile[]): Promise<Database> {
  const source = await openSource(disk, path, open);
  try {
    const file = new BoltFile(source);
    return { path, file, tables: readTables(file) };
  } catch (error) {
    if (error instanceof FormatError) throw corrupt(path, error.offset, error.message);
    throw error;
  }
}

function refuseNewer(database: Database): void {
  const version = database.tables.storageVersion;
  if (version === undefined) return;
  const [major, minor] = version.split(".").map(Number);
  if (major === VERSION_MAX.major && minor !== undefined && minor <= VERSION_MAX.minor) return;
  const newest = `${VERSION_MAX.major}.${VERSION_MAX.minor}`;
  throw new EtcdDataError(
    "newer-version",
    database.path,
    `${database.path} has storage version ${version}, the newest known is ${newest}. Downgrade the cluster to ${newest} with ` +
      `etcdctl downgrade enable ${newest} while etcd runs, then start again`,
  );
}

function assemble(
  database: Database,
  content: WalContent,
  snapshotIndex: number,
  walDirectory: string,
): Omit<EtcdData, "close"> {
  const { tables } = database;
  const { metadata } = content;
  if (metadata === undefined)
    throw corrupt(walDirectory, 0, "the log has no record of the member and its cluster");
  const entries = content.entries.filter((entry) => entry.index > tables.consistentIndex);
  const last = content.entries.find((entry) => entry.index === tables.consistentIndex);
  const end = content.entries.at(-1)?.index ?? snapshotIndex;
  if (end < tables.consistentIndex) {
    throw corrupt(
      walDirectory,
      0,
      `the log ends at entry ${end}, but the database has entry ${tables.consistentIndex}`,
    );
  }
  const gap = entries[0] !== undefined && entries[0].index !== tables.consistentIndex + 1;
  if (gap)
    throw corrupt(
      walDirectory,
      0,
      `the log goes on at entry ${entries[0]!.index}, the database ends at ${tables.consistentIndex}`,
    );
  return {
    databasePath: database.path,
    nodeId: metadata.nodeId,
    clusterId: metadata.clusterId,
    // The commit index alone is not always flushed: what is applied was committed.
    hardState: { ...content.hardState, commit: Math.max(content.hardState.commit, tables.consistentIndex) },
    confState: confStateOf(tables),
    tables,
    keys: () => new KeyCursor(database.file),
    entries: entries.map((entry) => modernEntry(entry, walDirectory)),
    term: last?.term ?? tables.term,
    torn: content.torn !== undefined,
  };
}

/** A log of 3.5 holds a few requests of the v2 API: they come out as those of today. */
function modernEntry(entry: Entry, walDirectory: string): Entry {
  if (entry.type !== EntryType.EntryNormal) return entry;
  try {
    const data = modernRequest(entry.data);
    return data === entry.data ? entry : { term: entry.term, index: entry.index, type: entry.type, data };
  } catch (error) {
    if (!(error instanceof FormatError) && !(error instanceof DecodeError)) throw error;
    throw corrupt(walDirectory, 0, `entry ${entry.index}: ${error.message}`);
  }
}

function confStateOf(tables: BackendTables): ConfState {
  const ids = (learners: boolean): bigint[] =>
    tables.members.filter((member) => member.isLearner === learners).map((member) => member.id);
  return { voters: ids(false), learners: ids(true), votersOutgoing: [], learnersNext: [], autoLeave: false };
}
