// Goal: a copy within an area moves exactly the bytes asked for, wherever they stand, and never reaches beyond the area.
// Method: every small shift and length against copyWithin of a plain array.
import assert from "node:assert/strict";
import { test } from "node:test";
import { CopyArea } from "./copy-area.ts";

/** As where no WebAssembly is to be had. */
function plainArea(length: number): CopyArea {
  const host = globalThis as unknown as { WebAssembly: unknown };
  const { WebAssembly } = host;
  try {
    host.WebAssembly = undefined;
    return new CopyArea(length);
  } finally {
    host.WebAssembly = WebAssembly;
  }
}

for (const [name, open] of [
  ["native", (length: number) => new CopyArea(length)],
  ["plain", plainArea],
] as const) {
  test(`a ${name} copy moves the bytes asked for and no others`, () => {
    const area = open(200_000);
    assert.equal(area.bytes.length, 200_000);
    assert.ok(area.bytes.buffer instanceof SharedArrayBuffer);
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

  test(`a ${name} copy beyond the memory throws`, () => {
    const area = open(65_536);
    assert.throws(() => area.copy(65_530, 0, 7));
    assert.throws(() => area.copy(0, 65_530, 7));
    assert.throws(() => area.copy(0, -1, 1));
  });
}

test("areas stand for themselves", () => {
  const [one, other] = [new CopyArea(100), new CopyArea(100)];
  one.bytes.fill(7);
  one.copy(0, 50, 50);
  assert.ok(other.bytes.every((byte) => byte === 0));
});
