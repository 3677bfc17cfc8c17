// Goal: a follower's progress moves between probe, replicate and snapshot as the leader learns, and stale news changes nothing.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { MemberId } from "../../base/brand.ts";
import { Inflights } from "./inflights.ts";
import { describeProgressMap, Progress, ProgressState } from "./progress.ts";

function progress(match: number, next: number): Progress {
  const one = new Progress(7n as MemberId, next, new Inflights(2, 0), false);
  one.match = match;
  return one;
}

test("a probe goes out once, and again only after word of the member", () => {
  const one = progress(3, 5);
  assert.equal(one.paused, false);
  one.sentEntries(2, 10);
  assert.equal(one.paused, true);
  assert.equal(one.next, 5);
  assert.equal(one.maybeUpdate(4), true);
  assert.equal(one.paused, false);
  assert.equal(one.maybeUpdate(4), false);
});

test("an empty probe does not count as one, so that commit indexes still go out", () => {
  const one = progress(3, 5);
  one.sentEntries(0, 0);
  assert.equal(one.paused, false);
});

test("replication sends ahead until its window is full", () => {
  const one = progress(3, 9);
  one.becomeReplicate();
  assert.equal(one.next, 4);
  one.sentEntries(2, 10);
  one.sentEntries(1, 10);
  assert.equal(one.next, 7);
  assert.equal(one.paused, true);
  assert.equal(one.describe(), "StateReplicate match=3 next=7 paused inactive inflight=2[full]");
});

test("a refusal lowers next, but never below what is known to agree, and stale ones are ignored", () => {
  const replicating = progress(3, 9);
  replicating.becomeReplicate();
  replicating.sentEntries(5, 1);
  assert.equal(replicating.maybeDecrementTo(3, 1), false);
  assert.equal(replicating.maybeDecrementTo(6, 5), true);
  assert.equal(replicating.next, 4);

  const cases: readonly (readonly [number, number, number, number, boolean, number])[] = [
    [0, 10, 9, 9, true, 9],
    [0, 10, 9, 2, true, 3],
    [0, 10, 9, 0, true, 1],
    [0, 10, 5, 5, false, 10],
    [4, 10, 9, 2, true, 5],
  ];
  for (const [match, next, rejected, hint, genuine, expected] of cases) {
    const probing = progress(match, next);
    assert.equal(probing.maybeDecrementTo(rejected, hint), genuine);
    assert.equal(probing.next, expected);
  }
});

test("after a snapshot the probe begins behind it; after a failed one it begins where the logs agree", () => {
  const arrived = progress(1, 5);
  arrived.becomeSnapshot(20);
  assert.equal(arrived.paused, true);
  assert.equal(arrived.next, 21);
  arrived.becomeProbe();
  assert.equal(arrived.next, 21);
  assert.equal(arrived.state, ProgressState.Probe);

  const failed = progress(1, 5);
  failed.becomeSnapshot(20);
  failed.pendingSnapshot = 0;
  failed.becomeProbe();
  assert.equal(failed.next, 2);
  assert.throws(() => {
    failed.becomeSnapshot(30);
    failed.sentEntries(1, 1);
  }, /unhandled state StateSnapshot/);
});

test("a commit index is told once, as far as the member's log will reach", () => {
  const one = progress(3, 4);
  one.becomeReplicate();
  one.sentEntries(2, 1);
  assert.equal(one.canBumpCommit(4), true);
  one.sentCommit(4);
  assert.equal(one.canBumpCommit(4), false);
  assert.equal(one.canBumpCommit(5), true);
  one.sentCommit(5);
  assert.equal(one.canBumpCommit(9), false);
});

test("a fork shares the window but not the role; a map is shown by id", () => {
  const one = progress(3, 5);
  const fork = one.fork();
  fork.isLearner = true;
  assert.equal(one.isLearner, false);
  assert.equal(fork.inflights, one.inflights);
  const other = new Progress(2n as MemberId, 1, new Inflights(1, 0), true);
  const map = new Map([
    [one.id, one],
    [other.id, other],
  ]);
  assert.equal(
    describeProgressMap(map),
    "2: StateProbe match=0 next=1 learner inactive\n7: StateProbe match=3 next=5 inactive\n",
  );
});
