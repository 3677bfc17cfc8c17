// Goal: with pre-vote a new leader is there within one and a half election timeouts, whatever those are; without, elections are etcd's.
import assert from "node:assert/strict";
import { test } from "node:test";
import { configProblem } from "../../raft/config.ts";
import { elections } from "./elections.ts";

test("elections begin a tick behind the election timeout, and are spread over half of it", () => {
  assert.deepEqual(elections(10, true).electionDelay, { from: 1, below: 6 });
  for (let ticks = 2; ticks < 100; ticks++) {
    const { electionDelay } = elections(ticks, true);
    assert.ok(electionDelay!.below > electionDelay!.from);
    assert.ok(electionDelay!.below - 1 <= Math.ceil(ticks / 2));
  }
});

test("without pre-vote a member waits as long as etcd does: whoever asks then disturbs a leader", () => {
  assert.deepEqual(elections(10, false), {
    electionTick: 10,
    heartbeatTick: 1,
    checkQuorum: true,
    preVote: false,
  });
});

test("what an election needs is right in raft's eyes", () => {
  const rest = { id: 1n, maxInflightMsgs: 1, maxSizePerMsg: 1 } as never;
  assert.equal(configProblem({ ...(rest as object), ...elections(10, true) } as never), undefined);
});
