// Goal: the text of /metrics is, byte for byte, what Go's client writes: numbers, order, escapes, histograms.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { CAIRN_VERSION } from "../base/version.ts";
import { MetricsRegistry } from "./metrics.ts";
import { ETCD_METRICS } from "./metrics-catalog.ts";
import { formatFloat } from "./metrics-format.ts";
import { GrpcMetrics } from "./metrics-grpc.ts";

test("numbers are written as Go writes the shortest form", () => {
  const expected: readonly (readonly [number, string])[] = [
    [0, "0"],
    [1, "1"],
    [0.0001, "0.0001"],
    [0.00005, "5e-05"],
    [0.000176, "0.000176"],
    [999999, "999999"],
    [1000000, "1e+06"],
    [2147483648, "2.147483648e+09"],
    [1763901295.13, "1.76390129513e+09"],
    [123456.75, "123456.75"],
    [-1500000, "-1.5e+06"],
    [1e21, "1e+21"],
    [1e100, "1e+100"],
    [Number.POSITIVE_INFINITY, "+Inf"],
    [Number.NaN, "NaN"],
  ];
  for (const [value, text] of expected) assert.equal(formatFloat(value), text);
});

test("families come sorted by name, series by the values of their labels", () => {
  const metrics = new MetricsRegistry();
  metrics.counter("b_total", "second", { To: "2" }).add(1);
  metrics.counter("b_total", "second", { To: "10" }).add(2);
  metrics.gauge("a", 'has \\ and "quotes"\nand a line').set(3);
  metrics.gauge("c", "escapes", { v: 'a"b\\c\nd' }).set(0.5);
  assert.equal(
    metrics.text(),
    [
      '# HELP a has \\\\ and "quotes"\\nand a line',
      "# TYPE a gauge",
      "a 3",
      "# HELP b_total second",
      "# TYPE b_total counter",
      'b_total{To="10"} 2',
      'b_total{To="2"} 1',
      "# HELP c escapes",
      "# TYPE c gauge",
      'c{v="a\\"b\\\\c\\nd"} 0.5',
      "",
    ].join("\n"),
  );
});

test("a histogram is cumulative and closed by +Inf, sum and count", () => {
  const metrics = new MetricsRegistry();
  const cell = metrics.histogram("h", "help", [0.1, 0.2], { type: "a", op: "b" });
  for (const value of [0.05, 0.1, 0.15, 7]) cell.observe(value);
  assert.equal(
    metrics.text(),
    [
      "# HELP h help",
      "# TYPE h histogram",
      'h_bucket{op="b",type="a",le="0.1"} 2',
      'h_bucket{op="b",type="a",le="0.2"} 3',
      'h_bucket{op="b",type="a",le="+Inf"} 4',
      'h_sum{op="b",type="a"} 7.3',
      'h_count{op="b",type="a"} 4',
      "",
    ].join("\n"),
  );
});

test("the same name and labels give the same cell, in any order of the labels", () => {
  const metrics = new MetricsRegistry();
  const one = metrics.counter("x", "", { a: "1", b: "2" });
  assert.equal(metrics.counter("x", "", { b: "2", a: "1" }), one);
});

test("a series that is taken out is gone, and an observed one reads at scrape time", () => {
  const metrics = new MetricsRegistry();
  let value = 1;
  metrics.observed("gauge", "now", "help", () => value);
  metrics.gauge("version", "help", { v: "1" }).set(1);
  metrics.gauge("version", "help", { v: "2" }).set(1);
  metrics.remove("version", { v: "1" });
  value = 5;
  assert.match(metrics.text(), /\nnow 5\n/);
  assert.doesNotMatch(metrics.text(), /v="1"/);
});

test("a series that replaces another between two scrapes is the one that shows", () => {
  const metrics = new MetricsRegistry();
  metrics.gauge("version", "", { v: "1" }).set(1);
  metrics.gauge("late", "").set(1);
  assert.match(metrics.text(), /v="1"/);
  metrics.remove("version", { v: "1" });
  metrics.gauge("version", "", { v: "2" }).set(1);
  metrics.observed("gauge", "late", "", () => 7);
  assert.match(metrics.text(), /v="2"/);
  assert.doesNotMatch(metrics.text(), /v="1"/);
  assert.match(metrics.text(), /\nlate 7\n/);
});

test("every name of etcd without labels shows before its first event", () => {
  const metrics = new MetricsRegistry();
  metrics.declare(ETCD_METRICS);
  const text = metrics.text();
  for (const definition of ETCD_METRICS) {
    if ((definition.labels ?? []).length > 0) continue;
    assert.ok(text.includes(`# TYPE ${definition.name} ${definition.type}\n`), definition.name);
  }
});

test("the gRPC counters exist for every method and code from the start", () => {
  const metrics = new MetricsRegistry();
  const grpc = new GrpcMetrics(metrics, false);
  assert.equal(
    metrics
      .text()
      .split("\n")
      .filter((line) => line.startsWith("grpc_server_handled_total{")).length,
    765,
  );
  grpc.method("/etcdserverpb.KV/Range", "unary").handled[0]!.add(1);
  const series =
    'grpc_server_handled_total{grpc_code="OK",grpc_method="Range",grpc_service="etcdserverpb.KV",grpc_type="unary"} 1';
  assert.ok(metrics.text().includes(series));
  grpc.method("/v3lockpb.Lock/Lock", "unary").handled[5]!.add(1);
  assert.match(metrics.text(), /grpc_code="NotFound",grpc_method="Lock"/);
});

test("the version that is shown is the package's", () => {
  const root = new URL("../../../package.json", import.meta.url);
  const json: unknown = JSON.parse(readFileSync(root, "utf8"));
  assert.ok(typeof json === "object" && json !== null && "version" in json && json.version === CAIRN_VERSION);
});
