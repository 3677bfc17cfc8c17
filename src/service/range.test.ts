// Goal: a long list costs no memory however slow its reader, and shows one revision whatever happens meanwhile. Method: values on a
// simulated disk, a reader that takes one piece at a time.
import assert from "node:assert/strict";
import { test } from "node:test";
import { deleteRequest, rangeRequest } from "../sim/client.ts";
import {
  decodeRangeResponse,
  decodeRangeStreamResponse,
  encodeCompactionRequest,
  encodeDeleteRangeRequest,
  encodeRangeRequest,
} from "../wire/generated/etcdserverpb.ts";
import { Serving } from "./serving.test.ts";

const KEYS = 300;
const VALUE_BYTES = 20_000;
const ALL = encodeRangeRequest(rangeRequest("k/", "k0"));
const name = (n: number): string => `k/${String(n).padStart(4, "0")}`;

async function filled(): Promise<Serving> {
  const serving = await Serving.start();
  for (let n = 0; n < KEYS; n++) await serving.put(name(n), String(n).padEnd(VALUE_BYTES, "."));
  return serving;
}

async function deleteAndCompact(serving: Serving): Promise<void> {
  await serving.call("KV/DeleteRange", encodeDeleteRangeRequest(deleteRequest("k/", "k0")), () => undefined);
  // A tombstone goes when a later revision is compacted.
  const revision = await serving.put("later", "");
  await serving.call("KV/Compact", encodeCompactionRequest({ revision, physical: true }), () => undefined);
}

test("pieces are asked for one at a time, and the list is that of its revision though all was deleted and compacted", async () => {
  const serving = await filled();
  const call = serving.begin("KV/Range", ALL, { reading: false });
  await serving.pass(50);
  assert.equal(call.pieces, 0, "nothing is made before somebody reads");
  assert.equal(call.bufferedBytes, 0, "nothing waits in memory");
  call.read(1);
  assert.equal(call.pieces, 1);
  await deleteAndCompact(serving);
  for (let pieces = 2; !call.done; pieces++) {
    call.read(1);
    assert.equal(call.pieces, pieces);
  }
  assert.ok(call.pieces > 10, `${call.pieces} pieces`);
  const { kvs, count, more } = decodeRangeResponse(call.messages[0]!);
  assert.deepEqual([kvs.length, count, more], [KEYS, KEYS, false]);
  kvs.forEach((kv, n) => {
    assert.equal(Buffer.from(kv.key).toString(), name(n));
    assert.equal(Buffer.from(kv.value).toString(), String(n).padEnd(VALUE_BYTES, "."));
  });
});

test("a reader that goes away lets go of the rows it stood at", async () => {
  const serving = await filled();
  const { store } = serving.machine.member;
  const call = serving.begin("KV/Range", ALL, { reading: false });
  await serving.pass(50);
  call.read(2);
  await deleteAndCompact(serving);
  assert.ok(store.rows >= KEYS, "the reader's rows are kept");
  call.cancel();
  await serving.pass(1000);
  assert.ok(store.rows < 5, `${store.rows} rows are left`);
});

test("RangeStream says what Range says, in growing chunks, and only the last one has header and count", async () => {
  const serving = await filled();
  const call = serving.begin("KV/RangeStream", ALL);
  await serving.until(call.ended);
  const chunks = call.messages.map((message) => decodeRangeStreamResponse(message).rangeResponse!);
  assert.deepEqual(
    chunks.map(({ kvs }) => kvs.length),
    [10, 20, 40, 40, 40, 40, 40, 40, 30],
  );
  assert.ok(chunks.slice(0, -1).every(({ header, count }) => header === undefined && count === 0));
  const last = chunks.at(-1)!;
  assert.deepEqual([last.header!.revision, last.count, last.more], [KEYS + 1, KEYS, false]);
  assert.deepEqual(
    chunks.flatMap(({ kvs }) => kvs.map((kv) => Buffer.from(kv.key).toString())),
    Array.from({ length: KEYS }, (_, n) => name(n)),
  );
});

test("a slow RangeStream waits with its next chunk, and a compaction in between ends it", async () => {
  const serving = await filled();
  const call = serving.begin("KV/RangeStream", ALL, { reading: false, weight: 20 });
  await serving.pass(50);
  const waiting = call.unread;
  assert.ok(waiting < 4, `${waiting} chunks were made for a reader that takes none`);
  await deleteAndCompact(serving);
  call.reading = true;
  call.read();
  await serving.until(call.ended);
  assert.equal(call.error?.message, "etcdserver: mvcc: required revision has been compacted");
});
