// Goal: --force-new-cluster makes a working cluster of one member's data, whatever the others did, and loses nothing that it knew to be
// committed. Method: real members on simulated disks; two of three never come back.
import assert from "node:assert/strict";
import { test } from "node:test";
import { memberId } from "../base/brand.ts";
import type { InitialCluster } from "../member/membership/initial-cluster.ts";
import {
  decodeMemberAddResponse,
  decodeMemberRemoveResponse,
  encodeMemberAddRequest,
  encodeMemberRemoveRequest,
  encodePutRequest,
} from "../wire/generated/etcdserverpb.ts";
import { putRequest } from "./client.ts";
import type { Machine } from "./machine.ts";
import { type Cluster, others, started } from "./several.test.ts";

async function pass(cluster: Cluster, millis: number): Promise<void> {
  const until = cluster.clock.now() + millis;
  await cluster.until("time passes", () => cluster.clock.now() >= until, millis + 1000);
}

async function force(cluster: Cluster, machine: Machine): Promise<void> {
  machine.memberOptions = { ...machine.memberOptions, forceNewCluster: true };
  await cluster.finish("a start", machine.start());
  await cluster.leader([machine]);
}

test("the survivor of three is a cluster of itself, with everything it knew to be committed and nothing else", async () => {
  const cluster = await started();
  const leader = await cluster.leader();
  for (let n = 0; n < 30; n++) await cluster.put(leader, `k${n}`, `${n}`);
  for (const machine of others(cluster, leader)) machine.kill();
  leader.call("/etcdserverpb.KV/Put", encodePutRequest(putRequest("never committed", "x")), () => {});
  await pass(cluster, 300);
  const { clusterId } = leader.member;
  leader.kill();

  await force(cluster, leader);
  const { membership, raft } = leader.member;
  assert.deepEqual(
    membership.members().map(({ id }) => id),
    [leader.id],
  );
  assert.equal(membership.removed.length, 2);
  assert.deepEqual(raft.confState.voters, [leader.id]);
  assert.equal(leader.member.clusterId, clusterId);
  const name = leader.memberOptions.name;
  assert.ok(cluster.lines.includes(`${name} discarding uncommitted WAL entries`));
  assert.ok(cluster.lines.includes(`${name} forcing restart member`));
  assert.equal(await cluster.get(leader, "k29"), "29");
  assert.equal(await cluster.get(leader, "never committed"), undefined);
  await cluster.put(leader, "alone", "1");

  // Again, then without the flag: nothing more to do.
  const { length } = membership.removed;
  leader.kill();
  await force(cluster, leader);
  assert.equal(leader.member.membership.removed.length, length);
  leader.kill();
  leader.memberOptions = { ...leader.memberOptions, forceNewCluster: false };
  await cluster.finish("a start", leader.start());
  await cluster.leader([leader]);
  assert.equal(await cluster.get(leader, "alone"), "1");
  assert.ok(cluster.lines.includes(`${name} restarting local member`));
});

test("a follower that was killed beside its leader goes on from the last commit it has on disk", async () => {
  const cluster = await started();
  const leader = await cluster.leader();
  const survivor = others(cluster, leader)[0]!;
  for (let n = 0; n < 30; n++) await cluster.put(leader, `k${n}`, `${n}`);
  await pass(cluster, 1000);
  for (const machine of cluster.machines) machine.kill();
  await force(cluster, survivor);
  // The newest commit index may not have been on disk; all before it was.
  assert.equal(await cluster.get(survivor, "k28"), "28");
  await cluster.put(survivor, "alone", "1");
});

test("a learner that is forced becomes the voter, and the wiped others can be added anew", async () => {
  const cluster = await started();
  const leader = await cluster.leader();
  await pass(cluster, 7000);
  const url = "http://10.0.0.9:2380";
  const request = encodeMemberAddRequest({ peerUrls: [url], isLearner: true });
  const added = await cluster.call(leader, "Cluster/MemberAdd", request, decodeMemberAddResponse);
  const join = (response: typeof added): InitialCluster => ({
    kind: "join",
    clusterId: leader.member?.clusterId ?? clusterId,
    localId: memberId(response.member!.id),
    members: response.members.map(({ id, peerUrls, name, isLearner }) => ({
      id: memberId(id),
      peerUrls,
      name,
      isLearner,
      clientUrls: [],
    })),
  });
  const { clusterId } = leader.member;
  const learner = await cluster.join("m9", url, join(added));
  await cluster.put(leader, "k", "v");
  await pass(cluster, 1000);
  for (const machine of cluster.machines.slice(0, 3)) machine.kill();
  await cluster.finish("a stop", learner.stop());
  await force(cluster, learner);
  assert.deepEqual(
    learner.member.membership.members().map(({ id, isLearner }) => [id, isLearner]),
    [[learner.id, false]],
  );
  assert.equal(await cluster.get(learner, "k"), "v");
  await cluster.put(learner, "k", "w");
});

test("the data of a removed member is refused, with what to do instead", async () => {
  const cluster = await started();
  const leader = await cluster.leader();
  await pass(cluster, 7000);
  const victim = others(cluster, leader)[0]!;
  const removal = encodeMemberRemoveRequest({ id: victim.id });
  await cluster.call(leader, "Cluster/MemberRemove", removal, decodeMemberRemoveResponse);
  await cluster.until("it knows", () => victim.member.membership.isRemoved(victim.id));
  await pass(cluster, 500);
  await cluster.finish("a stop", victim.stop());
  victim.memberOptions = { ...victim.memberOptions, forceNewCluster: true };
  await assert.rejects(
    cluster.finish("a start", victim.start()),
    /was removed from its cluster; --force-new-cluster cannot go on with it: force a member that still belongs to it/,
  );
});
