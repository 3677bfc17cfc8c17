// `etcdutl snapshot restore`: makes the data directory of a new cluster's member from a snapshot: database, log and .snap file in
// etcd's own formats, so that etcd and Cairn both start on it. The snapshot is verified before anything is written.
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import { join } from "node:path";
import { latin1ToBytes, utf8FromBytes, utf8ToBytes } from "../base/bytes.ts";
import type { BoltFile } from "../bbolt/reader.ts";
import type { Row } from "../bbolt/rows.ts";
import { ExitError, type Invocation } from "../cli/command.ts";
import { goQuote } from "../cli/quote.ts";
import { hexId } from "../cluster/ids.ts";
import { BucketName, MetaKey } from "../etcdfile/backend.ts";
import { KeyCursor } from "../etcdfile/key-cursor.ts";
import { encodeRevision } from "../etcdfile/key-row.ts";
import { encodeMember } from "../etcdfile/member-json.ts";
import { encodeSnapFile, snapName } from "../etcdfile/snap-file.ts";
import { encodeV2Store } from "../etcdfile/v2-store.ts";
import { WalEncoder } from "../etcdfile/wal-encoder.ts";
import { walName } from "../etcdfile/wal-reader.ts";
import { SEGMENT_BYTES } from "../etcdfile/wal-record.ts";
import { ConfChangeType, EntryType, encodeConfChange } from "../wire/generated/raftpb.ts";
import { type ConsoleLog, consoleLog } from "./console-log.ts";
import { type Changes, copyBuckets } from "./copy-buckets.ts";
import { openDatabase, syncDirectory, withDatabase, writeDatabase, writeFile } from "./database.ts";
import { ExitCode, fileCall } from "./exit.ts";
import { type InitialCluster, initialCluster } from "./initial-cluster.ts";

const CALLER = "utl/snapshot-restore.ts";
const SHA256_BYTES = 32;
/** Database files are whole sectors: 32 bytes more are a checksum. */
const SECTOR_BYTES = 512;
const READ_BYTES = 1 << 20;
/** Term of the entries that make the new cluster. */
const FIRST_TERM = 1;
const DIRECTORY_MODE = 0o700;
const LOG_MODE = 0o600;
const SNAP_MODE = 0o666;

type Target = {
  readonly dataDirectory: string;
  readonly walDirectory: string;
  readonly snapDirectory: string;
};

function fail(message: string): never {
  throw new ExitError(ExitCode.Error, message);
}

function isEmptyDirectory(path: string): boolean {
  try {
    return fs.readdirSync(path).length === 0;
  } catch {
    return false;
  }
}

function targetOf(dataDirectory: string, walDirectory: string): Target {
  if (fs.existsSync(dataDirectory) && !isEmptyDirectory(dataDirectory)) {
    fail(`data-dir ${goQuote(dataDirectory)} not empty or could not be read`);
  }
  if (fs.existsSync(walDirectory)) fail(`wal-dir ${goQuote(walDirectory)} exists`);
  return { dataDirectory, walDirectory, snapDirectory: join(dataDirectory, "member", "snap") };
}

/** The SHA-256 of all but the last 32 bytes must be the last 32 bytes. */
function verifySnapshot(path: string, skipHashCheck: boolean): void {
  const fd = fileCall("open", path, () => fs.openSync(path, "r"));
  try {
    const { size } = fs.fstatSync(fd);
    if (size < SHA256_BYTES) fail(`seek ${path}: invalid argument`);
    if (skipHashCheck) return;
    if (size % SECTOR_BYTES !== SHA256_BYTES) fail("snapshot missing hash but --skip-hash-check=false");
    const hash = createHash("sha256");
    const end = size - SHA256_BYTES;
    const buffer = new Uint8Array(READ_BYTES);
    for (let at = 0; at < end; ) {
      const got = fs.readSync(fd, buffer, 0, Math.min(buffer.length, end - at), at);
      if (got === 0) fail(`${path} became shorter while it was read`);
      hash.update(buffer.subarray(0, got));
      at += got;
    }
    const expected = Buffer.alloc(SHA256_BYTES);
    fs.readSync(fd, expected, 0, SHA256_BYTES, end);
    const actual = hash.digest();
    if (!expected.equals(actual))
      fail(`expected sha256 [${[...expected].join(" ")}], got [${[...actual].join(" ")}]`);
  } finally {
    fs.closeSync(fd);
  }
}

function big64(value: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(value));
  return bytes;
}

/** The row that lifts the revision: a key of its own with no value. */
function bumpRow(file: BoltFile, bump: number, log: ConsoleLog): { row: Row; revision: number } {
  const keys = new KeyCursor(file);
  let latest = 0;
  while (keys.next()) latest = keys.revision.main;
  const revision = latest + bump;
  if (!Number.isSafeInteger(revision)) fail(`--bump-revision ${bump} is too much: revisions end at 2^53`);
  log("info", CALLER, "bumping latest revision", {
    "latest-revision": latest,
    "bump-amount": bump,
    "new-latest-revision": revision,
  });
  log("info", CALLER, "marking revision compacted", { revision });
  return { row: { key: encodeRevision(revision, 0), value: new Uint8Array(0) }, revision };
}

/** What differs between the snapshot and the new member's database. */
function changesFor(file: BoltFile, cluster: InitialCluster, bump: number, log: ConsoleLog): Changes {
  const bumped = bump > 0 ? bumpRow(file, bump, log) : undefined;
  const fields = new Map<string, Uint8Array>([
    [MetaKey.ConsistentIndex, big64(cluster.members.length)],
    [MetaKey.Term, big64(FIRST_TERM)],
  ]);
  if (bumped !== undefined) fields.set(MetaKey.ScheduledCompact, encodeRevision(bumped.revision, 0));
  const meta = (rows: readonly Row[]): Row[] => [
    ...rows.filter((row) => !fields.has(utf8FromBytes(row.key))),
    ...[...fields].map(([name, value]) => ({ key: latin1ToBytes(name), value })),
  ];
  const members = (): Row[] =>
    cluster.members.map((member) => ({
      key: latin1ToBytes(hexId(member.id)),
      value: utf8ToBytes(encodeMember(member)),
    }));
  return {
    edit: new Map<string, (rows: readonly Row[]) => readonly Row[]>([
      [BucketName.Meta, meta],
      [BucketName.Members, members],
      [BucketName.MembersRemoved, () => []],
    ]),
    append: bumped === undefined ? new Map() : new Map([[BucketName.Key as string, bumped.row]]),
  };
}

/** The log of a cluster that has just added its members, and the raft snapshot behind it. */
function writeLog(target: Target, cluster: InitialCluster): void {
  const ids = cluster.members.map((member) => member.id);
  const commit = ids.length;
  const confState = { voters: ids, learners: [], votersOutgoing: [], learnersNext: [], autoLeave: false };
  const wal = new WalEncoder({ nodeId: cluster.local.id, clusterId: cluster.clusterId });
  wal.snapshot({ index: 0, term: 0, confState: undefined });
  cluster.members.forEach((member, i) => {
    const context = utf8ToBytes(encodeMember(member));
    const change = { type: ConfChangeType.ConfChangeAddNode, nodeId: member.id, context, id: 0n };
    wal.entry({
      term: FIRST_TERM,
      index: i + 1,
      type: EntryType.EntryConfChange,
      data: encodeConfChange(change),
    });
  });
  wal.hardState({ term: FIRST_TERM, vote: ids[0]!, commit });
  const metadata = { index: commit, term: FIRST_TERM, confState };
  const data = utf8ToBytes(encodeV2Store(cluster.members, [], undefined));
  writeFile(
    join(target.snapDirectory, snapName(FIRST_TERM, commit)),
    encodeSnapFile({ data, metadata }),
    SNAP_MODE,
  );
  wal.snapshot(metadata);
  writeFile(join(target.walDirectory, walName(0, 0)), wal.bytes(), LOG_MODE, SEGMENT_BYTES);
  syncDirectory(target.snapDirectory);
  syncDirectory(target.walDirectory);
}

export async function snapshotRestore({ args, flags, output }: Invocation): Promise<void> {
  const path = args[0];
  if (path === undefined || args.length !== 1) {
    throw new ExitError(ExitCode.BadArgs, "snapshot restore requires exactly one argument");
  }
  const bump = flags.number("bump-revision");
  if (bump > 0 !== flags.bool("mark-compacted")) {
    throw new ExitError(ExitCode.BadArgs, "--mark-compacted required if --revision-bump > 0");
  }
  const name = flags.string("name");
  const dataDirectory = flags.string("data-dir") || `${name}.etcd`;
  const walDirectory = flags.string("wal-dir") || join(dataDirectory, "member", "wal");
  const cluster = await initialCluster({
    name,
    token: flags.string("initial-cluster-token"),
    cluster: flags.string("initial-cluster"),
    peerUrls: flags.string("initial-advertise-peer-urls"),
  });
  const target = targetOf(dataDirectory, walDirectory);
  const log = consoleLog(output);
  const fields = {
    path,
    "wal-dir": walDirectory,
    "data-dir": dataDirectory,
    "snap-dir": target.snapDirectory,
    "initial-memory-map-size": flags.int("initial-memory-map-size"),
  };
  log("info", CALLER, "restoring snapshot", fields);
  verifySnapshot(path, flags.bool("skip-hash-check"));
  await restore(path, target, cluster, bump, flags.durationMillis("timeout"), log);
  log("info", CALLER, "restored snapshot", fields);
}

async function restore(
  path: string,
  target: Target,
  cluster: InitialCluster,
  bump: number,
  timeoutMillis: number,
  log: ConsoleLog,
): Promise<void> {
  const database = await openDatabase(path, "shared", timeoutMillis, ExitCode.Panic);
  await withDatabase(database, ({ file }) => {
    const changes = changesFor(file, cluster, bump, log);
    for (const directory of [target.snapDirectory, target.walDirectory]) {
      fileCall("mkdir", directory, () => fs.mkdirSync(directory, { recursive: true, mode: DIRECTORY_MODE }));
    }
    writeDatabase(join(target.snapDirectory, "db"), copyBuckets(file, changes));
    for (const member of cluster.members) {
      log("info", CALLER, "added member", {
        "cluster-id": hexId(cluster.clusterId),
        "local-member-id": "0",
        "added-peer-id": hexId(member.id),
        "added-peer-peer-urls": member.peerUrls,
        "added-peer-is-learner": false,
      });
    }
    writeLog(target, cluster);
  });
}
