// Goal: a KeyValue is encoded as Go's protobuf does it, in each of its forms, and keyValueSize says its exact size. Method:
// compared with the model's slow encoder over numbers around every varint boundary.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { LeaseId } from "../base/brand.ts";
import { ByteRoom } from "../base/byte-room.ts";
import { latin1ToBytes } from "../base/bytes.ts";
import { sizeUint64Number, writeUint64Number } from "../wire/writer.ts";
import type { FileNumber, Slot, ValueReader } from "./contract.ts";
import { Importer } from "./importer.ts";
import { KeyValueForm, keyValueSize, writeKeyValue } from "./key-value.ts";
import { type ModelRow, storedKeyValue, valueBytes, varint } from "./model.test.ts";
import { newSlotList } from "./slot-list.ts";
import type { Store } from "./store.ts";

const values: ValueReader = {
  readValue: (_file, offset, length) => Uint8Array.from(valueBytes(offset, length)),
  copyValue: (_file, offset, length, into, at) => into.set(valueBytes(offset, length), at),
};

const NUMBERS = [
  0,
  1,
  127,
  128,
  2 ** 14 - 1,
  2 ** 14,
  2 ** 21,
  2 ** 28 - 1,
  2 ** 28,
  2 ** 32 - 1,
  2 ** 32,
  2 ** 49,
  2 ** 53 - 1,
];
const LEASES = [0n, 1n, -1n, 127n, 128n, 2n ** 53n, 2n ** 56n - 1n, 2n ** 56n, 2n ** 63n - 1n, -(2n ** 63n)];

function encode(store: Store, slot: Slot, form: KeyValueForm): number[] {
  const size = keyValueSize(store, slot, form);
  const into = new Uint8Array(size + 6).fill(0xee);
  assert.equal(writeKeyValue(store, slot, form, values, into, 3), 3 + size);
  assert.deepEqual([...into.subarray(0, 3), ...into.subarray(3 + size)], new Array(6).fill(0xee));
  const bytes = [...into.subarray(3, 3 + size)];
  if (form === KeyValueForm.Stored) assert.deepEqual(walked(store), bytes);
  return bytes;
}

/** The same of a store's only row, as a backup walks it. */
function walked(store: Store): number[] {
  const hold = store.hold();
  const rows = store.storedRows(store.currentRevision);
  assert.ok(rows.next());
  const into = new Uint8Array(rows.size + 2).fill(0xee);
  rows.write(values, new ByteRoom(into), 1);
  assert.deepEqual([into[0], into[rows.size + 1]], [0xee, 0xee]);
  const bytes = [...into.subarray(1, rows.size + 1)];
  assert.ok(!rows.next());
  hold.release();
  return bytes;
}

function oneRow(row: Partial<ModelRow>): { store: Store; slot: Slot; row: ModelRow } {
  const none = {
    key: "k",
    main: 2,
    sub: 0,
    tombstone: false,
    create: 0,
    version: 0,
    lease: 0n,
    file: 0,
    offset: 0,
    length: 0,
  };
  const full: ModelRow = { ...none, ...row };
  const importer = new Importer({ seed: 1 });
  const key = latin1ToBytes(full.key);
  const named = { key, lease: full.lease as LeaseId, file: full.file as FileNumber };
  assert.equal(importer.add({ ...full, ...named }), undefined);
  const store = importer.finish({ finished: -1, scheduled: -1 });
  const out = newSlotList();
  store.revisionsSince(store.currentRevision, 1, out);
  return { store, slot: out.slots[0]! as Slot, row: full };
}

test("varints of any size are Go's", () => {
  for (const n of NUMBERS) {
    const into = new Uint8Array(12);
    const end = writeUint64Number(n, into, 1);
    assert.deepEqual([...into.subarray(1, end)], varint(BigInt(n)));
    assert.equal(sizeUint64Number(n), end - 1);
  }
});

test("revisions, versions, leases, keys and values of any size are encoded as etcd stores them", () => {
  for (const n of NUMBERS) {
    const main = Math.max(1, n);
    for (const [create, version] of [
      [main, 1],
      [0, n],
      [Math.min(2, main), n],
    ] as const) {
      const { store, slot, row } = oneRow({
        main,
        create,
        version,
        file: 1,
        offset: 5,
        length: n < 20_000 ? n : 3,
      });
      assert.equal(store.createRevisionOf(slot), create);
      assert.equal(store.versionOf(slot), version);
      assert.deepEqual(encode(store, slot, KeyValueForm.Stored), storedKeyValue(row));
      assert.deepEqual(encode(store, slot, KeyValueForm.Full), storedKeyValue(row));
    }
  }
  for (const lease of LEASES) {
    const { store, slot, row } = oneRow({ create: 2, version: 1, lease, key: "x".repeat(300) });
    assert.deepEqual(encode(store, slot, KeyValueForm.Stored), storedKeyValue(row));
  }
});

test("keys only drops value and lease, no value drops the value alone", () => {
  const { store, slot, row } = oneRow({ create: 2, version: 7, lease: 9n, file: 1, offset: 5, length: 40 });
  const without = { ...row, length: 0, file: 0 };
  assert.deepEqual(encode(store, slot, KeyValueForm.NoValue), storedKeyValue(without));
  assert.deepEqual(encode(store, slot, KeyValueForm.KeysOnly), storedKeyValue({ ...without, lease: 0n }));
});

test("a tombstone is its key in the backend, key and mod_revision to a client", () => {
  const { store, slot, row } = oneRow({ main: 300, tombstone: true });
  assert.deepEqual(encode(store, slot, KeyValueForm.Stored), storedKeyValue(row));
  assert.deepEqual(encode(store, slot, KeyValueForm.Full), [...storedKeyValue(row), 0x18, ...varint(300n)]);
});

test("the mark of a bumped revision is stored as no bytes", () => {
  const { store, slot } = oneRow({ key: "", main: 1_000_000_000 });
  assert.deepEqual(encode(store, slot, KeyValueForm.Stored), []);
});
