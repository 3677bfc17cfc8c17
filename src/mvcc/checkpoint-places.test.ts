// Goal: a checkpoint says where every value stands, and its files can be given other names without a value going astray. Method: stores of
// many files with holes, leases, tombstones and empty values; the renamed blocks make a store whose places are compared one by one.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { LeaseId, Revision } from "../base/brand.ts";
import { latin1ToBytes } from "../base/bytes.ts";
import { BlockKind, blockKindOf } from "./checkpoint-format.ts";
import { CheckpointPlaces } from "./checkpoint-places.ts";
import type { FileNumber, Slot } from "./contract.ts";
import { Restorer } from "./restorer.ts";
import { newSlotList } from "./slot-list.ts";
import { Store } from "./store.ts";

const NONE = new Uint8Array(0);
const HIGH = 2 ** 33;
const RENAMED_BY = 700;

function filled(): Store {
  const store = new Store({ seed: 1 });
  for (let i = 0; i < 20_000; i++) {
    const txn = store.write();
    const lease = (i % 7 === 0 ? BigInt(1 + (i % 50)) : 0n) as LeaseId;
    const file = (1 + (i >> 10)) as FileNumber;
    txn.put(latin1ToBytes(`key${(i * 31) % 5000}`), lease, file, HIGH + i * 64, i % 11 === 0 ? 0 : i % 40);
    txn.end();
  }
  for (let i = 0; i < 1000; i++) {
    const txn = store.write();
    txn.delete(latin1ToBytes(`key${i * 2}`), NONE, newSlotList());
    txn.end();
  }
  store.compact(9000 as Revision);
  while (!store.compactSlice(999, undefined));
  return store;
}

/** Where each value of the store stands. */
function placesOf(store: Store, rename: (file: number) => number): string[] {
  const out = newSlotList();
  store.revisionsSince((store.compactedRevision + 1) as Revision, 1e9, out);
  for (const at of [store.compactedRevision, store.currentRevision])
    store.range(latin1ToBytes("\0"), latin1ToBytes("\0"), at, 1e9, out);
  const places = new Set<string>();
  for (let i = 0; i < out.length; i++) {
    const slot = out.slots[i]! as Slot;
    const length = store.valueLengthOf(slot);
    if (length > 0) places.add(`${rename(store.fileOf(slot))} ${store.offsetOf(slot)} ${length}`);
  }
  return [...places].sort();
}

test("every value's place is told, under the names that the files were given", () => {
  const store = filled();
  const places = new CheckpointPlaces();
  const restorer = new Restorer({ seed: 5 });
  const checkpoint = store.checkpoint();
  const told = new Set<string>();
  const renamed = new Set<number>();
  for (let block = checkpoint.next(); block !== undefined; block = checkpoint.next()) {
    const mine = Uint8Array.from(block);
    places.rename(mine, (file) => {
      renamed.add(file);
      return (file + RENAMED_BY) as FileNumber;
    });
    assert.ok(restorer.push(mine));
    places.visit(mine, (file, offset, length) => told.add(`${file} ${offset} ${length}`));
    assert.equal(restorer.ended, blockKindOf(mine) === BlockKind.End);
  }
  const restored = restorer.finish();
  assert.ok(restored.ok);
  const wanted = placesOf(store, (file) => file + RENAMED_BY);
  assert.ok(wanted.length > 4000 && renamed.size > 15);
  assert.deepEqual(
    placesOf(restored.store, (file) => file),
    wanted,
  );
  assert.deepEqual([...told].sort(), wanted);
  assert.equal(restored.store.liveBytes, store.liveBytes);
});

test("blocks that hold less than they say are left to the restorer, not read beyond", () => {
  const places = new CheckpointPlaces();
  const block = new Uint8Array(24);
  block[0] = BlockKind.Files;
  new DataView(block.buffer).setUint32(12, 1 << 30, true);
  new DataView(block.buffer).setFloat64(16, 5, true);
  places.rename(block, () => 6 as FileNumber);
  assert.equal(new DataView(block.buffer).getFloat64(16, true), 6);
  places.rename(new Uint8Array(3), () => assert.fail("nothing is named"));
});
