// Goal: a list made of stretches is byte for byte the list encoded anew, whatever was written, deleted, compacted and listed before,
// and what is kept stays below its bound and goes when nobody asks. Method: random histories over a store alone, seeded
// (FUZZ_SEED, FUZZ_RUNS), each list compared with the plain encoding.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Millis, Revision } from "../base/brand.ts";
import { concatBytes, latin1ToBytes } from "../base/bytes.ts";
import type { FileNumber, Slot, SlotList, ValueReader } from "../mvcc/contract.ts";
import { KeyValueForm, keyValueSize, writeKeyValue } from "../mvcc/key-value.ts";
import { Random } from "../mvcc/model.test.ts";
import { newSlotList } from "../mvcc/slot-list.ts";
import { Store } from "../mvcc/store.ts";
import { SimClock } from "../sim/clock.ts";
import { sizeDelimited, writeVarint32 } from "../wire/writer.ts";
import { Plan, STRETCHES_BYTES_MAX, Stretches } from "./stretches.ts";

const SEED = Number(process.env["FUZZ_SEED"] ?? 1);
const RUNS = Number(process.env["FUZZ_RUNS"] ?? 4);
const FILE = 1 as FileNumber;

/** The bytes at an offset are the offset, over and over: another place is another value. */
const values: ValueReader = {
  readValue: (_file, offset, length) => new Uint8Array(length).fill(offset % 251),
  copyValue: (_file, offset, length, into, at) => {
    into.fill(offset % 251, at, at + length);
  },
};

function encodedAnew(store: Store, list: SlotList): Uint8Array {
  const parts: Uint8Array[] = [];
  for (let i = 0; i < list.length; i++) {
    const slot = list.slots[i]! as Slot;
    const size = keyValueSize(store, slot, KeyValueForm.Full);
    const out = new Uint8Array(1 + sizeDelimited(size));
    out[0] = 0x12;
    writeKeyValue(store, slot, KeyValueForm.Full, values, out, writeVarint32(size, out, 1));
    parts.push(out);
  }
  return concatBytes(parts);
}

class Listed {
  readonly store = new Store({ seed: 5 });
  readonly clock = new SimClock();
  readonly stretches = new Stretches(this.store, values, this.clock);
  readonly plan = new Plan();
  offset = 0;

  put(name: number, length: number): void {
    const txn = this.store.write();
    txn.put(keyOf(name), BigInt(name % 3) as never, FILE, this.offset++, length);
    txn.end();
  }

  delete(from: number, to: number): void {
    const txn = this.store.write();
    txn.delete(keyOf(from), keyOf(to), newSlotList());
    txn.end();
  }

  /** Lists [from, to) and checks the bytes; returns how many of them were there already. */
  list(from: number, to: number, at: Revision = this.store.currentRevision, limit = 1e9): number {
    const list = newSlotList();
    this.store.range(keyOf(from), keyOf(to), at, limit, list);
    const { plan } = this;
    this.stretches.plan(list, plan);
    const parts: Uint8Array[] = [];
    this.stretches.gather(list, plan, true, parts);
    const bytes = concatBytes(parts);
    assert.equal(bytes.length, plan.bytes);
    assert.ok(
      Buffer.compare(bytes, encodedAnew(this.store, list)) === 0,
      "the bytes of the rows as they are",
    );
    return plan.bytes - plan.freshBytes;
  }
}

function keyOf(name: number): Uint8Array {
  return latin1ToBytes(`/k/${String(name).padStart(6, "0")}`);
}

function history(seed: number): { reused: number; renumbered: number } {
  const random = new Random(seed);
  const keys = 600;
  const listed = new Listed();
  let reused = 0;
  for (let step = 0; step < 400; step++) {
    const writes = random.below(120);
    for (let i = 0; i < writes; i++)
      listed.put(random.below(keys), random.below(8) === 0 ? 0 : random.below(300));
    if (random.below(6) === 0) {
      const from = random.below(keys);
      listed.delete(from, from + random.below(40));
    }
    const { store } = listed;
    if (random.below(5) === 0) store.compact((store.currentRevision - random.below(200)) as Revision);
    if (random.below(2) === 0) store.compactSlice(random.below(5000), undefined);
    const from = random.below(4) === 0 ? random.below(keys) : 0;
    const oldest = Math.max(1, store.compactedRevision, store.currentRevision - 300);
    const at = random.below(3) === 0 ? oldest + random.below(store.currentRevision - oldest + 1) : undefined;
    const limit = random.below(4) === 0 ? random.below(keys) : undefined;
    reused += listed.list(from, keys, at as Revision | undefined, limit);
  }
  return { reused, renumbered: listed.store.slotEpoch };
}

test("a list of stretches is the list encoded anew, after any history of writes, deletes and compactions", () => {
  for (let seed = SEED; seed < SEED + RUNS; seed++) {
    const { reused, renumbered } = history(seed);
    assert.ok(reused > 100_000, `stretches were used (FUZZ_SEED=${seed})`);
    assert.ok(renumbered > 1, `slots came to name other rows (FUZZ_SEED=${seed})`);
  }
});

test("a write costs the stretch it is in, not the list", () => {
  const listed = new Listed();
  for (let name = 0; name < 5000; name++) listed.put(name, 100);
  assert.equal(listed.list(0, 5000), 0);
  const whole = listed.list(0, 5000);
  const all = listed.plan.bytes;
  assert.ok(whole > all * 0.95, "all but the ends were kept");
  listed.put(2500, 100);
  assert.ok(listed.list(0, 5000) > all * 0.9);
  assert.ok(listed.list(1000, 4000) > all * 0.5, "a list that begins elsewhere uses them too");
});

test("what is kept stays below its bound, and goes when nobody asks for it", () => {
  const listed = new Listed();
  const length = 100_000;
  const count = (2 * STRETCHES_BYTES_MAX) / length;
  for (let name = 0; name < count; name++) listed.put(name, length);
  for (let name = 0; name < count; name += 50) {
    listed.list(name, name + 50);
    assert.ok(listed.stretches.bytes <= STRETCHES_BYTES_MAX);
  }
  assert.ok(listed.stretches.bytes > STRETCHES_BYTES_MAX / 4);
  const end = (listed.clock.now() + 60_000) as Millis;
  while (listed.clock.now() < end && listed.clock.step());
  assert.equal(listed.stretches.bytes, 0);
});
