// Goal: memberships change one at a time, through joint configurations where needed, and begin with a bootstrap. The traces show the
// ways; here are the promises to the application.
import assert from "node:assert/strict";
import { test } from "node:test";
import { EMPTY, utf8FromBytes, utf8ToBytes } from "../base/bytes.ts";
import { ConfChangeTransition, ConfChangeType } from "./conf-change.ts";
import { decodeConfChange } from "./conf-change-codec.ts";
import { EntryType, newMessage, newSnapshot, MessageType as T } from "./message.ts";
import { confState, id, ids, LoneNode, newLeader } from "./testing/lone-node.ts";

test("bootstrap writes the members as committed changes that the application sees and applies once more", () => {
  const node = new LoneNode(1, { voters: [] });
  assert.equal(node.raw.bootstrap([]), "must provide at least one peer to Bootstrap");
  const peers = [
    { id: id(1), context: utf8ToBytes("one") },
    { id: id(2), context: utf8ToBytes("two") },
  ];
  assert.equal(node.raw.bootstrap(peers), undefined);
  assert.deepEqual(node.raw.status().config.voters.incoming, ids(1, 2));
  const ready = node.pumpOnce();
  assert.deepEqual([ready.hardState?.term, ready.hardState?.commit], [1, 2]);
  const changes = ready.committedEntries.map((entry) => decodeConfChange(entry.data));
  assert.deepEqual(
    changes.map((change) => [change?.nodeId, utf8FromBytes(change!.context)]),
    [
      [id(1), "one"],
      [id(2), "two"],
    ],
  );
  node.pump();
  node.raw.campaign();
  node.pump();
  assert.equal(node.raw.term, 2);
  assert.equal(node.raw.bootstrap(peers), "can't bootstrap a nonempty Storage");
});

test("one membership change at a time: a second one becomes an empty entry until the first is applied", () => {
  const node = newLeader();
  const add = (target: number): void => {
    const change = {
      version: 1,
      id: 7n,
      type: ConfChangeType.AddNode,
      nodeId: id(target),
      context: EMPTY,
    } as const;
    assert.equal(node.raw.proposeConfChange(change), undefined);
    node.pump();
  };
  add(4);
  add(5);
  node.step(T.MsgAppResp, 2, { term: 1, index: 3 });
  assert.deepEqual(
    node.applied.slice(-2).map((entry) => entry.type),
    [EntryType.ConfChange, EntryType.Normal],
  );
  assert.deepEqual(node.raw.status().config.voters.incoming, ids(1, 2, 3, 4));
});

test("a joint change that leaves by itself is ended by the leader as soon as it is applied", () => {
  const node = newLeader();
  const changes = [
    { type: ConfChangeType.AddNode, nodeId: id(4) },
    { type: ConfChangeType.AddLearnerNode, nodeId: id(3) },
  ];
  const transition = ConfChangeTransition.Auto;
  node.raw.proposeConfChange({ version: 2, transition, changes, context: EMPTY });
  node.pump();
  node.step(T.MsgAppResp, 2, { term: 1, index: 2 });
  const { config: joint } = node.raw.status();
  assert.deepEqual([joint.voters.outgoing, joint.learnersNext], [ids(1, 2, 3), ids(3)]);
  node.step(T.MsgAppResp, 2, { term: 1, index: 3 });
  node.step(T.MsgAppResp, 4, { term: 1, index: 3 });
  const { config: after } = node.raw.status();
  assert.deepEqual(
    [after.voters.incoming, after.voters.outgoing, after.learners],
    [ids(1, 2, 4), [], ids(3)],
  );
});

test("while a received snapshot is being stored, an older membership change no longer counts", () => {
  const node = new LoneNode(3, { voters: [1, 2, 3] });
  const snapshot = newSnapshot(10, 2, confState([1, 2, 3, 4]), EMPTY);
  node.raw.step({ ...newMessage(T.MsgSnap, id(3)), from: id(1), term: 2, snapshot });
  const remove = {
    version: 1,
    id: 0n,
    type: ConfChangeType.RemoveNode,
    nodeId: id(4),
    context: EMPTY,
  } as const;
  assert.deepEqual(node.raw.applyConfChange(remove).voters, ids(1, 2, 3, 4));
  node.pump();
  assert.deepEqual(node.raw.applyConfChange(remove).voters, ids(1, 2, 3));
});
