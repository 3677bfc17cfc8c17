// Goal: keepalives are answered in order, a missing lease with 0, and one whose time is over only when its end is in the log. Method: a
// member on a simulated clock.
import assert from "node:assert/strict";
import { test } from "node:test";
import { isEtcdError } from "../base/errors.ts";
import { putRequest } from "../sim/client.ts";
import type { RecordedCall } from "../sim/recorded-call.ts";
import {
  decodeLeaseGrantResponse,
  decodeLeaseKeepAliveResponse,
  decodeLeaseLeasesResponse,
  decodeLeaseTimeToLiveResponse,
  decodePutResponse,
  encodeLeaseGrantRequest,
  encodeLeaseKeepAliveRequest,
  encodeLeaseRevokeRequest,
  encodeLeaseTimeToLiveRequest,
  encodePutRequest,
} from "../wire/generated/etcdserverpb.ts";
import { Serving } from "./serving.test.ts";

async function grant(serving: Serving, id: bigint, ttl: number): Promise<bigint> {
  const granted = await serving.call(
    "Lease/LeaseGrant",
    encodeLeaseGrantRequest({ id, ttl }),
    decodeLeaseGrantResponse,
  );
  assert.ok(!isEtcdError(granted));
  return granted.id;
}

async function timeToLive(serving: Serving, id: bigint): Promise<string> {
  const message = encodeLeaseTimeToLiveRequest({ id, keys: true });
  const found = await serving.call("Lease/LeaseTimeToLive", message, decodeLeaseTimeToLiveResponse);
  assert.ok(!isEtcdError(found));
  return `${found.ttl}/${found.grantedTtl} ${found.keys.map((key) => Buffer.from(key).toString()).join(" ")}`.trim();
}

const answers = (call: RecordedCall): string[] =>
  call.messages.map((message) => decodeLeaseKeepAliveResponse(message)).map(({ id, ttl }) => `${id}:${ttl}`);

test("a lease is granted, told with its keys, listed, and revoked", async () => {
  const serving = await Serving.start();
  const chosen = await grant(serving, 0n, 30);
  assert.ok(chosen > 0n, "the server chooses a positive id");
  await grant(serving, 7n, 1);
  await serving.call("KV/Put", encodePutRequest(putRequest("b", "1", { lease: 7n })), decodePutResponse);
  await serving.call("KV/Put", encodePutRequest(putRequest("a", "1", { lease: 7n })), decodePutResponse);
  await serving.pass(500);
  assert.equal(
    await timeToLive(serving, 7n),
    "1/2 b a",
    "two seconds is the least, keys in the order of their coming",
  );
  assert.equal(await timeToLive(serving, 8n), "-1/0");
  const leases = await serving.call("Lease/LeaseLeases", new Uint8Array(0), decodeLeaseLeasesResponse);
  assert.deepEqual(isEtcdError(leases) || leases.leases.map(({ id }) => id), [7n, chosen]);
  assert.equal(
    await serving.fails("Lease/LeaseGrant", encodeLeaseGrantRequest({ id: 7n, ttl: 9 })),
    "9 etcdserver: lease already exists",
  );
  assert.equal(
    await serving.fails("Lease/LeaseGrant", encodeLeaseGrantRequest({ id: 9n, ttl: 9_000_000_001 })),
    "11 etcdserver: too large lease TTL",
  );
  assert.equal(
    await serving.fails("Lease/LeaseRevoke", encodeLeaseRevokeRequest({ id: 8n })),
    "5 etcdserver: requested lease not found",
  );
});

test("keepalives renew, wait behind one whose lease is just ending, and end with the requests", async () => {
  const serving = await Serving.start();
  await grant(serving, 1n, 2);
  await grant(serving, 2n, 60);
  const { call, requests } = serving.open("Lease/LeaseKeepAlive");
  const keepAlive = (id: bigint): void => requests.message(encodeLeaseKeepAliveRequest({ id }));
  await serving.pass(1500);
  keepAlive(1n);
  await serving.pass(1500);
  assert.equal(await timeToLive(serving, 1n), "0/2");
  keepAlive(3n);
  assert.deepEqual(answers(call), ["1:2", "3:0"]);
  // Expired, and not yet revoked: the keeper looks twice a second.
  const { lessor, clock } = serving.machine.member;
  const lease = lessor.lookup(1n as never)!;
  while (!lessor.isExpired(lease, clock.now())) await serving.pass(10);
  keepAlive(1n);
  keepAlive(2n);
  requests.requestsEnded();
  assert.deepEqual(answers(call).slice(2), [], "the later one waits for the earlier");
  assert.equal(call.done, false);
  await serving.until(call.ended);
  assert.deepEqual(answers(call).slice(2), ["1:0", "2:60"]);
  assert.equal(call.error, undefined);
  assert.equal(await timeToLive(serving, 1n), "-1/0");
});

test("a keepalive that is none ends the stream with grpc's error", async () => {
  const serving = await Serving.start();
  const { call, requests } = serving.open("Lease/LeaseKeepAlive");
  requests.message(Uint8Array.of(0x08));
  assert.match(call.error?.message ?? "", /^grpc: failed to unmarshal the received message/);
});
