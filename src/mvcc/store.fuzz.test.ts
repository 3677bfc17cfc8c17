// Goal: whatever is written, deleted and compacted, the store answers as a deliberately dumb model does: a list of all rows that
// is searched from end to end. Method: seeded random histories over few, nasty keys (prefixes of each other, zero bytes, long
// ones), with a full comparison at random revisions. FUZZ_SEED replays one history, FUZZ_RUNS makes more of them.
import assert from "node:assert/strict";
import { test } from "node:test";
import { type LeaseId, NO_LEASE, type Revision } from "../base/brand.ts";
import { latin1FromBytes, latin1ToBytes } from "../base/bytes.ts";
import { type FileNumber, NO_SLOT, type Slot, type SlotList } from "./contract.ts";
import { newSlotList } from "./slot-list.ts";
import { Store } from "./store.ts";

type ModelRow = {
  key: string;
  main: number;
  sub: number;
  tombstone: boolean;
  create: number;
  version: number;
  lease: bigint;
  file: number;
  offset: number;
  length: number;
};

class Model {
  rows: ModelRow[] = [];
  current = 1;

  /** The newest row of `key` at or below `at`. */
  newest(key: string, at: number): ModelRow | undefined {
    let found: ModelRow | undefined;
    for (const row of this.rows) if (row.key === key && row.main <= at) found = row;
    return found;
  }

  find(key: string, at: number): ModelRow | undefined {
    const row = this.newest(key, at);
    return row?.tombstone === true ? undefined : row;
  }

  range(key: string, end: string, at: number): ModelRow[] {
    const keys = [...new Set(this.rows.map((row) => row.key))].sort((a, b) => (a < b ? -1 : 1));
    const inside = keys.filter((k) => (end === "" ? k === key : k >= key && (end === "\0" || k < end)));
    return inside.map((k) => this.find(k, at)).filter((row) => row !== undefined);
  }

  put(
    main: number,
    sub: number,
    key: string,
    lease: bigint,
    file: number,
    offset: number,
    length: number,
  ): void {
    const old = this.find(key, main);
    const create = old?.create ?? main;
    const version = (old?.version ?? 0) + 1;
    const place = length === 0 ? { file: 0, offset: 0 } : { file, offset };
    this.rows.push({ key, main, sub, tombstone: false, create, version, lease, ...place, length });
  }

  delete(main: number, sub: number, key: string): void {
    const none = { create: 0, version: 0, lease: 0n, file: 0, offset: 0, length: 0 };
    this.rows.push({ key, main, sub, tombstone: true, ...none });
  }
}

class Random {
  #state: number;
  constructor(seed: number) {
    this.#state = seed | 0;
  }
  below(n: number): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % n;
  }
}

function describe(store: Store, slot: Slot): ModelRow {
  return {
    key: latin1FromBytes(store.keyOf(slot)),
    main: store.mainOf(slot),
    sub: store.subOf(slot),
    tombstone: store.isTombstone(slot),
    create: store.createRevisionOf(slot),
    version: store.versionOf(slot),
    lease: store.leaseOf(slot),
    file: store.fileOf(slot),
    offset: store.offsetOf(slot),
    length: store.valueLengthOf(slot),
  };
}

function describeAll(store: Store, list: SlotList): ModelRow[] {
  const rows: ModelRow[] = [];
  for (let i = 0; i < list.length; i++) rows.push(describe(store, list.slots[i]! as Slot));
  return rows;
}

function makeKeys(random: Random): string[] {
  const keys = [
    "a",
    "a\0",
    "a\0\0\0\0",
    "ab",
    "abcd",
    "abcde",
    "abcdefgh",
    "\0",
    "\xff",
    "\xff\xff",
    "b".repeat(700),
  ];
  const count = 5 + random.below(400);
  for (let i = 0; i < count; i++) keys.push(`/registry/pods/ns-${random.below(9)}/pod-${random.below(500)}`);
  return keys;
}

class History {
  readonly random: Random;
  readonly store: Store;
  readonly model = new Model();
  readonly keys: string[];

  constructor(seed: number) {
    this.random = new Random(seed);
    this.store = new Store({ seed });
    this.keys = makeKeys(this.random);
  }

  key(): string {
    return this.keys[this.random.below(this.keys.length)]!;
  }

  interval(): [string, string] {
    const kind = this.random.below(6);
    if (kind === 0) return [this.key(), ""];
    if (kind === 1) return [this.key(), "\0"];
    return [this.key(), this.key()];
  }

  write(): void {
    const { random, store, model } = this;
    const txn = store.write();
    const main = model.current + 1;
    assert.equal(txn.mainRevision, main);
    let sub = 0;
    for (let ops = random.below(5); ops > 0; ops--) {
      if (random.below(4) > 0) {
        const key = this.key();
        const lease = random.below(3) === 0 ? BigInt(random.below(4)) - 1n : NO_LEASE;
        const file = 1 + random.below(5);
        const offset = random.below(2) === 0 ? random.below(1000) : 2 ** 32 * (1 + random.below(9)) + 7;
        const length = random.below(3) * 50;
        const slot = txn.put(latin1ToBytes(key), lease as LeaseId, file as FileNumber, offset, length);
        model.put(main, sub++, key, lease, file, offset, length);
        assert.deepEqual(describe(store, slot), model.rows.at(-1));
      } else {
        const [key, end] = random.below(3) === 0 ? this.interval() : [this.key(), ""];
        if (end !== "" && random.below(4) > 0) continue;
        const expected = model.range(key, end, main).map((row) => row.key);
        const out = newSlotList(1);
        assert.equal(txn.delete(latin1ToBytes(key), latin1ToBytes(end), out), expected.length);
        for (const one of expected) model.delete(main, sub++, one);
        assert.deepEqual(describeAll(store, out), model.rows.slice(model.rows.length - expected.length));
      }
      assert.equal(txn.readRevision, sub === 0 ? main - 1 : main);
      this.compareRange(txn.readRevision);
      this.compareRange(main - 1);
    }
    assert.equal(txn.changes, sub);
    model.current = sub === 0 ? main - 1 : main;
    assert.equal(txn.end(), model.current);
  }

  compareRange(at: number): void {
    const { random, store, model } = this;
    const [key, end] = this.interval();
    const [keyBytes, endBytes] = [latin1ToBytes(key), latin1ToBytes(end)];
    const expected = model.range(key, end, at);
    const max = random.below(3) === 0 ? random.below(5) : 10_000;
    const out = newSlotList(1);
    const more = store.range(keyBytes, endBytes, at as Revision, max, out);
    assert.deepEqual(describeAll(store, out), expected.slice(0, max));
    assert.equal(more, expected.length > max);
    assert.equal(store.count(keyBytes, endBytes, at as Revision), expected.length);
    const slot = store.find(keyBytes, at as Revision);
    assert.deepEqual(slot === NO_SLOT ? undefined : describe(store, slot), model.find(key, at));
    this.compareCursor(keyBytes, endBytes, at, expected);
  }

  compareCursor(key: Uint8Array, end: Uint8Array, at: number, expected: ModelRow[]): void {
    const cursor = this.store.cursor(key, end, at as Revision);
    const out = newSlotList(1);
    const bite = 1 + this.random.below(40);
    while (cursor.next(out, bite) > 0);
    assert.deepEqual(describeAll(this.store, out), expected);
  }

  compareSince(from: number): void {
    const { random, store, model } = this;
    const expected = model.rows.filter((row) => row.main >= from);
    const all: ModelRow[] = [];
    for (let at = from; at <= model.current; ) {
      const out = newSlotList(1);
      const max = 1 + random.below(50);
      const next = store.revisionsSince(at as Revision, max, out);
      const rows = describeAll(store, out);
      assert.ok(next > at);
      assert.ok(rows.every((row) => row.main >= at && row.main < next));
      assert.ok(rows.length < max || rows.filter((row) => row.main < rows.at(-1)!.main).length < max);
      for (let i = 0; i < out.length; i++) this.comparePrevious(out.slots[i]! as Slot);
      all.push(...rows);
      at = next;
    }
    assert.deepEqual(all, expected);
  }

  comparePrevious(slot: Slot): void {
    const row = describe(this.store, slot);
    const before = this.model.rows
      .filter((other) => other.key === row.key)
      .filter((other) => other.main < row.main || (other.main === row.main && other.sub < row.sub))
      .at(-1);
    const previous = this.store.previousOf(slot);
    const expected = before?.tombstone === true ? undefined : before;
    assert.deepEqual(previous === NO_SLOT ? undefined : describe(this.store, previous), expected);
  }
}

const seeds = process.env["FUZZ_SEED"];
const runs = Number(process.env["FUZZ_RUNS"] ?? 12);

test("the store answers every question as the dumb model does", () => {
  for (let run = 0; run < runs; run++) {
    const seed = seeds === undefined ? 1000 + run : Number(seeds);
    const history = new History(seed);
    try {
      for (let step = 0; step < 150; step++) {
        history.write();
        if (step % 5 === 0) history.compareRange(1 + history.random.below(history.model.current));
        if (step % 50 === 49) history.compareSince(1 + history.random.below(history.model.current));
      }
    } catch (error) {
      throw new Error(`replay with FUZZ_SEED=${seed}: ${String((error as Error).stack)}`, { cause: error });
    }
  }
});
