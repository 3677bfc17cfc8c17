// Goal: what a log of etcd 3.5 says in the old API's words is understood, and today's requests pass untouched. The two old requests
// were captured from the log of etcd 3.5.35.
import assert from "node:assert/strict";
import { test } from "node:test";
import { concatBytes, utf8ToBytes } from "../base/bytes.ts";
import {
  createInternalRaftRequest,
  decodeInternalRaftRequest,
  encodeInternalRaftRequest,
} from "../wire/generated/raft-internal.ts";
import { isV2Request, modernRequest } from "./v2-request.ts";

/** ID 7, method, path, value, then the zeros that 3.5 writes. */
function old(method: string, path: string, value: string): Uint8Array {
  const text = (tag: number, s: string): Uint8Array[] => [Uint8Array.of(tag, s.length), utf8ToBytes(s)];
  const zeros = Uint8Array.of(
    0x28,
    0,
    0x32,
    0,
    0x38,
    0,
    0x48,
    0,
    0x50,
    0,
    0x58,
    0,
    0x60,
    0,
    0x68,
    0,
    0x70,
    0,
    0x78,
    0,
  );
  return concatBytes([
    Uint8Array.of(0x08, 7),
    ...text(0x12, method),
    ...text(0x1a, path),
    ...text(0x22, value),
    zeros,
  ]);
}

test("a member's old publication becomes today's", () => {
  const value = '{"name":"default","clientURLs":["http://127.0.0.1:24106"]}';
  const data = old("PUT", "/0/members/c784b32170ded57c/attributes", value);
  assert.equal(isV2Request(data), true);
  const request = decodeInternalRaftRequest(modernRequest(data));
  assert.equal(request.header?.id, 7n);
  assert.deepEqual(request.clusterMemberAttrSet, {
    memberId: 0xc784_b321_70de_d57cn,
    memberAttributes: { name: "default", clientUrls: ["http://127.0.0.1:24106"] },
  });
});

test("the old cluster version becomes today's", () => {
  const request = decodeInternalRaftRequest(modernRequest(old("PUT", "/0/version", "3.5.0")));
  assert.deepEqual(request.clusterVersionSet, { ver: "3.5.0" });
});

test("reads and clock ticks of the old store are nothing, writes to it are refused", () => {
  assert.equal(modernRequest(old("SYNC", "", "")).length, 0);
  assert.throws(() => modernRequest(old("PUT", "/1/mine", "x")), /v2 API \(PUT \/1\/mine\)/);
});

test("today's requests, and an empty entry, pass as they are", () => {
  const put = {
    key: utf8ToBytes("k"),
    value: utf8ToBytes("v"),
    lease: 0n,
    prevKv: false,
    ignoreValue: false,
    ignoreLease: false,
  };
  const data = encodeInternalRaftRequest({ ...createInternalRaftRequest(), id: 7n, put });
  assert.equal(modernRequest(data), data);
  assert.equal(modernRequest(new Uint8Array(0)).length, 0);
  assert.equal(isV2Request(Uint8Array.of(0x08, 7)), false);
});
