// Goal: whatever is written, deleted and compacted, the store answers as a deliberately dumb model does: a list of all rows that
// is searched from end to end. Method: seeded random histories over few, nasty keys (prefixes of each other, zero bytes, long
// ones), with a full comparison at random revisions. FUZZ_SEED replays one history, FUZZ_RUNS makes more of them.
import assert from "node:assert/strict";
import { test } from "node:test";
import { type LeaseId, NO_LEASE, type Revision } from "../base/brand.ts";
import { latin1FromBytes, latin1ToBytes } from "../base/bytes.ts";
import { errors, isEtcdError } from "../base/errors.ts";
import { type FileNumber, NO_SLOT, type Slot, type SlotList, type ValueReader } from "./contract.ts";
import { Importer } from "./importer.ts";
import { Model, type ModelRow, Random, VALUE_PERIOD, valueBytes } from "./model.test.ts";
import type { Pin } from "./pins.ts";
import { Restorer } from "./restorer.ts";
import { newSlotList } from "./slot-list.ts";
import { Store } from "./store.ts";

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

const values: ValueReader = {
  readValue: (_file, offset, length) => Uint8Array.from(valueBytes(offset, length)),
  copyValue: (_file, offset, length, into, at) => into.set(valueBytes(offset, length), at),
};

class History {
  readonly pins: { at: number; pin: Pin }[] = [];
  readonly random: Random;
  readonly store: Store;
  readonly model: Model;
  readonly keys: string[];

  constructor(random: Random, store: Store, model: Model, keys: string[]) {
    this.random = random;
    this.store = store;
    this.model = model;
    this.keys = keys;
  }

  static begin(seed: number): History {
    const random = new Random(seed);
    return new History(random, new Store({ seed }), new Model(), makeKeys(random));
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
    const deleted = new Set<string>();
    const txn = store.write();
    const main = model.current + 1;
    assert.equal(txn.mainRevision, main);
    let sub = 0;
    const wipe = random.below(25) === 0;
    for (let ops = wipe ? 1 : random.below(5); ops > 0; ops--) {
      if (!wipe && random.below(4) > 0) {
        const key = this.key();
        // A put behind a delete of the same key in one txn is what etcd refuses, and what its compaction would lose.
        if (deleted.has(key)) continue;
        const lease = random.below(3) === 0 ? BigInt(random.below(4)) - 1n : NO_LEASE;
        const file = 1 + random.below(5);
        const offset = random.below(2) === 0 ? random.below(1000) : 2 ** 32 * (1 + random.below(9)) + 7;
        const length = random.below(3) * 50;
        const slot = txn.put(latin1ToBytes(key), lease as LeaseId, file as FileNumber, offset, length);
        model.put(main, sub++, key, lease, file, offset, length);
        assert.deepEqual(describe(store, slot), model.rows.at(-1));
      } else {
        const [key, end] = wipe ? ["\0", "\0"] : random.below(12) === 0 ? this.interval() : [this.key(), ""];
        const expected = model.range(key, end, main).map((row) => row.key);
        const out = newSlotList(1);
        assert.equal(txn.delete(latin1ToBytes(key), latin1ToBytes(end), out), expected.length);
        for (const one of expected) {
          model.delete(main, sub++, one);
          deleted.add(one);
        }
        assert.deepEqual(describeAll(store, out), model.rows.slice(model.rows.length - expected.length));
      }
      assert.equal(txn.readRevision, sub === 0 ? main - 1 : main);
      this.compareRange(txn.readRevision);
      if (main - 1 >= model.compacted) this.compareRange(main - 1);
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
    for (let at = Math.max(from, 1); at <= model.current; ) {
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
    if (before === undefined || before.tombstone) assert.equal(previous, NO_SLOT);
    else if (previous !== NO_SLOT) assert.deepEqual(describe(this.store, previous), before);
    else assert.ok(!this.model.backend.includes(before), "only what was compacted is forgotten");
  }

  /** A revision that may still be read. */
  readable(): number {
    const { random, model, pins } = this;
    if (pins.length > 0 && random.below(2) === 0) return pins[random.below(pins.length)]!.at;
    const low = Math.max(1, model.compacted);
    return low + random.below(model.current - low + 1);
  }

  compact(): void {
    const { random, store, model } = this;
    // 0, which an untouched store takes once, has a test of its own.
    const revision = random.below(model.current + 2) || -1;
    const completed = store.scheduledCompaction === store.finishedCompaction;
    const error = store.compact(revision as Revision);
    if (revision <= model.compacted) assert.equal(error, errors.compacted);
    else if (revision > model.current) assert.equal(error, errors.futureRevision);
    else {
      assert.equal(error, undefined);
      model.compact(revision, completed);
      assert.equal(store.compactedRevision, Math.max(0, revision));
    }
  }

  compactSome(): void {
    if (this.store.compactSlice(1 + this.random.below(60), values)) this.compareCompacted();
  }

  /** All compactions are done: nothing is left but what etcd keeps and what pins hold. */
  compareCompacted(): void {
    const { store, model, pins } = this;
    assert.equal(store.finishedCompaction, store.scheduledCompaction);
    assert.equal(store.finishedCompaction, Math.max(0, model.compacted));
    assert.deepEqual(store.compactionHashes, model.hashes);
    const left = model.backend;
    if (pins.length > 0) return;
    assert.equal(store.rows, left.length);
    assert.equal(store.keysAlive, model.range("\0", "\0", model.current).length);
    assert.equal(
      store.liveBytes,
      left.reduce((sum, row) => sum + row.key.length + row.length, 0),
    );
    for (let file = 1; file <= 8; file++) {
      const there = left.filter((row) => row.file === file);
      assert.equal(store.liveRowsOf(file as FileNumber), there.length);
      assert.equal(
        store.liveBytesOf(file as FileNumber),
        there.reduce((sum, row) => sum + row.length, 0),
      );
    }
  }

  pinOrRelease(): void {
    const { random, store, model, pins } = this;
    if (pins.length > 3 || (pins.length > 0 && random.below(2) === 0)) {
      const [gone] = pins.splice(random.below(pins.length), 1);
      gone!.pin.release();
    } else {
      const low = Math.max(1, model.compacted);
      const at = low + random.below(model.current - low + 1);
      pins.push({ at, pin: store.pin(at as Revision) });
    }
  }

  compareHash(): void {
    const { random, store, model } = this;
    const revision = random.below(4) === 0 ? 0 : random.below(model.current + 2);
    const finished = store.finishedCompaction;
    const known = model.hashes.some((hash) => hash.revision === revision && revision <= finished);
    const job = store.hashKv(revision as Revision);
    const compacted = revision > 0 && !known && revision < model.compacted;
    if (compacted || revision > model.current) {
      assert.equal(job, compacted ? errors.compacted : errors.futureRevision);
      return;
    }
    const expected = model.hashByRev(revision, finished);
    assert.ok(!isEtcdError(job));
    // Writes and attempts to compact in between change nothing.
    while (!job.step(1 + random.below(50), values)) {
      if (random.below(3) === 0) this.write();
      if (random.below(3) === 0) this.compact();
      store.compactSlice(10, values);
    }
    assert.deepEqual(job.result, expected);
  }

  /** The restored store is as the model was when the checkpoint began, and works on from there. */
  checkpoint(): void {
    const { random, store, model } = this;
    const then = model.clone();
    const checkpoint = store.checkpoint();
    assert.equal(checkpoint.revision, then.current);
    const restorer = new Restorer({ seed: random.below(1000) });
    const whole = random.below(2) === 0;
    for (let block = checkpoint.next(); block !== undefined; block = checkpoint.next()) {
      assert.ok(block.length <= 1 << 20);
      for (let at = 0, end = 0; at < block.length; at = end) {
        end = whole
          ? block.length
          : Math.min(block.length, at + 1 + random.below(random.below(2) === 0 ? 40 : 5000));
        assert.ok(restorer.push(block.slice(at, end)));
      }
      if (random.below(2) === 0) this.write();
      if (random.below(4) === 0) this.compact();
      store.compactSlice(20, values);
    }
    const restored = restorer.finish();
    assert.ok(restored.ok, JSON.stringify(restored));
    const fork = new History(random, restored.store, then, this.keys);
    assert.equal(restored.store.currentRevision, then.current);
    assert.equal(restored.store.compactedRevision, Math.max(0, then.compacted));
    fork.compareHash();
    for (let step = 0; step < 10; step++) {
      fork.compareRange(fork.readable());
      fork.compareSince(Math.max(1, then.compacted + 1));
      fork.write();
    }
    while (!restored.store.compactSlice(100, values));
    fork.compareCompacted();
  }

  /** Every value in the chosen files is found; those still there after a while of writes and compaction move to a new file. */
  reclaim(): void {
    const { random, store, model } = this;
    const files = new Set([1 + random.below(5), 1 + random.below(5)] as FileNumber[]);
    const picked: ModelRow[] = [];
    const bite = 1 + random.below(30);
    let from: Uint8Array | undefined;
    do {
      const out = newSlotList(1);
      from = store.rowsInFiles(files, from, bite, out);
      assert.ok(out.length <= bite);
      picked.push(...describeAll(store, out));
    } while (from !== undefined);
    const names = picked.map((row) => `${row.main}.${row.sub}`);
    assert.equal(new Set(names).size, names.length, "each once");
    assert.ok(picked.every((row, i) => i === 0 || picked[i - 1]!.key <= row.key));
    for (const row of model.backend) {
      if (files.has(row.file as FileNumber)) assert.ok(names.includes(`${row.main}.${row.sub}`));
    }
    for (let i = 0; i < 3; i++) this.write();
    this.compact();
    this.compactSome();
    for (const { main, sub, file, offset } of picked) {
      const toFile = (6 + random.below(3)) as FileNumber;
      const toOffset = (offset % VALUE_PERIOD) + VALUE_PERIOD * random.below(2 ** 24);
      const fromFile = (random.below(9) === 0 ? file + 1 : file) as FileNumber;
      const moved = store.relocate({ main, sub, fromFile, fromOffset: offset, toFile, toOffset });
      const row = model.rows.find((one) => one.main === main && one.sub === sub)!;
      if (fromFile !== file) assert.equal(moved, false);
      else if (model.backend.includes(row)) assert.equal(moved, true);
      if (moved) Object.assign(row, { file: toFile, offset: toOffset });
    }
  }

  /** Rows that were written elsewhere make the same store. */
  importAll(): void {
    const { random, model } = this;
    const then = model.clone();
    const importer = new Importer({ seed: random.below(1000) });
    for (const row of then.backend) {
      const { key, lease, file, ...rest } = row;
      const named = { key: latin1ToBytes(key), lease: lease as LeaseId, file: file as FileNumber };
      assert.equal(importer.add({ ...rest, ...named }), undefined);
    }
    const store = importer.finish({ finished: then.compacted, scheduled: then.compacted });
    // Rows at the very end may all be compacted away; etcd then stands at the compacted revision, we at least there.
    assert.ok(store.currentRevision <= then.current);
    then.current = store.currentRevision;
    const fork = new History(random, store, then, this.keys);
    fork.compareHash();
    for (let step = 0; step < 5; step++) {
      fork.compareRange(fork.readable());
      fork.write();
    }
    fork.compareLeased();
    while (!store.compactSlice(50, values));
    fork.compareCompacted();
  }

  compareLeased(): void {
    const { store, model } = this;
    const leased: [string, bigint][] = [];
    store.forEachLeased((key, lease) => leased.push([latin1FromBytes(key), lease]));
    const alive = model.range("\0", "\0", model.current).filter((row) => row.lease !== 0n);
    assert.deepEqual(
      leased,
      alive.map((row) => [row.key, row.lease]),
    );
  }

  step(step: number): void {
    const { random, model } = this;
    this.write();
    if (step % 5 === 0) this.compareRange(this.readable());
    if (step % 50 === 49) this.compareSince(Math.max(1, model.compacted + 1));
    if (random.below(12) === 0) this.compact();
    if (random.below(3) === 0) this.compactSome();
    if (random.below(8) === 0) this.pinOrRelease();
    if (random.below(10) === 0) this.compareHash();
    if (random.below(30) === 0) this.checkpoint();
    if (random.below(15) === 0) this.reclaim();
    if (random.below(40) === 0) this.importAll();
    if (random.below(20) === 0) this.compareLeased();
    if (random.below(40) === 0) {
      for (const { pin } of this.pins.splice(0)) pin.release();
      while (!this.store.compactSlice(100, values));
      this.compareCompacted();
    }
  }
}

const seeds = process.env["FUZZ_SEED"];
const runs = Number(process.env["FUZZ_RUNS"] ?? 12);

test("the store answers every question as the dumb model does", () => {
  for (let run = 0; run < runs; run++) {
    const seed = seeds === undefined ? 1000 + run : Number(seeds);
    const history = History.begin(seed);
    try {
      for (let step = 0; step < 150; step++) history.step(step);
    } catch (error) {
      throw new Error(`replay with FUZZ_SEED=${seed}: ${String((error as Error).stack)}`, { cause: error });
    }
  }
});
