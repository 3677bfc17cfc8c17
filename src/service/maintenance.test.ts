// Goal: a snapshot is a database that the bbolt reader understands, with its digest, and a member made from it is the same; health is told.
// Method: a member on a simulated disk, another one started on what the first one sent.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { isEtcdError } from "../base/errors.ts";
import { checkFile } from "../bbolt/check.ts";
import { BoltFile, bytesSource } from "../bbolt/reader.ts";
import { readTables } from "../etcdfile/backend.ts";
import { WalEncoder } from "../etcdfile/wal-encoder.ts";
import { walName } from "../etcdfile/wal-reader.ts";
import { nodeDigest } from "../node/digest.ts";
import type { Digest, StreamDigest } from "../ports/digest.ts";
import { deleteRequest } from "../sim/client.ts";
import { DATA_DIRECTORY } from "../sim/machine.ts";
import { RecordedCall } from "../sim/recorded-call.ts";
import {
  decodeHashKVResponse,
  decodeLeaseTimeToLiveResponse,
  decodeSnapshotResponse,
  encodeCompactionRequest,
  encodeDeleteRangeRequest,
  encodeHashKVRequest,
  encodeLeaseGrantRequest,
  encodeLeaseTimeToLiveRequest,
} from "../wire/generated/etcdserverpb.ts";
import { decodeHealthCheckResponse, encodeHealthCheckRequest } from "../wire/generated/health.ts";
import { HealthService } from "./health.ts";
import { Serving } from "./serving.test.ts";

async function filled(digest?: Digest): Promise<Serving> {
  const serving = await Serving.start({}, digest);
  for (let n = 0; n < 300; n++) await serving.put(`k${n % 90}`, `${n}`.padEnd((n % 7) * 500, "-"));
  await serving.call("KV/DeleteRange", encodeDeleteRangeRequest(deleteRequest("k1", "k3")), () => undefined);
  await serving.call("Lease/LeaseGrant", encodeLeaseGrantRequest({ id: 77n, ttl: 1000 }), () => undefined);
  await serving.call(
    "KV/Compact",
    encodeCompactionRequest({ revision: 200, physical: true }),
    () => undefined,
  );
  return serving;
}

async function hashes(serving: Serving): Promise<string[]> {
  const found: string[] = [];
  for (const revision of [0, 210, 250]) {
    const answer = await serving.call(
      "Maintenance/HashKV",
      encodeHashKVRequest({ revision }),
      decodeHashKVResponse,
    );
    assert.ok(!isEtcdError(answer));
    found.push(`${answer.hash} of ${answer.hashRevision} compacted ${answer.compactRevision}`);
  }
  return found;
}

async function snapshot(serving: Serving): Promise<Uint8Array> {
  const call = serving.begin("Maintenance/Snapshot", new Uint8Array(0));
  await serving.until(call.ended);
  assert.equal(call.error, undefined);
  const parts = call.messages.map((message) => decodeSnapshotResponse(message));
  const digest = parts.pop()!;
  const file = Buffer.concat(parts.map(({ blob }) => blob));
  let left = file.length;
  for (const { remainingBytes, blob, version } of parts) {
    left -= blob.length;
    assert.ok(blob.length <= 32 << 10);
    assert.equal(remainingBytes, left);
    assert.equal(version, "3.7.0");
  }
  assert.equal(digest.remainingBytes, 0);
  assert.deepEqual(Buffer.from(digest.blob), createHash("sha256").update(file).digest());
  return file;
}

test("a snapshot is a whole bbolt file in messages of 32 KiB, its SHA-256 behind it", async () => {
  const file = await snapshot(await filled());
  const bolt = new BoltFile(bytesSource(file));
  assert.deepEqual(checkFile(bolt, bytesSource(file)), []);
  const tables = readTables(bolt);
  assert.deepEqual(
    tables.leases.map(({ id, ttl }) => `${id}/${ttl}`),
    ["77/1000"],
  );
  assert.equal(tables.finishedCompactRevision, 200);
});

test("a member started on a snapshot has the same HashKV at every revision, the same leases, and goes on", async () => {
  const first = await filled();
  const file = await snapshot(first);
  const { localId, clusterId } = first.machine.member;
  const { consistentIndex } = readTables(new BoltFile(bytesSource(file)));
  const wal = new WalEncoder({ nodeId: localId, clusterId });
  wal.snapshot({ index: 0, term: 0, confState: undefined });
  for (let index = 1; index <= consistentIndex; index++)
    wal.entry({ index, term: 2, type: 0, data: new Uint8Array(0) });
  wal.hardState({ term: 2, vote: localId, commit: consistentIndex });
  const second = new Serving();
  await second.machine.disk.makeDirectory(`${DATA_DIRECTORY}/member/snap`);
  await second.machine.disk.makeDirectory(`${DATA_DIRECTORY}/member/wal`);
  second.machine.disk.place(`${DATA_DIRECTORY}/member/snap/db`, file);
  second.machine.disk.place(`${DATA_DIRECTORY}/member/wal/${walName(0, 0)}`, wal.bytes());
  await second.boot();
  assert.deepEqual(await hashes(second), await hashes(first));
  const lease = await second.call(
    "Lease/LeaseTimeToLive",
    encodeLeaseTimeToLiveRequest({ id: 77n, keys: false }),
    decodeLeaseTimeToLiveResponse,
  );
  assert.equal(isEtcdError(lease) || lease.grantedTtl, 1000);
  assert.equal(await second.put("next", "1"), await first.put("next", "1"));
  assert.deepEqual(await hashes(second), await hashes(first));
});

test("a slow reader's snapshot waits, shows one revision, and holds nothing once it is gone", async () => {
  const serving = await filled();
  const call = serving.begin("Maintenance/Snapshot", new Uint8Array(0), { reading: false, weight: 100 });
  await serving.pass(100);
  assert.ok(call.unread < 64, `${call.unread} messages wait`);
  assert.equal(serving.machine.member.store.compactionHeld, true);
  call.cancel();
  assert.equal(serving.machine.member.store.compactionHeld, false);
});

/** A digest of which the test says how far it is and when it fails. */
function lagging(): { digest: Digest; done: number; fail(error: Error): void } {
  const control = { digest: nodeDigest(), done: 0, fail(_error: Error): void {} };
  const inline = nodeDigest();
  control.digest.sha256Stream = (onFailure): StreamDigest => {
    control.fail = onFailure;
    const stream = inline.sha256Stream(onFailure);
    return {
      get updatesDone() {
        return control.done;
      },
      update: (chunk) => stream.update(chunk),
      finish: (then) => stream.finish(then),
      cancel: () => stream.cancel(),
    };
  };
  return control;
}

test("a snapshot waits for a digest that lags, and ends with INTERNAL when the digest fails", async () => {
  const control = lagging();
  const serving = await filled(control.digest);
  for (let n = 0; n < 8; n++) await serving.put(`large${n}`, "x".repeat(1 << 20));
  const waits = serving.begin("Maintenance/Snapshot", new Uint8Array(0));
  await serving.pass(100);
  const before = waits.messages.length;
  assert.ok(before > 0 && before < 300 && !waits.done, `${before} messages, no more than the ring holds`);
  control.done = 1000;
  await serving.until(waits.ended);
  assert.equal(waits.error, undefined);
  control.done = 0;
  const fails = serving.begin("Maintenance/Snapshot", new Uint8Array(0));
  await serving.pass(100);
  control.fail(new Error("the hashing thread ended with code 3"));
  await serving.until(fails.ended);
  assert.deepEqual(fails.error, { code: 13, message: "etcdserver: the hashing thread ended with code 3" });
  assert.equal(serving.machine.member.store.compactionHeld, false);
});

test("health is told to who asks and to who watches, names that are not known are said to be so", () => {
  const health = new HealthService();
  const methods = new Map(health.methods());
  const ask = (path: string, service: string): RecordedCall => {
    const method = methods.get(`/grpc.health.v1.Health/${path}`)!;
    assert.ok(method.kind !== "bidi");
    const call = new RecordedCall();
    method.handle(call, encodeHealthCheckRequest({ service }));
    return call;
  };
  const statuses = (call: RecordedCall): number[] =>
    call.messages.map((message) => decodeHealthCheckResponse(message).status);
  assert.deepEqual(statuses(ask("Check", "")), [1]);
  assert.deepEqual(ask("Check", "other").error, { code: 5, message: "unknown service" });
  const watching = ask("Watch", "");
  const unknown = ask("Watch", "other");
  health.setServing(false);
  health.setServing(false);
  assert.deepEqual(statuses(watching), [1, 2]);
  assert.deepEqual(statuses(unknown), [3]);
  assert.deepEqual(statuses(ask("Check", "")), [2]);
  watching.cancel();
  health.setServing(true);
  assert.deepEqual(statuses(watching), [1, 2]);
});
