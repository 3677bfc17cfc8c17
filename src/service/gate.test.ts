// Goal: calls are refused, and running streams cut, exactly when etcd's interceptors do so. Method: a member made of plain fields, a clock
// that the test turns, calls that record their end.
import assert from "node:assert/strict";
import { test } from "node:test";
import { type EtcdError, errors } from "../base/errors.ts";
import { RecordedCall } from "../sim/recorded-call.ts";
import { createRangeRequest, encodeRangeRequest } from "../wire/generated/etcdserverpb.ts";
import type { Method } from "./call.ts";
import { Gate } from "./gate.ts";

const RANGE = "/etcdserverpb.KV/Range";
const WATCH = "/etcdserverpb.Watch/Watch";
const EMPTY: Uint8Array = new Uint8Array(0);

function setup() {
  const timers: (() => void)[] = [];
  const member = {
    raft: { leader: 1n },
    membership: {
      version: "3.7.0" as string | undefined,
      local: { isLearner: false } as { isLearner: boolean } | undefined,
    },
    clock: {
      after: (_: number, callback: () => void) => {
        timers.push(callback);
        return { cancel() {} };
      },
    },
    options: { electionMillis: 1000 },
    stopped: false,
  };
  const gate = new Gate(member);
  const unary = (path: string, message: Uint8Array = EMPTY, metadata = {}): EtcdError | "ran" => {
    const [, method] = gate.guard(path, { kind: "unary", handle: (call) => call.end() });
    const call = new RecordedCall({ metadata });
    assert.ok(method.kind === "unary");
    method.handle(call, message);
    return call.error ?? "ran";
  };
  const stream = (path: string, metadata = {}): RecordedCall => {
    const [, method] = gate.guard(path, bidi);
    const call = new RecordedCall({ metadata });
    assert.ok(method.kind === "bidi");
    method.open(call);
    return call;
  };
  const tick = (): void => {
    for (const timer of timers.splice(0)) timer();
  };
  return { member, unary, stream, tick, timers };
}

const bidi: Method = { kind: "bidi", open: () => ({ message() {}, requestsEnded() {} }) };

test("everything runs while there is a leader, no learner and a known cluster version, or none yet", () => {
  const { member, unary, stream } = setup();
  assert.equal(unary(RANGE), "ran");
  assert.equal(stream(WATCH, { hasleader: "true" }).done, false);
  member.membership.version = undefined;
  assert.equal(unary(RANGE), "ran");
});

test("a cluster version that this server does not know refuses every call as not capable", () => {
  const { member, unary, stream } = setup();
  member.membership.version = "3.8.0";
  assert.equal(unary(RANGE), errors.notCapable);
  assert.equal(stream(WATCH).error, errors.notCapable);
});

test("a learner answers Status, serializable ranges and snapshots only", () => {
  const { member, unary, stream } = setup();
  member.membership.local = { isLearner: true };
  const serializable = encodeRangeRequest({ ...createRangeRequest(), serializable: true });
  assert.equal(unary("/etcdserverpb.Maintenance/Status"), "ran");
  assert.equal(unary(RANGE, serializable), "ran");
  assert.equal(unary(RANGE), errors.notSupportedForLearner);
  assert.equal(unary("/etcdserverpb.Cluster/MemberList"), errors.notSupportedForLearner);
  assert.equal(stream(WATCH).error, errors.notSupportedForLearner);
  assert.equal(stream("/etcdserverpb.Maintenance/Snapshot").done, false);
});

test("without a leader, only callers that ask for one are refused", () => {
  const { member, unary, stream } = setup();
  member.raft.leader = 0n;
  assert.equal(unary(RANGE), "ran");
  assert.equal(unary(RANGE, EMPTY, { hasleader: "true" }), errors.noLeader);
  assert.equal(stream(WATCH).done, false);
  assert.equal(stream(WATCH, { hasleader: "true" }).error, errors.noLeader);
});

test("a running stream that wants a leader is cut after three checks in a row without one, and its method told", () => {
  const { member, stream, tick } = setup();
  const wanting = stream(WATCH, { hasleader: "true" });
  const content = stream(WATCH);
  let told: EtcdError | undefined;
  wanting.onCancel = (reason) => {
    told = reason;
  };
  member.raft.leader = 0n;
  tick();
  tick();
  member.raft.leader = 1n;
  tick();
  member.raft.leader = 0n;
  tick();
  tick();
  assert.equal(wanting.done, false);
  tick();
  assert.equal(wanting.error, errors.noLeader);
  assert.equal(told, errors.noLeader);
  assert.equal(content.done, false);
});

test("nothing is checked any more once no stream wants a leader", () => {
  const { stream, tick, timers } = setup();
  stream(WATCH, { hasleader: "true" }).end();
  tick();
  assert.equal(timers.length, 0);
});
