// Goal: the walk that backups take gives every row up to its revision, in order, and none that comes later. Method: compared with
// revisionsSince and key-value.ts, over a store of several chunks with holes from compaction, while writes go on.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { LeaseId, Revision } from "../base/brand.ts";
import { ByteRoom } from "../base/byte-room.ts";
import { latin1ToBytes } from "../base/bytes.ts";
import type { FileNumber, Slot } from "./contract.ts";
import { KeyValueForm, keyValueSize, writeKeyValue } from "./key-value.ts";
import { newSlotList } from "./slot-list.ts";
import { Store } from "./store.ts";

const values = {
  readValue: (_file: FileNumber, offset: number, length: number) => new Uint8Array(length).fill(offset),
  copyValue: (file: FileNumber, offset: number, length: number, into: Uint8Array, at: number) =>
    into.fill(file + offset, at, at + length),
};

function write(store: Store, from: number, count: number): void {
  const gone = newSlotList();
  for (let n = from; n < from + count; n++) {
    const txn = store.write();
    const key = latin1ToBytes(`key${(n * 7) % 900}`);
    if (n % 11 === 0) txn.delete(key, new Uint8Array(0), gone);
    else txn.put(key, BigInt(n % 3) as LeaseId, 1 as FileNumber, n, n % 40);
    if (n % 5 === 0) txn.put(latin1ToBytes(`second${n % 50}`), 0n as LeaseId, 2 as FileNumber, n, 9);
    txn.end();
  }
}

type Row = readonly [main: number, sub: number, tombstone: boolean, bytes: string];

function expected(store: Store, until: number): Row[] {
  const slots = newSlotList();
  store.revisionsSince(0 as Revision, Number.POSITIVE_INFINITY, slots);
  const rows: Row[] = [];
  for (let i = 0; i < slots.length; i++) {
    const slot = slots.slots[i] as Slot;
    if (store.mainOf(slot) > until) break;
    const bytes = new Uint8Array(keyValueSize(store, slot, KeyValueForm.Stored));
    writeKeyValue(store, slot, KeyValueForm.Stored, values, bytes, 0);
    rows.push([store.mainOf(slot), store.subOf(slot), store.isTombstone(slot), bytes.join()]);
  }
  return rows;
}

test("the walk gives the rows up to its revision, whatever is written meanwhile", () => {
  const store = new Store({ seed: 1 });
  write(store, 0, 9000);
  assert.equal(store.compact(6000 as Revision), undefined);
  while (!store.compactSlice(1000, undefined));
  const until = store.currentRevision;
  const hold = store.hold();
  const wanted = expected(store, until);
  const rows = store.storedRows(until);
  const found: Row[] = [];
  while (rows.next()) {
    if (found.length % 1000 === 0) write(store, 9000 + found.length, 900);
    const bytes = new Uint8Array(rows.size);
    rows.write(values, new ByteRoom(bytes), 0);
    found.push([rows.main, rows.sub, rows.tombstone, bytes.join()]);
  }
  hold.release();
  assert.ok(found.length > 4096, `${found.length} rows are more than a chunk`);
  assert.deepEqual(found, wanted);
});
