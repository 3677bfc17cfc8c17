// Goal: the watch stream's protocol is etcd's: created, refused, canceled, progress, fragments, compacted, and a slow reader who misses
// nothing. Method: a member on a simulated clock, streams whose messages are read in the open.
import assert from "node:assert/strict";
import { test } from "node:test";
import { latin1ToBytes } from "../base/bytes.ts";
import { putRequest } from "../sim/client.ts";
import type { RecordedCall } from "../sim/recorded-call.ts";
import {
  createWatchCreateRequest,
  decodeTxnResponse,
  decodeWatchResponse,
  encodeCompactionRequest,
  encodeTxnRequest,
  encodeWatchRequest,
  type RequestOp,
  type WatchCreateRequest,
  type WatchResponse,
} from "../wire/generated/etcdserverpb.ts";
import { Serving } from "./serving.test.ts";

type Stream = {
  readonly call: RecordedCall;
  create(key: string, options?: Partial<WatchCreateRequest>, end?: string): void;
  cancel(id: bigint): void;
  progress(): void;
  /** What came since the last look, as short lines. */
  news(): string[];
};

function openStream(serving: Serving, weight = 1): Stream {
  const { call, requests } = serving.open("Watch/Watch", { weight });
  let seen = 0;
  const send = (union: NonNullable<Parameters<typeof encodeWatchRequest>[0]["requestUnion"]>): void =>
    requests.message(encodeWatchRequest({ requestUnion: union }));
  return {
    call,
    create: (key, options = {}, end = "") =>
      send({
        case: "createRequest",
        value: {
          ...createWatchCreateRequest(),
          ...options,
          key: latin1ToBytes(key),
          rangeEnd: latin1ToBytes(end),
        },
      }),
    cancel: (watchId) => send({ case: "cancelRequest", value: { watchId } }),
    progress: () => send({ case: "progressRequest", value: {} }),
    news: () => {
      const lines = call.messages.slice(seen).map((message) => show(decodeWatchResponse(message)));
      seen = call.messages.length;
      return lines;
    },
  };
}

function show(response: WatchResponse): string {
  const { watchId, created, canceled, cancelReason, compactRevision, fragment, events } = response;
  const words = [`${watchId}@${response.header?.revision}`];
  if (created) words.push("created");
  if (canceled) words.push("canceled");
  if (cancelReason !== "") words.push(`(${cancelReason})`);
  if (compactRevision !== 0) words.push(`compacted ${compactRevision}`);
  if (fragment) words.push("fragment");
  for (const { kv, prevKv, type } of events) {
    const was = prevKv === undefined ? "" : ` was ${Buffer.from(prevKv.value)}`;
    const key = Buffer.from(kv!.key).toString();
    words.push(
      type === 1 ? `-${key}${was}` : `${key}=${Buffer.from(kv!.value).toString().slice(0, 8)}${was}`,
    );
  }
  return words.join(" ");
}

async function compact(serving: Serving, revision: number): Promise<void> {
  await serving.call("KV/Compact", encodeCompactionRequest({ revision, physical: true }), () => undefined);
}

test("a watch is created, sees what it asked for, and is canceled", async () => {
  const serving = await Serving.start();
  const stream = openStream(serving);
  stream.create("a");
  stream.create("a", { prevKv: true }, "c");
  assert.deepEqual(stream.news(), ["0@1 created", "1@1 created"]);
  await serving.put("a", "1");
  await serving.put("b", "1");
  await serving.put("a", "2");
  assert.deepEqual(stream.news().sort(), ["0@2 a=1", "0@4 a=2", "1@2 a=1", "1@3 b=1", "1@4 a=2 was 1"]);
  stream.cancel(0n);
  stream.cancel(99n);
  await serving.put("a", "3");
  assert.deepEqual(stream.news(), ["0@4 canceled", "1@5 a=3 was 2"]);
  assert.equal(serving.machine.member.hub.watcherCount, 1);
  stream.call.cancel();
  assert.equal(serving.machine.member.hub.watcherCount, 0);
});

test("watches that cannot be are refused on the stream, which goes on", async () => {
  const serving = await Serving.start();
  const stream = openStream(serving);
  stream.create("a", { watchId: 5n });
  stream.create("b", { watchId: 5n });
  stream.create("b", {}, "a");
  stream.create("b", { startRevision: -1 });
  stream.create("b", { watchId: 0n });
  assert.deepEqual(stream.news(), [
    "5@1 created",
    "-1@1 created canceled (mvcc: duplicate watch ID provided on the WatchStream)",
    "-1@1 created canceled (mvcc: watcher range is empty)",
    "-1@1 created canceled (etcdserver: mvcc: required revision has been compacted)",
    "0@1 created",
  ]);
});

test("a watch from the past sees all from there, one from before the compaction is told so", async () => {
  const serving = await Serving.start();
  for (let n = 2; n <= 8; n++) await serving.put("a", String(n));
  await compact(serving, 5);
  const stream = openStream(serving);
  stream.create("a", { startRevision: 6 });
  stream.create("a", { startRevision: 3 });
  stream.create("a", { startRevision: 10 });
  await serving.pass(10);
  assert.deepEqual(stream.news(), [
    "0@8 created",
    "1@8 created",
    "2@8 created",
    "1@0 canceled compacted 5",
    "0@8 a=6 a=7 a=8",
  ]);
  await serving.put("a", "9");
  await serving.put("a", "10");
  assert.deepEqual(stream.news().sort(), ["0@10 a=10", "0@9 a=9", "2@10 a=10"]);
});

test("progress is told when it is asked for and everything was sent, and by the clock to those who wish", async () => {
  const serving = await Serving.start({ watchProgressMillis: 1000 });
  const stream = openStream(serving);
  stream.progress();
  assert.deepEqual(stream.news(), [], "nobody watches");
  stream.create("a", { progressNotify: true });
  stream.create("b");
  await serving.put("other", "1");
  stream.progress();
  assert.deepEqual(stream.news(), ["0@1 created", "1@1 created", "-1@2"]);
  await serving.pass(1200);
  assert.deepEqual(stream.news(), ["0@2"]);
  stream.create("a", { startRevision: 2 });
  stream.progress();
  assert.deepEqual(stream.news(), ["2@2 created"], "one of them is behind");
  await serving.pass(10);
  stream.progress();
  assert.deepEqual(stream.news(), ["-1@2"]);
});

test("a stream whose watcher a compaction overtook tells no progress until the watcher is canceled", async () => {
  const serving = await Serving.start();
  for (let n = 2; n <= 8; n++) await serving.put("a", String(n));
  await compact(serving, 5);
  const stream = openStream(serving);
  stream.create("b");
  stream.create("a", { startRevision: 2 });
  await serving.pass(10);
  stream.progress();
  assert.deepEqual(stream.news(), ["0@8 created", "1@8 created", "1@0 canceled compacted 5"]);
  stream.cancel(1n);
  stream.progress();
  assert.deepEqual(stream.news(), ["1@8 canceled", "-1@8"]);
});

test("a long batch comes in fragments to those who asked for them, split between events", async () => {
  const serving = await Serving.start({ requestBytesMax: 200_000 });
  const stream = openStream(serving);
  stream.create("k", { fragment: true }, "l");
  const success = (from: number): RequestOp[] =>
    Array.from({ length: 4 }, (_, n) => ({
      request: { case: "requestPut", value: putRequest(`k${from + n}`, "x".repeat(40_000)) },
    }));
  for (let n = 0; n < 6; n++)
    await serving.call(
      "KV/Txn",
      encodeTxnRequest({ compare: [], success: success(4 * n), failure: [] }),
      decodeTxnResponse,
    );
  const late = openStream(serving);
  late.create("k", { fragment: true, startRevision: 2 }, "l");
  await serving.pass(10);
  const responses = late.call.messages.slice(1).map((message) => decodeWatchResponse(message));
  assert.deepEqual(
    responses.map(({ fragment }) => fragment),
    [...Array.from({ length: responses.length - 1 }, () => true), false],
  );
  assert.ok(responses.length > 1);
  assert.ok(late.call.messages.every((message) => message.length < 200_000 + (512 << 10)));
  assert.equal(responses.flatMap(({ events }) => events).length, 24);
  assert.equal(stream.news().length, 7, "each revision alone is short enough");
});

test("a reader that stops is buffered up to a limit, then nothing is held for it, and later it misses nothing", async () => {
  const serving = await Serving.start();
  const stream = openStream(serving, 100);
  stream.create("k");
  stream.call.reading = false;
  const { hub } = serving.machine.member;
  for (let n = 0; n < 400; n++) await serving.put("k", `v${n}`);
  const buffered = stream.call.unread;
  assert.ok(buffered < 400, `${buffered} messages wait`);
  assert.equal(hub.slowWatcherCount, 1);
  stream.call.reading = true;
  stream.call.read();
  await serving.pass(50);
  assert.equal(hub.slowWatcherCount, 0);
  const values = stream
    .news()
    .slice(1)
    .flatMap((line) => line.split(" ").slice(1));
  assert.deepEqual(
    values,
    Array.from({ length: 400 }, (_, n) => `k=v${n}`),
  );
});

test("a message that is none ends the stream with grpc's error, and its watchers are gone", async () => {
  const serving = await Serving.start();
  const { call, requests } = serving.open("Watch/Watch");
  requests.message(
    encodeWatchRequest({
      requestUnion: {
        case: "createRequest",
        value: { ...createWatchCreateRequest(), key: latin1ToBytes("a") },
      },
    }),
  );
  requests.message(Uint8Array.of(0x0a, 0x05));
  assert.equal(call.error?.code, 13);
  assert.match(call.error?.message ?? "", /^grpc: failed to unmarshal the received message/);
  assert.equal(serving.machine.member.hub.watcherCount, 0);
});
