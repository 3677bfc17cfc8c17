// Goal: clients are sent away exactly once per loss of the leader, after an election timeout, and never without reason. Method: a member made
// of plain fields, and a time that the test says.
import assert from "node:assert/strict";
import { test } from "node:test";
import { silentLogger } from "../../ports/logger.ts";
import { LeaderWatch } from "./leader-watch.ts";

function setup(voters: number) {
  const member = {
    localId: 1n,
    raft: { leader: 0n },
    membership: { voters: Array.from({ length: voters }) },
    options: { electionMillis: 1000 },
    logger: silentLogger,
  };
  const watch = new LeaderWatch(member);
  const state = { sent: 0 };
  watch.onLeaderless = () => {
    state.sent++;
  };
  const at = (leader: bigint, ...times: number[]): number => {
    member.raft.leader = leader;
    for (const time of times) watch.look(time);
    return state.sent;
  };
  return at;
}

test("a member that lost its leader says so once, an election timeout later", () => {
  const at = setup(3);
  assert.equal(at(2n, 0, 100), 0);
  assert.equal(at(0n, 200, 1199), 0);
  assert.equal(at(0n, 1200), 1);
  assert.equal(at(0n, 2300, 9000), 1, "not again");
  assert.equal(at(3n, 9100), 1);
  assert.equal(at(0n, 9200, 10_200), 2, "but for the next loss");
});

test("a short election is not mentioned, however often it happens", () => {
  const at = setup(3);
  for (let n = 0; n < 20; n++) {
    at(2n, n * 1000);
    assert.equal(at(0n, n * 1000 + 100, n * 1000 + 900), 0);
  }
});

test("a member that is alone, or never had a leader, keeps its clients", () => {
  const alone = setup(1);
  alone(1n, 0);
  assert.equal(alone(0n, 100, 5000), 0);
  const young = setup(3);
  assert.equal(young(0n, 0, 1000, 60_000), 0);
});
