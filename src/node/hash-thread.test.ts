// Goal: streams hashed on the other thread get the right digests, side by side, and a thread that does not start or dies tells each of them.
// Method: real threads; programs that fail on purpose, given as data URLs.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import type { Digest, StreamDigest } from "../ports/digest.ts";
import { hashThread } from "./hash-thread.ts";

function program(source: string): URL {
  return new URL(`data:text/javascript,${encodeURIComponent(source)}`);
}

function feed(stream: StreamDigest, seed: number, chunks: number): string {
  const expected = createHash("sha256");
  const memories = [new SharedArrayBuffer(20_000), new SharedArrayBuffer(20_000)];
  for (let i = 0; i < chunks; i++) {
    const chunk = new Uint8Array(memories[i >>> 2]!, 2000 * i, 1000 + i).fill(seed + i);
    expected.update(chunk);
    stream.update(chunk);
  }
  return expected.digest("hex");
}

const digestOf = (stream: StreamDigest): Promise<string> =>
  new Promise((resolve) => stream.finish((digest) => resolve(Buffer.from(digest).toString("hex"))));

const failureOf = (open: Digest["sha256Stream"]): Promise<Error> =>
  new Promise((resolve) => {
    const stream = open(resolve);
    feed(stream, 1, 3);
    stream.finish(() => assert.fail("a failed stream has no digest"));
  });

test("streams side by side get the digest of their own chunks, and count them", async () => {
  const open = hashThread();
  const streams = [1, 2, 3].map(() => open((error) => assert.fail(error)));
  const expected = streams.map((stream, i) => feed(stream, i, 5 + i));
  assert.deepEqual(await Promise.all(streams.map(digestOf)), expected);
  assert.deepEqual(
    streams.map((stream) => stream.updatesDone),
    [5, 6, 7],
  );
  // The thread has ended with its last stream: the next one starts another.
  const later = open((error) => assert.fail(error));
  const again = feed(later, 9, 2);
  assert.equal(await digestOf(later), again);
});

test("a canceled stream hears nothing more, and those beside it go on", async () => {
  const open = hashThread();
  const canceled = open(() => assert.fail("canceled"));
  const other = open((error) => assert.fail(error));
  feed(canceled, 1, 2);
  canceled.finish(() => assert.fail("canceled"));
  const expected = feed(other, 2, 2);
  canceled.cancel();
  assert.equal(await digestOf(other), expected);
  canceled.cancel();
});

test("a thread that cannot start fails its stream", async () => {
  const error = await failureOf(hashThread(new URL("./no-such-program.js", import.meta.url)));
  assert.match(error.message, /no-such-program/);
});

test("a thread that throws or ends fails all its streams, and the next stream gets a new one", async () => {
  const dies = 'import { parentPort } from "node:worker_threads"; parentPort.on("message", ';
  assert.match(
    (await failureOf(hashThread(program(`${dies}() => { throw new Error("broken") });`)))).message,
    /broken/,
  );
  const open = hashThread(program(`${dies}() => process.exit(3));`));
  const failures = await Promise.all([failureOf(open), failureOf(open)]);
  for (const { message } of failures) assert.equal(message, "the hashing thread ended with code 3");
  assert.equal((await failureOf(open)).message, "the hashing thread ended with code 3");
});
