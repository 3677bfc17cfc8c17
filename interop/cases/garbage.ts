// Hostile clients: broken prefaces, random and mangled frames, header blocks and messages on many connections. The member must close or
// answer each as the standards say, serve everybody else meanwhile, and not grow.
import { connect } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { callOnce } from "../../bench/load/closed-loop.ts";
import { keyOf, paths, put, range } from "../../bench/load/requests.ts";
import { memoryMb } from "../../bench/process-usage.ts";
import { type Case, check, type Settings, withServer } from "../lib/case.ts";
import { random } from "../lib/random.ts";
import type { Server } from "../lib/server.ts";

const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");
const connectionsAtOnce = 16;
/** What the heap may do by itself between two collections. */
const growthMaxMb = 150;

type Random = () => number;

function pick<T>(next: Random, choices: readonly T[]): T {
  return choices[Math.floor(next() * choices.length)]!;
}

function bytes(next: Random, length: number): Buffer {
  const buffer = Buffer.alloc(length);
  for (let i = 0; i < length; i++) buffer[i] = Math.floor(next() * 256);
  return buffer;
}

function frame(
  type: number,
  flags: number,
  stream: number,
  payload: Buffer,
  claimed = payload.length,
): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(claimed & 0xffffff, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream >>> 0, 5);
  return Buffer.concat([head, payload]);
}

/** A header block that is mostly right: one call of Range, with every now and then something that should not be there. */
function headers(next: Random): Buffer {
  const text = (value: string): Buffer =>
    Buffer.concat([Buffer.from([value.length & 127]), Buffer.from(value, "latin1")]);
  const literal = (name: string, value: string): Buffer =>
    Buffer.concat([Buffer.from([pick(next, [0x00, 0x10, 0x40])]), text(name), text(value)]);
  const parts = [
    Buffer.from([0x83, 0x86]),
    Buffer.from([0x04]),
    text(pick(next, [paths.range, paths.put, paths.watch, "/", "/x/y"])),
  ];
  if (next() < 0.9)
    parts.push(
      literal("content-type", pick(next, ["application/grpc", "application/grpc+proto", "text/plain", ""])),
    );
  if (next() < 0.8) parts.push(literal("te", "trailers"));
  if (next() < 0.2)
    parts.push(
      literal(
        pick(next, ["grpc-timeout", "grpc-encoding", "Upper", "connection", ":late", "x"]),
        pick(next, ["1n", "99999999H", "x", "gzip", ""]),
      ),
    );
  if (next() < 0.2)
    parts.push(
      Buffer.from([pick(next, [0xff, 0x3f, 0x7f, 0x80, 0xbe, 0x20])]),
      bytes(next, Math.floor(next() * 4)),
    );
  return Buffer.concat(parts);
}

function message(next: Random): Buffer {
  const body =
    next() < 0.5
      ? range(keyOf(1))
      : next() < 0.5
        ? put(keyOf(2), bytes(next, 20))
        : bytes(next, Math.floor(next() * 60));
  const head = Buffer.alloc(5);
  head[0] = next() < 0.9 ? 0 : Math.floor(next() * 3);
  head.writeUInt32BE(next() < 0.9 ? body.length : Math.floor(next() * 0xffffffff), 1);
  return Buffer.concat([head, body]);
}

function someFrame(next: Random): Buffer {
  const stream = pick(next, [0, 1, 1, 3, 5, 7, 2, 0x7fffffff, 0x80000001]);
  switch (Math.floor(next() * 12)) {
    case 0:
      return frame(
        Math.floor(next() * 16),
        Math.floor(next() * 256),
        stream,
        bytes(next, Math.floor(next() * 40)),
      );
    case 1:
      return frame(4, 0, 0, Buffer.concat([Buffer.from([0, Math.floor(next() * 8)]), bytes(next, 4)]));
    case 2:
      return frame(8, 0, stream, bytes(next, pick(next, [4, 4, 4, 3, 5])));
    case 3:
      return frame(3, 0, stream, bytes(next, 4));
    case 4:
      return frame(6, pick(next, [0, 1]), 0, bytes(next, pick(next, [8, 8, 7])));
    case 5:
      return frame(9, pick(next, [0, 4]), stream, bytes(next, 10));
    case 6:
      return frame(0, pick(next, [0, 1, 8]), stream, message(next), pick(next, [20, 0xffffff, 0]));
    case 7:
    case 8:
      return frame(0, pick(next, [0, 1, 1]), stream, message(next));
  }
  return frame(1, pick(next, [4, 4, 4, 5, 0, 0x2c]), pick(next, [1, 3, 5, 7, 9]), headers(next));
}

/** One hostile connection: a few random frames, sent whole or in pieces, then closed or left to the server. */
function attack(port: number, next: Random): Promise<void> {
  const parts = [next() < 0.95 ? preface : bytes(next, 24)];
  if (next() < 0.9) parts.push(frame(4, 0, 0, Buffer.alloc(0)));
  const count = 1 + Math.floor(next() * 30);
  for (let i = 0; i < count; i++) parts.push(someFrame(next));
  const sent = Buffer.concat(parts);
  if (next() < 0.3)
    for (let i = 0; i < 3; i++) sent[Math.floor(next() * sent.length)]! ^= 1 << Math.floor(next() * 8);
  const cut = next() < 0.3 ? Math.floor(next() * sent.length) : sent.length;
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    const limit = setTimeout(() => socket.destroy(), 300);
    socket.on("connect", () => {
      socket.write(sent.subarray(0, cut));
      if (cut < sent.length) setImmediate(() => socket.write(sent.subarray(cut)));
    });
    socket.on("data", () => {});
    socket.on("error", () => {});
    socket.on("close", () => {
      clearTimeout(limit);
      resolve();
    });
  });
}

async function flood(settings: Settings, server: Server): Promise<void> {
  const next = random(settings.seed);
  const target = { host: "127.0.0.1", port: server.clientPort };
  await callOnce(target, paths.put, put(keyOf(1), Buffer.from("kept")));
  const runs = async (ms: number): Promise<number> => {
    const end = Date.now() + ms;
    let done = 0;
    const worker = async (): Promise<void> => {
      while (Date.now() < end) {
        await attack(server.clientPort, next);
        if (++done % 100 === 0) await callOnce(target, paths.range, range(keyOf(1)));
      }
    };
    await Promise.all(Array.from({ length: connectionsAtOnce }, worker));
    return done;
  };
  const seconds = settings.seconds;
  const first = await runs(seconds * 300);
  await delay(1_000);
  const before = memoryMb(server.pid, "VmRSS");
  const second = await runs(seconds * 700);
  await delay(1_000);
  const after = memoryMb(server.pid, "VmRSS");
  check((await server.httpStatus("/health")) === 200, "the member is healthy afterwards");
  check(
    after - before < growthMaxMb,
    `resident memory grew from ${before.toFixed(0)} to ${after.toFixed(0)} MiB`,
  );
  console.log(
    `        ${first + second} hostile connections, ${before.toFixed(0)} → ${after.toFixed(0)} MiB, seed ${settings.seed}`,
  );
}

export const garbageCases: readonly Case[] = [
  {
    name: "garbage: hostile frames, headers and messages neither stop the member nor make it grow",
    limitMs: 900_000,
    run: (settings) => withServer(settings.subject, {}, (server) => flood(settings, server)),
  },
];
