// Goal: several members are one. Method: three real members on one simulated clock, with disks and a network of their own; a client that
// talks to any of them; the leader killed, cut off, stopped and restarted; and a few whole histories (npm run sim runs hundreds).
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Millis } from "../base/brand.ts";
import { nodeDigest } from "../node/digest.ts";
import { encodePutRequest, encodeRangeRequest } from "../wire/generated/etcdserverpb.ts";
import { putRequest, rangeRequest } from "./client.ts";
import { type Machine, SIM_MEMBER_OPTIONS } from "./machine.ts";
import { Cluster, others, started, turn } from "./several.test.ts";
import { simulate } from "./simulation.ts";

const first = Number(process.env["FUZZ_SEED"] ?? 2000);
const runs = Number(process.env["FUZZ_RUNS"] ?? 2);

test("a put through any member is read through any other", async () => {
  const cluster = await started();
  for (const [n, machine] of cluster.machines.entries()) {
    await cluster.put(machine, `k${n}`, `v${n}`);
    for (const reader of cluster.machines) assert.equal(await cluster.get(reader, `k${n}`), `v${n}`);
  }
  assert.equal(new Set(await cluster.hashes()).size, 1);
});

test("when the leader is killed, the others elect one and go on; back again, it has everything", async () => {
  const cluster = await started();
  const leader = await cluster.leader();
  await cluster.put(leader, "before", "1");
  leader.kill();
  const rest = others(cluster, leader);
  const next = await cluster.leader(rest);
  await cluster.put(rest[0]!, "after", "2");
  assert.equal(await cluster.get(next, "before"), "1");
  await cluster.start();
  assert.equal(await cluster.get(leader, "after"), "2");
  assert.equal(new Set(await cluster.hashes()).size, 1);
});

test("a leader that nobody hears answers no linearizable read, and follows whom the others elected", async () => {
  const cluster = await started();
  const leader = await cluster.leader();
  await cluster.put(leader, "k", "old");
  const rest = others(cluster, leader);
  cluster.network.partition([[leader.id], rest.map(({ id }) => id)]);
  await cluster.leader(rest);
  await cluster.put(rest[1]!, "k", "new");
  const call = leader.call("/etcdserverpb.KV/Range", encodeRangeRequest(rangeRequest("k")), () => {})!;
  await cluster.until("the read is refused", () => call.done);
  assert.equal(call.error?.message, "etcdserver: request timed out");
  cluster.network.heal();
  assert.equal(await cluster.get(leader, "k"), "new");
  assert.equal(new Set(await cluster.hashes()).size, 1);
});

test("a leader that was stopped for longer than an election timeout does not answer from its past", async () => {
  const cluster = await started();
  const leader = await cluster.leader();
  const rest = others(cluster, leader);
  leader.pause();
  await cluster.leader(rest);
  await cluster.put(rest[0]!, "k", "new");
  leader.goOn();
  assert.equal(await cluster.get(leader, "k"), "new");
  assert.equal(leader.member.raft.isLeader, false);
});

test("a leader whose disk stands still hands over, and writes go on", async () => {
  const cluster = await started();
  const leader = await cluster.leader();
  const rest = others(cluster, leader);
  // Slow enough to be given to the thread pool.
  leader.flushMillis = 10;
  for (let n = 0; n < 10; n++) await cluster.put(leader, "k", `${n}`);
  leader.flushMillis = 60_000;
  const stuck = leader.call("/etcdserverpb.KV/Put", encodePutRequest(putRequest("k", "kept")), () => {})!;
  await cluster.until("another leads", () => rest.some(({ member }) => member.raft.isLeader));
  assert.equal(leader.member.raft.isLeader, false);
  assert.equal(
    await cluster.get(rest[0]!, "k"),
    "kept",
    "the others have what only the leader had not written",
  );
  await cluster.put(rest[0]!, "k", "new");
  assert.equal(stuck.done, false);
});

test("while a leader's thread stands still, the others elect one", async () => {
  const cluster = await started();
  const leader = await cluster.leader();
  const rest = others(cluster, leader);
  leader.flushMillis = 5_000;
  leader.call("/etcdserverpb.KV/Put", encodePutRequest(putRequest("k", "1")), () => {});
  const next = await cluster.leader(rest);
  await cluster.put(next, "k", "2");
  leader.flushMillis = 0;
  assert.equal(await cluster.get(leader, "k"), "2");
  assert.equal(new Set(await cluster.hashes()).size, 1);
});

test("a member that is stopped hands its leadership over first, so nobody waits for an election timeout", async () => {
  const cluster = await started();
  const leader = await cluster.leader();
  const began = cluster.clock.now();
  await cluster.finish("a stop", leader.stop());
  assert.ok(others(cluster, leader).some(({ member }) => member.raft.isLeader));
  assert.ok(cluster.clock.now() - began < SIM_MEMBER_OPTIONS.electionMillis);
});

test("a member whose first start lost its power anywhere starts anew", async () => {
  for (let operations = 1; operations < 60; operations += 2) {
    const cluster = new Cluster(3);
    const [machine] = cluster.machines as [Machine, ...Machine[]];
    let left = operations;
    machine.fault = () => (--left > 0 ? undefined : "crash");
    await cluster.finish("a start", machine.start());
    machine.fault = undefined;
    if (machine.on) machine.powerLoss();
    await cluster.start();
    await cluster.put(machine, "k", "v");
  }
});

test("leadership goes to the voter that an operator names", async () => {
  const cluster = await started();
  const leader = await cluster.leader();
  const to = others(cluster, leader)[1]!;
  const moved = await cluster.finish("a transfer", leader.member.transferLeadership(to.id, 5000));
  assert.equal(moved, undefined);
  assert.equal(await cluster.leader(), to);
  const refused = await cluster.finish("a transfer", to.member.transferLeadership(1n as never, 5000));
  assert.equal(refused?.message, "etcdserver: bad leader transferee");
});

test("proposals that come while nobody leads are carried out when somebody does", async () => {
  const cluster = await started();
  const leader = await cluster.leader();
  const follower = others(cluster, leader)[0]!;
  leader.kill();
  await cluster.until("the follower has lost its leader", () => follower.member.raft.leader === 0n);
  await cluster.put(follower, "k", "v");
  assert.equal(await cluster.get(follower, "k"), "v");
});

test("only a leader that has applied its term's first entry may let leases end", async () => {
  const cluster = await started();
  const leader = await cluster.leader();
  await cluster.until("the leader has proved itself", () => leader.member.lessor.isPrimary);
  for (const { member } of others(cluster, leader)) assert.equal(member.lessor.isPrimary, false);
  leader.kill();
  const next = await cluster.leader(others(cluster, leader));
  await cluster.until("the new leader takes over", () => next.member.lessor.isPrimary);
});

test("clients and watchers of every member are told one truth under kills, partitions, storms, pauses and slow disks", async () => {
  for (let seed = first; seed < first + runs; seed++) {
    const { violations } = await simulate({ seed, members: 3, digest: nodeDigest(), turn, seconds: 8 });
    assert.deepEqual(violations, [], `npm run sim -- --members 3 --seed ${seed}`);
  }
});

test("the same seed gives the same history of a cluster", async () => {
  const histories = new Set<string>();
  for (let n = 0; n < 2; n++)
    histories.add(
      (await simulate({ seed: 5, members: 3, digest: nodeDigest(), turn, seconds: 4 })).fingerprint,
    );
  assert.equal(histories.size, 1);
});

/** Reads that wait are answered by the tick at the latest. */
test("a thousand reads that come at once share a few read indexes", async () => {
  const cluster = await started();
  const follower = others(cluster, await cluster.leader())[0]!;
  await cluster.put(follower, "k", "v");
  const before = cluster.network.counts.sent;
  const calls = Array.from(
    { length: 1000 },
    () => follower.call("/etcdserverpb.KV/Range", encodeRangeRequest(rangeRequest("k")), () => {})!,
  );
  await cluster.until("all are answered", () => calls.every(({ done }) => done), 1000 as Millis);
  assert.ok(cluster.network.counts.sent - before < 100);
});
