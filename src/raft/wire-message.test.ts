// Goal: messages pass between raft and the wire unchanged, and nothing misshapen gets in. Method: through raftpb's own codec and back.
import assert from "node:assert/strict";
import { test } from "node:test";
import { utf8ToBytes } from "../base/bytes.ts";
import * as raftpb from "../wire/generated/raftpb.ts";
import {
  EntryType,
  isEmptySnapshot,
  type Message,
  MessageType,
  newEntry,
  newMessage,
  newSnapshot,
} from "./message.ts";
import { confState, id } from "./testing/lone-node.ts";
import { messageFromWire, messageToWire } from "./wire-message.ts";

function full(): Message {
  return {
    type: MessageType.MsgApp,
    to: id(2),
    from: id(1),
    term: 7,
    logTerm: 6,
    index: 2 ** 40,
    entries: [
      newEntry(6, 11, EntryType.Normal, utf8ToBytes("x")),
      newEntry(7, 12, EntryType.ConfChangeV2, utf8ToBytes("")),
    ],
    commit: 10,
    vote: id(3),
    snapshot: newSnapshot(
      9,
      5,
      { ...confState([1, 2], [3]), votersOutgoing: [id(1)], autoLeave: true },
      utf8ToBytes("s"),
    ),
    reject: true,
    rejectHint: 4,
    context: utf8ToBytes("c"),
    responses: [],
  };
}

/** Bytes as lists of numbers: views and copies compare alike. */
function plain(value: unknown): string {
  return JSON.stringify(value, (_, one) =>
    typeof one === "bigint" ? `${one}n` : one instanceof Uint8Array ? [...one] : one,
  );
}

test("a message is the same after the way over the wire", () => {
  for (const message of [full(), newMessage(MessageType.MsgHeartbeat, id(9))]) {
    const bytes = raftpb.encodeMessage(messageToWire(message));
    assert.equal(plain(messageFromWire(raftpb.decodeMessage(bytes))), plain(message));
  }
});

test("an empty snapshot, as older members send it, is one without parts", () => {
  const wire = raftpb.createMessage();
  wire.snapshot = raftpb.createSnapshot();
  const message = messageFromWire(wire);
  assert.ok(typeof message !== "string");
  assert.equal(isEmptySnapshot(message.snapshot), true);
  assert.deepEqual(message.snapshot?.metadata.confState.voters, []);
});

test("what raft could not handle is refused with a reason", () => {
  const cases: readonly (readonly [Partial<raftpb.Message>, RegExp])[] = [
    [{ type: 24 }, /unknown message type 24/],
    [{ type: -1 }, /unknown message type -1/],
    [{ term: 2 ** 60 }, /out of range/],
    [{ commit: 2 ** 53 }, /out of range/],
    [{ entries: [{ term: 1, index: 1, type: 3, data: new Uint8Array(0) }] }, /type 3/],
    [{ entries: [{ term: 1, index: 2 ** 53, type: 0, data: new Uint8Array(0) }] }, /out of range/],
    [
      { snapshot: { data: new Uint8Array(0), metadata: { confState: undefined, index: 2 ** 53, term: 0 } } },
      /snapshot/,
    ],
  ];
  for (const [fields, reason] of cases) {
    const refused = messageFromWire({ ...raftpb.createMessage(), ...fields });
    assert.ok(typeof refused === "string");
    assert.match(refused, reason);
  }
});
