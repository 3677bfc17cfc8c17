// Goal: equal elements come out in Go's order. Method: checksums of the orders that Go 1.26's sort.Sort gave for the same keys, for
// inputs that lead through every way of the algorithm, a killer sequence for heapsort among them.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { crc32c } from "./crc32c.ts";
import { goSort, type Sortable } from "./go-sort.ts";

/** Keys, and where each was before. */
class Rows implements Sortable {
  readonly keys: number[];
  readonly from: number[];
  constructor(keys: readonly number[]) {
    this.keys = [...keys];
    this.from = keys.map((_, i) => i);
  }
  less(i: number, j: number): boolean {
    return this.keys[i]! < this.keys[j]!;
  }
  swap(i: number, j: number): void {
    [this.keys[i], this.keys[j]] = [this.keys[j]!, this.keys[i]!];
    [this.from[i], this.from[j]] = [this.from[j]!, this.from[i]!];
  }
}

function orderOf(keys: readonly number[]): number {
  const rows = new Rows(keys);
  goSort(rows, keys.length);
  return crc32c(Uint8Array.from(rows.from.flatMap((i) => [i & 255, i >> 8])));
}

function random(length: number, below: number): number[] {
  let x = length;
  return Array.from({ length }, () => {
    x = (Math.imul(x, 1664525) + 1013904223) >>> 0;
    return (x >>> 8) % below;
  });
}

function ascending(length: number, equal: number): number[] {
  return Array.from({ length }, (_, i) => Math.floor(i / equal));
}

function descending(length: number, equal: number): number[] {
  return Array.from({ length }, (_, i) => Math.floor((length - i) / equal));
}

/** In order but for four elements. */
function withStrays(length: number, equal: number): number[] {
  return Array.from({ length }, (_, i) => Math.floor((i % (length / 4) === 7 ? length : i) / equal));
}

/** McIlroy's adversary: keys are decided while they are compared, so that every pivot is a bad one. */
function killer(length: number, equal: number): number[] {
  const keys = new Array<number>(length).fill(length);
  const rows = keys.map((_, i) => i);
  let solid = 0;
  let candidate = 0;
  goSort(
    {
      less(i, j) {
        const a = rows[i]!;
        const b = rows[j]!;
        if (keys[a] === length && keys[b] === length) keys[a === candidate ? a : b] = solid++;
        if (keys[a] === length) candidate = a;
        else if (keys[b] === length) candidate = b;
        return keys[a]! < keys[b]!;
      },
      swap(i, j) {
        [rows[i], rows[j]] = [rows[j]!, rows[i]!];
      },
    },
    length,
  );
  return keys.map((key) => Math.floor(key / equal));
}

const GO_ORDERS: readonly [string, readonly number[], number][] = [
  ["12 in random order", random(12, 3), 0xf43385f0],
  ["13 in random order", random(13, 3), 0x7fbc46d6],
  ["49 in random order", random(49, 7), 0xa9d183b6],
  ["500 in random order", random(500, 20), 0xbf97ce83],
  ["5,000 of two values", random(5000, 2), 0xaa5100bc],
  ["3,000 nearly all different", random(3000, 100_000), 0x4566cb8e],
  ["100 ascending", ascending(100, 2), 0xe20fa454],
  ["2,000 ascending", ascending(2000, 50), 0x1ccc88b6],
  ["100 descending", descending(100, 2), 0xed86ffc1],
  ["2,000 descending", descending(2000, 50), 0xc391bd91],
  ["300 with strays", withStrays(300, 1), 0x7440e88a],
  ["3,000 with strays", withStrays(3000, 40), 0x44dcd894],
  ["1,000 that make every pivot bad", killer(1000, 3), 0x22010e0f],
];

for (const [name, keys, order] of GO_ORDERS) {
  test(`${name}: equal ones in Go's order`, () => assert.equal(orderOf(keys), order));
}

test("any keys come out sorted, and each element is there once", () => {
  fc.assert(
    fc.property(fc.array(fc.nat(40), { maxLength: 300 }), (keys) => {
      const rows = new Rows(keys);
      goSort(rows, keys.length);
      assert.deepEqual(
        rows.keys,
        keys.toSorted((a, b) => a - b),
      );
      assert.deepEqual(
        rows.from.map((i) => keys[i]),
        rows.keys,
      );
      assert.equal(new Set(rows.from).size, keys.length);
    }),
  );
});
