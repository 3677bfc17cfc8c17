// Goal: texts of raft's data are those of etcd's raft. The traces cover most forms; here are those they do not show.
import assert from "node:assert/strict";
import { test } from "node:test";
import { EMPTY, utf8ToBytes } from "../base/bytes.ts";
import {
  describeConfChange,
  describeConfStateProto,
  describeEntry,
  describeMessage,
  describeMessageType,
  quoteBytes,
} from "./describe.ts";
import {
  EntryType,
  type MessageType,
  newEntry,
  newHardState,
  newMessage,
  MessageType as T,
} from "./message.ts";
import { describeReady } from "./ready.ts";
import { confState, id } from "./testing/lone-node.ts";

test("bytes are quoted as Go's %q does", () => {
  const cases: readonly (readonly [Uint8Array, string])[] = [
    [utf8ToBytes("plain \"text\" \\ 'x'"), '"plain \\"text\\" \\\\ \'x\'"'],
    [Uint8Array.of(7, 8, 9, 10, 11, 12, 13), '"\\a\\b\\t\\n\\v\\f\\r"'],
    [Uint8Array.of(0, 0x1f, 0x7f), '"\\x00\\x1f\\x7f"'],
    [Uint8Array.of(0xff, 0xc3, 0x28, 0xe2, 0x82), '"\\xff\\xc3(\\xe2\\x82"'],
    [utf8ToBytes("äß€😀"), '"äß€😀"'],
    [utf8ToBytes("\u0085\u200b\ue000\u{e0001}"), '"\\u0085\\u200b\\ue000\\U000e0001"'],
    [utf8ToBytes("\ufffd"), '"\ufffd"'],
    [Uint8Array.of(0xed, 0xa0, 0x80), '"\\xed\\xa0\\x80"'],
  ];
  for (const [bytes, text] of cases) assert.equal(quoteBytes(bytes), text);
});

test("unknown types and undecodable changes are shown, not hidden", () => {
  assert.equal(describeMessageType(99 as MessageType), "99");
  const entry = newEntry(1, 2, EntryType.ConfChangeV2, Uint8Array.of(0xff));
  assert.match(describeEntry(entry), /^1\/2 EntryConfChangeV2 proto: /);
});

test("a change is shown with its transition, its operations and its context", () => {
  const changes = [{ type: 3, nodeId: id(5) }];
  assert.equal(
    describeConfChange({ version: 2, transition: 1, changes, context: utf8ToBytes("c") }),
    'transition:ConfChangeTransitionJointImplicit changes:{type:ConfChangeAddLearnerNode node_id:5} context:"c"',
  );
});

test("a membership in protobuf's text form", () => {
  assert.equal(
    describeConfStateProto(confState([1, 2], [3])),
    "voters:1 voters:2 learners:3 auto_leave:false",
  );
});

test("an application may show its own data", () => {
  const message = newMessage(T.MsgApp, id(255));
  message.from = id(16);
  message.entries = [newEntry(1, 1, EntryType.Normal, EMPTY)];
  assert.equal(
    describeMessage(message, () => "mine"),
    "10->ff MsgApp Term:0 Log:0/0 Entries:[1/1 EntryNormal mine]",
  );
});

test("a Ready with read states, and an empty one", () => {
  const ready = {
    softState: undefined,
    hardState: newHardState(1, id(0), 2),
    readStates: [{ index: 5, requestContext: Uint8Array.of(1, 2) }],
    entries: [],
    snapshot: undefined,
    committedEntries: [],
    messages: [],
    mustSync: false,
  };
  assert.equal(
    describeReady(ready),
    "Ready MustSync=false:\nHardState Term:1 Commit:2\nReadStates [{5 [1 2]}]\n",
  );
  assert.equal(describeReady({ ...ready, hardState: undefined, readStates: [] }), "<empty Ready>");
});
