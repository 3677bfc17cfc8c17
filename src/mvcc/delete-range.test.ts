// Goal: deleting a range leaves what deleting its keys one by one leaves. Method: two stores, the same history but for that, the same image.
import assert from "node:assert/strict";
import { test } from "node:test";
import { NO_LEASE } from "../base/brand.ts";
import { latin1ToBytes } from "../base/bytes.ts";
import type { FileNumber } from "./contract.ts";
import { newSlotList } from "./slot-list.ts";
import { Store } from "./store.ts";

const KEYS = 12_000;

function keyOf(i: number): Uint8Array {
  return latin1ToBytes(`key/${String(i).padStart(6, "0")}${"x".repeat(i % 7)}`);
}

/** Keys in an order unlike theirs, some with several revisions, some dead. */
function filled(): Store {
  const store = new Store({ seed: 3 });
  for (let i = 0; i < 2 * KEYS; i++) {
    const key = keyOf((i * 7919) % KEYS);
    const txn = store.write();
    if (i > KEYS && i % 5 === 0) txn.delete(key, new Uint8Array(0), newSlotList());
    else txn.put(key, NO_LEASE, 1 as FileNumber, i, 1 + (i % 3));
    txn.end();
  }
  return store;
}

function imageOf(store: Store): string {
  const image = store.checkpoint();
  let text = "";
  for (let block = image.next(); block !== undefined; block = image.next())
    text += Buffer.from(block).toString("latin1");
  return text;
}

test("deleting a range leaves the rows, the counts and the bytes that deleting its keys leaves", () => {
  const [at, end] = [123, 11_877];
  const byRange = filled();
  const byKey = filled();
  const rangeRows = newSlotList();
  const keyRows = newSlotList();

  const rangeTxn = byRange.write();
  const deleted = rangeTxn.delete(keyOf(at), keyOf(end), rangeRows);
  rangeTxn.end();
  const keyTxn = byKey.write();
  let expected = 0;
  for (let i = at; i < end; i++) expected += keyTxn.delete(keyOf(i), new Uint8Array(0), keyRows);
  keyTxn.end();

  assert.ok(expected > 2 * 4096, "the tombstones fill several chunks of rows");
  assert.equal(deleted, expected);
  assert.deepEqual(rangeRows.slots.slice(0, rangeRows.length), keyRows.slots.slice(0, keyRows.length));
  assert.equal(byRange.liveBytes, byKey.liveBytes);
  assert.equal(imageOf(byRange), imageOf(byKey));
  for (const store of [byRange, byKey]) {
    store.compact(store.currentRevision);
    while (!store.compactSlice(10_000, undefined));
  }
  assert.equal(byRange.rows, byKey.rows);
  assert.equal(imageOf(byRange), imageOf(byKey));
});
