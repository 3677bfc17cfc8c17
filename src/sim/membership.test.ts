// Goal: what members do for each other: joining, voting, leaving, versions, leases, comparing their data. Method: real members on a
// simulated clock and network (several.test.ts), asked through their services as clients ask them.
import assert from "node:assert/strict";
import { test } from "node:test";
import { memberId } from "../base/brand.ts";
import { AlarmType } from "../cluster/alarms.ts";
import type { InitialCluster } from "../member/membership/initial-cluster.ts";
import { KnownHash } from "../mvcc/hash-job.ts";
import {
  DowngradeAction,
  decodeLeaseGrantResponse,
  decodeLeaseKeepAliveResponse,
  decodeLeaseTimeToLiveResponse,
  decodeMemberAddResponse,
  decodeMemberListResponse,
  decodeMemberPromoteResponse,
  decodeMemberRemoveResponse,
  decodeMoveLeaderResponse,
  decodeStatusResponse,
  encodeDowngradeRequest,
  encodeLeaseGrantRequest,
  encodeLeaseKeepAliveRequest,
  encodeLeaseTimeToLiveRequest,
  encodeMemberAddRequest,
  encodeMemberListRequest,
  encodeMemberPromoteRequest,
  encodeMemberRemoveRequest,
  encodeMoveLeaderRequest,
  encodeRangeRequest,
} from "../wire/generated/etcdserverpb.ts";
import { rangeRequest } from "./client.ts";
import type { Machine } from "./machine.ts";
import { type Cluster, others, started } from "./several.test.ts";

const EMPTY: Uint8Array = new Uint8Array(0);
const URL = "http://10.0.0.9:2380";

/** Voters that are connected for less than five seconds are no quorum to change members with. */
async function settled(cluster: Cluster): Promise<Machine> {
  await pass(cluster, 7000);
  return cluster.leader();
}

async function pass(cluster: Cluster, millis: number): Promise<void> {
  const until = cluster.clock.now() + millis;
  await cluster.until("time passes", () => cluster.clock.now() >= until, millis + 1000);
}

/** `unheard`: nothing of what the others say reaches it. */
async function addLearner(cluster: Cluster, leader: Machine, unheard = false): Promise<Machine> {
  const request = encodeMemberAddRequest({ peerUrls: [URL], isLearner: true });
  const { member, members } = await cluster.call(
    leader,
    "Cluster/MemberAdd",
    request,
    decodeMemberAddResponse,
  );
  const initial: InitialCluster = {
    kind: "join",
    clusterId: leader.member.clusterId,
    localId: memberId(member!.id),
    members: members.map(({ id, peerUrls, name, isLearner }) => ({
      id: memberId(id),
      peerUrls,
      name,
      isLearner,
      clientUrls: [],
    })),
  };
  if (unheard) for (const { id } of cluster.machines) cluster.network.cut(id, initial.localId);
  return cluster.join("m9", URL, initial);
}

const isCaughtUp = (one: Machine, leader: Machine): boolean =>
  one.member.raft.appliedIndex === leader.member.raft.appliedIndex;

test("a learner joins, answers for itself alone, is promoted through a follower, votes, and leaves", async () => {
  const cluster = await started();
  const leader = await settled(cluster);
  for (let n = 0; n < 50; n++) await cluster.put(leader, `k${n}`, `${n}`);
  const learner = await addLearner(cluster, leader);
  await cluster.until("the learner has everything", () => isCaughtUp(learner, leader));
  assert.equal(learner.member.membership.members().length, 4);

  const status = await cluster.call(learner, "Maintenance/Status", EMPTY, decodeStatusResponse);
  assert.deepEqual([status.isLearner, status.leader, status.errors], [true, leader.id, []]);
  const linearizable = await cluster.fails(learner, "KV/Range", encodeRangeRequest(rangeRequest("k1")));
  assert.equal(linearizable.message, "etcdserver: rpc not supported for learner");

  const follower = others(cluster, leader)[0]!;
  const promotion = encodeMemberPromoteRequest({ id: learner.id });
  const promoted = await cluster.call(
    follower,
    "Cluster/MemberPromote",
    promotion,
    decodeMemberPromoteResponse,
  );
  assert.ok(promoted.members.every(({ isLearner }) => !isLearner));
  assert.equal(
    (await cluster.fails(leader, "Cluster/MemberPromote", promotion)).message,
    "etcdserver: can only promote a learner member",
  );
  await cluster.until("the learner knows", () => learner.member.membership.local?.isLearner === false);
  assert.equal(await cluster.get(learner, "k1"), "1");

  // With the new one two of the old suffice.
  follower.kill();
  await cluster.put(leader, "with three of four", "1");
  await cluster.finish("a start", follower.start());

  let ended = false;
  learner.member.onRemoved = () => {
    ended = true;
  };
  const removal = encodeMemberRemoveRequest({ id: learner.id });
  await pass(cluster, 6000);
  await cluster.call(leader, "Cluster/MemberRemove", removal, decodeMemberRemoveResponse);
  await cluster.until("the removed member ends", () => ended);
  assert.ok(cluster.lines.includes("m9 data-dir used by this member must be removed"));
  learner.kill();
  const list = encodeMemberListRequest({ linearizable: true });
  for (const machine of cluster.machines.slice(0, 3)) {
    const { members } = await cluster.call(machine, "Cluster/MemberList", list, decodeMemberListResponse);
    assert.deepEqual(members.map(({ name }) => name).sort(), ["m1", "m2", "m3"]);
  }
});

test("a learner that is restarted before it heard anything still learns who the members are", async () => {
  const cluster = await started();
  const leader = await settled(cluster);
  const learner = await addLearner(cluster, leader, true);
  await pass(cluster, 1000);
  await cluster.finish("a checkpoint", learner.member.reclaimNow());
  learner.kill();
  cluster.network.heal();
  await cluster.finish("a start", learner.start());
  await cluster.until("the learner has everything", () => isCaughtUp(learner, leader));
  assert.equal(learner.member.membership.members().length, 4);
});

test("a member's own NOSPACE alarm goes though the first proposal to disarm it was lost", async () => {
  const cluster = await started();
  const leader = await cluster.leader();
  const follower = others(cluster, leader)[0]!;
  const isAlarmed = ({ member }: Machine): boolean => member.applyContext.alarms.has(AlarmType.NoSpace);
  follower.member.raiseAlarm(AlarmType.NoSpace);
  await cluster.until("the alarm is raised", () => isAlarmed(follower));
  cluster.network.partition([[follower.id], others(cluster, follower).map(({ id }) => id)]);
  await pass(cluster, 2000);
  cluster.network.heal();
  assert.ok(isAlarmed(leader));
  await cluster.until("the alarm is gone", () => !cluster.machines.some(isAlarmed));
});

test("two learners at once are one too many, and a voter is not added while a member is away", async () => {
  const cluster = await started();
  const leader = await settled(cluster);
  await addLearner(cluster, leader);
  const second = encodeMemberAddRequest({ peerUrls: ["http://10.0.0.10:2380"], isLearner: true });
  assert.equal(
    (await cluster.fails(leader, "Cluster/MemberAdd", second)).message,
    "etcdserver: too many learner members in cluster",
  );
  others(cluster, leader)[0]!.kill();
  await pass(cluster, 2000);
  const voter = encodeMemberAddRequest({ peerUrls: ["http://10.0.0.10:2380"], isLearner: false });
  assert.equal(
    (await cluster.fails(leader, "Cluster/MemberAdd", voter)).message,
    "etcdserver: unhealthy cluster",
  );
});

test("a membership change that comes while nobody leads is carried out when somebody does", async () => {
  const cluster = await started();
  const leader = await settled(cluster);
  const follower = others(cluster, leader)[0]!;
  leader.kill();
  await cluster.until("the follower has lost its leader", () => follower.member.raft.leader === 0n);
  const removal = encodeMemberRemoveRequest({ id: leader.id });
  const { members } = await cluster.call(
    follower,
    "Cluster/MemberRemove",
    removal,
    decodeMemberRemoveResponse,
  );
  assert.equal(members.length, 2);
  assert.ok(members.every(({ id }) => id !== leader.id));
});

test("leadership moves when the leader is asked for it, and only then", async () => {
  const cluster = await started();
  const leader = await cluster.leader();
  const [follower, target] = others(cluster, leader) as [Machine, Machine];
  const request = encodeMoveLeaderRequest({ targetId: target.id });
  assert.equal(
    (await cluster.fails(follower, "Maintenance/MoveLeader", request)).message,
    "etcdserver: not leader",
  );
  const { header } = await cluster.call(leader, "Maintenance/MoveLeader", request, decodeMoveLeaderResponse);
  assert.equal(header, undefined);
  assert.equal(await cluster.leader(), target);
});

test("the cluster's version is the lowest server's, and rises when that one is replaced", async () => {
  const cluster = await started();
  const versions = (): Set<string | undefined> =>
    new Set(cluster.machines.map(({ member }) => member.membership.version));
  const is = (version: string): boolean => versions().size === 1 && versions().has(version);
  await cluster.until("all agree upon a version", () => is("3.7.0"));
  const old = others(cluster, await cluster.leader())[0]!;

  const { ENABLE } = DowngradeAction;
  const leader = await cluster.leader();
  const downgrade = encodeDowngradeRequest({ action: ENABLE, version: "3.6" });
  await cluster.call(old, "Maintenance/Downgrade", downgrade, () => undefined);
  await cluster.until("the version falls", () => is("3.6.0"));
  for (const { member } of cluster.machines) assert.equal(member.membership.storageVersion, "3.6.0");
  for (const machine of cluster.machines) {
    await cluster.finish("a stop", machine.stop());
    machine.memberOptions = { ...machine.memberOptions, serverVersion: "3.6.14" };
    await cluster.finish("a start", machine.start());
    await cluster.leader();
  }
  await cluster.until("the downgrade ends", () => !leader.member.membership.downgrade.enabled);
  assert.ok(is("3.6.0"));

  for (const machine of cluster.machines) {
    assert.ok(is("3.6.0"), "as long as one is old");
    await cluster.finish("a stop", machine.stop());
    machine.memberOptions = { ...machine.memberOptions, serverVersion: "3.7.1" };
    await cluster.finish("a start", machine.start());
    await cluster.leader();
  }
  await cluster.until("the version rises", () => is("3.7.0"));
});

async function grant(cluster: Cluster, machine: Machine, id: bigint, ttl: number): Promise<void> {
  await cluster.call(
    machine,
    "Lease/LeaseGrant",
    encodeLeaseGrantRequest({ id, ttl }),
    decodeLeaseGrantResponse,
  );
}

async function timeToLive(cluster: Cluster, machine: Machine, id: bigint): Promise<number> {
  const request = encodeLeaseTimeToLiveRequest({ id, keys: false });
  return (await cluster.call(machine, "Lease/LeaseTimeToLive", request, decodeLeaseTimeToLiveResponse)).ttl;
}

/** One keepalive through this member: the time to live it is told. */
async function keepAlive(cluster: Cluster, machine: Machine, id: bigint): Promise<number> {
  const { call, requests } = machine.open("/etcdserverpb.Lease/LeaseKeepAlive", {}, () => {})!;
  requests.message(encodeLeaseKeepAliveRequest({ id }));
  await cluster.until("a keepalive is answered", () => call.messages.length > 0 || call.done);
  assert.equal(call.error, undefined);
  requests.requestsEnded();
  return decodeLeaseKeepAliveResponse(call.messages[0]!).ttl;
}

test("a lease is kept alive and asked for through any member, and ends on all of them", async () => {
  const cluster = await started();
  const leader = await cluster.leader();
  await grant(cluster, others(cluster, leader)[0]!, 7n, 5);
  for (const machine of [...cluster.machines, ...cluster.machines]) {
    await pass(cluster, 3000);
    assert.equal(await keepAlive(cluster, machine, 7n), 5);
    assert.ok((await timeToLive(cluster, machine, 7n)) >= 4);
  }
  for (const machine of cluster.machines) {
    assert.equal(await keepAlive(cluster, machine, 99n), 0, "there is no such lease");
    assert.equal(await timeToLive(cluster, machine, 99n), -1);
  }
  await pass(cluster, 7000);
  for (const machine of cluster.machines) assert.equal(await timeToLive(cluster, machine, 7n), -1);
});

test("a leader that is cut off neither ends nor prolongs a lease", async () => {
  const cluster = await started();
  const leader = await cluster.leader();
  await grant(cluster, leader, 7n, 2);
  await grant(cluster, leader, 8n, 60);
  const rest = others(cluster, leader);
  cluster.network.partition([[leader.id], rest.map(({ id }) => id)]);
  // Twice the election timeout is what a new leader allows for an old one that does not know yet.
  await pass(cluster, 2100);
  const { call, requests } = leader.open("/etcdserverpb.Lease/LeaseKeepAlive", {}, () => {})!;
  requests.message(encodeLeaseKeepAliveRequest({ id: 8n }));
  await cluster.until("the keepalive fails", () => call.done, 30_000);
  assert.deepEqual(call.messages, []);
  assert.ok(leader.member.lessor.lookup(7n as never) !== undefined);
  await cluster.until("the others end it", () => rest[0]!.member.lessor.lookup(7n as never) === undefined);
  cluster.network.heal();
  await cluster.until("so does the old leader", () => leader.member.lessor.lookup(7n as never) === undefined);
});

test("a leader that is cut off does not say that there is no such lease: another may have granted it", async () => {
  const cluster = await started();
  const leader = await cluster.leader();
  await cluster.put(leader, "k", "v");
  cluster.network.partition([[leader.id], others(cluster, leader).map(({ id }) => id)]);
  const asked = cluster.fails(
    leader,
    "Lease/LeaseTimeToLive",
    encodeLeaseTimeToLiveRequest({ id: 9n, keys: false }),
  );
  const { call, requests } = leader.open("/etcdserverpb.Lease/LeaseKeepAlive", {}, () => {})!;
  requests.message(encodeLeaseKeepAliveRequest({ id: 9n }));
  await cluster.until("the keepalive fails", () => call.done, 30_000);
  assert.deepEqual(call.messages, []);
  assert.ok((await asked).message.length > 0);
});

test("the rest of a long lease outlives the leader when checkpoints are on", async () => {
  const cluster = await started(3, { leaseCheckpoint: true });
  const leader = await cluster.leader();
  await grant(cluster, leader, 7n, 1000);
  await pass(cluster, 301_000);
  leader.kill();
  const next = await cluster.leader(others(cluster, leader));
  await cluster.until("the new leader counts", () => next.member.lessor.isPrimary);
  const left = await timeToLive(cluster, next, 7n);
  assert.ok(left > 690 && left <= 701, `${left} s of the 700 that were written down`);
});

test("a member that lost the others sends its clients away once, within three seconds, and they do not", async () => {
  const cluster = await started();
  const leader = await cluster.leader();
  const told = new Map<Machine, number>();
  for (const machine of cluster.machines)
    machine.member.leaderWatch.onLeaderless = () => told.set(machine, (told.get(machine) ?? 0) + 1);
  const rest = others(cluster, leader);
  const lonely = rest[0]!;
  cluster.network.partition([
    [lonely.id],
    cluster.machines.filter((one) => one !== lonely).map(({ id }) => id),
  ]);
  await cluster.until("the lonely member notices", () => told.size > 0, 3000);
  await pass(cluster, 5000);
  assert.deepEqual([...told], [[lonely, 1]]);
  cluster.network.heal();
  await cluster.leader();
  // An election after the death of a leader is over before that.
  leader.kill();
  await cluster.leader(rest);
  await pass(cluster, 3000);
  assert.deepEqual([...told], [[lonely, 1]]);
});

test("members of Cairn compare their data unasked; beside another kind they wait to be asked", async () => {
  const implied = { corrupt: 2000, compactHash: 0 };
  const cluster = await started(3, { impliedCheckMillis: implied });
  const isChecked = (): boolean =>
    cluster.lines.some((line) => line.endsWith("finished peer corruption check"));
  const leader = await cluster.leader();
  const { peers } = leader.member.network;
  const { versions } = peers;
  // One of etcd's says nothing of Cairn.
  Object.assign(peers, {
    versions: async (...asked: Parameters<typeof versions>) => {
      const { server, cluster: decided } = await versions(...asked);
      return { server, cluster: decided };
    },
  });
  await pass(cluster, 9000);
  assert.ok(!isChecked());
  Object.assign(peers, { versions });
  await cluster.until("the check", isChecked);
});

test("a member whose data differs is named by a CORRUPT alarm on all members, and nothing is written any more", async () => {
  const cluster = await started(3, { corruptCheckMillis: 2000 });
  const leader = await cluster.leader();
  await cluster.put(leader, "k", "v");
  await pass(cluster, 5000);
  assert.ok(cluster.lines.some((line) => line.endsWith("finished peer corruption check")));
  const bad = others(cluster, leader)[0]!;
  const { store } = bad.member;
  const wrong = { hash: 4711, compactRevision: store.compactedRevision, revision: store.currentRevision };
  Object.defineProperty(store, "hashKv", { value: () => new KnownHash(wrong) });
  for (const { member } of cluster.machines) {
    await cluster.until("the alarm is raised", () => member.applyContext.alarms.has(AlarmType.Corrupt));
    assert.deepEqual(
      member.applyContext.alarms.get(AlarmType.Corrupt).map(({ memberId: id }) => id),
      [bad.id],
    );
  }
  const refused = leader.call("/etcdserverpb.KV/Range", encodeRangeRequest(rangeRequest("k")), () => {})!;
  await cluster.until("a read is answered", () => refused.done);
  assert.equal(refused.error, undefined, "reads go on");
});
