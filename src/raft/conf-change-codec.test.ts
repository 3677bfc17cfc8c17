// Goal: membership changes have the bytes that raft v3.7 writes, and any other member's bytes are read or refused, never a crash.
// Method: bytes printed by go.etcd.io/raft/v3 v3.7.0, round trips, hostile bytes.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { MemberId } from "../base/brand.ts";
import { EMPTY, hexFromBytes, utf8FromBytes, utf8ToBytes } from "../base/bytes.ts";
import {
  type ConfChange,
  type ConfChangeV2,
  confChangeAsV2,
  confChangesFromString,
  confChangesToString,
} from "./conf-change.ts";
import {
  decodeConfChange,
  decodeConfChangeEntry,
  decodeConfChangeV2,
  encodeConfChange,
} from "./conf-change-codec.ts";
import { EntryType } from "./message.ts";

const node = (n: bigint): MemberId => n as MemberId;

function fromHex(text: string): Uint8Array {
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

const v1: ConfChange = {
  version: 1,
  id: 0xfedcba9876543210n,
  type: 3,
  nodeId: node(0x8e9e05c52164694dn),
  context: utf8ToBytes('{"id":1}'),
};
const explicit: ConfChangeV2 = {
  version: 2,
  transition: 2,
  changes: [
    { type: 0, nodeId: node(4n) },
    { type: 1, nodeId: node(0xffffffffffffffffn) },
  ],
  context: utf8ToBytes("foo"),
};
const captured: readonly (readonly [ConfChange | ConfChangeV2, string])[] = [
  [v1, "0890e4d0b287d3aeeefe01100318cdd2918bd2b881cf8e0122087b226964223a317d"],
  [{ version: 1, id: 0n, type: 0, nodeId: node(1n), context: EMPTY }, "10001801"],
  [{ version: 1, id: 0n, type: 0, nodeId: node(0n), context: EMPTY }, "10001800"],
  [explicit, "0802120408001004120d080110ffffffffffffffffff011a03666f6f"],
  [
    { version: 2, transition: 0, changes: [{ type: 3, nodeId: node(300n) }], context: EMPTY },
    "08001205080310ac02",
  ],
  [{ version: 2, transition: 0, changes: [], context: EMPTY }, ""],
];

test("changes are written as raft v3.7 writes them", () => {
  for (const [change, bytes] of captured) assert.equal(hexFromBytes(encodeConfChange(change)), bytes);
});

test("what was written is read back", () => {
  for (const [change, bytes] of captured) {
    const decode = change.version === 1 ? decodeConfChange : decodeConfChangeV2;
    assert.deepEqual(plain(decode(fromHex(bytes))), plain(change));
  }
});

function plain(change: ConfChange | ConfChangeV2 | undefined): unknown {
  return change === undefined ? undefined : { ...change, context: [...change.context] };
}

test("absent zeroes mean the same as zeroes written out, as older members leave them out", () => {
  assert.deepEqual(
    plain(decodeConfChange(fromHex(""))),
    plain(decodeConfChange(fromHex("0800100018002200"))),
  );
  assert.deepEqual(
    plain(decodeConfChangeV2(fromHex("12021004"))),
    plain(decodeConfChangeV2(fromHex("0800120408001004"))),
  );
});

test("unknown fields of every kind are skipped, and the last of a repeated field counts", () => {
  const bytes = `10011801${"2807"}${"310102030405060708"}${"3a03616263"}${"4501020304"}1002`;
  assert.deepEqual(plain(decodeConfChange(fromHex(bytes))), {
    version: 1,
    id: 0n,
    type: 2,
    nodeId: 1n,
    context: [],
  });
});

test("bytes that are no message are refused", () => {
  for (const bytes of [
    "08",
    "0880",
    "1205",
    "120108",
    "1aff01",
    "0b",
    "0f00",
    "00",
    "08ffffffffffffffffffffff01",
  ]) {
    assert.equal(decodeConfChangeV2(fromHex(bytes)), undefined, bytes);
  }
});

test("no bytes make the reader fail in any other way", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      for (const type of [EntryType.ConfChange, EntryType.ConfChangeV2]) {
        const change = decodeConfChangeEntry(type, bytes);
        if (change !== undefined) assert.ok(confChangeAsV2(change).changes.length >= 0);
      }
    }),
  );
});

test("every change survives the way through bytes", () => {
  const u64 = fc.bigInt({ min: 0n, max: 0xffffffffffffffffn });
  const fields = { type: fc.integer({ min: 0, max: 3 }), nodeId: u64.map(node) };
  const single = fc.record(fields, { noNullPrototype: true });
  const context = fc.uint8Array({ maxLength: 300 });
  fc.assert(
    fc.property(
      fc.array(single, { maxLength: 6 }),
      fc.integer({ min: 0, max: 2 }),
      context,
      (changes, transition, data) => {
        const change: ConfChangeV2 = { version: 2, transition, changes, context: data };
        assert.deepEqual(plain(decodeConfChangeV2(encodeConfChange(change))), plain(change));
      },
    ),
  );
  fc.assert(
    fc.property(u64, single, context, (id, { type, nodeId }, data) => {
      const change: ConfChange = { version: 1, id, type, nodeId, context: data };
      assert.deepEqual(plain(decodeConfChange(encodeConfChange(change))), plain(change));
    }),
  );
});

test("a normal entry carries no change", () => {
  assert.equal(decodeConfChangeEntry(EntryType.Normal, encodeConfChange(v1)), undefined);
});

test("the short form v1 l2 r3 u4 is read and written, and nonsense is named", () => {
  const changes = confChangesFromString(" v1 l2 r3 u4 ");
  assert.ok(typeof changes !== "string");
  assert.equal(confChangesToString(changes), "v1 l2 r3 u4");
  assert.deepEqual(confChangesFromString(""), []);
  assert.equal(confChangesFromString("v"), "unknown token v");
  assert.equal(confChangesFromString("x1"), "unknown input: x1");
  assert.equal(confChangesFromString("vx"), 'strconv.ParseUint: parsing "x": invalid syntax');
});

test("the context of a v1 change stays with it as v2", () => {
  assert.equal(utf8FromBytes(confChangeAsV2(v1).context), '{"id":1}');
});
