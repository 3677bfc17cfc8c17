// Goal: reads that wait share a read index, are let go only when it is applied, and get etcd's errors when nobody answers. Method: the
// rounds alone, on a simulated clock, with raft's part played by the test.
import assert from "node:assert/strict";
import { test } from "node:test";
import { type MemberId, memberId } from "../../base/brand.ts";
import { silentLogger } from "../../ports/logger.ts";
import { NONE } from "../../raft/message.ts";
import { SimClock } from "../../sim/clock.ts";
import { ReadRounds } from "./read-rounds.ts";

const A: MemberId = memberId(1n);
const B: MemberId = memberId(2n);

function rounds(): {
  clock: SimClock;
  reads: ReadRounds;
  asked: Uint8Array[];
  told: string[];
  add: (name: string) => void;
  counts: { slow: number; failed: number };
} {
  const clock = new SimClock();
  const asked: Uint8Array[] = [];
  const told: string[] = [];
  const counts = { slow: 0, failed: 0 };
  let id = 0x0102_0304_0506_0700n;
  const reads = new ReadRounds({
    clock,
    logger: silentLogger,
    nextId: () => ++id,
    timeoutMillis: 7000,
    ask: (context) => asked.push(context),
    onSlow: () => {
      counts.slow++;
    },
    onFailed: () => {
      counts.failed++;
    },
  });
  const add = (name: string): void =>
    reads.add(
      () => told.push(name),
      (error) => told.push(`${name}: ${error.message}`),
    );
  return { clock, reads, asked, told, add, counts };
}

function pass(clock: SimClock, millis: number): void {
  clock.after(millis as never, () => {});
  clock.step();
}

test("all that wait when a round begins share one index; who comes later waits for the next", () => {
  const { reads, asked, told, add } = rounds();
  add("a");
  add("b");
  reads.begin(A);
  add("c");
  reads.begin(A);
  assert.equal(asked.length, 1);
  assert.deepEqual([...asked[0]!], [1, 2, 3, 4, 5, 6, 7, 1], "eight bytes, big endian, as etcd's");
  reads.answered({ index: 5, requestContext: asked[0]! }, 5);
  assert.deepEqual(told, ["a", "b"]);
  reads.begin(A);
  assert.equal(asked.length, 2);
});

test("nobody is let go before the index is applied", () => {
  const { reads, asked, told, add } = rounds();
  add("a");
  reads.begin(A);
  reads.answered({ index: 5, requestContext: asked[0]! }, 4);
  assert.deepEqual(told, []);
  reads.applied(4);
  assert.deepEqual(told, []);
  reads.applied(5);
  assert.deepEqual(told, ["a"]);
});

test("a round is asked for again after half a second, and either answer will do; those of older rounds are ignored", () => {
  const { clock, reads, asked, told, add, counts } = rounds();
  add("a");
  reads.begin(A);
  pass(clock, 499);
  reads.tick();
  assert.equal(asked.length, 1);
  pass(clock, 1);
  reads.tick();
  assert.equal(asked.length, 2);
  reads.answered({ index: 3, requestContext: asked[0]! }, 3);
  assert.deepEqual(told, ["a"]);
  add("b");
  reads.begin(A);
  reads.answered({ index: 9, requestContext: asked[1]! }, 9);
  reads.answered({ index: 9, requestContext: new Uint8Array(3) }, 9);
  assert.deepEqual(told, ["a"]);
  assert.equal(counts.slow, 2);
});

test("another leader ends the round with etcd's error; one that comes after none does not", () => {
  const { reads, asked, told, add, counts } = rounds();
  add("a");
  reads.begin(NONE);
  reads.leaderIs(A);
  assert.equal(asked.length, 2);
  reads.leaderIs(NONE);
  reads.leaderIs(A);
  assert.deepEqual(told, []);
  reads.leaderIs(B);
  assert.deepEqual(told, ["a: etcdserver: leader changed"]);
  assert.equal(counts.failed, 1);
});

test("a read that nobody vouches for is refused after the request timeout", () => {
  const { clock, reads, asked, told, add, counts } = rounds();
  add("a");
  reads.begin(A);
  pass(clock, 5000);
  add("b");
  pass(clock, 2000);
  reads.tick();
  assert.deepEqual(told, ["a: etcdserver: request timed out"]);
  assert.equal(counts.slow, 1);
  reads.begin(A);
  reads.answered({ index: 1, requestContext: asked.at(-1)! }, 1);
  assert.deepEqual(told.slice(1), ["b"]);
});
