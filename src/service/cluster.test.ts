// Goal: changes of members as etcdctl asks for them, with etcd's answers and refusals. Method: a member that is alone with its services on a
// simulated clock; what needs a second member running is the cluster tests'.
import assert from "node:assert/strict";
import { test } from "node:test";
import { isEtcdError } from "../base/errors.ts";
import {
  decodeMemberAddResponse,
  decodeMemberListResponse,
  decodeMemberRemoveResponse,
  decodeMemberUpdateResponse,
  encodeMemberAddRequest,
  encodeMemberListRequest,
  encodeMemberPromoteRequest,
  encodeMemberRemoveRequest,
  encodeMemberUpdateRequest,
  encodeMoveLeaderRequest,
  type Member,
} from "../wire/generated/etcdserverpb.ts";
import { Serving } from "./serving.test.ts";

const describe = (members: readonly Member[]): string[] =>
  members
    .map(({ name, peerUrls, isLearner }) => `${name || "?"} ${peerUrls}${isLearner ? " learner" : ""}`)
    .sort();

async function list(serving: Serving): Promise<string[]> {
  const message = encodeMemberListRequest({ linearizable: true });
  const answer = await serving.call("Cluster/MemberList", message, decodeMemberListResponse);
  assert.ok(!isEtcdError(answer));
  assert.equal(answer.header?.revision, 0, "headers of this service carry no revision");
  return describe(answer.members);
}

async function addLearner(serving: Serving, url: string): Promise<Member> {
  const message = encodeMemberAddRequest({ peerUrls: [url], isLearner: true });
  const answer = await serving.call("Cluster/MemberAdd", message, decodeMemberAddResponse);
  assert.ok(!isEtcdError(answer), isEtcdError(answer) ? answer.message : "");
  assert.ok(answer.member !== undefined);
  assert.equal(answer.members.length, 2);
  return answer.member;
}

test("a learner is added, listed, moved, kept from a vote it is not ready for, and removed for good", async () => {
  const serving = await Serving.start();
  const learner = await addLearner(serving, "http://localhost:5380");
  const self = "default http://localhost:2380";
  assert.deepEqual(await list(serving), ["? http://localhost:5380 learner", self]);

  const moved = encodeMemberUpdateRequest({ id: learner.id, peerUrls: ["http://localhost:6380"] });
  const updated = await serving.call("Cluster/MemberUpdate", moved, decodeMemberUpdateResponse);
  assert.deepEqual(isEtcdError(updated) || describe(updated.members), [
    "? http://localhost:6380 learner",
    self,
  ]);

  const refusals: [string, Uint8Array, string][] = [
    [
      "MemberAdd",
      encodeMemberAddRequest({ peerUrls: ["http://localhost:7380"], isLearner: true }),
      "9 etcdserver: too many learner members in cluster",
    ],
    [
      "MemberAdd",
      encodeMemberAddRequest({ peerUrls: ["http://localhost:6380"], isLearner: false }),
      "9 etcdserver: Peer URLs already exists",
    ],
    [
      "MemberAdd",
      encodeMemberAddRequest({ peerUrls: ["localhost:6380"], isLearner: false }),
      "3 etcdserver: given member URLs are invalid",
    ],
    [
      "MemberPromote",
      encodeMemberPromoteRequest({ id: learner.id }),
      "9 etcdserver: can only promote a learner member which is in sync with leader",
    ],
    ["MemberPromote", encodeMemberPromoteRequest({ id: 9n }), "5 etcdserver: member not found"],
    ["MemberRemove", encodeMemberRemoveRequest({ id: 9n }), "5 etcdserver: member not found"],
    ["MemberUpdate", encodeMemberUpdateRequest({ id: 9n, peerUrls: [] }), "5 etcdserver: member not found"],
  ];
  for (const [method, message, text] of refusals)
    assert.equal(await serving.fails(`Cluster/${method}`, message), text);

  const removal = encodeMemberRemoveRequest({ id: learner.id });
  const removed = await serving.call("Cluster/MemberRemove", removal, decodeMemberRemoveResponse);
  assert.deepEqual(isEtcdError(removed) || describe(removed.members), [self]);
  assert.equal(await serving.fails("Cluster/MemberRemove", removal), "5 etcdserver: member not found");
});

test("members are there again in the next life, and removed ones are remembered", async () => {
  const serving = await Serving.start();
  const learner = await addLearner(serving, "http://localhost:5380");
  await serving.machine.stop();
  await serving.boot();
  assert.equal((await list(serving)).length, 2);
  const removal = encodeMemberRemoveRequest({ id: learner.id });
  await serving.call("Cluster/MemberRemove", removal, decodeMemberRemoveResponse);
  await serving.machine.stop();
  await serving.boot();
  assert.equal((await list(serving)).length, 1);
  assert.ok(serving.machine.member.membership.isRemoved(learner.id as never));
});

test("the only member can neither leave nor give its leadership away", async () => {
  const serving = await Serving.start();
  const { localId } = serving.machine.member;
  assert.equal(
    await serving.fails("Cluster/MemberRemove", encodeMemberRemoveRequest({ id: localId })),
    "2 etcdserver: re-configuration failed due to not enough started members",
  );
  assert.equal(
    await serving.fails("Cluster/MemberPromote", encodeMemberPromoteRequest({ id: localId })),
    "9 etcdserver: can only promote a learner member",
  );
  assert.equal(
    await serving.fails("Maintenance/MoveLeader", encodeMoveLeaderRequest({ targetId: 9n })),
    "9 etcdserver: bad leader transferee",
  );
});
