// Goal: a linearizable read is answered only when the leader has proved that it still leads, with an index that misses nothing.
import assert from "node:assert/strict";
import { test } from "node:test";
import { EMPTY, utf8FromBytes, utf8ToBytes } from "../base/bytes.ts";
import { ConfChangeType } from "./conf-change.ts";
import { ReadOnlyOption } from "./config.ts";
import { EntryType, type Message, newEntry, MessageType as T } from "./message.ts";
import { StateType } from "./raft.ts";
import { id, LoneNode, type LoneOptions } from "./testing/lone-node.ts";

const three: LoneOptions = { voters: [1, 2, 3] };

/** Leads in term 1; its first entry is committed if `committed`. */
function leader(committed: boolean, options: LoneOptions = three): LoneNode {
  const node = new LoneNode(1, options);
  node.raw.campaign();
  node.pump();
  node.step(T.MsgVoteResp, 2, { term: 1 });
  if (committed) node.step(T.MsgAppResp, 2, { term: 1, index: 1 });
  return node;
}

function read(node: LoneNode, context: string): Message[] {
  node.raw.readIndex(utf8ToBytes(context));
  return node.pump();
}

function answers(node: LoneNode): string[] {
  return node.readies.flatMap((ready) =>
    ready.readStates.map((state) => `${utf8FromBytes(state.requestContext)}@${state.index}`),
  );
}

function heartbeats(sent: readonly Message[]): Message[] {
  return sent.filter((message) => message.type === T.MsgHeartbeat);
}

function confirm(node: LoneNode, from: number, heartbeat: Message): Message[] {
  return node.step(T.MsgHeartbeatResp, from, { term: node.raw.term, context: heartbeat.context });
}

test("the only voter answers at once", () => {
  const node = new LoneNode(1, { voters: [1] });
  node.raw.campaign();
  node.pump();
  read(node, "a");
  assert.deepEqual(answers(node), ["a@1"]);
});

test("a leader of several answers when a quorum has confirmed it, with the commit index of the time of asking", () => {
  const node = leader(true);
  const [heartbeat] = heartbeats(read(node, "a"));
  assert.equal(heartbeat?.context.length, 8);
  assert.deepEqual(answers(node), []);
  node.propose("x");
  node.step(T.MsgAppResp, 3, { term: 1, index: 2 });
  assert.equal(node.raw.committed, 2);
  confirm(node, 2, heartbeat!);
  assert.deepEqual(answers(node), ["a@1"]);
});

test("one confirmed heartbeat answers all reads before it, and none after it", () => {
  const node = leader(true);
  read(node, "a");
  const [second] = heartbeats(read(node, "b"));
  read(node, "c");
  confirm(node, 3, second!);
  assert.deepEqual(answers(node), ["a@1", "b@1"]);
});

test("a periodic heartbeat carries the waiting reads, should the first have been lost", () => {
  const node = leader(true);
  read(node, "a");
  const [again] = heartbeats(node.ticks(1));
  confirm(node, 2, again!);
  assert.deepEqual(answers(node), ["a@1"]);
});

test("answers of a minority, of the same member twice, or with another context confirm nothing", () => {
  const node = leader(true, { voters: [1, 2, 3, 4, 5] });
  node.step(T.MsgVoteResp, 3, { term: 1 });
  assert.equal(node.state, StateType.Leader);
  node.step(T.MsgAppResp, 2, { term: 1, index: 1 });
  node.step(T.MsgAppResp, 3, { term: 1, index: 1 });
  const [heartbeat] = heartbeats(read(node, "a"));
  confirm(node, 2, heartbeat!);
  confirm(node, 2, heartbeat!);
  node.step(T.MsgHeartbeatResp, 3, { term: 1, context: Uint8Array.of(1) });
  node.step(T.MsgHeartbeatResp, 4, { term: 1, context: EMPTY });
  assert.deepEqual(answers(node), []);
  confirm(node, 3, heartbeat!);
  assert.deepEqual(answers(node), ["a@1"]);
});

test("a context from beyond all reads releases no more than there are", () => {
  const node = leader(true);
  read(node, "a");
  node.step(T.MsgHeartbeatResp, 2, { term: 1, context: new Uint8Array(8).fill(0xff) });
  node.step(T.MsgHeartbeatResp, 3, { term: 1, context: new Uint8Array(8).fill(0xff) });
  assert.deepEqual(answers(node), ["a@1"]);
});

test("before its first commit a leader does not know the commit index: reads wait for it", () => {
  const node = leader(false);
  assert.deepEqual(heartbeats(read(node, "early")), []);
  const sent = node.step(T.MsgAppResp, 2, { term: 1, index: 1 });
  const [heartbeat] = heartbeats(sent);
  confirm(node, 2, heartbeat!);
  assert.deepEqual(answers(node), ["early@1"]);
});

test("a read that waited when the leader lost its term is never answered from the old one", () => {
  const node = leader(true);
  const [heartbeat] = heartbeats(read(node, "a"));
  node.step(T.MsgHeartbeat, 3, { term: 2 });
  confirm(node, 2, heartbeat!);
  assert.deepEqual(answers(node), []);
});

test("a follower passes reads to its leader and takes the answer; without a leader it drops them", () => {
  const node = new LoneNode(1, three);
  assert.deepEqual(read(node, "lost"), []);
  node.step(T.MsgHeartbeat, 2, { term: 1 });
  const [forwarded] = read(node, "a");
  assert.equal(forwarded?.to, id(2));
  assert.equal(forwarded?.type, T.MsgReadIndex);
  node.step(T.MsgReadIndexResp, 2, { term: 1, index: 4, entries: forwarded!.entries });
  assert.deepEqual(answers(node), ["a@4"]);
  node.step(T.MsgReadIndexResp, 2, { term: 1, index: 4, entries: [] });
  assert.deepEqual(answers(node), ["a@4"]);
});

test("another member's read is answered by message", () => {
  const node = leader(true);
  const entries = [newEntry(0, 0, EntryType.Normal, utf8ToBytes("theirs"))];
  const [heartbeat] = heartbeats(node.step(T.MsgReadIndex, 3, { entries }));
  const [answer] = confirm(node, 2, heartbeat!).filter((message) => message.type === T.MsgReadIndexResp);
  assert.equal(answer?.to, id(3));
  assert.equal(answer?.index, 1);
  assert.equal(utf8FromBytes(answer!.entries[0]!.data), "theirs");
  assert.deepEqual(node.step(T.MsgReadIndex, 3, { entries: [] }), []);
});

test("with leases a leader answers at once, trusting the clocks", () => {
  const node = leader(true, { ...three, checkQuorum: true, readOnlyOption: ReadOnlyOption.LeaseBased });
  assert.deepEqual(read(node, "a"), []);
  assert.deepEqual(answers(node), ["a@1"]);
});

test("a demoted leader that has not stepped down asks the one voter that is left", () => {
  const node = leader(true);
  const demote = (target: number): void => {
    const type = ConfChangeType.AddLearnerNode;
    node.raw.applyConfChange({ version: 1, id: 0n, type, nodeId: id(target), context: EMPTY });
    node.pump();
  };
  demote(3);
  demote(1);
  assert.equal(node.state, StateType.Leader);
  const [heartbeat] = heartbeats(read(node, "a"));
  assert.deepEqual(answers(node), []);
  confirm(node, 2, heartbeat!);
  assert.deepEqual(answers(node), ["a@1"]);
});
