// Goal: RawNode keeps its promises to the member: what is refused and how, what a Ready holds and in which order, what limits do,
// and how a cluster begins and a member restarts.
import assert from "node:assert/strict";
import { test } from "node:test";
import { EMPTY, utf8ToBytes } from "../base/bytes.ts";
import { type Config, configProblem, ReadOnlyOption } from "./config.ts";
import { PROPOSAL_DROPPED, STEP_LOCAL_MESSAGE, STEP_PEER_NOT_FOUND } from "./errors.ts";
import { MemoryStorage } from "./memory-storage.ts";
import {
  type Entry,
  EntryType,
  LOCAL_APPEND_THREAD,
  LOCAL_APPLY_THREAD,
  type Message,
  type MessageType,
  newEntry,
  newMessage,
  newSnapshot,
  MessageType as T,
} from "./message.ts";
import { StateType } from "./raft.ts";
import { RawNode } from "./raw-node.ts";
import { describeStatus } from "./status.ts";
import { confState, id, LoneNode, type LoneOptions, logOf, newLeader } from "./testing/lone-node.ts";

const normal = (text: string): Entry => newEntry(0, 0, EntryType.Normal, utf8ToBytes(text));

const silent = { debug() {}, info() {}, warn() {}, error() {}, debugEnabled: false };

function config(overrides: Partial<Config>): Config {
  return {
    id: id(1),
    electionTick: 10,
    heartbeatTick: 1,
    storage: new MemoryStorage(),
    logger: silent,
    random: () => 0,
    maxSizePerMsg: Number.POSITIVE_INFINITY,
    maxInflightMsgs: 16,
    ...overrides,
  };
}

function alone(options: Omit<LoneOptions, "voters"> = {}): LoneNode {
  const node = new LoneNode(1, { ...options, voters: [1] });
  node.raw.campaign();
  node.pump();
  return node;
}

test("a configuration that cannot work is named in etcd's words", () => {
  const cases: readonly (readonly [Partial<Config>, string | undefined])[] = [
    [{}, undefined],
    [{ id: id(0) }, "cannot use none as id"],
    [{ id: LOCAL_APPLY_THREAD }, "cannot use local target as id"],
    [{ heartbeatTick: 0 }, "heartbeat tick must be greater than 0"],
    [{ electionTick: 1 }, "election tick must be greater than heartbeat tick"],
    [{ maxInflightMsgs: 0 }, "max inflight messages must be greater than 0"],
    [{ maxSizePerMsg: 10, maxInflightBytes: 9 }, "max inflight bytes must be >= max message size"],
    [
      { readOnlyOption: ReadOnlyOption.LeaseBased },
      "CheckQuorum must be enabled when ReadOnlyOption is ReadOnlyLeaseBased",
    ],
  ];
  for (const [overrides, problem] of cases) assert.equal(configProblem(config(overrides)), problem);
  assert.throws(() => new RawNode(config({ id: id(0) })), /cannot use none as id/);
});

test("a hard state that does not fit the log stops the start", () => {
  assert.throws(() => new LoneNode(1, { voters: [1], commit: 5 }), /state.commit 5 is out of range \[0, 0\]/);
});

test("local messages from the network, and responses from strangers, are refused", () => {
  const { raw } = new LoneNode(1, { voters: [1, 2] });
  for (const type of [
    T.MsgHup,
    T.MsgBeat,
    T.MsgUnreachable,
    T.MsgSnapStatus,
    T.MsgCheckQuorum,
    T.MsgStorageAppend,
  ]) {
    assert.equal(raw.step({ ...newMessage(type, id(1)), from: id(2) }), STEP_LOCAL_MESSAGE);
  }
  for (const type of [
    T.MsgAppResp,
    T.MsgVoteResp,
    T.MsgHeartbeatResp,
    T.MsgPreVoteResp,
    T.MsgReadIndexResp,
  ]) {
    assert.equal(raw.step({ ...newMessage(type, id(1)), from: id(9), term: 1 }), STEP_PEER_NOT_FOUND);
  }
  assert.equal(STEP_LOCAL_MESSAGE.message, "raft: cannot step raft local message");
  assert.equal(STEP_PEER_NOT_FOUND.message, "raft: cannot step as peer not found");
});

test("messages of other members that make no sense have no effect", () => {
  const node = new LoneNode(1, { voters: [1, 2, 3], log: logOf(1, 1), term: 1 });
  assert.deepEqual(node.step(T.MsgVote, 2, { term: 0, index: 9, logTerm: 9 }), []);
  const gap = [newEntry(1, 7, EntryType.Normal, EMPTY)];
  assert.deepEqual(node.step(T.MsgApp, 2, { term: 1, index: 2, logTerm: 1, entries: gap }), []);
  const future = [newEntry(9, 3, EntryType.Normal, EMPTY)];
  assert.deepEqual(node.step(T.MsgApp, 2, { term: 1, index: 2, logTerm: 1, entries: future }), []);
  assert.deepEqual(node.describeTerms(), [1, 1]);
  const lead = newLeader();
  assert.equal(lead.raw.step({ ...newMessage(T.MsgProp, id(1)), from: id(2) }), PROPOSAL_DROPPED);
  const garbage = newEntry(0, 0, EntryType.ConfChangeV2, Uint8Array.of(0xff));
  assert.equal(
    lead.raw.step({ ...newMessage(T.MsgProp, id(1)), from: id(2), entries: [garbage] }),
    PROPOSAL_DROPPED,
  );
  assert.deepEqual(lead.step(99 as Message["type"], 2, { term: 1 }), []);
});

test("a thousand proposals of one turn are one Ready with a thousand entries", () => {
  const node = alone();
  for (let i = 0; i < 1000; i++) node.raw.propose(utf8ToBytes(String(i)));
  const ready = node.pumpOnce();
  assert.equal(ready.entries.length, 1000);
  assert.equal(ready.mustSync, true);
  const next = node.pumpOnce();
  assert.equal(next.committedEntries.length, 1000);
  assert.equal(next.mustSync, false);
  assert.equal(node.raw.hasReady(), false);
  assert.equal(node.raw.applied, 1001);
});

test("several entries proposed as one are one message per follower, and all or none are taken", () => {
  const node = newLeader({ maxUncommittedEntriesSize: 10 });
  node.raw.proposeAll(["abc", "def"].map(normal));
  const sent = node.pump().filter((message) => message.to === id(2));
  assert.deepEqual(
    sent.map((message) => message.entries.length),
    [2],
  );
  assert.equal(node.raw.proposeAll(["gh", "jkl"].map(normal)), PROPOSAL_DROPPED);
  assert.equal(node.storage.lastIndex(), 3);
});

test("proposals beyond the limit of uncommitted bytes are dropped until some are applied", () => {
  const node = newLeader({ maxUncommittedEntriesSize: 8 });
  assert.equal(node.raw.propose(new Uint8Array(100)), undefined, "the first is taken whatever its size");
  assert.equal(node.raw.propose(new Uint8Array(1)), PROPOSAL_DROPPED);
  assert.equal(node.raw.propose(EMPTY), undefined, "an empty one is never refused");
  node.pump();
  node.step(T.MsgAppResp, 2, { term: 1, index: node.storage.lastIndex() });
  assert.equal(node.raw.propose(new Uint8Array(8)), undefined);
});

test("without a leader proposals are dropped; a follower passes them on, unless told not to", () => {
  const node = new LoneNode(1, { voters: [1, 2] });
  assert.equal(node.raw.propose(EMPTY), PROPOSAL_DROPPED);
  node.step(T.MsgHeartbeat, 2, { term: 1 });
  const [forwarded] = node.propose("x");
  assert.deepEqual([forwarded?.to, forwarded?.from, forwarded?.term], [id(2), id(1), 0]);
  const other = new LoneNode(1, { voters: [1, 2], disableProposalForwarding: true });
  other.step(T.MsgHeartbeat, 2, { term: 1 });
  assert.equal(other.raw.propose(EMPTY), PROPOSAL_DROPPED);
});

test("a message carries no more bytes than allowed, and at least one entry", () => {
  const node = newLeader({ maxSizePerMsg: 20 });
  node.step(T.MsgAppResp, 3, { term: 1, index: 1 });
  for (const text of ["0123456789", "a", "b", "012345678901234567890123456789"])
    node.raw.propose(utf8ToBytes(text));
  node.pump();
  const late = new LoneNode(1, { voters: [1, 2], log: logOf(1, 1, 1, 1, 1), term: 1, maxSizePerMsg: 20 });
  late.raw.campaign();
  late.pump();
  late.step(T.MsgVoteResp, 2, { term: 2 });
  const sent = late.step(T.MsgAppResp, 2, { term: 2, index: 5, reject: true, rejectHint: 0 });
  assert.deepEqual(
    sent.map((message) => message.entries.length),
    [2],
  );
});

test("a follower's window is limited in messages and in bytes", () => {
  for (const limits of [{ maxInflightMsgs: 2 }, { maxInflightBytes: 20, maxSizePerMsg: 20 }]) {
    const node = newLeader(limits);
    node.step(T.MsgAppResp, 3, { term: 1, index: 1 });
    const sent = [0, 1, 2, 3].flatMap(() => node.propose("0123456789"));
    assert.equal(sent.filter((message) => message.to === id(2)).length, 2);
    const more = node.step(T.MsgAppResp, 2, { term: 1, index: 2 });
    assert.ok(more.some((message) => message.to === id(2) && message.entries.length > 0));
  }
});

test("a restart goes on behind what was applied", () => {
  const node = new LoneNode(1, { voters: [1, 2], log: logOf(1, 1, 1), term: 1, commit: 3, applied: 2 });
  node.pump();
  assert.deepEqual(
    node.applied.map((entry) => entry.index),
    [3],
  );
  assert.equal(node.raw.hasReady(), false);
});

test("two Readies without advance, and advance with asynchronous storage, are mistakes of the caller", () => {
  const node = alone();
  node.raw.propose(EMPTY);
  node.raw.ready();
  assert.throws(() => node.raw.ready(), /two accepted Ready structs without call to Advance/);
  const storage = new MemoryStorage();
  const asynchronous = new RawNode(config({ storage, asyncStorageWrites: true }));
  assert.throws(() => asynchronous.advance(), /Advance must not be called when using AsyncStorageWrites/);
});

test("with asynchronous storage writes overlap: the next batch is handed out before the first is stable", () => {
  const storage = new MemoryStorage();
  storage.applySnapshot(newSnapshot(0, 0, confState([1]), EMPTY));
  const raw = new RawNode(config({ storage, asyncStorageWrites: true }));
  const appends: Message[] = [];
  const applied: number[] = [];
  const pump = (): void => {
    while (raw.hasReady()) {
      for (const message of raw.ready().messages) {
        if (message.to === LOCAL_APPEND_THREAD) appends.push(message);
        if (message.to !== LOCAL_APPLY_THREAD) continue;
        applied.push(...message.entries.map((entry) => entry.index));
        for (const response of message.responses) raw.step(response);
      }
    }
  };
  const finish = (): void => {
    const message = appends.shift();
    storage.append(message!.entries);
    for (const response of message!.responses) raw.step(response);
    pump();
  };
  raw.campaign();
  pump();
  finish();
  finish();
  assert.equal(raw.state, StateType.Leader);
  raw.propose(utf8ToBytes("a"));
  pump();
  raw.propose(utf8ToBytes("b"));
  pump();
  assert.equal(appends.filter((message) => message.entries.length > 0).length, 2);
  assert.deepEqual(applied, [1]);
  while (appends.length > 0) finish();
  assert.deepEqual(applied, [1, 2, 3]);
});

test("a member too far behind gets a snapshot, and is probed from where it was when that fails", () => {
  const node = new LoneNode(1, { voters: [1, 2] });
  node.storage.applySnapshot(newSnapshot(4, 1, confState([1, 2]), utf8ToBytes("state")));
  const raw = new RawNode(config({ storage: node.storage }));
  const respond = (type: MessageType, fields: Partial<Message>): Message[] => {
    raw.step({ ...newMessage(type, id(1)), from: id(2), term: raw.term, ...fields });
    const ready = raw.ready();
    node.storage.append(ready.entries);
    raw.advance();
    return [...ready.messages];
  };
  raw.campaign();
  raw.ready();
  raw.advance();
  respond(T.MsgVoteResp, {});
  const [sent] = respond(T.MsgAppResp, { index: 4, reject: true, rejectHint: 0 });
  assert.equal(sent?.type, T.MsgSnap);
  assert.equal(sent?.snapshot?.metadata.index, 4);
  assert.match(describeStatus(raw.status()), /"2":\{"match":0,"next":5,"state":"StateSnapshot"\}/);
  raw.reportSnapshot(id(2), true);
  assert.match(describeStatus(raw.status()), /"2":\{"match":0,"next":1,"state":"StateProbe"\}/);
});

test("a status shows what etcd shows", () => {
  assert.equal(
    describeStatus(alone().raw.status()),
    '{"id":"1","term":1,"vote":"1","commit":1,"lead":"1","raftState":"StateLeader","applied":1,' +
      '"progress":{"1":{"match":1,"next":2,"state":"StateReplicate"}},"leadtransferee":"0"}',
  );
});
