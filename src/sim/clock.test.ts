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

test("a busy process hears late what was due, and holds nobody else up", () => {
  const clock = new SimClock();
  const process = clock.attach();
  const seen: string[] = [];
  process.after(millis(1), () => {
    process.spend(50);
    seen.push(`busy until ${process.now()}`);
  });
  process.after(millis(10), () => seen.push(`late at ${clock.now()}`));
  process.after(millis(20), () => seen.push("never")).cancel();
  clock.after(millis(10), () => seen.push(`in time at ${clock.now()}`));
  while (clock.step());
  assert.deepEqual(seen, ["busy until 51", "in time at 10", "late at 51"]);
});

test("a stopped process does nothing until it goes on, and then all that was due", () => {
  const clock = new SimClock();
  const process = clock.attach();
  const seen: number[] = [];
  process.after(millis(5), () => seen.push(clock.now()));
  process.after(millis(6), () => seen.push(clock.now()));
  process.pause();
  clock.after(millis(30), () => process.goOn());
  while (clock.step());
  assert.deepEqual(seen, [30, 30]);
});
