// Goal: rows of an etcd database make the store that etcd itself would make of them, and unsound rows are told. What sound rows become is
// in the fuzz test; here is what only a foreign file contains.
import assert from "node:assert/strict";
import { test } from "node:test";
import { NO_LEASE, type Revision } from "../base/brand.ts";
import { latin1ToBytes } from "../base/bytes.ts";
import { isEtcdError } from "../base/errors.ts";
import { type FileNumber, NO_SLOT, type ValueReader } from "./contract.ts";
import { Importer, type ImportRow } from "./importer.ts";
import { slowCrc32c } from "./model.test.ts";
import { newSlotList } from "./slot-list.ts";

const FROM = latin1ToBytes("\0");
const values: ValueReader = { readValue: () => new Uint8Array(0), copyValue: () => {} };

function row(main: number, sub: number, key: string, more: Partial<ImportRow> = {}): ImportRow {
  const place = { lease: NO_LEASE, file: 0 as FileNumber, offset: 0, length: 0 };
  return {
    main,
    sub,
    key: latin1ToBytes(key),
    tombstone: false,
    create: main,
    version: 1,
    ...place,
    ...more,
  };
}

test("rows that do not ascend, or are out of bounds, are told with their revision", () => {
  const importer = new Importer({ seed: 1 });
  assert.equal(importer.add(row(5, 3, "a")), undefined);
  assert.equal(importer.add(row(5, 3, "b")), "revision 5.3: it does not follow 5.3");
  assert.equal(importer.add(row(4, 9, "b")), "revision 4.9: it does not follow 5.3");
  assert.equal(importer.add(row(2 ** 53, 0, "b")), `revision ${2 ** 53}.0: it is out of bounds`);
  assert.equal(importer.add(row(6, -1, "b")), "revision 6.-1: its sub revision is out of bounds");
  assert.equal(
    importer.add(row(6, 0, "b", { version: -1 })),
    "revision 6.0: its create revision or version is negative",
  );
  assert.equal(importer.add(row(6, 0, "b")), undefined);
});

test("the current revision is the last row's, or that of a compaction behind it", () => {
  assert.equal(new Importer({ seed: 1 }).finish({ finished: -1, scheduled: -1 }).currentRevision, 1);
  const compacted = new Importer({ seed: 1 }).finish({ finished: 7, scheduled: 9 });
  assert.equal(compacted.currentRevision, 9);
  assert.equal(compacted.compactedRevision, 9);
  assert.equal(compacted.finishedCompaction, 7);
});

test("a generation that began before the compaction goes on with the version and create revision it had", () => {
  const importer = new Importer({ seed: 1 });
  importer.add(row(90, 0, "gone", { tombstone: true, create: 0, version: 0 }));
  importer.add(row(100, 0, "a", { create: 3, version: 41 }));
  const store = importer.finish({ finished: 90, scheduled: 90 });
  const txn = store.write();
  const slot = txn.put(latin1ToBytes("a"), NO_LEASE, 0 as FileNumber, 0, 0);
  assert.equal(txn.end(), 101);
  assert.equal(store.createRevisionOf(slot), 3);
  assert.equal(store.versionOf(slot), 42);
  assert.equal(store.find(latin1ToBytes("gone"), 101 as Revision), NO_SLOT);
  assert.equal(store.count(FROM, FROM, 101 as Revision), 1);
});

test("the mark of a bumped revision counts for the revision and the hash, and is seen by no range", () => {
  const importer = new Importer({ seed: 1 });
  importer.add(row(1_000_000_002, 0, "", { create: 0, version: 0 }));
  const store = importer.finish({ finished: -1, scheduled: -1 });
  assert.equal(store.currentRevision, 1_000_000_002);
  assert.equal(store.count(FROM, FROM, store.currentRevision), 0);
  const job = store.hashKv(0 as Revision);
  assert.ok(!isEtcdError(job));
  while (!job.step(1, values));
  const revision = Buffer.alloc(17);
  revision.writeBigUInt64BE(1_000_000_002n);
  revision.write("_", 8);
  assert.equal(job.result?.hash, slowCrc32c([...Buffer.from("key"), ...revision]));
});

test("revisions far apart, of great age and of great version keep their numbers through compaction", () => {
  const importer = new Importer({ seed: 1 });
  const mains = Array.from({ length: 12 }, (_, i) => 2 + i * (2 ** 32 + 12_345));
  for (const [i, main] of mains.entries())
    importer.add(row(main, i, `k${i % 7}`, { create: 2, version: 2 ** 33 + i }));
  const store = importer.finish({ finished: -1, scheduled: -1 });
  for (const compacted of [mains[3]!, mains[11]!]) {
    assert.equal(store.compact(compacted as Revision), undefined);
    while (!store.compactSlice(1, undefined));
    for (let i = 5; i < 12; i++) {
      const slot = store.find(latin1ToBytes(`k${i % 7}`), store.currentRevision);
      assert.equal(store.mainOf(slot), mains[i]);
      assert.equal(store.subOf(slot), i);
      assert.equal(store.createRevisionOf(slot), 2);
      assert.equal(store.versionOf(slot), 2 ** 33 + i);
    }
  }
  assert.equal(store.rows, 7);
  const out = newSlotList();
  const txn = store.write();
  const slot = txn.put(latin1ToBytes("k4"), NO_LEASE, 1 as FileNumber, 2 ** 47, 2 ** 32 - 1);
  txn.end();
  assert.equal(store.versionOf(slot), 2 ** 33 + 12);
  assert.equal(store.offsetOf(slot), 2 ** 47);
  assert.equal(store.valueLengthOf(slot), 2 ** 32 - 1);
  assert.equal(store.revisionsSince((mains[11]! + 1) as Revision, 0, out), mains[11]! + 2);
  assert.equal(out.length, 1);
});
