// Goal: a request is counted under the version that its client names, by a cell that is looked up once per header block, and a name that
// is not UTF-8 is refused by the method's own row of counters. Method: heads made by hand.
import assert from "node:assert/strict";
import { test } from "node:test";
import { type EtcdError, errors } from "../base/errors.ts";
import { FieldKind, HeaderField } from "../http2/header-field.ts";
import { RequestHead } from "../http2/request-head.ts";
import type { ServerCall } from "../service/call.ts";
import { planRequest, routesOf } from "./plan.ts";
import { uncounted } from "./stats.ts";

const UNARY = "/s/Unary";
const STREAM = "/s/Stream";

function setup() {
  const counts = new Map<string, number>();
  const lookups: string[] = [];
  const routes = routesOf(
    new Map([
      [UNARY, { kind: "unary", handle() {} }],
      [STREAM, { kind: "server-stream", handle() {} }],
    ]),
    uncounted,
    (stream, version) => {
      const key = `${stream ? "stream" : "unary"} ${version}`;
      lookups.push(key);
      return { add: (n) => counts.set(key, (counts.get(key) ?? 0) + n) };
    },
  );
  return { counts, lookups, routes };
}

function head(path: string, version?: string): RequestHead {
  const fields = [
    new HeaderField(":method", "POST", FieldKind.Method),
    new HeaderField(":scheme", "http", FieldKind.Scheme),
    new HeaderField(":path", path, FieldKind.Path),
    new HeaderField("content-type", "application/grpc", FieldKind.ContentType),
  ];
  if (version !== undefined) fields.push(new HeaderField("client-api-version", version, FieldKind.Other));
  return new RequestHead(fields);
}

test("requests are counted by kind and client version, and one that names none is unknown", () => {
  const { counts, lookups, routes } = setup();
  const plan = planRequest(head(UNARY, "3.7"), routes);
  for (let i = 0; i < 5; i++) plan.requests?.add(1);
  planRequest(head(STREAM, "3.6"), routes).requests?.add(1);
  planRequest(head(UNARY), routes).requests?.add(1);
  // Header values come as the bytes they are: UTF-8 is decoded for the label.
  planRequest(head(UNARY, "\u00c3\u00a9"), routes).requests?.add(1);
  assert.deepEqual(Object.fromEntries(counts), {
    "unary 3.7": 5,
    "stream 3.6": 1,
    "unary unknown": 1,
    "unary é": 1,
  });
  assert.equal(lookups.length, 4);
});

test("a client version that is not UTF-8 is refused, and not counted", () => {
  const { lookups, routes } = setup();
  const plan = planRequest(head(UNARY, "\u00ff"), routes);
  assert.equal(plan.requests, undefined);
  assert.equal(plan.route?.path, UNARY);
  let refused: EtcdError | undefined;
  const call = { fail: (error: EtcdError) => (refused = error) } as unknown as ServerCall;
  assert.ok(plan.route?.method.kind === "unary");
  plan.route.method.handle(call, new Uint8Array(0));
  assert.equal(refused, errors.invalidClientApiVersion);
  assert.equal(lookups.length, 0);
});
