// Goal: counts in the histograms are exact although few clocks are read, and what is slow is told with its request. Method: a clock that
// the test moves and histograms that add up what they are given.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Applied } from "../apply/applier.ts";
import type { Millis } from "../base/brand.ts";
import { utf8ToBytes } from "../base/bytes.ts";
import { errors } from "../base/errors.ts";
import type { Entry } from "../log/contract.ts";
import type { Logger } from "../ports/logger.ts";
import { silentLogger } from "../ports/logger.ts";
import { type Metrics, silentMetrics } from "../ports/metrics.ts";
import { createPutRequest, encodePutRequest } from "../wire/generated/etcdserverpb.ts";
import { ApplyTimer } from "./apply-timer.ts";
import { Counters } from "./counters.ts";
import { RangeTimer } from "./range-timer.ts";
import { encodeRequest, RequestField } from "./request.ts";
import { SlowLog } from "./slow-log.ts";
import { Timings } from "./timings.ts";

class Recorder {
  readonly counts = new Map<string, number>();
  readonly sums = new Map<string, number>();
  readonly metrics: Metrics = {
    ...silentMetrics,
    histogram: (name, _help, _buckets, labels) => ({
      observe: (value, times = 1) => {
        const key = [name, ...Object.values(labels ?? {})].join(" ");
        this.counts.set(key, (this.counts.get(key) ?? 0) + times);
        this.sums.set(key, (this.sums.get(key) ?? 0) + value * times);
      },
    }),
  };
}

const APPLY = "etcd_server_apply_duration_seconds v3";
const RANGE = "etcd_server_range_duration_seconds";
const entry = (): Entry => {
  const body = encodePutRequest({
    ...createPutRequest(),
    key: utf8ToBytes('a"\u0000'),
    value: utf8ToBytes("secret"),
  });
  const data = encodeRequest(RequestField.Put, body, 7n as never);
  return { term: 1 as never, index: 1 as never, type: 0, data };
};
const put: Applied = { id: 7n, op: "Put", response: undefined, error: undefined };
const txn: Applied = { id: 8n, op: "Txn", response: undefined, error: undefined };

test("each applied entry is counted once, and the whole time of a batch is shared out", () => {
  const recorder = new Recorder();
  let now = 0;
  let readings = 0;
  const clock = {
    now: () => {
      readings++;
      return now as Millis;
    },
  };
  const timer = new ApplyTimer(clock, new Timings(recorder.metrics).applied, 100, () => {});
  timer.begin(0);
  for (let i = 0; i < 40; i++) {
    now += 1;
    timer.applied(entry(), put, i % 4 !== 0);
  }
  timer.separate();
  now += 5;
  timer.applied(entry(), txn, true);
  now += 2;
  timer.applied(entry(), put, true);
  assert.equal(timer.end(), 47);
  assert.equal(recorder.counts.get(`${APPLY} Put true`), 31);
  assert.equal(recorder.counts.get(`${APPLY} Put false`), 10);
  assert.equal(recorder.counts.get(`${APPLY} Txn true`), 1);
  assert.equal(recorder.sums.get(`${APPLY} Txn true`), 0.005);
  const total = [...recorder.sums.values()].reduce((a, b) => a + b, 0);
  assert.ok(Math.abs(total - 0.047) < 1e-9);
  assert.equal(readings, 5);
});

test("a slow entry is told with its request, without the value, and is counted", () => {
  const lines: { message: string; fields: unknown }[] = [];
  const logger: Logger = { ...silentLogger, warn: (message, fields) => lines.push({ message, fields }) };
  const counters = new Counters();
  const log = new SlowLog(100, logger, counters);
  let now = 0;
  const timer = new ApplyTimer(
    { now: () => now as Millis },
    new Timings(silentMetrics).applied,
    log.warningMillis,
    (each, result, millis) => log.slowEntry(each, result, millis),
  );
  timer.begin(0);
  now = 100;
  timer.applied(entry(), put, true);
  timer.end();
  assert.equal(counters.slowApplies, 0);
  timer.begin(100);
  now = 350.25;
  timer.applied(entry(), { ...put, error: errors.noSpace }, false);
  timer.end();
  assert.equal(counters.slowApplies, 1);
  assert.deepEqual(lines, [
    {
      message: "apply request took too long",
      fields: {
        took: "250.25ms",
        "expected-duration": "100ms",
        prefix: "",
        request: 'header:<ID:7> put:<key:"a\\"\\000" value_size:6>',
        response: "",
        error: "etcdserver: mvcc: database space exceeded",
      },
    },
  ]);
});

test("ranges of one key are all counted after settling, though one in sixteen is timed; lists are timed each", () => {
  const recorder = new Recorder();
  let now = 0;
  let readings = 0;
  const clock = {
    now: () => {
      readings++;
      return now as Millis;
    },
  };
  const timer = new RangeTimer(clock, new Timings(recorder.metrics));
  for (let i = 0; i < 100; i++) {
    const started = timer.begin(true);
    now += 1;
    timer.end(started, true, i % 10 !== 0);
  }
  assert.equal(readings, 2 * 7);
  for (let i = 0; i < 3; i++) {
    const started = timer.begin(false);
    now += 10;
    assert.equal(timer.end(started, false, true), 10);
  }
  timer.streamedFor(20);
  timer.settle();
  timer.settle();
  assert.equal(recorder.counts.get(`${RANGE} true`), 94);
  assert.equal(recorder.counts.get(`${RANGE} false`), 10);
  assert.equal(recorder.counts.get("etcd_server_request_duration_seconds Range true"), 94);
});
