// Goal: raft's time neither drifts on a busy machine nor rushes after a standstill. Method: due times by hand, and random delays.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { nextTickDue } from "./tick-pace.ts";

test("a late tick does not put off the next one", () => {
  assert.equal(nextTickDue(1000, 1000, 100), 1100);
  assert.equal(nextTickDue(1000, 1030, 100), 1100);
  assert.equal(nextTickDue(1000, 1099, 100), 1100);
});

test("ticks missed in a standstill are left out, and the pace is kept", () => {
  assert.equal(nextTickDue(1000, 1100, 100), 1200);
  assert.equal(nextTickDue(1000, 5030, 100), 5100);
});

test("whatever the delays, the next tick lies ahead by at most a heartbeat, in step with the first", () => {
  fc.assert(
    fc.property(fc.array(fc.nat(1000), { maxLength: 50 }), (delays) => {
      let due = 0;
      for (const delay of delays) {
        const now = due + delay;
        due = nextTickDue(due, now, 100);
        assert.ok(due > now && due <= now + 100);
        assert.equal(due % 100, 0);
      }
    }),
  );
});
