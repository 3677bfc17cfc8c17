// Goal: a checkpoint holds everything, whatever its rows look like, and no damage to one does worse than being told. Method:
// stores with holes, wide rows, leases, long keys and several chunks; every byte cut off and every byte flipped.
import assert from "node:assert/strict";
import { test } from "node:test";
import { type LeaseId, NO_LEASE, type Revision } from "../base/brand.ts";
import { latin1ToBytes } from "../base/bytes.ts";
import type { FileNumber, Slot } from "./contract.ts";
import { type Restored, Restorer } from "./restorer.ts";
import { newSlotList } from "./slot-list.ts";
import { Store } from "./store.ts";

const FROM = latin1ToBytes("\0");
const NONE = new Uint8Array(0);

function put(store: Store, key: string, lease: bigint, file: number): void {
  const txn = store.write();
  txn.put(latin1ToBytes(key), lease as LeaseId, file as FileNumber, 2 ** 33 + file, 100);
  txn.end();
}

function remove(store: Store, key: string): void {
  const txn = store.write();
  txn.delete(latin1ToBytes(key), NONE, newSlotList());
  txn.end();
}

function image(store: Store): Uint8Array {
  const blocks: Uint8Array[] = [];
  const checkpoint = store.checkpoint();
  for (let block = checkpoint.next(); block !== undefined; block = checkpoint.next())
    blocks.push(block.slice());
  return Buffer.concat(blocks);
}

function restore(bytes: Uint8Array): Restored {
  const restorer = new Restorer({ seed: 9 });
  for (let at = 0; at < bytes.length; at += 1000) if (!restorer.push(bytes.subarray(at, at + 1000))) break;
  return restorer.finish();
}

function rowsOf(store: Store): unknown[] {
  const out = newSlotList();
  store.revisionsSince((store.compactedRevision + 1) as Revision, 1e9, out);
  store.range(FROM, FROM, store.currentRevision, 1e9, out);
  const rows: unknown[] = [];
  for (let i = 0; i < out.length; i++) {
    const slot = out.slots[i]! as Slot;
    const place = [store.fileOf(slot), store.offsetOf(slot), store.valueLengthOf(slot), store.leaseOf(slot)];
    const revision = [
      store.mainOf(slot),
      store.subOf(slot),
      store.createRevisionOf(slot),
      store.versionOf(slot),
    ];
    rows.push([
      Buffer.from(store.keyOf(slot)).toString("latin1"),
      store.isTombstone(slot),
      ...revision,
      ...place,
    ]);
  }
  return rows;
}

function small(): Store {
  const store = new Store({ seed: 1 });
  for (let i = 0; i < 12; i++)
    put(store, `key${i % 5}${"x".repeat(i * 3)}`, i % 3 === 0 ? -5n : 0n, 1 + (i % 2));
  remove(store, "key0");
  store.compact(6 as Revision);
  while (!store.compactSlice(10, undefined));
  store.compact(8 as Revision);
  return store;
}

test("an empty store survives the way through a checkpoint", () => {
  const restored = restore(image(new Store({ seed: 1 })));
  assert.ok(restored.ok);
  assert.equal(restored.store.currentRevision, 1);
  assert.equal(restored.store.compactedRevision, 0);
  assert.equal(restored.store.count(FROM, FROM, 1 as Revision), 0);
});

test("a store of many chunks with holes, leases and long keys survives, and goes on as the first would", () => {
  const store = new Store({ seed: 1 });
  for (let i = 0; i < 40_000; i++)
    put(store, `key${(i * 31) % 9000}`, i % 7 === 0 ? BigInt(i % 50) : 0n, i >> 12);
  for (let i = 0; i < 3_000; i++) remove(store, `key${i * 2}`);
  put(store, "long".repeat(400_000), NO_LEASE, 3);
  store.compact(30_000 as Revision);
  while (!store.compactSlice(999, undefined));
  const restored = restore(image(store));
  assert.ok(restored.ok);
  const second = restored.store;
  for (const one of [store, second]) {
    for (let i = 0; i < 5_000; i++) put(one, `key${(i * 17) % 12_000}`, 3n, 9);
    one.compact((one.currentRevision - 100) as Revision);
    while (!one.compactSlice(999, undefined));
  }
  assert.deepEqual(rowsOf(second), rowsOf(store));
  assert.equal(second.liveBytes, store.liveBytes);
  assert.deepEqual(second.files, store.files);
  for (const file of store.files) assert.equal(second.liveBytesOf(file), store.liveBytesOf(file));
  assert.equal(second.rows, store.rows);
});

test("a compaction that was not finished goes on after the restore", () => {
  const restored = restore(image(small()));
  assert.ok(restored.ok);
  assert.equal(restored.store.compactedRevision, 8);
  assert.equal(restored.store.finishedCompaction, 6);
  assert.equal(restored.store.compactionPending, true);
  while (!restored.store.compactSlice(10, undefined));
  assert.equal(restored.store.finishedCompaction, 8);
  assert.deepEqual(restored.store.compactionHashes, [], "its hash would lack what was dropped before");
});

test("a checkpoint that was cut off anywhere is told, not believed", () => {
  const bytes = image(small());
  assert.ok(restore(bytes).ok);
  for (let length = 0; length < bytes.length; length++) {
    const restored = restore(bytes.subarray(0, length));
    assert.ok(!restored.ok && restored.problem.startsWith("checkpoint: "));
  }
  assert.ok(!restore(Buffer.concat([bytes, bytes])).ok, "nor is one with something behind it");
});

test("a flipped byte anywhere breaks no invariant: the image is refused, or read with that one difference", () => {
  const bytes = image(small());
  for (let at = 0; at < bytes.length; at++) {
    for (const bits of [0x01, 0x80, 0xff]) {
      const damaged = Uint8Array.from(bytes);
      damaged[at]! ^= bits;
      const restored = restore(damaged);
      if (restored.ok) rowsOf(restored.store);
    }
  }
});

test("while a checkpoint is under way compaction waits, and goes on when it was cancelled", () => {
  const store = small();
  const checkpoint = store.checkpoint();
  checkpoint.next();
  assert.equal(store.compactSlice(1000, undefined), false);
  assert.equal(store.compactionHeld, true);
  assert.equal(store.finishedCompaction, 6);
  checkpoint.cancel();
  checkpoint.cancel();
  assert.equal(checkpoint.next(), undefined);
  assert.equal(store.compactionHeld, false);
  assert.equal(store.compactSlice(1000, undefined), true);
  assert.equal(store.compactionPending, false);
  assert.equal(store.finishedCompaction, 8);
});
