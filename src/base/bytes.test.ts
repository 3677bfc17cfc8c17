// Goal: keys survive the way to latin1 and back for any bytes, and byte order is kept.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { allocate, compareBytes, concatBytes, copyBytes, equalBytes, writeUint64 } from "./bytes.ts";
import { keyFromBytes, keyToBytes } from "./key.ts";

test("a key is the same bytes after the way through latin1", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
      assert.ok(equalBytes(keyToBytes(keyFromBytes(bytes)), bytes));
    }),
  );
});

test("string order of keys is byte order", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 30 }), fc.uint8Array({ maxLength: 30 }), (a, b) => {
      const byString = keyFromBytes(a) < keyFromBytes(b) ? -1 : keyFromBytes(a) > keyFromBytes(b) ? 1 : 0;
      assert.equal(byString, compareBytes(a, b));
    }),
  );
});

test("concatenation keeps order and length", () => {
  assert.deepEqual([...concatBytes([Uint8Array.of(1, 2), Uint8Array.of(), Uint8Array.of(3)])], [1, 2, 3]);
});

test("a copy stays as it is when the original changes, whatever made the original", () => {
  const original = allocate(4);
  original.fill(1);
  const copy = copyBytes(original);
  original.fill(2);
  assert.deepEqual([...copy], [1, 1, 1, 1]);
});

test("64-bit numbers are written as DataView reads them, up to the largest safe integer", () => {
  for (const value of [0, 1, 255, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 32 + 7, Number.MAX_SAFE_INTEGER]) {
    const out = new Uint8Array(10);
    assert.equal(writeUint64(value, out, 1), 9);
    assert.equal(new DataView(out.buffer).getBigUint64(1), BigInt(value));
    assert.equal(out[0]! + out[9]!, 0, "nothing beside them is touched");
  }
});
