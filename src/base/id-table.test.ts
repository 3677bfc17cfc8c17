// Goal: the table holds what a Map would. Method: the same random steps on both; and numbers chosen to fall on one another.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { IdTable } from "./id-table.ts";

type Value = { readonly id: number };

function sorted(values: Iterable<Value>): number[] {
  return [...values].map(({ id }) => id).sort((a, b) => a - b);
}

test("an id table holds what a map would", () => {
  const step = fc.tuple(fc.constantFrom("set", "delete", "get"), fc.integer({ min: -40, max: 40 }));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), fc.integer(), (steps, seed) => {
      const table = new IdTable<Value>(seed);
      const map = new Map<number, Value>();
      for (const [what, id] of steps) {
        const value = { id };
        if (what === "set") {
          table.set(id, value);
          map.set(id, value);
        } else if (what === "delete") {
          assert.equal(table.delete(id), map.get(id));
          map.delete(id);
        }
        assert.equal(table.get(id), map.get(id));
        assert.equal(table.size, map.size);
      }
      assert.deepEqual(sorted(table.values()), sorted(map.values()));
      table.clear();
      assert.deepEqual(table.values(), []);
    }),
  );
});

test("a number counts as its lowest 32 bits", () => {
  const table = new IdTable<Value>();
  const value = { id: 1 };
  table.set(0xffff_ffff, value);
  assert.equal(table.get(-1), value);
});

test("a window of numbers that moves on needs no more room than its widest", () => {
  const table = new IdTable<Value>();
  for (let id = 1; id < 200_000; id += 2) {
    table.set(id, { id });
    if (id > 10_000) assert.equal(table.delete(id - 10_000)?.id, id - 10_000);
  }
  assert.equal(table.size, 5_000);
  for (const { id } of table.values()) table.delete(id);
  assert.deepEqual(table.values(), []);
});
