// Goal: a copy within an area moves exactly the bytes asked for, wherever they stand, and never reaches beyond the area.
// Method: every small shift and length against copyWithin of a plain array.
import assert from "node:assert/strict";
import { test } from "node:test";
import { CopyArea } from "./copy-area.ts";

test("a copy moves the bytes asked for and no others", () => {
  const area = new CopyArea(200_000);
  assert.equal(area.bytes.length, 200_000);
  const plain = new Uint8Array(200_000);
  for (let i = 0; i < plain.length; i++) plain[i] = area.bytes[i] = (i * 31) & 0xff;
  for (let length = 0; length < 300; length += 7) {
    for (const [to, from] of [
      [length, 1000],
      [100_001, 3 * length],
      [5000, 5003],
      [199_700 - length, 0],
    ] as const) {
      area.copy(to, from, length);
      plain.copyWithin(to, from, from + length);
    }
  }
  assert.deepEqual(Buffer.from(area.bytes), Buffer.from(plain));
});

test("a copy beyond the memory throws", () => {
  const area = new CopyArea(65_536);
  assert.throws(() => area.copy(65_530, 0, 7), /out of bounds/);
  assert.throws(() => area.copy(0, 65_530, 7), /out of bounds/);
  assert.throws(() => area.copy(0, -1, 1), /out of bounds/);
});

test("areas stand for themselves", () => {
  const [one, other] = [new CopyArea(100), new CopyArea(100)];
  one.bytes.fill(7);
  one.copy(0, 50, 50);
  assert.ok(other.bytes.every((byte) => byte === 0));
  assert.ok(one.bytes.buffer instanceof SharedArrayBuffer);
});
