// Goal: etcdutl's commands print, refuse and exit as the real one does, and what restore writes is a data directory that can be
// started on. Method: a small database made here; every expected text and hash was captured from etcdutl 3.7.1 on the same file.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { concatBytes, latin1ToBytes, utf8ToBytes } from "../base/bytes.ts";
import { humanBytes } from "../base/human-bytes.ts";
import { bucketOfRows, type Row } from "../bbolt/rows.ts";
import { BoltWriter } from "../bbolt/writer.ts";
import type { BackendTables } from "../etcdfile/backend.ts";
import { backendBuckets } from "../etcdfile/backend-writer.ts";
import { readEtcdDataDir } from "../etcdfile/import.ts";
import { encodeRevision } from "../etcdfile/key-row.ts";
import { WalEncoder } from "../etcdfile/wal-encoder.ts";
import { walName } from "../etcdfile/wal-reader.ts";
import { tryLockDatabase } from "../node/database-lock.ts";
import { nodeDisk } from "../node/disk.ts";
import { encodeKeyValue } from "../wire/generated/mvccpb.ts";
import { runEtcdutl } from "./main.ts";

let directory = "";
let snapshot = "";

const TABLES: BackendTables = {
  consistentIndex: 30,
  term: 4,
  confState: {
    voters: [0x8e9e05c52164694dn],
    learners: [],
    votersOutgoing: [],
    learnersNext: [],
    autoLeave: false,
  },
  scheduledCompactRevision: 5,
  finishedCompactRevision: 5,
  storageVersion: "3.6.0",
  members: [
    {
      id: 1n as never,
      peerUrls: ["http://old:2380"],
      isLearner: false,
      name: "old",
      clientUrls: ["http://old:2379"],
    },
  ],
  removed: [77n as never],
  clusterVersion: "3.6.0",
  downgrade: undefined,
  leases: [{ id: 7587862094297331233n, ttl: 60, remainingTtl: 0 }],
  alarms: [],
  authEnabled: false,
  authRevision: 0,
  users: [],
  roles: [],
};

/** Revisions 2–9: /a put thrice, /b put and deleted at 5 (the compaction), /c deleted and put again in one txn at 8. */
function keyRows(): Row[] {
  const put = (main: number, sub: number, key: string, created: number, version: number): Row => {
    const value = utf8ToBytes(`value of ${key} at ${main}`);
    const kv = {
      key: utf8ToBytes(key),
      createRevision: created,
      modRevision: main,
      version,
      value,
      lease: 0n,
    };
    return { key: encodeRevision(main, sub), value: encodeKeyValue(kv) };
  };
  const gone = (main: number, sub: number, key: string): Row => {
    const kv = {
      key: utf8ToBytes(key),
      createRevision: 0,
      modRevision: 0,
      version: 0,
      value: new Uint8Array(0),
      lease: 0n,
    };
    return { key: encodeRevision(main, sub, true), value: encodeKeyValue(kv) };
  };
  return [
    put(2, 0, "/a", 2, 1),
    put(3, 0, "/b", 3, 1),
    put(4, 0, "/a", 2, 2),
    gone(5, 0, "/b"),
    put(6, 0, "/c", 6, 1),
    put(7, 0, "/a", 2, 3),
    gone(8, 0, "/c"),
    put(8, 1, "/c", 8, 1),
    put(9, 0, "/d", 9, 1),
  ];
}

function databaseBytes(): Uint8Array {
  const writer = new BoltWriter(backendBuckets(TABLES, bucketOfRows(latin1ToBytes("key"), keyRows()).rows));
  while (!writer.plan(100));
  const chunks: Uint8Array[] = [];
  for (let chunk = writer.next(); chunk !== undefined; chunk = writer.next()) chunks.push(chunk);
  return concatBytes(chunks);
}

before(() => {
  directory = mkdtempSync(join(tmpdir(), "etcdutl-"));
  snapshot = join(directory, "snapshot.db");
  const bytes = databaseBytes();
  writeFileSync(snapshot, concatBytes([bytes, createHash("sha256").update(bytes).digest()]));
});

after(() => rmSync(directory, { recursive: true }));

type Ran = { code: number; out: string; err: string };

/** Log lines, which begin with a time, go to `logged` and not to `err`. */
let logged = "";
async function etcdutl(...line: string[]): Promise<Ran> {
  let out = "";
  let err = "";
  logged = "";
  const outcome = await runEtcdutl(line, {
    out: (text) => {
      out += String(text);
    },
    err: (text) => {
      if (/^\d{4}-/.test(text)) logged += text;
      else err += text;
    },
  });
  return { code: outcome.code, out, err };
}

test("status prints the real one's hash and counts in every format", async () => {
  const printed = async (format: string): Promise<string> =>
    (await etcdutl("snapshot", "status", snapshot, "-w", format)).out;
  assert.equal(await printed("simple"), "6085671c, 9, 3, 12 kB, 3.6.0\n");
  assert.equal(
    await printed("json"),
    '{"hash":1619355420,"revision":9,"totalKey":3,"totalSize":12288,"version":"3.6.0"}\n',
  );
  assert.equal(
    await printed("fields"),
    '"Hash" : 1619355420\n"Revision" : 9\n"Keys" : 3\n"Size" : 12288\n"Version" : 3.6.0\n',
  );
  assert.equal(
    await printed("table"),
    `┌──────────┬──────────┬────────────┬────────────┬─────────┐
│   HASH   │ REVISION │ TOTAL KEYS │ TOTAL SIZE │ VERSION │
├──────────┼──────────┼────────────┼────────────┼─────────┤
│ 6085671c │        9 │          3 │      12 kB │   3.6.0 │
└──────────┴──────────┴────────────┴────────────┴─────────┘
`,
  );
  const protobuf = await etcdutl("snapshot", "status", snapshot, "-w", "protobuf");
  assert.deepEqual(protobuf, { code: 4, out: "", err: "Error: protobuf not supported as output format\n" });
  const unknown = await etcdutl("snapshot", "status", snapshot, "-w", "bad");
  assert.deepEqual(unknown, { code: 4, out: "", err: "Error: unsupported output format\n" });
});

const HASHES = [
  "Error: mvcc: required revision has been compacted",
  "3884726748, 5, 5",
  "731505288, 6, 5",
  "3458689706, 7, 5",
  "2256319592, 8, 5",
  "3972500437, 9, 5",
  "Error: mvcc: required revision is a future revision",
];

test("hashkv is the real one's at every revision, around compaction, deletion and rebirth", async () => {
  const hashes: string[] = [];
  for (let revision = 4; revision <= 10; revision++) {
    const { out, err } = await etcdutl("hashkv", snapshot, "--rev", String(revision));
    hashes.push((out + err).trim());
  }
  assert.deepEqual(hashes, HASHES);
  assert.equal((await etcdutl("hashkv", snapshot)).out, `${HASHES[5]}\n`);
});

test("restore makes a directory of the new cluster, with the snapshot's keys", async () => {
  const target = join(directory, "restored");
  const { code, err } = await etcdutl("snapshot", "restore", snapshot, "--data-dir", target);
  assert.deepEqual([code, err], [0, ""]);
  const data = await readEtcdDataDir(nodeDisk(), target);
  assert.equal(data.nodeId.toString(16), "8e9e05c52164694d");
  assert.equal(data.clusterId.toString(16), "cdf818194e3a8c32");
  assert.deepEqual(data.hardState, { term: 1, vote: data.nodeId, commit: 1 });
  assert.deepEqual(data.confState.voters, [data.nodeId]);
  assert.deepEqual(
    data.tables.members.map((member) => [member.name, member.peerUrls, member.clientUrls]),
    [["default", ["http://localhost:2380"], []]],
  );
  assert.deepEqual(data.tables.removed, []);
  assert.deepEqual([data.tables.consistentIndex, data.tables.term], [1, 1]);
  assert.deepEqual(data.tables.leases, TABLES.leases);
  const keys = data.keys();
  let rows = 0;
  while (keys.next()) rows++;
  assert.equal(rows, keyRows().length);
  await data.close();
  assert.equal((await etcdutl("hashkv", join(target, "member", "snap", "db"))).out, `${HASHES[5]}\n`);
  const wal = statSync(join(target, "member", "wal", walName(0, 0)));
  assert.equal(wal.size, 64_000_000);
  const again = await etcdutl("snapshot", "restore", snapshot, "--data-dir", target);
  assert.deepEqual(
    [again.code, again.err],
    [1, `Error: data-dir "${target}" not empty or could not be read\n`],
  );
});

test("restore makes a directory for one of several members, with the ids that the real one gives", async () => {
  const target = join(directory, "restored-b");
  const cluster = "a=http://127.0.0.1:15211,b=http://127.0.0.1:15213,c=http://127.0.0.1:15215";
  const own = ["--name", "b", "--initial-advertise-peer-urls", "http://127.0.0.1:15213"];
  const flags = [
    ...own,
    "--initial-cluster",
    cluster,
    "--initial-cluster-token",
    "tok",
    "--data-dir",
    target,
  ];
  const { code, err } = await etcdutl("snapshot", "restore", snapshot, ...flags);
  assert.deepEqual([code, err], [0, ""]);
  const data = await readEtcdDataDir(nodeDisk(), target);
  const ids = [0x5ccc54292a441f09n, 0xc1eedd6a2fd9fd6dn, 0xe8d7aa9330627b15n];
  assert.equal(data.nodeId, ids[2]);
  assert.deepEqual(data.hardState, { term: 1, vote: ids[0], commit: 3 });
  assert.deepEqual(data.confState.voters, ids);
  assert.deepEqual(
    data.tables.members.map(({ id, name }) => [id, name]),
    [
      [ids[0], "a"],
      [ids[1], "c"],
      [ids[2], "b"],
    ],
  );
  assert.deepEqual([data.tables.consistentIndex, data.tables.term, data.entries.length], [3, 1, 0]);
  await data.close();
});

test("restore lifts the revision and marks it compacted", async () => {
  const target = join(directory, "bumped");
  const line = [
    "snapshot",
    "restore",
    snapshot,
    "--data-dir",
    target,
    "--bump-revision",
    "1000",
    "--mark-compacted",
  ];
  assert.equal((await etcdutl(...line)).code, 0);
  assert.equal(
    (await etcdutl("hashkv", join(target, "member", "snap", "db"), "-w", "json")).out,
    '{"hash":854080269,"hashRevision":1009,"compactRevision":1009}\n',
  );
});

test("restore refuses what etcdutl refuses, and then leaves nothing behind", async () => {
  const target = join(directory, "refused");
  const refusal = async (...more: string[]): Promise<Ran> =>
    etcdutl("snapshot", "restore", "--data-dir", target, ...more);
  const error = (code: number, text: string): Ran => ({ code, out: "", err: `Error: ${text}\n` });
  assert.deepEqual(await refusal(), error(128, "snapshot restore requires exactly one argument"));
  assert.deepEqual(
    await refusal(snapshot, "--bump-revision", "3"),
    error(128, "--mark-compacted required if --revision-bump > 0"),
  );
  assert.deepEqual(
    await refusal(snapshot, "--name", "x"),
    error(1, 'couldn\'t find local name "x" in the initial cluster configuration'),
  );
  const plain = join(directory, "plain.db");
  writeFileSync(plain, databaseBytes());
  assert.deepEqual(await refusal(plain), error(1, "snapshot missing hash but --skip-hash-check=false"));
  const damaged = join(directory, "damaged.db");
  const bytes = readFileSync(snapshot);
  bytes[9000]! ^= 1;
  writeFileSync(damaged, bytes);
  assert.match(
    (await refusal(damaged)).err,
    /^Error: expected sha256 \[\d+( \d+){31}\], got \[\d+( \d+){31}\]\n$/,
  );
  assert.deepEqual(
    await refusal(join(directory, "no.db")),
    error(1, `open ${join(directory, "no.db")}: no such file or directory`),
  );
  assert.equal(existsSync(target), false);
  assert.equal((await refusal(plain, "--skip-hash-check")).code, 0);
});

/** A data directory with the database and a log. */
function dataDirectory(name: string): string {
  const root = join(directory, name);
  mkdirSync(join(root, "member", "snap"), { recursive: true });
  mkdirSync(join(root, "member", "wal"));
  writeFileSync(join(root, "member", "snap", "db"), databaseBytes());
  const wal = new WalEncoder({ nodeId: 1n, clusterId: 2n });
  wal.snapshot({ index: 0, term: 0, confState: undefined });
  wal.entry({ term: 1, index: 1, type: 0, data: new Uint8Array(0) });
  wal.hardState({ term: 1, vote: 1n, commit: 1 });
  writeFileSync(join(root, "member", "wal", walName(0, 0)), wal.bytes());
  return root;
}

test("migrate moves the storage version within what is known", async () => {
  const root = dataDirectory("migrated");
  const migrate = async (version: string, ...more: string[]): Promise<Ran> =>
    etcdutl("migrate", "--data-dir", root, "--target-version", version, ...more);
  const version = async (): Promise<string> =>
    JSON.parse((await etcdutl("snapshot", "status", join(root, "member", "snap", "db"), "-w", "json")).out)
      .version;
  assert.equal((await migrate("3.7")).code, 0);
  assert.equal(await version(), "3.7.0");
  assert.equal((await migrate("3.5")).code, 0);
  assert.equal(await version(), "");
  assert.equal((await migrate("3.6")).code, 0);
  assert.deepEqual(await migrate("3.8"), {
    code: 1,
    out: "",
    err: 'Error: cannot create migration plan: version "3.8.0" is not supported\n',
  });
  assert.equal((await migrate("3.8", "--force")).code, 0);
  assert.equal(await version(), "3.8.0");
  assert.equal((await migrate("3.4")).err, 'Error: target version "3.4" not supported. Minimal "3.5"\n');
  assert.equal((await migrate("3")).err, 'Error: wrong target version format, expected "X.Y", got "3"\n');
});

test("defrag keeps every row", async () => {
  const root = dataDirectory("defragged");
  const status = async (): Promise<string> =>
    (await etcdutl("snapshot", "status", join(root, "member", "snap", "db"))).out;
  const before = await status();
  assert.equal((await etcdutl("defrag", "--data-dir", root)).code, 0);
  assert.equal(await status(), before);
  const missing = await etcdutl("defrag", "--data-dir", "no");
  assert.equal(
    missing.err,
    "Error: Failed to defragment etcd data[no] (stat no/member/snap/db: no such file or directory)\n",
  );
});

test("defrag of a directory of Cairn's has nothing to do, beside the database that it came from, too", async () => {
  const root = dataDirectory("ours");
  mkdirSync(join(root, "member", "cairn"));
  const before = readFileSync(join(root, "member", "snap", "db"));
  assert.equal((await etcdutl("defrag", "--data-dir", root)).code, 0);
  assert.match(logged, /finished defragmenting directory.*nothing to do/);
  assert.deepEqual(readFileSync(join(root, "member", "snap", "db")), before);
});

test("a file that is locked or no database is refused", async () => {
  const junk = join(directory, "junk.db");
  writeFileSync(junk, new Uint8Array(20_000).fill(7));
  assert.deepEqual(await etcdutl("snapshot", "status", junk), {
    code: 1,
    out: "",
    err: "Error: invalid database\n",
  });
  writeFileSync(junk, new Uint8Array(5000));
  assert.equal((await etcdutl("snapshot", "status", junk)).err, "Error: file size too small 5000\n");
  const lock = tryLockDatabase(snapshot, "exclusive");
  assert.ok(lock !== undefined);
  // Without flock(1) on this machine nothing is known of locks, and the file is read.
  const { code, err } = await etcdutl("hashkv", snapshot, "--timeout", "1ms");
  if (lock.state === "locked")
    assert.match(err, /^Error: failed to open database: timeout .* is locked by another process/);
  assert.equal(code, lock.state === "locked" ? 2 : 0);
  await lock.unlock();
});

test("what the command line does wrong is said twice, as etcdutl does", async () => {
  const { err, code } = await etcdutl("snapshoot");
  const text = 'Error: unknown command "snapshoot" for "etcdutl"\n\nDid you mean this?\n\tsnapshot\n\n';
  assert.equal(err, `${text}Run 'etcdutl --help' for usage.\n${text}`);
  assert.equal(code, 1);
  assert.equal((await etcdutl("version")).out, "etcdutl version: 3.7.1\nAPI version: 3.7\n");
});

test("completion offers commands and flags", async () => {
  assert.equal((await etcdutl("__complete", "sn")).out, "snapshot\tManages etcd node snapshots\n:4\n");
  assert.match(
    (await etcdutl("__complete", "snapshot", "restore", "--bu")).out,
    /^--bump-revision\t.*\n:4\n$/,
  );
  for (const shell of ["bash", "zsh", "fish", "powershell"]) {
    assert.match((await etcdutl("completion", shell)).out, /__complete/);
  }
});

test("sizes are go-humanize's", () => {
  assert.deepEqual([0, 9, 999, 1000, 1500, 9950, 24576, 1e6, 2147483648, 1e15].map(humanBytes), [
    "0 B",
    "9 B",
    "999 B",
    "1.0 kB",
    "1.5 kB",
    "10 kB",
    "25 kB",
    "1.0 MB",
    "2.1 GB",
    "1.0 PB",
  ]);
});
