// Goal: what holds for a few rows holds across chunk, leaf, segment and slab boundaries too. Method: tens of thousands of keys
// written, overwritten, deleted and compacted until chunks are merged and freed; compared with a Map.
import assert from "node:assert/strict";
import { test } from "node:test";
import { NO_LEASE, type Revision } from "../base/brand.ts";
import { latin1FromBytes, latin1ToBytes } from "../base/bytes.ts";
import { type FileNumber, NO_SLOT, type Slot } from "./contract.ts";
import { Random } from "./model.test.ts";
import { newSlotList } from "./slot-list.ts";
import { Store } from "./store.ts";

const FROM = latin1ToBytes("\0");
const NONE = new Uint8Array(0);

class Filled {
  readonly store = new Store({ seed: 3 });
  /** Key → revision of its newest put, of the keys alive. */
  readonly alive = new Map<string, number>();
  readonly random: Random;
  readonly keys: number;

  constructor(seed: number, keys: number) {
    this.random = new Random(seed);
    this.keys = keys;
  }

  key(i: number): string {
    return `/registry/k${(i * 7919) % this.keys}${i % 97 === 0 ? "/".repeat(i % 3000) : ""}`;
  }

  put(key: string): void {
    const txn = this.store.write();
    txn.put(latin1ToBytes(key), NO_LEASE, 1 as FileNumber, this.alive.size, 10);
    this.alive.set(key, txn.end());
  }

  delete(key: string): void {
    const txn = this.store.write();
    assert.equal(txn.delete(latin1ToBytes(key), NONE, newSlotList()), this.alive.delete(key) ? 1 : 0);
    txn.end();
  }

  compact(rowsMax: number): void {
    const { store } = this;
    if (store.compactedRevision < store.currentRevision)
      assert.equal(store.compact(store.currentRevision), undefined);
    while (!store.compactSlice(rowsMax, undefined));
  }

  compare(): void {
    const { store, alive } = this;
    const expected = [...alive.keys()].sort((a, b) => (a < b ? -1 : 1));
    const out = newSlotList();
    assert.equal(store.range(FROM, FROM, store.currentRevision, 1e9, out), false);
    const found: string[] = [];
    for (let i = 0; i < out.length; i++) found.push(latin1FromBytes(store.keyOf(out.slots[i]! as Slot)));
    assert.deepEqual(found, expected);
    for (const [key, main] of alive) {
      const slot = store.find(latin1ToBytes(key), store.currentRevision);
      assert.ok(slot !== NO_SLOT);
      assert.equal(store.mainOf(slot), main);
    }
    for (let i = 0; i < 200; i++) this.compareCount(expected);
  }

  compareCount(sorted: string[]): void {
    const { store, random } = this;
    const a = random.below(sorted.length + 1);
    const b = a + random.below(sorted.length + 1 - a);
    if (a === sorted.length) return;
    const end = b === sorted.length ? FROM : latin1ToBytes(sorted[b]!);
    assert.equal(store.count(latin1ToBytes(sorted[a]!), end, store.currentRevision), b - a);
  }
}

test("nothing is lost or made up while chunks, leaves, segments and slabs split, merge and go", () => {
  const filled = new Filled(5, 30_000);
  const { random, store } = filled;
  for (let i = 0; i < 30_000; i++) filled.put(filled.key(i));
  filled.compare();
  for (let round = 0; round < 5; round++) {
    for (let i = 0; i < 8_000; i++) filled.put(filled.key(random.below(30_000)));
    for (let i = 0; i < 6_000; i++) filled.delete(filled.key(random.below(30_000)));
    filled.compact(500);
    filled.compare();
    assert.ok(store.rows <= filled.alive.size + 1);
  }
  const before = store.memoryBytes;
  for (const key of [...filled.alive.keys()]) if (random.below(50) > 0) filled.delete(key);
  filled.compact(2000);
  filled.compare();
  assert.ok(store.memoryBytes < before / 2, "memory follows what is left");
});

test("ranges of any width are deleted whole, and counted right afterwards", () => {
  const filled = new Filled(11, 20_000);
  const { random, store } = filled;
  for (let i = 0; i < 20_000; i++) filled.put(filled.key(i));
  for (let round = 0; round < 40; round++) {
    const a = filled.key(random.below(20_000));
    const b = random.below(4) === 0 ? `${a}5` : filled.key(random.below(20_000));
    const gone = [...filled.alive.keys()].filter((key) => key >= a && key < b);
    const out = newSlotList();
    const txn = store.write();
    assert.equal(txn.delete(latin1ToBytes(a), latin1ToBytes(b), out), gone.length);
    txn.end();
    assert.equal(out.length, gone.length);
    for (const key of gone) filled.alive.delete(key);
    if (round % 8 === 7) {
      filled.compare();
      for (let i = 0; i < 6_000; i++) filled.put(filled.key(random.below(20_000)));
      filled.compact(1000);
    }
  }
  filled.compare();
});

test("keys put in order and deleted in order, from either side, leave an empty store that works", () => {
  for (const backwards of [false, true]) {
    const filled = new Filled(6, 5_000);
    const keys = Array.from(
      { length: 5_000 },
      (_, i) => `k${String(backwards ? 9999 - i : i).padStart(5, "0")}`,
    );
    for (let round = 0; round < 2; round++) {
      for (const key of keys) filled.put(key);
      filled.compare();
      for (const [i, key] of keys.entries()) {
        filled.delete(key);
        if (i % 700 === 0) filled.compact(100);
        if (i % 1500 === 0) filled.compare();
      }
      filled.put("z");
      filled.delete("z");
      filled.put("y");
      filled.compact(100);
      assert.equal(filled.store.rows, 1);
      filled.delete("y");
    }
  }
});

test("a pinned revision reads the same while everything changes and is compacted around it", () => {
  const filled = new Filled(7, 20_000);
  const { store } = filled;
  for (let i = 0; i < 20_000; i++) filled.put(filled.key(i));
  const at = store.currentRevision;
  const expected = [...filled.alive.entries()].sort((a, b) => (a[0] < b[0] ? -1 : 1));
  const pin = store.pin(at);
  const cursor = store.cursor(FROM, FROM, at);
  const found: [string, number][] = [];
  const out = newSlotList();
  for (;;) {
    out.length = 0;
    if (cursor.next(out, 1000) === 0) break;
    for (let i = 0; i < out.length; i++) {
      const slot = out.slots[i]! as Slot;
      found.push([latin1FromBytes(store.keyOf(slot)), store.mainOf(slot)]);
    }
    for (let i = 0; i < 1_500; i++) filled.put(filled.key(filled.random.below(20_000)));
    for (let i = 0; i < 1_500; i++) filled.delete(filled.key(filled.random.below(20_000)));
    filled.compact(3000);
  }
  assert.deepEqual(found, expected);
  assert.ok(store.rows >= 20_000);
  pin.release();
  assert.equal(store.compactSlice(1, undefined), false, "rows the pin held are dropped later, in bites");
  filled.compact(3000);
  filled.compare();
  const tombstones = store.rows - filled.alive.size;
  assert.ok(tombstones <= 1);
});

test("count at an older revision is the same by correction and by walking", () => {
  const filled = new Filled(8, 3_000);
  const { store } = filled;
  for (let i = 0; i < 3_000; i++) filled.put(filled.key(i));
  const counts = new Map<Revision, number>();
  for (let i = 0; i < 6_000; i++) {
    if (filled.random.below(2) === 0) filled.delete(filled.key(filled.random.below(3_000)));
    else filled.put(filled.key(filled.random.below(3_000)));
    if (i % 100 === 0) counts.set(store.currentRevision, filled.alive.size);
  }
  for (const [at, count] of counts) assert.equal(store.count(FROM, FROM, at), count);
});
