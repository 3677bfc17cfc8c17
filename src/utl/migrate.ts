// `etcdutl migrate`: moves the storage version of a data directory of etcd's up or down, one minor at a time. The only field that
// versions differ in is the version itself, which 3.6 brought. Refuses to go below what the log's entries need.
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { utf8FromBytes, utf8ToBytes } from "../base/bytes.ts";
import { bytesSource } from "../bbolt/reader.ts";
import type { Row } from "../bbolt/rows.ts";
import { ExitError, type Invocation } from "../cli/command.ts";
import { goQuote } from "../cli/quote.ts";
import { goFileError } from "../config/go-file-error.ts";
import { type BackendTables, BucketName, MetaKey, readTables } from "../etcdfile/backend.ts";
import { isV2Request } from "../etcdfile/v2-request.ts";
import {
  parseWalName,
  readWal,
  selectWalNames,
  validSnapshots,
  WalError,
  type WalSegment,
} from "../etcdfile/wal-reader.ts";
import { DecodeError } from "../wire/decode-error.ts";
import { decodeInternalRaftRequest } from "../wire/generated/raft-internal.ts";
import { EntryType } from "../wire/generated/raftpb.ts";
import { type ConsoleLog, consoleLog } from "./console-log.ts";
import { copyBuckets } from "./copy-buckets.ts";
import { openDatabase, replaceDatabase, withDatabase } from "./database.ts";
import { ExitCode, fileCall } from "./exit.ts";

const CALLER = "utl/migrate.ts";

type Version = { readonly major: number; readonly minor: number };

const V3_5: Version = { major: 3, minor: 5 };
/** The newest whose fields are known. */
const MINOR_MAX = 7;
/** The first that stores its version. */
const MINOR_STORED = 6;

function below(a: Version, b: Version): boolean {
  return a.major < b.major || (a.major === b.major && a.minor < b.minor);
}

function text({ major, minor }: Version): string {
  return `${major}.${minor}.0`;
}

/** "X.Y", with etcdutl's refusals. */
export function parseTarget(target: string): Version {
  if (target.split(".").length !== 2) {
    throw new ExitError(
      ExitCode.BadArgs,
      `wrong target version format, expected "X.Y", got ${goQuote(target)}`,
    );
  }
  const numbers = target.split(".").map((part) => {
    if (/^[+-]?[0-9]+$/.test(part)) return Number(part);
    const reason = `strconv.ParseInt: parsing ${goQuote(part)}: invalid syntax`;
    throw new ExitError(ExitCode.BadArgs, `failed to parse target version: ${reason}`);
  });
  const version = { major: numbers[0]!, minor: numbers[1]! };
  if (below(version, V3_5)) {
    const short = `${version.major}.${version.minor}`;
    throw new ExitError(ExitCode.BadArgs, `target version ${goQuote(short)} not supported. Minimal "3.5"`);
  }
  return version;
}

function currentVersion(tables: BackendTables, log: ConsoleLog): Version {
  const stored = /^(\d+)\.(\d+)\./.exec(tables.storageVersion ?? "");
  if (stored !== null) return { major: Number(stored[1]), minor: Number(stored[2]) };
  if (tables.term !== 0) return V3_5;
  log(
    "error",
    CALLER,
    "failed to detect storage version. Please make sure you are using data dir from etcd v3.5 and older",
  );
  throw new ExitError(ExitCode.Error, "missing term information");
}

function failure(message: string, log: ConsoleLog): never {
  log("error", CALLER, "Failed to finalize config", { error: message });
  throw new ExitError(ExitCode.Error, message);
}

/** The oldest etcd that understands every entry behind the log's newest snapshot; undefined: any. */
function walVersion(directory: string, log: ConsoleLog): Version | undefined {
  let names: string[] = [];
  try {
    names = readdirSync(directory).sort();
  } catch (error) {
    failure(
      `failed to get the lastest snapshot: [readWALNames] fileutil.ReadDir failed: open ${directory}: ${goFileError(error)}`,
      log,
    );
  }
  names = names.filter((name) => parseWalName(name) !== undefined);
  if (names.length === 0) failure("failed to get the lastest snapshot: wal: file not found", log);
  const segment = (name: string): WalSegment => {
    const source = bytesSource(
      fileCall("open", join(directory, name), () => readFileSync(join(directory, name))),
    );
    return { name, source };
  };
  try {
    const all = readWal(names.map(segment), { index: Number.MAX_SAFE_INTEGER, term: 0 });
    const snapshot = validSnapshots(all).at(-1) ?? { index: 0, term: 0 };
    const selected = selectWalNames(names, snapshot.index);
    if (typeof selected === "string") failure(`failed to open wal: ${selected}`, log);
    const { entries } = readWal(selected.map(segment), snapshot);
    return entries.map(({ type, data }) => entryVersion(type, data)).reduce(newer, undefined);
  } catch (error) {
    if (error instanceof DecodeError)
      failure(`failed to read wal: an entry cannot be decoded: ${error.message}`, log);
    if (!(error instanceof WalError)) throw error;
    return failure(
      `failed to read wal: ${error.message}: in file '${error.segment}' at position: ${error.offset}`,
      log,
    );
  }
}

function newer(a: Version | undefined, b: Version | undefined): Version | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return below(a, b) ? b : a;
}

/** Of all requests only the downgrade test says that it needs more than 3.5. */
function entryVersion(type: number, data: Uint8Array): Version | undefined {
  if (type !== EntryType.EntryNormal || data.length === 0 || isV2Request(data)) return undefined;
  const test = decodeInternalRaftRequest(data).downgradeVersionTest;
  const named = /^(\d+)\.(\d+)\./.exec(test?.ver ?? "");
  if (named === null) return undefined;
  return newer({ major: 3, minor: 6 }, { major: Number(named[1]), minor: Number(named[2]) });
}

/** Why the version cannot be moved, or undefined. */
function refusal(current: Version, target: Version, wal: Version | undefined): string | undefined {
  if (current.major !== target.major)
    return "cannot create migration plan: changing major storage version is not supported";
  const highest = Math.max(current.minor, target.minor);
  if (highest > MINOR_MAX) {
    const first = target.minor > current.minor ? Math.max(current.minor, MINOR_MAX) + 1 : current.minor;
    return `cannot create migration plan: version "3.${first}.0" is not supported`;
  }
  if (!below(target, current) || wal === undefined || !below(target, wal)) return undefined;
  return (
    "cannot downgrade storage, WAL contains newer entries, as the target version " +
    `(${text(target)}) is lower than the version (${text(wal)}) detected from WAL logs`
  );
}

/** The meta bucket with the version set, or taken away for versions that had none. */
function withVersion(rows: readonly Row[], version: Version): Row[] {
  const others = rows.filter((row) => utf8FromBytes(row.key) !== MetaKey.StorageVersion);
  if (below(version, { major: 3, minor: MINOR_STORED })) return others;
  return [...others, { key: utf8ToBytes(MetaKey.StorageVersion), value: utf8ToBytes(text(version)) }];
}

export async function migrate({ flags, output }: Invocation): Promise<void> {
  const target = parseTarget(flags.string("target-version"));
  const directory = flags.string("data-dir");
  const path = join(directory, "member", "snap", "db");
  const log = consoleLog(output);
  fileCall("stat", path, () => statSync(path));
  const database = await openDatabase(path, "exclusive", flags.durationMillis("timeout"), ExitCode.Panic);
  await withDatabase(database, ({ file }) => {
    const current = currentVersion(readTables(file), log);
    if (current.major === target.major && current.minor === target.minor) {
      log("info", CALLER, "storage version up-to-date", {
        "storage-version": `${current.major}.${current.minor}`,
      });
      return;
    }
    const refused = refusal(current, target, walVersion(join(directory, "member", "wal"), log));
    if (current.major !== target.major) {
      const fields = { "storage-version": text(current), "target-storage-version": text(target) };
      log("error", CALLER, "Changing major storage version is not supported", fields);
    }
    if (refused !== undefined && !flags.bool("force")) throw new ExitError(ExitCode.Error, refused);
    const edit = new Map([[BucketName.Meta as string, (rows: readonly Row[]) => withVersion(rows, target)]]);
    replaceDatabase(path, copyBuckets(file, { edit }));
    report(log, current, target, refused);
  });
}

function report(log: ConsoleLog, current: Version, target: Version, refused: string | undefined): void {
  if (refused === undefined) {
    const step = target.minor > current.minor ? 1 : -1;
    for (let minor = current.minor + step; minor !== target.minor + step; minor += step) {
      log("info", CALLER, "updated storage version", { "new-storage-version": text({ major: 3, minor }) });
    }
    return;
  }
  log("info", CALLER, "normal migrate failed, trying with force", { error: refused });
  if (below(target, { major: 3, minor: MINOR_STORED }))
    log("warn", CALLER, "forcefully cleared storage version");
  else
    log("warn", CALLER, "forcefully set storage version", {
      "storage-version": `${target.major}.${target.minor}`,
    });
}
