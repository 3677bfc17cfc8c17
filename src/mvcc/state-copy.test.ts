// Goal: a store that goes to another member block by block, values beside the rows, arrives as it was when the copy began, whatever is
// written and relocated meanwhile. Method: stores of many chunks with holes, leases, tombstones and empty values; every value is
// derived from its place, so that a wrong place is a wrong value; the receiver's places are its own.
import assert from "node:assert/strict";
import { test } from "node:test";
import { type LeaseId, NO_LEASE, type Revision } from "../base/brand.ts";
import { latin1ToBytes } from "../base/bytes.ts";
import { BlockKind, blockKindOf } from "./checkpoint-format.ts";
import type { FileNumber, Slot } from "./contract.ts";
import { Restorer } from "./restorer.ts";
import { newSlotList } from "./slot-list.ts";
import { RowPlaces, type StateCopy } from "./state-copy.ts";
import { Store } from "./store.ts";

const NONE = new Uint8Array(0);
const HIGH = 2 ** 33;

/** Bytes by file and offset, as far as anybody wrote them. */
class Files {
  readonly #values = new Map<string, string>();

  put(file: number, offset: number, text: string): void {
    this.#values.set(`${file}:${offset}`, text);
  }

  get(file: number, offset: number, length: number): string {
    if (length === 0) return "";
    const text = this.#values.get(`${file}:${offset}`);
    assert.ok(text?.length === length, `there is a value of ${length} bytes at ${file}:${offset}`);
    return text;
  }
}

let writes = 0;

function put(store: Store, files: Files, key: string, lease = 0n): void {
  const text = writes % 11 === 0 ? "" : `${key}=${writes}`.padEnd(writes % 40, ".");
  const file = 1 + (writes >> 10);
  const offset = HIGH + writes * 64;
  files.put(file, offset, text);
  writes++;
  const txn = store.write();
  txn.put(latin1ToBytes(key), lease as LeaseId, file as FileNumber, offset, text.length);
  txn.end();
}

function remove(store: Store, key: string): void {
  const txn = store.write();
  txn.delete(latin1ToBytes(key), NONE, newSlotList());
  txn.end();
}

function filled(files: Files): Store {
  const store = new Store({ seed: 1 });
  for (let i = 0; i < 20_000; i++)
    put(store, files, `key${(i * 31) % 5000}`, i % 7 === 0 ? BigInt(i % 50) : 0n);
  for (let i = 0; i < 1000; i++) remove(store, `key${i * 2}`);
  store.compact(9000 as Revision);
  while (!store.compactSlice(999, undefined));
  return store;
}

/** Everything a store holds, values instead of places. */
function contents(store: Store, files: Files): string[] {
  const out = newSlotList();
  store.revisionsSince((store.compactedRevision + 1) as Revision, 1e9, out);
  store.range(latin1ToBytes("\0"), latin1ToBytes("\0"), store.currentRevision, 1e9, out);
  return Array.from({ length: out.length }, (_, i) => {
    const slot = out.slots[i]! as Slot;
    const value = files.get(store.fileOf(slot), store.offsetOf(slot), store.valueLengthOf(slot));
    const key = Buffer.from(store.keyOf(slot)).toString("latin1");
    const at = `${store.mainOf(slot)}.${store.subOf(slot)}${store.isTombstone(slot) ? "t" : ""}`;
    return `${at} ${key} ${store.createRevisionOf(slot)} ${store.versionOf(slot)} ${store.leaseOf(slot)} ${value}`;
  });
}

/** Takes the copy over as a member does, pieces of at most `most` values at a time; `meanwhile` runs between two blocks. */
function transfer(
  copy: StateCopy,
  from: Files,
  to: Files,
  options: { readonly most: number; readonly meanwhile?: () => void },
): Store {
  const restorer = new Restorer({ seed: 5 });
  let piece = 0;
  for (let block = copy.nextBlock(); block !== undefined; block = copy.nextBlock()) {
    const arrived = Uint8Array.from(block);
    options.meanwhile?.();
    if (blockKindOf(arrived) === BlockKind.Rows) {
      const places = new RowPlaces(arrived);
      let more = copy.nextValue();
      while (more) {
        const file = 500 + (piece >> 3);
        const start = HIGH * 2 + piece * 100_000;
        piece++;
        let length = 0;
        for (let count = 0; more && count < options.most; count++, more = copy.nextValue()) {
          to.put(file, start + length, from.get(copy.file, copy.offset, copy.length));
          length += copy.length;
        }
        assert.ok(places.place(restorer.indexOf(file as FileNumber), start, length));
      }
      assert.ok(places.done);
    }
    assert.ok(restorer.push(arrived));
  }
  const restored = restorer.finish();
  assert.ok(restored.ok);
  return restored.store;
}

test("a store arrives with its own places, and goes on as the first would", () => {
  const [from, to] = [new Files(), new Files()];
  const store = filled(from);
  const second = transfer(store.copy(), from, to, { most: 100 });
  assert.deepEqual(contents(second, to), contents(store, from));
  assert.equal(second.liveBytes, store.liveBytes);
  assert.ok(second.files.every((file) => file >= 500));
  for (const [one, files] of [
    [store, from],
    [second, to],
  ] as const) {
    writes = 50_000;
    for (let i = 0; i < 3000; i++) put(one, files, `key${(i * 17) % 6000}`, 3n);
    one.compact((one.currentRevision - 100) as Revision);
    while (!one.compactSlice(999, undefined));
  }
  assert.deepEqual(contents(second, to), contents(store, from));
});

test("what is written and relocated while a copy is under way does no harm, and compaction waits", () => {
  const [from, to] = [new Files(), new Files()];
  const store = filled(from);
  const before = contents(store, from);
  const { currentRevision } = store;
  store.compact((currentRevision - 10) as Revision);
  let round = 0;
  const meanwhile = (): void => {
    round++;
    for (let i = 0; i < 50; i++) put(store, from, `late${i}`, NO_LEASE);
    assert.equal(store.compactSlice(1000, undefined), false);
    relocateSome(store, from, round);
  };
  const second = transfer(store.copy(), from, to, { most: 7, meanwhile });
  assert.ok(round > 5);
  assert.equal(second.currentRevision, currentRevision);
  // A compaction that was asked for before the copy began has moved the compacted revision, here and there.
  while (!second.compactSlice(1000, undefined));
  const lines = contents(second, to);
  assert.ok(lines.length > 1000);
  assert.ok(lines.every((line) => before.includes(line)));
  assert.equal(store.compactSlice(1e6, undefined), true, "compaction goes on behind it");
});

/** As reclaim does: the values of one file are copied to another. */
function relocateSome(store: Store, files: Files, round: number): void {
  const file = store.files[0]!;
  const rows = newSlotList();
  store.rowsInFiles(new Set([file]), undefined, 1e9, rows);
  for (let i = 0; i < rows.length; i++) {
    const slot = rows.slots[i]! as Slot;
    const toOffset = i * 64;
    const value = files.get(file, store.offsetOf(slot), store.valueLengthOf(slot));
    files.put(9000 + round, toOffset, value);
    const moved = store.relocate({
      main: store.mainOf(slot),
      sub: store.subOf(slot),
      fromFile: file,
      fromOffset: store.offsetOf(slot),
      toFile: (9000 + round) as FileNumber,
      toOffset,
    });
    assert.ok(moved);
  }
}

test("values that do not fit their rows are told", () => {
  const files = new Files();
  const store = new Store({ seed: 1 });
  writes = 1;
  for (let i = 0; i < 20; i++) put(store, files, `k${i}`);
  const copy = store.copy();
  let block = copy.nextBlock();
  while (block !== undefined && blockKindOf(block) !== BlockKind.Rows) block = copy.nextBlock();
  assert.ok(block !== undefined && copy.nextValue());
  const first = copy.length;
  const fresh = (): RowPlaces => new RowPlaces(Uint8Array.from(block!));
  assert.equal(fresh().place(1, 0, first), true);
  assert.equal(fresh().place(1, 0, first + 1), false, "half a value");
  assert.equal(fresh().place(1, 0, 1 << 20), false, "more than all rows take");
  assert.equal(new RowPlaces(new Uint8Array(16)).done, true, "a block of nothing has no rows");
  copy.cancel();
  assert.equal(store.compactionHeld, false);
});
