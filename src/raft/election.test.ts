// Goal: what raft adds to the paper's elections holds: pre-vote, check quorum and its lease, leadership transfer, forgetting a leader,
// learners.
import assert from "node:assert/strict";
import { test } from "node:test";
import { EMPTY, utf8FromBytes, utf8ToBytes } from "../base/bytes.ts";
import { PROPOSAL_DROPPED } from "./errors.ts";
import { LOCAL_APPEND_THREAD, newMessage, MessageType as T } from "./message.ts";
import { StateType } from "./raft.ts";
import { id, LoneNode, newLeader } from "./testing/lone-node.ts";

test("pre-vote: a member cut off raises no terms, and asks before it campaigns", () => {
  const node = new LoneNode(1, { voters: [1, 2, 3], preVote: true });
  const sent = node.ticks(35);
  assert.equal(node.raw.term, 0);
  assert.equal(node.state, StateType.PreCandidate);
  assert.ok(sent.every((message) => message.type === T.MsgPreVote && message.term === 1));
  node.step(T.MsgPreVoteResp, 2, { term: 1 });
  assert.equal(node.state, StateType.Candidate);
  assert.equal(node.raw.term, 1);
});

test("pre-vote: a refusal from a later term makes the asker follow it", () => {
  const node = new LoneNode(1, { voters: [1, 2, 3], preVote: true });
  node.raw.campaign();
  node.pump();
  node.step(T.MsgPreVoteResp, 2, { term: 5, reject: true });
  assert.equal(node.raw.term, 5);
  assert.equal(node.state, StateType.Follower);
});

test("check quorum: a leader nobody answers steps down; members that hear their leader ignore other candidates", () => {
  const node = newLeader({ checkQuorum: true });
  node.ticks(10);
  assert.equal(node.state, StateType.Leader, "it was heard of in this period");
  node.ticks(10);
  assert.equal(node.state, StateType.Follower);
  const loyal = new LoneNode(1, { voters: [1, 2, 3], checkQuorum: true });
  loyal.step(T.MsgHeartbeat, 2, { term: 1 });
  assert.deepEqual(loyal.step(T.MsgVote, 3, { term: 2, index: 9, logTerm: 1 }), []);
  assert.equal(loyal.raw.term, 1);
  const context = utf8ToBytes("CampaignTransfer");
  const [granted] = loyal.step(T.MsgVote, 3, { term: 2, index: 9, logTerm: 1, context });
  assert.equal(granted?.reject, false, "unless the leader wanted it");
});

test("check quorum: a member that hears its leader grants votes again once it is told to forget it", () => {
  const node = new LoneNode(1, { voters: [1, 2, 3], checkQuorum: true });
  node.step(T.MsgHeartbeat, 2, { term: 1 });
  node.raw.forgetLeader();
  assert.equal(node.raw.lead, id(0));
  const [granted] = node.step(T.MsgVote, 3, { term: 2, index: 9, logTerm: 1 });
  assert.equal(granted?.reject, false);
});

test("transfer: the leader brings the target up to date, takes no proposals, and gives up after an election timeout", () => {
  const node = newLeader();
  node.propose("x");
  node.raw.transferLeader(id(2));
  assert.deepEqual(
    node.pump().filter((message) => message.type === T.MsgTimeoutNow),
    [],
  );
  assert.equal(node.raw.propose(EMPTY), PROPOSAL_DROPPED);
  const sent = node.step(T.MsgAppResp, 2, { term: 1, index: 2 });
  assert.deepEqual(
    sent.filter((message) => message.type === T.MsgTimeoutNow).map((message) => message.to),
    [id(2)],
  );
  assert.equal(node.raw.status().leadTransferee, id(2));
  node.ticks(10);
  assert.equal(node.raw.status().leadTransferee, id(0));
  assert.equal(node.raw.propose(EMPTY), undefined);
});

test("transfer: the target campaigns at once, without pre-vote", () => {
  const node = new LoneNode(1, { voters: [1, 2, 3], preVote: true, checkQuorum: true });
  node.step(T.MsgHeartbeat, 2, { term: 1 });
  const sent = node.step(T.MsgTimeoutNow, 2, { term: 1 });
  assert.ok(sent.every((message) => message.type === T.MsgVote && message.term === 2));
  assert.equal(utf8FromBytes(sent[0]!.context), "CampaignTransfer");
});

test("learners store and vote, but never campaign and never count", () => {
  const learner = new LoneNode(3, { voters: [1, 2], learners: [3] });
  learner.ticks(50);
  learner.raw.campaign();
  assert.deepEqual(learner.pump(), []);
  assert.equal(learner.state, StateType.Follower);
  const [vote] = learner.step(T.MsgVote, 1, { term: 1 });
  assert.equal(vote?.reject, false);

  const node = new LoneNode(1, { voters: [1, 2], learners: [3] });
  node.raw.campaign();
  node.pump();
  node.step(T.MsgVoteResp, 2, { term: 1 });
  node.step(T.MsgAppResp, 3, { term: 1, index: 1 });
  assert.equal(node.raw.committed, 0);
  node.raw.transferLeader(id(3));
  assert.equal(node.raw.status().leadTransferee, id(0));
});

test("a candidate leads only when its own vote is on disk, however many others have voted for it", () => {
  const node = new LoneNode(1, { voters: [1, 2, 3], asyncStorageWrites: true });
  node.raw.campaign();
  const append = node.raw.ready().messages.find((message) => message.to === LOCAL_APPEND_THREAD);
  for (const voter of [2, 3]) {
    node.raw.step({ ...newMessage(T.MsgVoteResp, id(1)), from: id(voter), term: 1 });
  }
  assert.equal(node.state, StateType.Candidate);
  for (const response of append!.responses) node.raw.step(response);
  assert.equal(node.state, StateType.Leader);
});

test("an election begins within its delay behind the election timeout, etcd's or the one that is asked for", () => {
  const ticksUntilCampaign = (
    electionDelay: { from: number; below: number } | undefined,
    dice: number,
  ): number => {
    const random = (bound: number): number => Math.floor(dice * bound);
    const options = electionDelay === undefined ? {} : { electionDelay };
    const node = new LoneNode(1, { voters: [1, 2, 3], preVote: true, random, ...options });
    for (let ticks = 1; ; ticks++) {
      node.ticks(1);
      if (node.state !== StateType.Follower) return ticks;
    }
  };
  for (const [delay, soonest, latest] of [
    [undefined, 10, 19],
    [{ from: 1, below: 6 }, 11, 15],
  ] as const)
    assert.deepEqual([ticksUntilCampaign(delay, 0), ticksUntilCampaign(delay, 0.999)], [soonest, latest]);
});
