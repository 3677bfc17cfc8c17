// Goal: background work takes its share of a busy thread and no more, and all of an idle one. Method: turns of given lengths, counted.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Duty } from "./duty.ts";

/** How many of `turns` turns, each with `turnMillis` of other work, a job of slices of `sliceMillis` gets. */
function slicesIn(duty: Duty, turns: number, turnMillis: number, sliceMillis: number): number {
  let now = 1000;
  let slices = 0;
  for (let i = 0; i < turns; i++) {
    now += turnMillis;
    if (!duty.isDue(now)) continue;
    now += sliceMillis;
    duty.worked(sliceMillis, now);
    slices++;
  }
  return slices;
}

test("beside traffic a job rests until its share is kept, whatever the length of the turns", () => {
  assert.equal(slicesIn(new Duty(0.25), 900, 0.5, 0.5), 300);
  assert.equal(slicesIn(new Duty(0.25), 900, 5, 0.5), 900);
  assert.equal(slicesIn(new Duty(0.5), 900, 0.25, 0.5), 450);
});

test("a thread that has nothing else to do works on at once", () => {
  assert.equal(slicesIn(new Duty(0.1), 900, 0.01, 0.5), 900);
});

test("the first slice does not wait", () => {
  assert.equal(slicesIn(new Duty(0.01), 1, 3, 0.5), 1);
});
