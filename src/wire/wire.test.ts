// Goal: the bytes are etcd's. Known answers are what protoc's own rules give for the fields' numbers; refusals carry the texts
// that grpc-go's clients see.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { generateWire } from "../../scripts/gen-wire.ts";
import { DecodeError, requestDecodeError } from "./decode-error.ts";
import { enumName, enumNumber, fieldsOf, methodOf } from "./descriptor.ts";
import {
  createCompare,
  createPutRequest,
  createRangeRequest,
  createTxnRequest,
  createWatchCreateRequest,
  decodeCompare,
  decodeLeaseGrantRequest,
  decodeMemberListResponse,
  decodePutRequest,
  decodeRangeRequest,
  decodeRequestOp,
  decodeTxnRequest,
  encodeCompare,
  encodeLeaseGrantRequest,
  encodePutRequest,
  encodeRangeRequest,
  encodeTxnRequest,
  encodeWatchCreateRequest,
  SortOrder,
} from "./generated/etcdserverpb.ts";
import { createInternalRaftRequest, encodeInternalRaftRequest } from "./generated/raft-internal.ts";
import {
  createMessage,
  decodeConfState,
  decodeMessage,
  encodeConfState,
  encodeMessage,
  MessageType,
} from "./generated/raftpb.ts";
import { MESSAGE_DEPTH_MAX } from "./reader.ts";

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const unhex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "hex"));

test("the checked-in output is what the generator makes of the .proto files", () => {
  const source = (name: string): URL => new URL(`../../../src/wire/${name}`, import.meta.url);
  const output = generateWire(source("proto").pathname);
  assert.deepEqual(readdirSync(source("generated")).sort(), [...output.keys()].sort());
  for (const [name, text] of output) {
    assert.ok(readFileSync(source(`generated/${name}`), "utf8") === text, `${name}: run npm run generate`);
  }
});

test("fields are written in the order of their numbers and zeros not at all", () => {
  const put = createPutRequest();
  assert.equal(hex(encodePutRequest(put)), "");
  put.ignoreLease = true;
  put.value = utf8("bar");
  put.key = utf8("foo");
  put.lease = 0x6942a1b2c3d4e5f6n;
  assert.equal(hex(encodePutRequest(put)), "0a03666f6f1203626172" + "18f6cbd39eacb6a8a169" + "3001");
});

test("a range request has etcd's bytes", () => {
  const range = createRangeRequest();
  range.key = utf8("a");
  range.rangeEnd = Uint8Array.of(0);
  range.limit = 500;
  range.sortOrder = SortOrder.DESCEND;
  range.maxCreateRevision = 1;
  assert.equal(hex(encodeRangeRequest(range)), "0a0161" + "120100" + "18f403" + "2802" + "6801");
});

test("a member of a oneof is written even when zero, and a nested message that is empty as well", () => {
  const compare = createCompare();
  compare.targetUnion = { case: "version", value: 0 };
  compare.rangeEnd = Uint8Array.of(0x62);
  assert.equal(hex(encodeCompare(compare)), "2000" + "82040162");
  assert.deepEqual(decodeCompare(unhex("2000")).targetUnion, { case: "version", value: 0 });
  const txn = createTxnRequest();
  txn.success.push(
    { request: { case: "requestRange", value: createRangeRequest() } },
    { request: undefined },
  );
  assert.equal(hex(encodeTxnRequest(txn)), "12020a00" + "1200");
});

test("the raft request's header follows the request, as its number says", () => {
  const request = createInternalRaftRequest();
  request.header = { id: 1n, username: "u", authRevision: 2 };
  request.put = createPutRequest();
  request.authEnable = {};
  assert.equal(hex(encodeInternalRaftRequest(request)), "2200" + "a206070801120175" + "1802" + "c23e00");
});

test("repeated numbers: proto3 writes packed, proto2 one by one, and both are read either way", () => {
  const create = createWatchCreateRequest();
  create.filters = [0, 1];
  assert.equal(hex(encodeWatchCreateRequest(create)), "2a020001");
  const state = { voters: [1n, 300n], learners: [], votersOutgoing: [], learnersNext: [], autoLeave: false };
  assert.equal(hex(encodeConfState(state)), "0801" + "08ac02");
  assert.deepEqual(decodeConfState(unhex("0a0301ac02")), state);
});

test("numbers keep their order when they do not fit a double, and saturate on the way out", () => {
  const revision = (text: string): number => decodeRangeRequest(unhex(text)).revision;
  assert.equal(revision("20ffffffffffffffff7f"), 2 ** 63);
  assert.equal(revision("20ffffffffffffffffff01"), -1);
  assert.equal(revision("2080808080808080808001"), -(2 ** 63));
  assert.equal(revision("20ffffffffffffff0f"), 2 ** 53 - 1);
  const range = createRangeRequest();
  for (const [value, text] of [
    [2 ** 63, "20ffffffffffffffff7f"],
    [Infinity, "20ffffffffffffffff7f"],
    [-1, "20ffffffffffffffffff01"],
    [-(2 ** 63), "2080808080808080808001"],
    [2 ** 53 - 1, "20ffffffffffffff0f"],
    [2 ** 32, "208080808010"],
  ] as const) {
    range.revision = value;
    assert.equal(hex(encodeRangeRequest(range)), text);
  }
  const message = createMessage();
  message.type = MessageType.MsgApp;
  message.index = 2 ** 63;
  assert.equal(hex(encodeMessage(message)), "0803" + "3080808080808080808001");
  assert.equal(decodeMessage(encodeMessage(message)).index, 2 ** 63);
});

test("ids are exact, negative ones too", () => {
  for (const id of [0n, 1n, 127n, 128n, 2n ** 32n, 2n ** 63n - 1n, -1n, -(2n ** 63n)]) {
    const request = { ttl: 5, id };
    assert.equal(decodeLeaseGrantRequest(encodeLeaseGrantRequest(request)).id, id);
  }
});

test("enum numbers without a name are kept", () => {
  assert.equal(decodeRangeRequest(unhex("2863")).sortOrder, 99);
  assert.equal(decodeRangeRequest(unhex("28ffffffffffffffffff01")).sortOrder, -1);
  assert.equal(
    hex(encodeRangeRequest(decodeRangeRequest(unhex("28ffffffffffffffffff01")))),
    "28ffffffffffffffffff01",
  );
});

test("unknown fields, other wire types and groups are passed over", () => {
  const unknown =
    "f80601" + "f9060000000000000000" + "fa0602ffff" + "fd0600000000" + "fb060801fb06fc06fc06" + "0d00000000";
  assert.equal(hex(decodePutRequest(unhex(`${unknown}0a0161${unknown}`)).key), "61");
});

test("a repeated oneof member merges with itself and replaces another", () => {
  const op = decodeRequestOp(unhex("0a030a0161" + "0a021805"));
  assert.equal(op.request?.case, "requestRange");
  assert.ok(
    op.request?.case === "requestRange" && op.request.value.limit === 5 && hex(op.request.value.key) === "61",
  );
  assert.equal(decodeRequestOp(unhex("0a030a0161" + "12030a0162")).request?.case, "requestPut");
});

test("malformed bytes are refused with protobuf's text", () => {
  const bad = [
    "0a", // length missing
    "0a05", // body missing
    "0affffffff0f", // length beyond 4 GB
    "0affffffffffffffffff01", // negative length
    "20", // varint missing
    "20ffffffffffffffffffff", // varint without end
    "20ffffffffffffffffff02", // bit 65
    "00", // field number 0
    "04", // end of no group
    "fc06", // likewise
    "fb06", // group without end
    "fb060801fc07", // group ended by another number
    "0e", // wire types 6 and 7
    "f706",
    "ffffffff1f00", // field number beyond 2^29 - 1
    "79", // fixed64 missing
    "7d0000", // fixed32 cut
  ];
  for (const text of bad) {
    assert.throws(
      () => decodePutRequest(unhex(text)),
      (error) =>
        error instanceof DecodeError && error.message === "proto: cannot parse invalid wire-format data",
      text,
    );
  }
});

test("a string that is not UTF-8 is refused as grpc-go refuses it; any other string is kept", () => {
  const members = (text: string): Uint8Array =>
    unhex(`12${hex(Uint8Array.of(text.length / 2 + 2))}12${hex(Uint8Array.of(text.length / 2))}${text}`);
  for (const text of ["ff", "c080", "eda080", "f4908080", "e282"]) {
    assert.throws(
      () => decodeMemberListResponse(members(text)),
      (error) => {
        assert.ok(error instanceof DecodeError);
        const status = requestDecodeError(error);
        assert.deepEqual(
          [status.code, status.message],
          [13, "grpc: error unmarshalling request: string field contains invalid UTF-8"],
        );
        return true;
      },
    );
  }
  for (const name of ["", "é", "\ufeffx", "𝄞", "x".repeat(60), `${"x".repeat(60)}ü`]) {
    assert.equal(decodeMemberListResponse(members(hex(utf8(name)))).members[0]!.name, name);
  }
});

/** A txn in a txn in a txn: `depth` messages in all, two per level. */
function nested(depth: number): Uint8Array {
  let bytes: Uint8Array = new Uint8Array(0);
  for (let i = 0; i < depth; i++) {
    const head = [i % 2 === 0 ? 0x22 : 0x12];
    let length = bytes.length;
    while (length >= 0x80) {
      head.push((length & 0x7f) | 0x80);
      length >>>= 7;
    }
    head.push(length);
    bytes = Uint8Array.from([...head, ...bytes]);
  }
  return bytes;
}

test("nesting has a limit that the stack can bear", () => {
  const deep = decodeTxnRequest(nested(MESSAGE_DEPTH_MAX - 2));
  assert.equal(hex(encodeTxnRequest(deep)), hex(nested(MESSAGE_DEPTH_MAX - 2)));
  for (const depth of [MESSAGE_DEPTH_MAX, 20_000]) {
    assert.throws(() => decodeTxnRequest(nested(depth)), DecodeError);
  }
  const groups = "fb06".repeat(MESSAGE_DEPTH_MAX + 5);
  assert.throws(() => decodePutRequest(unhex(groups)), DecodeError);
});

test("the tables name fields, enums and methods as the .proto files do", () => {
  assert.deepEqual(
    fieldsOf("etcdserverpb.Member")!.map((field) => [field.name, field.property]),
    [
      ["ID", "id"],
      ["name", "name"],
      ["peerURLs", "peerUrls"],
      ["clientURLs", "clientUrls"],
      ["isLearner", "isLearner"],
    ],
  );
  assert.equal(enumName("etcdserverpb.RangeRequest.SortOrder", 2), "DESCEND");
  assert.equal(enumNumber("etcdserverpb.AlarmType", "CORRUPT"), 2);
  assert.deepEqual(methodOf("/etcdserverpb.Watch/Watch"), {
    request: "etcdserverpb.WatchRequest",
    response: "etcdserverpb.WatchResponse",
    requestStream: true,
    responseStream: true,
  });
  assert.equal(fieldsOf("toString"), undefined);
});
