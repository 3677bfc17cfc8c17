// Goal: the index answers as a plain scan of all intervals does, whatever was added and removed before.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Heap } from "./heap.ts";
import { type Interval, IntervalIndex } from "./interval-index.ts";

const letters = fc.string({ minLength: 0, maxLength: 3, unit: fc.constantFrom("a", "b", "c", "d") });

test("stabbing finds exactly the intervals that hold the point", () => {
  const step = fc.record({
    start: letters,
    end: fc.option(letters, { nil: undefined }),
    remove: fc.nat(400),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), fc.array(letters, { maxLength: 20 }), (steps, points) => {
      const index = new IntervalIndex<number>();
      const all: Interval<number>[] = [];
      steps.forEach(({ start, end, remove }, value) => {
        const interval = { start, end, value };
        index.add(interval);
        all.push(interval);
        if (remove < all.length) index.remove(all.splice(remove, 1)[0]!);
      });
      assert.equal(index.size, all.length);
      for (const point of points) {
        const found: number[] = [];
        index.stab(point, found);
        const expected = all
          .filter((i) => i.start <= point && (i.end === undefined || point < i.end))
          .map((i) => i.value);
        assert.deepEqual(found.sort(compare), expected.sort(compare));
      }
    }),
  );
});

test("a heap gives its items in order", () => {
  fc.assert(
    fc.property(fc.array(fc.integer()), (numbers) => {
      const heap = new Heap<number>((a, b) => a < b);
      for (const n of numbers) heap.push(n);
      const out: number[] = [];
      for (let n = heap.pop(); n !== undefined; n = heap.pop()) out.push(n);
      assert.deepEqual(out, numbers.slice().sort(compare));
    }),
  );
});

function compare(a: number, b: number): number {
  return a - b;
}
