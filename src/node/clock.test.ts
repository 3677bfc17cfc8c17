// Goal: what many callers ask for in one turn runs as one batch, in order, and a failing callback does not take the others with it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { millis } from "../base/brand.ts";
import { nodeClock } from "./clock.ts";

test("callbacks of one turn run together in order, and what they ask for runs in the next turn", async () => {
  const clock = nodeClock();
  const order: string[] = [];
  clock.endOfTurn(() => {
    order.push("first");
    clock.endOfTurn(() => order.push("next turn"));
  });
  clock.endOfTurn(() => order.push("second"));
  void Promise.resolve().then(() => clock.endOfTurn(() => order.push("third")));
  assert.deepEqual(order, []);
  await clock.yield();
  assert.deepEqual(order, ["first", "second", "third"]);
  await clock.yield();
  assert.deepEqual(order, ["first", "second", "third", "next turn"]);
});

test("a cancelled timer never runs, and cancelling twice does no harm", async () => {
  const clock = nodeClock();
  let ran = "";
  const cancelled = clock.after(millis(0), () => {
    ran += "cancelled";
  });
  cancelled.cancel();
  cancelled.cancel();
  const before = clock.now();
  // The timers do not keep the process alive, so something else must.
  const alive = setInterval(() => {}, 1000);
  await new Promise<void>((resolve) => {
    clock.after(millis(2), resolve);
  });
  clearInterval(alive);
  assert.equal(ran, "");
  assert.ok(clock.now() > before);
});
