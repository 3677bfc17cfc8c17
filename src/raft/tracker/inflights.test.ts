// Goal: the window of messages in flight counts messages and bytes right, whatever is added and freed. Method: model fuzz against
// a plain list.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Inflights } from "./inflights.ts";

type Flight = { readonly index: number; readonly bytes: number };

const command = fc.oneof(
  fc.record({ add: fc.integer({ min: 0, max: 50 }), step: fc.integer({ min: 0, max: 3 }) }),
  fc.record({ free: fc.integer({ min: 0, max: 12 }) }),
  fc.constant({ reset: true as const }),
);

test("messages and bytes in flight are those added and not yet freed", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 9 }),
      fc.constantFrom(0, 40, 100),
      fc.array(command, { maxLength: 80 }),
      (messagesMax, bytesMax, commands) => {
        const inflights = new Inflights(messagesMax, bytesMax);
        let model: Flight[] = [];
        let index = 10;
        const bytes = (): number => model.reduce((sum, flight) => sum + flight.bytes, 0);
        const full = (): boolean => model.length === messagesMax || (bytesMax !== 0 && bytes() >= bytesMax);
        for (const one of commands) {
          if ("add" in one) {
            if (full()) continue;
            index += one.step;
            inflights.add(index, one.add);
            model.push({ index, bytes: one.add });
          } else if ("free" in one) {
            const to = index - one.free;
            inflights.freeTo(to);
            model = model.filter((flight) => flight.index > to);
          } else {
            inflights.reset();
            model = [];
          }
          assert.equal(inflights.count, model.length);
          assert.equal(inflights.bytes, bytes());
          assert.equal(inflights.full, full());
        }
      },
    ),
  );
});

test("the limit of bytes is soft: the message that crosses it still goes, the next does not", () => {
  const inflights = new Inflights(10, 100);
  inflights.add(1, 99);
  assert.equal(inflights.full, false);
  inflights.add(2, 500);
  assert.equal(inflights.full, true);
  assert.throws(() => inflights.add(3, 1), /cannot add into a Full inflights/);
  inflights.freeTo(1);
  assert.equal(inflights.full, true);
  inflights.freeTo(2);
  assert.equal(inflights.full, false);
});

test("a clone shares nothing", () => {
  const inflights = new Inflights(4, 0);
  inflights.add(1, 1);
  const copy = inflights.clone();
  copy.add(2, 1);
  copy.freeTo(1);
  assert.equal(inflights.count, 1);
  assert.equal(copy.count, 1);
  inflights.freeTo(1);
  assert.equal(copy.bytes, 1);
});
