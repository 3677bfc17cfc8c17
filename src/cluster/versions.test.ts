// Goal: the cluster's version is what etcd's leader would decide from the same answers. Method: etcd's own cases of its version package,
// as rows of facts and decisions.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  decideClusterVersion,
  isTooOld,
  isValidChange,
  isValidDowngrade,
  membersBeside,
  parseTargetVersion,
  parseVersion,
} from "./versions.ts";

const at = (text: string) => parseVersion(text)!;
const decide = (
  cluster: string | undefined,
  target: string | undefined,
  ...servers: (string | undefined)[]
): string => {
  const members = servers.map((server, i) => ({ id: BigInt(i + 1), server }));
  const decision = decideClusterVersion({ cluster, downgradeTarget: target, members });
  return decision.kind === "keep" ? "keep" : `${decision.kind} ${decision.version}`;
};

test("a cluster without a version takes the lowest server's minor version, or 3.0.0 while one is not known", () => {
  assert.equal(decide(undefined, undefined, "3.7.1"), "set 3.7.0");
  assert.equal(decide(undefined, undefined, "3.7.1", "3.6.14"), "set 3.6.0");
  assert.equal(decide(undefined, undefined, "3.7.1", undefined), "set 3.0.0");
  assert.equal(decide(undefined, undefined, "3.7.1", "nonsense"), "set 3.0.0");
});

test("the version rises with the lowest server and never falls by itself", () => {
  assert.equal(decide("3.0.0", undefined, "3.7.1", "3.7.1"), "set 3.7.0");
  assert.equal(decide("3.6.0", undefined, "3.7.1", "3.6.14"), "keep");
  assert.equal(decide("3.7.0", undefined, "3.7.1", "3.7.0"), "keep");
  assert.equal(decide("3.7.0", undefined, "3.6.1", "3.6.1"), "keep");
  assert.equal(decide("3.6.0", undefined, "3.7.1", undefined), "keep");
});

test("a downgrade goes down one minor version, if servers and cluster are no further away", () => {
  assert.equal(decide("3.7.0", "3.6.0", "3.7.1", "3.7.1"), "set 3.6.0");
  assert.equal(decide("3.6.0", "3.6.0", "3.7.1", "3.6.1"), "keep");
  assert.equal(decide("3.7.0", "3.5.0", "3.7.1"), "invalid 3.7.0");
  assert.equal(decide("3.7.0", "3.6.0", "3.8.1", "3.8.0"), "invalid 3.8.0");
});

test("a version may rise by any number of minors, fall by one, and never change its major", () => {
  assert.ok(isValidChange(at("3.4.0"), at("3.7.1")));
  assert.ok(isValidChange(at("3.7.2"), at("3.6.0")));
  assert.ok(!isValidChange(at("3.7.0"), at("3.5.0")));
  assert.ok(!isValidChange(at("3.7.0"), at("4.0.0")));
  assert.ok(!isValidChange(at("3.7.0"), at("3.7.5")));
  assert.ok(!isValidDowngrade(at("3.7.0"), at("3.7.0")));
});

test("a server older than its cluster's minor version is too old, whatever the patches are", () => {
  assert.ok(isTooOld("3.7.9", "3.8.0"));
  assert.ok(!isTooOld("3.7.1", "3.7.0"));
  assert.ok(!isTooOld("3.7.1", "3.6.0"));
  assert.ok(!isTooOld("3.7.1", undefined));
});

test("a target may leave the patch out, and nothing else", () => {
  assert.deepEqual(parseTargetVersion("3.6"), at("3.6.0"));
  assert.deepEqual(parseTargetVersion("3.6.14"), at("3.6.0"));
  for (const wrong of ["", "3", "3.6.1.2", "v3.6", "three"])
    assert.equal(parseTargetVersion(wrong), undefined);
});

test("a downgrade is complete when every member is known to run the target's minor version", () => {
  const members = ["3.6.0", "3.6.14", "3.7.1"].map((server, i) => ({ id: BigInt(i), server }));
  assert.deepEqual(membersBeside(at("3.6.0"), members), [members[2]]);
  assert.deepEqual(membersBeside(at("3.6.0"), members.slice(0, 2)), []);
  assert.equal(membersBeside(at("3.6.0"), [...members, { id: 9n, server: undefined }]), undefined);
});
