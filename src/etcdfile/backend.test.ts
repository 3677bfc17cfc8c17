// Goal: etcd's tables survive the way through its database file, rows are Go's bytes, and an import tells the whole directory or
// says exactly why not. Method: files written here into a disk in memory; texts captured from etcd 3.7.1.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type MemberId, memberId } from "../base/brand.ts";
import { concatBytes, copyBytes, latin1ToBytes, utf8ToBytes } from "../base/bytes.ts";
import { FormatError } from "../base/format-error.ts";
import { BoltFile, bytesSource } from "../bbolt/reader.ts";
import { bucketOfRows, type Row } from "../bbolt/rows.ts";
import { BoltWriter } from "../bbolt/writer.ts";
import { type Disk, DiskError, type DiskFile } from "../ports/disk.ts";
import { encodeKeyValue } from "../wire/generated/mvccpb.ts";
import { type BackendTables, readTables } from "./backend.ts";
import { backendBuckets } from "./backend-writer.ts";

import { type EtcdDataError, type EtcdDataOptions, readEtcdDataDir } from "./import.ts";
import { decodeRevision, encodeRevision, KeyValueFields } from "./key-row.ts";

import { decodeConfState, decodeMember, encodeConfState, encodeMember } from "./member-json.ts";
import { decodeSnapFile, encodeSnapFile } from "./snap-file.ts";
import { encodeV2Store } from "./v2-store.ts";
import { WalEncoder } from "./wal-encoder.ts";
import { walName } from "./wal-reader.ts";

const ID = memberId(0xf51f_d5bb_aa0c_1fffn);

const TABLES: BackendTables = {
  consistentIndex: 77,
  term: 2,
  confState: { voters: [ID], learners: [], votersOutgoing: [], learnersNext: [], autoLeave: false },
  scheduledCompactRevision: 40,
  finishedCompactRevision: 39,
  storageVersion: "3.7.0",
  members: [
    { id: ID, peerUrls: ["http://a:2380"], isLearner: false, name: "default", clientUrls: ["http://a:2379"] },
  ],
  removed: [5n as MemberId],
  clusterVersion: "3.7.0",
  downgrade: { enabled: false, targetVersion: "" },
  leases: [
    { id: 4871947054263796799n, ttl: 1000, remainingTtl: 0 },
    { id: -3n, ttl: 5, remainingTtl: 2 },
  ],
  alarms: [{ memberId: ID, alarm: 1 }],
  authEnabled: true,
  authRevision: 7,
  users: [
    {
      name: utf8ToBytes("root"),
      password: utf8ToBytes("$2a$10$"),
      roles: ["root"],
      options: { noPassword: false },
    },
  ],
  roles: [
    {
      name: utf8ToBytes("r1"),
      keyPermission: [{ permType: 2, key: utf8ToBytes("a"), rangeEnd: utf8ToBytes("z") }],
    },
  ],
};

function put(main: number, key: string, value: string): Row {
  const kv = {
    key: utf8ToBytes(key),
    createRevision: main,
    modRevision: main,
    version: 1,
    value: utf8ToBytes(value),
    lease: 0n,
  };
  return { key: encodeRevision(main, 0), value: encodeKeyValue(kv) };
}

function database(tables: BackendTables, rows: readonly Row[] = [put(2, "k", "v")]): Uint8Array {
  const writer = new BoltWriter(backendBuckets(tables, bucketOfRows(latin1ToBytes("key"), rows).rows));
  while (!writer.plan(1000));
  const chunks: Uint8Array[] = [];
  for (let chunk = writer.next(); chunk !== undefined; chunk = writer.next()) chunks.push(chunk);
  return copyBytes(concatBytes(chunks));
}

test("all tables are read back as they were written", () => {
  assert.deepEqual(readTables(new BoltFile(bytesSource(database(TABLES)))), {
    ...TABLES,
    leases: TABLES.leases.toSorted((a, b) => (BigInt.asUintN(64, a.id) < BigInt.asUintN(64, b.id) ? -1 : 1)),
  });
});

test("an empty file has etcd's zeros", () => {
  const writer = new BoltWriter([]);
  writer.plan(1);
  const tables = readTables(new BoltFile(bytesSource(writer.next()!)));
  assert.equal(tables.consistentIndex, 0);
  assert.equal(tables.confState, undefined);
  assert.equal(tables.authEnabled, false);
});

test("the fields of a KeyValue are read, and none is left from the row before", () => {
  const count = fc.integer({ min: 1, max: 2 ** 40 });
  const bytes = fc.uint8Array({ maxLength: 200 });
  const fields = new KeyValueFields();
  fc.assert(
    fc.property(bytes, bytes, count, fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n), (key, value, n, lease) => {
      const whole = encodeKeyValue({
        key,
        createRevision: n,
        modRevision: n + 1,
        version: n + 2,
        value,
        lease,
      });
      fields.read(whole, 0, whole.length);
      assert.deepEqual([...fields.key, -1, ...fields.value], [...key, -1, ...value]);
      assert.deepEqual(
        [fields.createRevision, fields.modRevision, fields.version, fields.lease],
        [n, n + 1, n + 2, lease],
      );
      fields.read(whole, 0, 0);
      assert.deepEqual([fields.key.length, fields.version, fields.lease, fields.value.length], [0, 0, 0n, 0]);
    }),
  );
});

test("revisions survive as keys, and sort as numbers", () => {
  const number = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
  fc.assert(
    fc.property(number, number, fc.boolean(), (main, sub, tombstone) => {
      assert.deepEqual(decodeRevision(encodeRevision(main, sub, tombstone)), { main, sub, tombstone });
    }),
  );
  assert.throws(() => decodeRevision(new Uint8Array(16)), /17 or 18 bytes/);
  assert.throws(() => decodeRevision(new Uint8Array(17)), /marks/);
});

test("members and conf states are etcd's texts", () => {
  const text =
    '{"id":17663071265558896639,"peerURLs":["http://a:2380"],"name":"default","clientURLs":["http://a:2379"]}';
  assert.equal(encodeMember(TABLES.members[0]!), text);
  assert.deepEqual(decodeMember(text), TABLES.members[0]);
  const state = '{"voters":[17663071265558896639],"auto_leave":false}';
  assert.equal(encodeConfState(TABLES.confState!), state);
  assert.deepEqual(decodeConfState(state), TABLES.confState);
  assert.deepEqual(decodeConfState('{"voters":[17663071265558896639]}'), TABLES.confState);
});

test("the old store holds every member at its path", () => {
  const store = JSON.parse(encodeV2Store(TABLES.members, TABLES.removed, "3.7.0"));
  const zero = store.Root.Children["0"].Children;
  const member = zero.members.Children["f51fd5bbaa0c1fff"].Children;
  assert.equal(member.raftAttributes.Value, '{"peerURLs":["http://a:2380"]}');
  assert.equal(member.attributes.Value, '{"name":"default","clientURLs":["http://a:2379"]}');
  assert.equal(member.attributes.Path, "/0/members/f51fd5bbaa0c1fff/attributes");
  assert.equal(zero.removed_members.Children["5"].Children, null);
  assert.equal(zero.version.Value, "3.7.0");
  assert.equal(store.Root.Children["1"].ExpireTime, "0001-01-01T00:00:00Z");
});

test("a .snap file is read back, and refused when a byte differs", () => {
  const snapshot = { data: utf8ToBytes("{}"), metadata: { index: 3, term: 1, confState: TABLES.confState } };
  const bytes = encodeSnapFile(snapshot);
  assert.deepEqual(decodeSnapFile(bytes).metadata, snapshot.metadata);
  const damaged = copyBytes(bytes);
  damaged[damaged.length - 1]! ^= 1;
  assert.throws(() => decodeSnapFile(damaged), /snap: crc mismatch/);
  assert.throws(() => decodeSnapFile(new Uint8Array(0)), /snap: empty snapshot/);
});

/** A disk with files for reading. */
function diskOf(files: Map<string, Uint8Array>): Disk {
  const open = async (path: string): Promise<DiskFile> => {
    const bytes = files.get(path);
    if (bytes === undefined) throw new DiskError("ENOENT", path, "no such file or directory");
    return {
      path,
      sizeSync: () => bytes.length,
      readSync: (into: Uint8Array, at: number) => {
        const part = bytes.subarray(at, at + into.length);
        into.set(part);
        return part.length;
      },
      close: async () => {},
    } as unknown as DiskFile;
  };
  return {
    open,
    exists: async (path: string) => files.has(path),
    list: async (directory: string) =>
      [...files.keys()]
        .filter((path) => path.startsWith(`${directory}/`))
        .map((path) => path.slice(directory.length + 1))
        .sort(),
  } as unknown as Disk;
}

function log(): WalEncoder {
  const wal = new WalEncoder({ nodeId: ID, clusterId: 9n });
  wal.snapshot({ index: 0, term: 0, confState: undefined });
  for (let index = 1; index <= 80; index++)
    wal.entry({ index, term: 2, type: 0, data: utf8ToBytes(`e${index}`) });
  wal.hardState({ term: 3, vote: ID, commit: 78 });
  return wal;
}

function directory(): Map<string, Uint8Array> {
  return new Map([
    ["/d/member/snap/db", database(TABLES)],
    [`/d/member/wal/${walName(0, 0)}`, log().bytes()],
    ["/d/member/wal/0.tmp", new Uint8Array(10)],
  ]);
}

async function refusal(
  files: Map<string, Uint8Array>,
  options: EtcdDataOptions = {},
): Promise<EtcdDataError> {
  try {
    await readEtcdDataDir(diskOf(files), "/d", options);
  } catch (error) {
    return error as EtcdDataError;
  }
  return assert.fail("the directory was not refused");
}

test("an import tells ids, state, tables, keys and the log behind them", async () => {
  const data = await readEtcdDataDir(diskOf(directory()), "/d");
  assert.equal(data.nodeId, ID);
  assert.equal(data.clusterId, 9n);
  assert.deepEqual(data.hardState, { term: 3, vote: ID, commit: 78 });
  assert.deepEqual(
    data.entries.map((entry) => entry.index),
    [78, 79, 80],
  );
  assert.equal(data.term, 2);
  const keys = data.keys();
  assert.equal(keys.next(), true);
  assert.deepEqual(keys.revision, { main: 2, sub: 0, tombstone: false });
  assert.equal(Buffer.from(keys.fields.value).toString(), "v");
  assert.equal(keys.next(), false);
  await data.close();
});

test("a received database counts when the one in place is older than the snapshot", async () => {
  const files = directory();
  files.set("/d/member/snap/db", database({ ...TABLES, consistentIndex: 10 }));
  const wal = log();
  wal.snapshot({ index: 77, term: 2, confState: undefined });
  files.set(`/d/member/wal/${walName(0, 0)}`, wal.bytes());
  assert.match((await refusal(files)).message, /db index 10\) does not match with snapshot \(index 77\)/);
  files.set("/d/member/snap/000000000000004d.snap.db", database(TABLES));
  const data = await readEtcdDataDir(diskOf(files), "/d");
  assert.equal(data.databasePath, "/d/member/snap/000000000000004d.snap.db");
  assert.equal(data.entries.length, 3);
});

test("a directory that cannot be trusted is refused with file, offset and next step", async () => {
  const broken = directory();
  broken.get("/d/member/snap/db")!.fill(7, 0, 8192);
  const meta = await refusal(broken);
  assert.equal(meta.kind, "corrupt");
  assert.match(
    meta.message,
    /^\/d\/member\/snap\/db is corrupt at offset 0: neither meta page is valid: .*Nothing was changed/,
  );

  const rotten = directory();
  rotten.get(`/d/member/wal/${walName(0, 0)}`)![400]! ^= 1;
  assert.match(
    (await refusal(rotten)).message,
    /0000000000000000-0000000000000000\.wal is corrupt at offset \d+: a record/,
  );

  const newer = directory();
  newer.set("/d/member/snap/db", database({ ...TABLES, storageVersion: "3.8.0" }));
  assert.equal((await refusal(newer)).kind, "newer-version");

  const lost = directory();
  lost.delete(`/d/member/wal/${walName(0, 0)}`);
  assert.match((await refusal(lost)).message, /holds no log/);

  const absent = directory();
  absent.delete("/d/member/snap/db");
  assert.equal((await refusal(absent)).kind, "unreadable");

  const gap = directory();
  gap.set("/d/member/snap/db", database({ ...TABLES, consistentIndex: 100 }));
  assert.match((await refusal(gap)).message, /the log ends at entry 80, but the database has entry 100/);

  const used = await refusal(directory(), { lock: async () => undefined });
  assert.equal(used.kind, "in-use");
  assert.match(used.message, /locked by another process: stop the etcd/);
});

test("a row that is no KeyValue is named when the walk meets it", async () => {
  const files = directory();
  files.set(
    "/d/member/snap/db",
    database(TABLES, [{ key: encodeRevision(2, 0), value: Uint8Array.of(0xff) }]),
  );
  const data = await readEtcdDataDir(diskOf(files), "/d");
  assert.throws(
    () => data.keys().next(),
    (error) => error instanceof FormatError && /revision 2\/0 is no KeyValue/.test(error.message),
  );
});
