// Goal: ids are etcd's, and a change is refused for etcd's reasons, in etcd's order.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { type ClusterId, type MemberId, memberId } from "../base/brand.ts";
import { errors } from "../base/errors.ts";
import { Alarms, AlarmType } from "./alarms.ts";
import { computeClusterId, computeMemberId, hexId, type Sha1 } from "./ids.ts";
import { type ClusterMember, Membership } from "./membership.ts";

const sha1: Sha1 = (chunks) => {
  const hash = createHash("sha1");
  for (const chunk of chunks) hash.update(chunk);
  return hash.digest();
};
const id = (n: number): MemberId => memberId(BigInt(n));

function member(n: number, change: Partial<ClusterMember> = {}): ClusterMember {
  const base = {
    id: id(n),
    peerUrls: [`http://10.0.0.${n}:2380`],
    isLearner: false,
    name: `m${n}`,
    clientUrls: [],
  };
  return { ...base, ...change };
}

function three(): Membership {
  const membership = new Membership(1n as ClusterId, id(1), 1);
  for (const n of [3, 1, 2]) membership.apply({ kind: "add", member: member(n) });
  return membership;
}

test("a default etcd has the ids that every default etcd has", () => {
  // `etcd` without flags prints these two in its first log lines.
  const local = computeMemberId(["http://localhost:2380"], "etcd-cluster", undefined, sha1);
  assert.equal(hexId(local), "8e9e05c52164694d");
  assert.equal(hexId(computeClusterId([local], sha1)), "cdf818194e3a8c32");
});

test("members are listed by id", () => {
  assert.deepEqual(
    three()
      .members()
      .map((each) => each.name),
    ["m1", "m2", "m3"],
  );
});

test("adding is refused for a known id, a removed id, a taken URL and a learner too many", () => {
  const membership = three();
  assert.equal(membership.validate({ kind: "add", member: member(1) }), errors.memberExist);
  assert.equal(
    membership.validate({ kind: "add", member: member(4, { peerUrls: ["http://10.0.0.2:2380"] }) }),
    errors.peerUrlExist,
  );
  membership.apply({ kind: "add", member: member(5, { isLearner: true }) });
  assert.equal(
    membership.validate({ kind: "add", member: member(6, { isLearner: true }) }),
    errors.tooManyLearners,
  );
  membership.apply({ kind: "remove", id: id(3) });
  assert.equal(membership.validate({ kind: "add", member: member(3) }), errors.memberNotFound);
});

test("only a learner is promoted, and keeps everything else", () => {
  const membership = three();
  assert.equal(membership.validate({ kind: "promote", id: id(1) }), errors.memberNotLearner);
  assert.equal(membership.validate({ kind: "promote", id: id(9) }), errors.memberNotFound);
  membership.apply({ kind: "add", member: member(5, { isLearner: true }) });
  membership.apply({ kind: "promote", id: id(5) });
  assert.deepEqual(membership.member(id(5)), member(5));
});

test("alarms are raised once and cleared by member and type", () => {
  const alarms = new Alarms();
  alarms.activate(id(1), AlarmType.NoSpace);
  alarms.activate(id(1), AlarmType.NoSpace);
  alarms.activate(id(2), AlarmType.Corrupt);
  assert.equal(alarms.get(AlarmType.None).length, 2);
  assert.equal(alarms.deactivate(id(2), AlarmType.NoSpace), undefined);
  assert.deepEqual(alarms.deactivate(id(1), AlarmType.NoSpace), {
    memberId: id(1),
    alarm: AlarmType.NoSpace,
  });
  assert.equal(alarms.has(AlarmType.NoSpace), false);
});
