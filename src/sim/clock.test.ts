// Goal: virtual time is ordered, and a dead process hears nothing more.
import assert from "node:assert/strict";
import { test } from "node:test";
import { millis } from "../base/brand.ts";
import { SimClock } from "./clock.ts";

test("events happen in order of time, then of asking, and time jumps from one to the next", () => {
  const clock = new SimClock();
  const seen: string[] = [];
  clock.after(millis(20), () => seen.push(`c${clock.now()}`));
  clock.after(millis(10), () => {
    seen.push(`a${clock.now()}`);
    clock.endOfTurn(() => seen.push(`b${clock.now()}`));
  });
  clock.after(millis(15), () => seen.push("never")).cancel();
  while (clock.step());
  assert.deepEqual(seen, ["a10", "b10", "c20"]);
});

test("a killed process' timers, turns and slices never happen", async () => {
  const clock = new SimClock();
  const process = clock.attach();
  let happened = 0;
  process.after(millis(5), () => happened++);
  process.endOfTurn(() => happened++);
  void process.yield().then(() => happened++);
  process.kill();
  assert.equal(clock.step(), false);
  await Promise.resolve();
  assert.equal(happened, 0);
});

test("who was busy makes others late, never early", () => {
  const clock = new SimClock();
  const seen: number[] = [];
  clock.after(millis(1), () => clock.spend(50));
  clock.after(millis(10), () => seen.push(clock.now()));
  while (clock.step());
  assert.deepEqual(seen, [51]);
});
