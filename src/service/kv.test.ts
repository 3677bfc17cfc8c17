// Goal: what etcd refuses at its KV API is refused, with its codes and texts and in its order, before it reaches the log. Method: a member
// on a simulated clock; one request each.
import assert from "node:assert/strict";
import { test } from "node:test";
import { isEtcdError } from "../base/errors.ts";
import { compare, deleteRequest, op, putRequest, rangeRequest } from "../sim/client.ts";
import {
  CompareResult,
  CompareTarget,
  decodeTxnResponse,
  encodeCompactionRequest,
  encodeDeleteRangeRequest,
  encodePutRequest,
  encodeRangeRequest,
  encodeTxnRequest,
  type RequestOp,
} from "../wire/generated/etcdserverpb.ts";
import { Serving } from "./serving.test.ts";

const txn = (success: RequestOp[], failure: RequestOp[] = []): Uint8Array =>
  encodeTxnRequest({ compare: [], success, failure });
const put = (key: string): RequestOp => op.put(putRequest(key, "v"));
const remove = (key: string, end = ""): RequestOp => op.delete(deleteRequest(key, end));
const nested = (success: RequestOp[], failure: RequestOp[] = []): RequestOp =>
  op.txn({ compare: [], success, failure });

test("requests that say too little or too much are refused with etcd's texts", async () => {
  const serving = await Serving.start();
  const cases: [string, Uint8Array, string][] = [
    ["KV/Put", encodePutRequest(putRequest("", "v")), "3 etcdserver: key is not provided"],
    ["KV/Range", encodeRangeRequest(rangeRequest("")), "3 etcdserver: key is not provided"],
    ["KV/DeleteRange", encodeDeleteRangeRequest(deleteRequest("")), "3 etcdserver: key is not provided"],
    [
      "KV/Put",
      encodePutRequest(putRequest("a", "v", { ignoreValue: true })),
      "3 etcdserver: value is provided",
    ],
    [
      "KV/Put",
      encodePutRequest(putRequest("a", "", { ignoreLease: true, lease: 1n })),
      "3 etcdserver: lease is provided",
    ],
    ["KV/Put", encodePutRequest(putRequest("a", "", { ignoreValue: true })), "3 etcdserver: key not found"],
    [
      "KV/Put",
      encodePutRequest(putRequest("a", "v", { lease: 1n })),
      "5 etcdserver: requested lease not found",
    ],
    [
      "KV/Put",
      encodePutRequest(putRequest("a", "v".repeat(1_572_865))),
      "3 etcdserver: request is too large",
    ],
    [
      "KV/Range",
      encodeRangeRequest(rangeRequest("a", "", { sortOrder: 3 })),
      "3 etcdserver: invalid sort option",
    ],
    [
      "KV/Range",
      encodeRangeRequest(rangeRequest("a", "", { sortTarget: 5 })),
      "3 etcdserver: invalid sort option",
    ],
    [
      "KV/Range",
      encodeRangeRequest(rangeRequest("a", "", { revision: 9 })),
      "11 etcdserver: mvcc: required revision is a future revision",
    ],
    [
      "KV/Compact",
      encodeCompactionRequest({ revision: 9, physical: false }),
      "11 etcdserver: mvcc: required revision is a future revision",
    ],
    [
      "KV/Put",
      Uint8Array.of(0x0a, 0x05, 0x61),
      "13 grpc: error unmarshalling request: proto: cannot parse invalid wire-format data",
    ],
    [
      "KV/RangeStream",
      encodeRangeRequest(rangeRequest("a", "b", { sortOrder: 2 })),
      "12 RangeStream does not support custom sort orders",
    ],
    [
      "KV/RangeStream",
      encodeRangeRequest(rangeRequest("a", "b", { minModRevision: 1 })),
      "12 RangeStream does not support revision filters",
    ],
  ];
  for (const [method, message, expected] of cases)
    assert.equal(await serving.fails(method, message), expected, method);
  assert.equal(serving.machine.member.store.currentRevision, 1);
});

test("a transaction is refused whole: too many ops, empty ops, keys that two ops would write", async () => {
  const serving = await Serving.start();
  const many = (count: number): RequestOp[] => Array.from({ length: count }, (_, n) => put(`k${n}`));
  const tooMany = "3 etcdserver: too many operations in txn request";
  const twice = "3 etcdserver: duplicate key given in txn request";
  const refused: [Uint8Array, string][] = [
    [txn(many(129)), tooMany],
    [txn([], many(129)), tooMany],
    [txn([...many(127), nested(many(2))]), tooMany],
    [txn([{ request: undefined }]), "3 etcdserver: key not found"],
    [txn([put("")]), "3 etcdserver: key is not provided"],
    [
      encodeTxnRequest({
        compare: [compare("", CompareTarget.MOD, CompareResult.EQUAL, { case: "modRevision", value: 0 })],
        success: [],
        failure: [],
      }),
      "3 etcdserver: key is not provided",
    ],
    [txn([put("a"), put("a")]), twice],
    [txn([put("b"), remove("a", "c")]), twice],
    [txn([put("a"), nested([put("a")])]), twice],
    [txn([remove("a", "c"), nested([], [put("b")])]), twice],
    [txn([], [put("a"), put("a")]), twice],
  ];
  for (const [message, expected] of refused) assert.equal(await serving.fails("KV/Txn", message), expected);
  assert.equal(serving.machine.member.store.currentRevision, 1);
  const allowed = [
    // As etcd, which takes an open end for the key "\\0" here.
    txn([remove("a", "\0"), put("b")]),
    txn(many(128)),
    txn([put("a")], [put("a")]),
    txn([nested([put("a")], [put("a")])]),
    txn([remove("a", "c"), remove("b", "d"), put("d")]),
  ];
  for (const message of allowed)
    assert.ok(!isEtcdError(await serving.call("KV/Txn", message, decodeTxnResponse)));
});

test("beyond the quota a write is refused and the alarm raised; deleting and compacting clears it", async () => {
  const serving = await Serving.start({ quotaBytes: 120_000 });
  const big = "x".repeat(20_000);
  for (let n = 0; n < 4; n++) await serving.put(`k${n}`, big);
  const noSpace = "8 etcdserver: mvcc: database space exceeded";
  assert.equal(await serving.fails("KV/Put", encodePutRequest(putRequest("more", big))), noSpace);
  assert.equal(await serving.fails("KV/Put", encodePutRequest(putRequest("small", ""))), noSpace);
  const { alarms } = serving.machine.member.applyContext;
  assert.equal(alarms.get(1).length, 1);
  await serving.call("KV/DeleteRange", encodeDeleteRangeRequest(deleteRequest("k", "l")), () => undefined);
  await serving.call("KV/Compact", encodeCompactionRequest({ revision: 6, physical: true }), () => undefined);
  await serving.pass(1000);
  await serving.put("more", big);
});

test("the alarm stays as long as nothing was freed, however much of the quota there is", async () => {
  const serving = await Serving.start({ quotaBytes: 120_000 });
  const { alarms } = serving.machine.member.applyContext;
  const remove = (key: string) =>
    serving.call("KV/DeleteRange", encodeDeleteRangeRequest(deleteRequest(key, "")), () => undefined);
  const compact = (revision: number) =>
    serving.call("KV/Compact", encodeCompactionRequest({ revision, physical: true }), () => undefined);
  for (const key of ["a", "b", "c", "d"]) await serving.put(key, "x".repeat(10_000));
  const refused = encodePutRequest(putRequest("big", "x".repeat(70_000)));
  assert.equal(await serving.fails("KV/Put", refused), "8 etcdserver: mvcc: database space exceeded");
  await serving.pass(3000);
  assert.equal(alarms.get(1).length, 1, "half of the quota is free, but nothing was freed");
  await remove("a");
  await compact(6);
  await serving.pass(3000);
  assert.equal(alarms.get(1).length, 0, "something was freed, and half of the quota is free");
});

test("what no service here does yet is refused clearly, and authentication is said to be off", async () => {
  const serving = await Serving.start();
  const text = (what: string): string => `12 etcdserver: ${what} is not supported by this version of Cairn`;
  assert.equal(await serving.fails("Auth/AuthEnable", new Uint8Array(0)), text("authentication"));
  assert.equal(await serving.fails("/v3lockpb.Lock/Lock", new Uint8Array(0)), text("the Lock service"));
  assert.equal(
    await serving.fails("/v3electionpb.Election/Observe", new Uint8Array(0)),
    text("the Election service"),
  );
  const status = serving.begin("Auth/AuthStatus", new Uint8Array(0));
  await serving.until(status.ended);
  assert.equal(status.error, undefined);
});
