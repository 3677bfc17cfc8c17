// Goal: one member without room stops nobody and comes back by itself; the cluster is read-only exactly while those with room are no
// quorum. Method: real members on simulated disks that take nothing more.
import assert from "node:assert/strict";
import { test } from "node:test";
import { AlarmType } from "../cluster/alarms.ts";
import type { Machine } from "./machine.ts";
import { type Cluster, others, started } from "./several.test.ts";

/** A few of them fill a segment. */
const VALUE = "v".repeat(2000);

/** No file grows any more; what is allocated can be written. */
function fill(machine: Machine): void {
  machine.fault = (kind) => (kind === "allocate" ? { code: "ENOSPC" } : undefined);
}

function empty(machine: Machine): void {
  machine.fault = undefined;
}

const isReadOnly = ({ member }: Machine): boolean => member.applyContext.alarms.has(AlarmType.NoSpace);

async function pass(cluster: Cluster, millis: number): Promise<void> {
  const until = cluster.clock.now() + millis;
  await cluster.until("time passes", () => cluster.clock.now() >= until, millis + 1000);
}

test("a full follower stops nobody, says so, and catches up when it has room", async () => {
  const cluster = await started();
  const leader = await cluster.leader();
  const small = others(cluster, leader)[0]!;
  fill(small);
  for (let n = 0; n < 30; n++) await cluster.put(leader, `k${n}`, VALUE);
  await pass(cluster, 6000);
  assert.equal(small.member.deviceFull, true);
  assert.ok(small.member.raft.appliedIndex <= leader.member.raft.appliedIndex);
  assert.equal(await cluster.leader(), leader);
  assert.ok(!cluster.machines.some(isReadOnly));
  assert.equal(small.fatals, 0);
  empty(small);
  await cluster.until(
    "it catches up",
    () => small.member.raft.appliedIndex === leader.member.raft.appliedIndex,
  );
  await cluster.until("it has room", () => !small.member.deviceFull);
  assert.equal(new Set(await cluster.hashes()).size, 1);
});

test("a full leader hands over to a member with room, and writes go on", async () => {
  const cluster = await started();
  const leader = await cluster.leader();
  fill(leader);
  const rest = others(cluster, leader);
  for (let n = 0; n < 30 && leader.member.raft.isLeader; n++) await cluster.put(leader, `k${n}`, VALUE);
  await cluster.until("another leads", () => rest.some(({ member }) => member.raft.isLeader));
  const next = rest.find(({ member }) => member.raft.isLeader)!;
  for (let n = 0; n < 10; n++) await cluster.put(next, `k${n}`, VALUE);
  await pass(cluster, 8000);
  assert.ok(!isReadOnly(next));
  empty(leader);
  await cluster.until(
    "it catches up",
    () => leader.member.raft.appliedIndex === next.member.raft.appliedIndex,
  );
});

test("without a quorum that has room the cluster is read-only, until it has room again", async () => {
  const cluster = await started();
  const leader = await cluster.leader();
  const [a, b] = others(cluster, leader) as [Machine, Machine];
  // Their reserves are not used up yet.
  a.member.spaceChanged(true);
  await pass(cluster, 6000);
  assert.ok(!isReadOnly(leader));
  b.member.spaceChanged(true);
  await cluster.until("it is read-only", () => cluster.machines.every(isReadOnly));
  a.member.spaceChanged(false);
  await cluster.until("it is not", () => !cluster.machines.some(isReadOnly));
  b.member.spaceChanged(false);
  await cluster.put(await cluster.leader(), "k", "v");
});
