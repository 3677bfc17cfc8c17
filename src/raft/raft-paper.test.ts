// Goal: each rule of the Raft paper (figure 2 and the section named) holds for one member, whatever its peers say. Method: the test
// plays the peers of a LoneNode and looks at what it sends, stores and applies.
import assert from "node:assert/strict";
import { test } from "node:test";
import { utf8FromBytes } from "../base/bytes.ts";
import { type Message, MessageType as T } from "./message.ts";
import { StateType } from "./raft.ts";
import { id, LoneNode, type LoneOptions, logOf } from "./testing/lone-node.ts";

const three = { voters: [1, 2, 3] };

function follower(options: LoneOptions = three): LoneNode {
  return new LoneNode(1, options);
}

function candidate(options: LoneOptions = three): LoneNode {
  const node = new LoneNode(1, options);
  node.raw.campaign();
  node.pump();
  return node;
}

/** Elected by all, with its first entry stored by nobody else. */
function leader(options: LoneOptions = three): LoneNode {
  const node = candidate(options);
  const term = node.raw.term;
  for (const voter of options.voters.slice(1)) {
    if (node.state !== StateType.Leader) node.step(T.MsgVoteResp, voter, { term });
  }
  assert.equal(node.state, StateType.Leader);
  return node;
}

const ROLES: readonly (readonly [string, () => LoneNode])[] = [
  ["follower", follower],
  ["candidate", candidate],
  ["leader", leader],
];

function ofType(messages: readonly Message[], type: Message["type"]): Message[] {
  return messages.filter((message) => message.type === type);
}

for (const [role, make] of ROLES) {
  test(`5.1: a ${role} that hears of a higher term takes it over and follows`, () => {
    for (const type of [T.MsgApp, T.MsgHeartbeat, T.MsgVote, T.MsgAppResp, T.MsgVoteResp]) {
      const node = make();
      const term = node.raw.term + 5;
      node.step(type, 2, { term });
      assert.equal(node.raw.term, term);
      assert.equal(node.state, StateType.Follower);
    }
  });

  test(`5.1: a ${role} ignores requests of an earlier term`, () => {
    const node = make();
    node.step(T.MsgHeartbeat, 2, { term: 7 });
    const before = node.describeLog();
    const sent = node.step(T.MsgApp, 3, { term: 6, entries: logOf(6) });
    assert.deepEqual(sent, []);
    assert.deepEqual(node.describeLog(), before);
    assert.deepEqual(node.step(T.MsgVote, 3, { term: 6, index: 99, logTerm: 6 }), []);
  });
}

test("5.2: a member starts as a follower without a leader", () => {
  const node = follower();
  assert.equal(node.state, StateType.Follower);
  assert.equal(node.raw.lead, id(0));
});

test("5.2: a follower that hears nothing for an election timeout campaigns: next term, own vote, requests to all", () => {
  for (const make of [follower, candidate]) {
    const node = make();
    const term = node.raw.term;
    const sent = node.ticks(10);
    assert.equal(node.state, StateType.Candidate);
    assert.equal(node.raw.term, term + 1);
    assert.equal(node.raw.status().hardState.vote, id(1));
    const requests = ofType(sent, T.MsgVote);
    assert.deepEqual(
      requests.map((request) => [request.to, request.term]),
      [
        [id(2), term + 1],
        [id(3), term + 1],
      ],
    );
  }
});

test("5.2: heartbeats keep a follower from campaigning", () => {
  const node = follower();
  for (let i = 0; i < 10; i++) {
    node.ticks(9);
    node.step(T.MsgHeartbeat, 2, { term: 1 });
  }
  assert.equal(node.state, StateType.Follower);
});

test("5.2: election timeouts are spread over [timeout, 2 * timeout - 1]", () => {
  const seen = new Set<number>();
  for (let draw = 0; draw < 10; draw++) {
    const node = follower({ ...three, random: () => draw });
    let ticks = 0;
    while (node.state === StateType.Follower) {
      node.ticks(1);
      ticks++;
    }
    seen.add(ticks);
  }
  assert.deepEqual([...seen], [10, 11, 12, 13, 14, 15, 16, 17, 18, 19]);
});

test("5.2: a member votes for one candidate per term, the first that asks, and says so again when asked again", () => {
  const node = follower();
  const ask = (from: number, term: number): boolean => {
    const [answer] = node.step(T.MsgVote, from, { term });
    return answer?.reject === false;
  };
  assert.equal(ask(2, 1), true);
  assert.equal(ask(3, 1), false);
  assert.equal(ask(2, 1), true);
  assert.equal(ask(3, 2), true);
});

test("5.2: a vote survives a restart", () => {
  const node = follower({ ...three, term: 1, vote: 2 });
  const [answer] = node.step(T.MsgVote, 3, { term: 1 });
  assert.equal(answer?.reject, true);
});

test("5.2: a vote leaves together with the hard state that remembers it, never before", () => {
  const node = follower();
  node.step(T.MsgVote, 2, { term: 3 });
  const ready = node.readies.find((one) => ofType(one.messages, T.MsgVoteResp).length > 0);
  assert.equal(ready?.hardState?.vote, id(2));
  assert.equal(ready?.hardState?.term, 3);
  assert.equal(ready?.mustSync, true);
});

test("5.4.1: a vote goes only to a log at least as up to date", () => {
  const cases: readonly (readonly [number[], number, number, boolean])[] = [
    [[1], 1, 1, true],
    [[1], 1, 2, true],
    [[1, 1], 1, 1, false],
    [[1], 2, 1, true],
    [[1], 2, 2, true],
    [[1, 1], 2, 1, true],
    [[2], 1, 1, false],
    [[2], 1, 2, false],
    [[2, 2], 1, 1, false],
  ];
  for (const [log, logTerm, index, granted] of cases) {
    const node = follower({ ...three, log: logOf(...log) });
    const [answer] = node.step(T.MsgVote, 2, { term: 3, logTerm, index });
    assert.equal(answer?.reject, !granted, `log ${log}, asked with ${index}/${logTerm}`);
  }
});

test("5.2: a candidate leads with a majority of votes, follows with a majority of refusals, and else waits", () => {
  const cases: readonly (readonly [number, string, StateType])[] = [
    [1, "", StateType.Leader],
    [3, "yy", StateType.Leader],
    [3, "y", StateType.Leader],
    [5, "yyyy", StateType.Leader],
    [5, "yy", StateType.Leader],
    [3, "nn", StateType.Follower],
    [5, "nnnn", StateType.Follower],
    [5, "ynnn", StateType.Follower],
    [3, "", StateType.Candidate],
    [3, "n", StateType.Candidate],
    [5, "y", StateType.Candidate],
    [5, "nn", StateType.Candidate],
    [4, "yn", StateType.Candidate],
    [4, "nny", StateType.Follower],
  ];
  for (const [size, answers, state] of cases) {
    const node = candidate({ voters: Array.from({ length: size }, (_, i) => i + 1) });
    [...answers].forEach((answer, i) => {
      node.step(T.MsgVoteResp, i + 2, { term: node.raw.term, reject: answer === "n" });
    });
    assert.equal(node.state, state, `${size} members, answers ${answers}`);
  }
});

test("5.2: one member's vote counts once, however often it is sent", () => {
  const node = candidate({ voters: [1, 2, 3, 4, 5] });
  for (let i = 0; i < 5; i++) node.step(T.MsgVoteResp, 2, { term: node.raw.term });
  assert.equal(node.state, StateType.Candidate);
});

test("5.2: a candidate that hears a leader of its term or a later one follows it", () => {
  for (const ahead of [0, 3]) {
    for (const type of [T.MsgApp, T.MsgHeartbeat]) {
      const node = candidate();
      const term = node.raw.term + ahead;
      node.step(type, 2, { term });
      assert.equal(node.state, StateType.Follower);
      assert.equal(node.raw.lead, id(2));
      assert.equal(node.raw.term, term);
    }
  }
});

test("5.2: a leader sends heartbeats to everybody at every heartbeat interval", () => {
  const node = leader({ ...three, heartbeatTick: 3 });
  assert.deepEqual(ofType(node.ticks(2), T.MsgHeartbeat), []);
  const sent = ofType(node.ticks(1), T.MsgHeartbeat);
  assert.deepEqual(
    sent.map((message) => message.to),
    [id(2), id(3)],
  );
});

test("8: a leader begins its term with an empty entry, and replicates it", () => {
  const node = leader({ ...three, log: logOf(1, 1) });
  assert.deepEqual(node.describeTerms(), [1, 1, 2]);
  const sent = node.readies.flatMap((ready) => ofType(ready.messages, T.MsgApp));
  assert.deepEqual(
    sent.map((message) => [message.to, message.index, message.logTerm, message.entries.length]),
    [
      [id(2), 2, 1, 1],
      [id(3), 2, 1, 1],
    ],
  );
});

/** All followers have stored everything. */
function acknowledgeAll(node: LoneNode, from: readonly number[] = [2, 3]): Message[] {
  const index = node.storage.lastIndex();
  return from.flatMap((peer) => node.step(T.MsgAppResp, peer, { term: node.raw.term, index }));
}

test("5.3: a proposal is appended and sent to all with the place of the entry before it", () => {
  const node = leader();
  acknowledgeAll(node);
  const sent = ofType(node.propose("x"), T.MsgApp);
  assert.deepEqual(
    sent.map(({ to, index, logTerm, entries }) => [to, index, logTerm, utf8FromBytes(entries[0]!.data)]),
    [
      [id(2), 1, 1, "x"],
      [id(3), 1, 1, "x"],
    ],
  );
});

test("5.3: an entry is committed and applied when a majority has stored it, and followers hear of it", () => {
  const node = leader();
  acknowledgeAll(node);
  node.propose("x");
  assert.equal(node.raw.committed, 1);
  const sent = acknowledgeAll(node, [2]);
  assert.equal(node.raw.committed, 2);
  assert.equal(utf8FromBytes(node.applied.at(-1)!.data), "x");
  assert.ok(ofType(sent, T.MsgApp).every((message) => message.commit === 2));
  assert.equal(ofType(sent, T.MsgApp).length, 2);
});

test("5.3: the number of stored copies needed is a majority of the voters, the leader's own included", () => {
  for (let size = 1; size <= 7; size++) {
    const node = leader({ voters: Array.from({ length: size }, (_, i) => i + 1) });
    const needed = Math.floor(size / 2);
    for (let peer = 2; peer <= size; peer++) {
      assert.equal(node.raw.committed, peer - 2 >= needed ? 1 : 0, `${size} members, ${peer - 2} answers`);
      acknowledgeAll(node, [peer]);
    }
    assert.equal(node.raw.committed, 1);
  }
});

test("5.3: a leader's own copy counts only when it is stable", () => {
  const node = leader({ voters: [1] });
  node.raw.propose(new Uint8Array([1]));
  const before = node.raw.committed;
  node.raw.ready();
  assert.equal(node.raw.committed, before);
  node.raw.advance();
  assert.equal(node.raw.committed, before + 1);
});

test("5.3: committing an entry commits all before it, those of earlier leaders too", () => {
  for (const log of [[], [2], [1, 2], [1]]) {
    const node = leader({ ...three, log: logOf(...log), term: 2 });
    node.propose("x");
    acknowledgeAll(node, [2]);
    assert.equal(node.applied.length, log.length + 2);
    assert.deepEqual(
      node.applied.map((entry) => entry.index),
      Array.from({ length: log.length + 2 }, (_, i) => i + 1),
    );
  }
});

test("5.4.2: copies of an earlier term's entry never commit it; one of the leader's own term does (figure 8)", () => {
  const node = leader({ ...three, log: logOf(1, 2), term: 2 });
  assert.deepEqual(node.describeTerms(), [1, 2, 3]);
  node.step(T.MsgAppResp, 2, { term: 3, index: 1 });
  node.step(T.MsgAppResp, 3, { term: 3, index: 2 });
  node.step(T.MsgAppResp, 2, { term: 3, index: 2 });
  assert.equal(node.raw.committed, 0);
  node.step(T.MsgAppResp, 2, { term: 3, index: 3 });
  assert.equal(node.raw.committed, 3);
});

test("5.3: a follower applies what the leader says is committed, in log order", () => {
  const node = follower();
  node.step(T.MsgApp, 2, { term: 1, entries: logOf(1, 1, 1), commit: 2 });
  assert.deepEqual(
    node.applied.map((entry) => entry.index),
    [1, 2],
  );
  node.step(T.MsgHeartbeat, 2, { term: 1, commit: 3 });
  assert.equal(node.applied.at(-1)?.index, 3);
});

test("5.3: a follower never commits beyond the last entry that the message vouches for", () => {
  const node = follower({ ...three, log: logOf(1, 1, 1) });
  node.step(T.MsgApp, 2, { term: 2, index: 1, logTerm: 1, commit: 3 });
  assert.equal(node.raw.committed, 1);
});

test("5.3: a follower refuses entries when it does not have the one before them, and hints at what it has", () => {
  const cases: readonly (readonly [number, number, boolean, number, number])[] = [
    [0, 0, false, 2, 0],
    [1, 1, false, 2, 0],
    [2, 2, false, 2, 0],
    [1, 2, true, 1, 1],
    [2, 1, true, 1, 1],
    [3, 3, true, 2, 2],
  ];
  for (const [index, logTerm, reject, at, term] of cases) {
    const node = follower({ ...three, log: logOf(1, 2) });
    const [answer] = node.step(T.MsgApp, 2, { term: 3, index, logTerm });
    assert.equal(answer?.reject, reject, `${index}/${logTerm}`);
    if (!reject) continue;
    assert.equal(answer?.index, index);
    assert.deepEqual([answer?.rejectHint, answer?.logTerm], [at, term], `${index}/${logTerm}`);
  }
});

test("5.3: entries that conflict with the leader's are replaced with all that follow; those that agree stay", () => {
  const cases: readonly (readonly [number, number, readonly number[], readonly number[]])[] = [
    [2, 2, [3], [1, 2, 3]],
    [1, 1, [3, 4], [1, 3, 4]],
    [0, 0, [1], [1, 2]],
    [0, 0, [3], [3]],
  ];
  for (const [index, logTerm, terms, result] of cases) {
    const node = follower({ ...three, log: logOf(1, 2) });
    const entries = logOf(...Array.from({ length: index }, () => 0), ...terms).slice(index);
    node.step(T.MsgApp, 2, { term: 4, index, logTerm, entries });
    assert.deepEqual(node.describeTerms(), result);
  }
});

test("5.3: entries leave storage and acknowledgement in one Ready: nothing is acknowledged before it is to be stored", () => {
  const node = follower();
  node.step(T.MsgApp, 2, { term: 1, entries: logOf(1, 1) });
  const ready = node.readies.find((one) => ofType(one.messages, T.MsgAppResp).length > 0);
  assert.equal(ready?.entries.length, 2);
  assert.equal(ready?.mustSync, true);
});

test("5.3: a leader walks back until the logs agree, then makes the follower's log its own (figure 7)", () => {
  const leaderLog = [1, 1, 1, 4, 4, 5, 5, 6, 6, 6];
  const followerLogs: readonly (readonly number[])[] = [
    [1, 1, 1, 4, 4, 5, 5, 6, 6],
    [1, 1, 1, 4],
    [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6],
    [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7],
    [1, 1, 1, 4, 4, 4, 4],
    [1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3],
  ];
  for (const log of followerLogs) {
    const lead = leader({ ...three, log: logOf(...leaderLog), term: 7 });
    const behind = new LoneNode(2, { ...three, log: logOf(...log), term: 7 });
    let probes = 0;
    const talk = (first: Message[]): void => {
      for (let sent = first.filter((message) => message.to === id(2)); sent.length > 0; ) {
        probes += ofType(sent, T.MsgApp).length;
        const answers = sent.flatMap((message) => behind.step(message.type, 1, message));
        sent = answers
          .flatMap((message) => lead.step(message.type, 2, message))
          .filter((message) => message.to === id(2));
      }
    };
    talk(lead.readies.flatMap((ready) => ofType(ready.messages, T.MsgApp)));
    assert.deepEqual(behind.describeLog(), lead.describeLog());
    assert.ok(probes <= 6, `one probe per term at most, not ${probes}`);
  }
});

test("5.3: a leader never changes or drops an entry of its own log", () => {
  const node = leader({ ...three, log: logOf(1, 1, 2), term: 2 });
  const before = node.describeLog();
  node.step(T.MsgAppResp, 2, { term: 3, index: 3, reject: true, rejectHint: 0 });
  node.step(T.MsgApp, 3, { term: 2, index: 0, logTerm: 0, entries: logOf(2, 2) });
  assert.deepEqual(node.describeLog(), before);
});

test("5.3: what a follower did not get is sent again: an unanswered probe is repeated when it is heard of", () => {
  const node = leader();
  node.propose("x");
  const sent = node.step(T.MsgHeartbeatResp, 2, { term: node.raw.term });
  const [again] = ofType(sent, T.MsgApp);
  assert.equal(again?.to, id(2));
  assert.equal(again?.entries.length, 2);
});
