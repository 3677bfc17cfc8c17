// Goal: the checkers see what they are there for. Method: small histories, right ones and ones with a single lie in them.
import assert from "node:assert/strict";
import { test } from "node:test";
import { createResponseHeader, type PutResponse } from "../../wire/generated/etcdserverpb.ts";
import { deleteRequest, putRequest, rangeRequest } from "../client.ts";
import type { LeaseRecord } from "../context.ts";
import { type Call, type Change, History, type Row } from "../history.ts";
import type { Delivered, WatchRecord } from "../watch-client.ts";
import { checkCompactions, checkKeyValues } from "./key-value.ts";
import { checkLeases } from "./lease.ts";
import { checkWatches } from "./watch.ts";

const row = (key: string, value: string, create: number, mod: number, version: number, lease = 0n): Row => ({
  key,
  value,
  create,
  mod,
  version,
  lease,
});
const put = (of: Row): Change => ({ key: of.key, row: of });
const removal = (key: string): Change => ({ key, row: undefined });
const header = (revision: number) => ({ ...createResponseHeader(), revision });
const putAnswer = (revision: number): { kind: "ok"; response: PutResponse } => ({
  kind: "ok",
  response: { header: header(revision), prevKv: undefined },
});

function historyOf(...revisions: Change[][]): History {
  const history = new History();
  for (const [at, changes] of revisions.entries()) history.observe(at + 2, changes, at * 100);
  return history;
}

function called(history: History, call: Call): void {
  const ended = call.outcome.kind === "lost";
  history.records.push({
    ...call,
    began: history.tick(),
    beganAt: 0,
    ended: ended ? 0 : history.tick(),
    servedBy: "m1/0",
  });
}

function problemsOf(history: History, rows: readonly string[]): string {
  checkKeyValues(history, rows);
  return history.violations.join("\n");
}

test("what was answered, lost, or ended by a lease explains a history; nothing else does", () => {
  const right = (): History => {
    const history = historyOf(
      [put(row("a", "1", 2, 2, 1))],
      [put(row("l", "x", 3, 3, 1, 7n))],
      [removal("l")],
      [put(row("a", "2", 2, 5, 2))],
    );
    called(history, { type: "put", request: putRequest("a", "1"), outcome: putAnswer(2) });
    called(history, { type: "put", request: putRequest("l", "x", { lease: 7n }), outcome: putAnswer(3) });
    return history;
  };
  const lost: Call = { type: "put", request: putRequest("a", "2"), outcome: { kind: "lost" } };
  const history = right();
  called(history, lost);
  assert.equal(problemsOf(history, ["a=2@2/5/2"]), "");
  assert.match(problemsOf(right(), ["a=2@2/5/2"]), /nobody made revision 5/);
  const forgotten = right();
  called(forgotten, lost);
  assert.match(problemsOf(forgotten, ["a=1@2/2/1"]), /the keys at the end/);
});

test("of two lost calls each explains the revision that the other cannot", () => {
  const a = (revision: number): Change => put(row("a", "1", revision, revision, 1));
  const history = (): History =>
    historyOf([a(2)], [removal("a")], [a(4)], [put(row("b", "1", 5, 5, 1))], [removal("a")]);
  const answered = (one: History): History => {
    for (const [key, revision] of [
      ["a", 2],
      ["a", 4],
      ["b", 5],
    ] as const)
      called(one, { type: "put", request: putRequest(key, "1"), outcome: putAnswer(revision) });
    return one;
  };
  const lost = (end: string): Call => ({
    type: "delete",
    request: deleteRequest("a", end),
    outcome: { kind: "lost" },
  });
  const both = history();
  called(both, lost(""));
  called(both, lost("z"));
  assert.equal(problemsOf(answered(both), ["b=1@5/5/1"]), "");
  const one = history();
  called(one, lost("z"));
  assert.match(problemsOf(answered(one), ["b=1@5/5/1"]), /nobody made revision 6: -a/);
  // The second one is called when both deletions have been seen.
  const late = answered(history());
  called(late, lost(""));
  called(late, lost("z"));
  assert.match(problemsOf(late, ["b=1@5/5/1"]), /nobody made revision 3: -a/);
});

test("an answered write that no revision shows, a doubled one, and a stale read are seen", () => {
  const lostWrite = historyOf([put(row("a", "1", 2, 2, 1))]);
  called(lostWrite, { type: "put", request: putRequest("a", "1"), outcome: putAnswer(2) });
  called(lostWrite, { type: "put", request: putRequest("a", "2"), outcome: putAnswer(3) });
  assert.match(problemsOf(lostWrite, ["a=1@2/2/1"]), /revision 3 was answered and does not exist/);

  const doubled = historyOf([put(row("a", "1", 2, 2, 1))], [put(row("a", "1", 2, 3, 2))]);
  called(doubled, { type: "put", request: putRequest("a", "1"), outcome: { kind: "lost" } });
  assert.match(problemsOf(doubled, ["a=1@2/3/2"]), /nobody made revision 3/);

  const stale = historyOf([put(row("a", "1", 2, 2, 1))]);
  called(stale, { type: "put", request: putRequest("a", "1"), outcome: putAnswer(2) });
  const response = { header: header(1), kvs: [], more: false, count: 0 };
  called(stale, { type: "range", request: rangeRequest("a"), outcome: { kind: "ok", response } });
  assert.match(
    problemsOf(stale, ["a=1@2/2/1"]),
    /range a .* has revision 1, but put a .* had ended before it with 2/,
  );

  const wrong = historyOf([put(row("a", "1", 2, 2, 1))]);
  called(wrong, {
    type: "delete",
    request: deleteRequest("a"),
    outcome: { kind: "ok", response: { header: header(2), deleted: 1, prevKvs: [] } },
  });
  assert.match(problemsOf(wrong, ["a=1@2/2/1"]), /should have changed/);
});

test("a revision that is seen twice must be the same, and a hash too", () => {
  const history = historyOf([put(row("a", "1", 2, 2, 1))]);
  history.observe(2, [put(row("a", "other", 2, 2, 1))], 0);
  history.hashed(0, 2, 5);
  history.hashed(0, 2, 6);
  assert.match(history.violations.join("\n"), /revision 2 was used twice[\s\S]*HashKV of revision 2/);
});

test("reads below an acknowledged compaction are refused, above what was asked for they are not", () => {
  const history = new History();
  const compact = { type: "compact", request: { revision: 5, physical: false } } as const;
  called(history, { ...compact, outcome: { kind: "ok", response: { revision: 5 } } });
  const response = { header: header(9), kvs: [], more: false, count: 0 };
  called(history, {
    type: "range",
    request: rangeRequest("a", "", { revision: 4 }),
    outcome: { kind: "ok", response },
  });
  const error = { code: 11, message: "etcdserver: mvcc: required revision has been compacted" } as const;
  called(history, {
    type: "range",
    request: rangeRequest("a", "", { revision: 6 }),
    outcome: { kind: "error", error },
  });
  checkCompactions(history);
  assert.match(history.violations.join("\n"), /at 4 was answered[\s\S]*at 6 is compacted/);
});

test("a watcher that misses, doubles, reorders or splits is seen, and so is a false progress notice", () => {
  const history = historyOf(
    [put(row("a", "1", 2, 2, 1)), put(row("b", "1", 2, 2, 1))],
    [put(row("a", "2", 2, 3, 2))],
  );
  const all = (history.revisions.get(2) ?? []).map(
    (change): Delivered => ({ revision: 2, change, previous: undefined }),
  );
  const last: Delivered = { revision: 3, change: history.revisions.get(3)![0]!, previous: undefined };
  const seen = (deliveries: Delivered[][], progress: WatchRecord["progress"][number][] = []): string => {
    history.violations.length = 0;
    const options = {
      key: "\0",
      end: "\0",
      startRevision: 1,
      prevKv: false,
      fragment: false,
      progressNotify: false,
      noPut: false,
      noDelete: false,
      weight: 1,
    };
    checkWatches(history, [{ options, deliveries, from: 1, skippedTo: 0, progress, closed: false }], 0);
    return history.violations.join("\n");
  };
  assert.equal(seen([all, [last]]), "");
  assert.equal(seen([[...all, last]], [{ revision: 3, after: 1 }]), "");
  assert.match(seen([all]), /missed a=2/);
  assert.match(seen([all, [last], [last]]), /saw revision 3 after 3/);
  assert.match(seen([[last], all]), /missed/);
  assert.match(seen([[all[0]!], [all[1]!], [last]]), /at revision 2 instead of/);
  assert.match(seen([all, [last]], [{ revision: 3, after: 1 }]), /progress notice/);
});

test("a lease that ends before its time is seen, one that was revoked is not", () => {
  const history = historyOf([put(row("l", "x", 2, 2, 1, 7n))], [removal("l")]);
  const lease: LeaseRecord = { id: 7n, notBefore: 101, revoked: false };
  checkLeases(history, new Map([[7n, { ...lease, revoked: true }]]), new Map([[7n, 3]]));
  assert.deepEqual(history.violations, []);
  checkLeases(history, new Map([[7n, lease]]), new Map([[7n, 3]]));
  assert.match(history.violations.join(), /ended at 100 ms, 1 ms before its time/);
});
