// Goal: what goes into a stream comes out at the other end, however the network cuts it, and nothing that a network can send does more than
// end the stream. Method: random runs of messages through encoder, random cuts and decoder; etcd's own bytes by hand; hostile bytes.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { MemberId } from "../base/brand.ts";
import { type Message, MessageType, newEntry, newMessage } from "../raft/message.ts";
import { StreamError } from "./frame-buffer.ts";
import {
  isLinkHeartbeat,
  LINK_HEARTBEAT,
  MessageDecoder,
  MessageEncoder,
  type StreamDecoder,
  type StreamEncoder,
} from "./message-codec.ts";
import { MsgAppDecoder, MsgAppEncoder } from "./msgapp-codec.ts";
import { randomSource } from "./testing/random-source.ts";

const runs = Number(process.env["FUZZ_RUNS"] ?? 200);
const seed = Number(process.env["FUZZ_SEED"] ?? Date.now() % 1_000_000);

const LEADER = 0xa1n as MemberId;
const FOLLOWER = 0xb2n as MemberId;

function encode(encoder: StreamEncoder, messages: readonly Message[]): Buffer {
  return Buffer.concat(
    messages.map((message) => {
      const bytes = Buffer.alloc(encoder.size(message));
      assert.equal(encoder.write(message, bytes, 0), bytes.length, "writes what it has counted");
      return bytes;
    }),
  );
}

function decode(decoder: StreamDecoder, chunks: readonly Uint8Array[]): Message[] {
  const messages: Message[] = [];
  for (const chunk of chunks) {
    decoder.push(chunk, (message) => messages.push(message));
    // What the network does with its memory later must not matter.
    chunk.fill(0xee);
  }
  return messages;
}

function plain(messages: readonly Message[]): string[] {
  return messages.map((message) =>
    JSON.stringify(message, (_, one) =>
      typeof one === "bigint"
        ? `${one}n`
        : one instanceof Uint8Array
          ? Buffer.from(one).toString("hex")
          : one,
    ),
  );
}

type Random = (bound: number) => number;

function cut(bytes: Buffer, random: Random): Uint8Array[] {
  const chunks: Uint8Array[] = [];
  const longest = 1 + random(random(2) === 0 ? 8 : 5000);
  for (let at = 0; at < bytes.length; ) {
    const length = Math.min(bytes.length - at, 1 + random(longest));
    chunks.push(Uint8Array.prototype.slice.call(bytes, at, at + length));
    at += length;
  }
  return chunks;
}

function bytesOf(random: Random, most: number): Uint8Array {
  return Uint8Array.from(Array.from({ length: random(most) }, () => random(256)));
}

/** What a leader sends one after the other: mostly appends that continue, at times a step back, a new term, a heartbeat of the link. */
function appends(random: Random): Message[] {
  const messages: Message[] = [];
  let term = 1 + random(3);
  let index = random(2 ** 40);
  for (let i = 1 + random(20); i > 0; i--) {
    if (random(6) === 0) {
      messages.push(LINK_HEARTBEAT);
      continue;
    }
    const message = newMessage(MessageType.MsgApp, FOLLOWER);
    const logTerm = random(5) === 0 ? Math.max(1, term - 1) : term;
    if (random(6) === 0) index = Math.max(0, index - random(4));
    if (random(8) === 0) term++;
    message.from = LEADER;
    message.term = term;
    message.logTerm = logTerm;
    message.index = index;
    message.commit = random(2 ** 40);
    message.entries = Array.from({ length: random(5) }, (_, n) =>
      newEntry(term, index + n + 1, n === 3 ? 1 : 0, bytesOf(random, random(40) === 0 ? 3000 : 30)),
    );
    index += message.entries.length;
    messages.push(message);
  }
  return messages;
}

function anyMessages(random: Random): Message[] {
  return Array.from({ length: 1 + random(20) }, () => {
    const message = newMessage(random(19) as MessageType, FOLLOWER);
    message.from = LEADER;
    message.term = random(2 ** 31);
    message.index = random(2 ** 45);
    message.reject = random(2) === 0;
    message.rejectHint = random(1000);
    message.context = bytesOf(random, 20);
    message.entries = Array.from({ length: random(4) }, (_, n) => newEntry(1, n, 0, bytesOf(random, 40)));
    return message;
  });
}

test("any messages survive the message stream in any cut", () => {
  for (let run = 0; run < runs; run++) {
    const random = randomSource(seed + run);
    const messages = anyMessages(random);
    const got = decode(new MessageDecoder(), cut(encode(new MessageEncoder(), messages), random));
    assert.deepEqual(plain(got), plain(messages), `FUZZ_SEED=${seed + run}`);
  }
});

test("any run of appends survives the msgappv2 stream in any cut", () => {
  for (let run = 0; run < runs; run++) {
    const random = randomSource(seed + run);
    const messages = appends(random);
    const decoder = new MsgAppDecoder(FOLLOWER, LEADER);
    const got = decode(decoder, cut(encode(new MsgAppEncoder(), messages), random));
    assert.deepEqual(plain(got), plain(messages), `FUZZ_SEED=${seed + run}`);
  }
});

test("bytes of any kind end a stream with an error of the stream's, or mean messages", () => {
  for (let run = 0; run < runs; run++) {
    const random = randomSource(seed + run);
    const good = encode(new MsgAppEncoder(), appends(random));
    for (let flips = 1 + random(4); flips > 0; flips--) good[random(good.length)] = random(256);
    for (const decoder of [new MsgAppDecoder(FOLLOWER, LEADER), new MessageDecoder()]) {
      try {
        decode(decoder, cut(good, random));
      } catch (error) {
        assert.ok(error instanceof StreamError, `FUZZ_SEED=${seed + run}: ${error}`);
      }
    }
  }
});

test("the bytes are etcd's", () => {
  const hex = (bytes: Buffer): string => bytes.toString("hex");
  assert.equal(hex(encode(new MessageEncoder(), [LINK_HEARTBEAT])), "00000000000000020808");
  const first = newMessage(MessageType.MsgApp, 2n as MemberId);
  Object.assign(first, { from: 1n, term: 1, logTerm: 1, index: 3, commit: 3 });
  first.entries = [newEntry(1, 4, 0, Buffer.from("a"))];
  const second = { ...first, index: 4, commit: 4, entries: [newEntry(1, 5, 0, Buffer.from("bc"))] };
  const bytes = hex(encode(new MsgAppEncoder(), [LINK_HEARTBEAT, first, second]));
  const message = "080310021801200128013003" + "3a07100118042201" + "61" + "4003";
  const entry = "10011805" + "22026263";
  const size = (text: string): string => (text.length / 2).toString(16).padStart(16, "0");
  const type1 = `01${"1".padStart(16, "0")}${size(entry)}${entry}${"4".padStart(16, "0")}`;
  assert.equal(bytes, `0002${size(message)}${message}${type1}`);
});

test("a heartbeat of the link is told apart from raft's", () => {
  assert.ok(isLinkHeartbeat(LINK_HEARTBEAT));
  const raft = newMessage(MessageType.MsgHeartbeat, FOLLOWER);
  assert.ok(!isLinkHeartbeat(raft));
});

test("a length beyond the limit ends the stream before memory is spent on it", () => {
  const huge = Buffer.from("ffffffffffffffff", "hex");
  const big = Buffer.from("0000000020000001", "hex");
  for (const length of [huge, big]) {
    const limit = { name: "StreamError", message: "rafthttp: error limit exceeded" };
    assert.throws(() => decode(new MessageDecoder(), [Buffer.from(length)]), limit);
    const decoder = (): MsgAppDecoder => new MsgAppDecoder(FOLLOWER, LEADER);
    assert.throws(() => decode(decoder(), [Buffer.concat([Buffer.of(1), length])]), limit);
    assert.throws(() => decode(decoder(), [Buffer.concat([Buffer.of(2), length])]), limit);
    const one = Buffer.from("010000000000000001", "hex");
    assert.throws(() => decode(decoder(), [Buffer.concat([one, length])]), limit);
  }
});

test("an unknown type of frame is named as etcd names it", () => {
  const decoder = new MsgAppDecoder(FOLLOWER, LEADER);
  assert.throws(
    () => decode(decoder, [Buffer.of(7)]),
    /^StreamError: failed to parse type 7 in msgappv2 stream$/,
  );
});

test("what follows a snapshot's message is left for who reads the database", () => {
  const message = newMessage(MessageType.MsgSnap, FOLLOWER);
  const bytes = Buffer.concat([encode(new MessageEncoder(), [message]), Buffer.from("database")]);
  for (let at = 1; at < bytes.length; at++) {
    const decoder = new MessageDecoder();
    let head = decoder.first(Uint8Array.prototype.slice.call(bytes, 0, at));
    let behind = bytes.subarray(at);
    if (head === undefined) {
      head = decoder.first(Uint8Array.prototype.slice.call(behind));
      behind = Buffer.alloc(0);
    }
    assert.equal(Buffer.concat([head!.rest, behind]).toString(), "database");
    assert.deepEqual(plain([head!.message]), plain([message]));
  }
});
