// Goal: majorities and joint majorities decide right for any group. Method: compare with deliberately dumb second implementations
// that try every subset of voters or every index.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { MemberId } from "../../base/brand.ts";
import { AckedMap, dumbCommittedIndex } from "../testing/quorum.ts";
import { describeJoint, jointCommittedIndex, jointIds, jointVoteResult } from "./joint.ts";
import {
  describeIndex,
  describeMajority,
  type MajorityConfig,
  majorityCommittedIndex,
  majorityOf,
  majorityVoteResult,
  VoteResult,
} from "./majority.ts";

const memberId = fc.integer({ min: 1, max: 12 }).map((n) => BigInt(n) as MemberId);
const majority = fc.array(memberId, { maxLength: 9 }).map((ids) => majorityOf(ids));
const acked = fc
  .array(fc.tuple(memberId, fc.integer({ min: 0, max: 20 })), { maxLength: 12 })
  .map((pairs) => new AckedMap(new Map(pairs)));
const votes = fc.array(fc.tuple(memberId, fc.boolean()), { maxLength: 12 }).map((pairs) => new Map(pairs));

/** Tries all ways in which the missing votes could still fall. */
function dumbVoteResult(config: MajorityConfig, cast: ReadonlyMap<MemberId, boolean>): VoteResult {
  if (config.length === 0) return VoteResult.Won;
  const missing = config.filter((id) => !cast.has(id)).length;
  const granted = config.filter((id) => cast.get(id) === true).length;
  const outcomes = new Set<boolean>();
  for (let more = 0; more <= missing; more++) outcomes.add(2 * (granted + more) > config.length);
  if (outcomes.size === 2) return VoteResult.Pending;
  return outcomes.has(true) ? VoteResult.Won : VoteResult.Lost;
}

test("the committed index of a majority is the largest that more than half have reached", () => {
  fc.assert(
    fc.property(majority, acked, (config, known) => {
      assert.equal(majorityCommittedIndex(config, known), dumbCommittedIndex(config, known));
    }),
    { numRuns: 500 },
  );
});

test("a vote is decided when no missing vote can change it", () => {
  fc.assert(
    fc.property(majority, votes, (config, cast) => {
      assert.equal(majorityVoteResult(config, cast), dumbVoteResult(config, cast));
    }),
    { numRuns: 500 },
  );
});

test("a joint configuration commits what both halves commit, whichever half comes first", () => {
  fc.assert(
    fc.property(majority, majority, acked, (incoming, outgoing, known) => {
      const both = Math.min(dumbCommittedIndex(incoming, known), dumbCommittedIndex(outgoing, known));
      assert.equal(jointCommittedIndex({ incoming, outgoing }, known), both);
      assert.equal(jointCommittedIndex({ incoming: outgoing, outgoing: incoming }, known), both);
    }),
    { numRuns: 500 },
  );
});

test("a joint vote is won by both halves, lost by either", () => {
  fc.assert(
    fc.property(majority, majority, votes, (incoming, outgoing, cast) => {
      const halves = [dumbVoteResult(incoming, cast), dumbVoteResult(outgoing, cast)];
      const expected = halves.includes(VoteResult.Lost)
        ? VoteResult.Lost
        : halves.includes(VoteResult.Pending)
          ? VoteResult.Pending
          : VoteResult.Won;
      assert.equal(jointVoteResult({ incoming, outgoing }, cast), expected);
    }),
    { numRuns: 500 },
  );
});

test("two quorums of one majority always share a voter", () => {
  fc.assert(
    fc.property(majority, fc.integer({ min: 0, max: 511 }), (config, bits) => {
      const yes = new Map(config.map((id, i) => [id, ((bits >> i) & 1) === 1] as const));
      const no = new Map(config.map((id, i) => [id, ((bits >> i) & 1) === 0] as const));
      if (config.length === 0) return;
      const both = [majorityVoteResult(config, yes), majorityVoteResult(config, no)];
      assert.ok(!both.every((result) => result === VoteResult.Won));
    }),
  );
});

test("configurations are shown with ids in hex and in order", () => {
  const some = majorityOf([10n, 2n, 2n, 255n] as MemberId[]);
  assert.equal(describeMajority(some), "(2 a ff)");
  const joint = { incoming: some, outgoing: majorityOf([3n as MemberId]) };
  assert.equal(describeJoint(joint), "(2 a ff)&&(3)");
  assert.deepEqual(jointIds(joint), [2n, 3n, 10n, 255n]);
  assert.equal(describeIndex(majorityCommittedIndex([], new AckedMap(new Map()))), "∞");
});
