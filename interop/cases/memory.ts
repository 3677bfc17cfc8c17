// What stays bounded: memory while a hundred slow readers ask for 200 MB each, and the disk while ten times the quota is written through
// a store whose live part is a quarter of it. Not asked of a real etcd, which builds each of the hundred answers whole.
import { execFileSync } from "node:child_process";
import { type ClientHttp2Session, connect } from "node:http2";
import { setTimeout as delay } from "node:timers/promises";
import { callOnce, fixedCount } from "../../bench/load/closed-loop.ts";
import { fieldOf } from "../../bench/load/protobuf.ts";
import { compact, keyOf, keyPrefix, keyPrefixEnd, paths, put, range } from "../../bench/load/requests.ts";
import { memoryMb } from "../../bench/process-usage.ts";
import { type Case, check, equal, type Settings, withServer } from "../lib/case.ts";
import { mustRun } from "../lib/command.ts";
import type { Server } from "../lib/server.ts";
import { peer } from "../peers.ts";

const valueBytes = 10_000;
const growthMaxMb = 256;
const quotaBytes = 64 * 1024 ** 2;
const segmentBytes = 64_000_000;

async function write(
  server: Server,
  keys: number,
  times: number,
  onProgress?: (done: number) => Promise<void>,
): Promise<void> {
  const target = { host: "127.0.0.1", port: server.clientPort };
  for (let round = 0; round < times; round++) {
    const value = Buffer.alloc(valueBytes, 97 + (round % 26));
    await fixedCount({
      target,
      connections: 4,
      clients: 8,
      path: paths.put,
      request: (n) => put(keyOf(n), value),
      count: keys,
    });
    await onProgress?.(round);
  }
}

/** Opens a call for the whole prefix and reads nothing of the answer beyond what its first window lets through. */
function slowReader(port: number): ClientHttp2Session {
  const session = connect(`http://127.0.0.1:${port}`);
  session.on("error", () => {});
  const stream = session.request({
    ":method": "POST",
    ":path": paths.range,
    "content-type": "application/grpc",
    te: "trailers",
  });
  stream.on("error", () => {});
  const body = range(keyPrefix, { end: keyPrefixEnd });
  const head = Buffer.alloc(5);
  head.writeUInt32BE(body.length, 1);
  stream.end(Buffer.concat([head, body]));
  stream.pause();
  return session;
}

async function slowReaders(settings: Settings, server: Server): Promise<void> {
  const readers = settings.subject.label.startsWith("etcd") ? 2 : 100;
  await write(server, settings.quick ? 2_000 : 20_000, 1);
  await delay(2_000);
  const before = memoryMb(server.pid, "VmRSS");
  const sessions = Array.from({ length: readers }, () => slowReader(server.clientPort));
  let highest = before;
  try {
    for (let i = 0; i < 50; i++) {
      await delay(100);
      highest = Math.max(highest, memoryMb(server.pid, "VmRSS"));
    }
  } finally {
    for (const session of sessions) session.destroy();
  }
  console.log(`        ${readers} slow readers: ${before.toFixed(0)} → ${highest.toFixed(0)} MiB at most`);
  if (readers < 100) return;
  check(highest - before < growthMaxMb, `resident memory grew by ${(highest - before).toFixed(0)} MiB`);
}

async function diskBound(settings: Settings, server: Server): Promise<void> {
  const target = { host: "127.0.0.1", port: server.clientPort };
  const keys = Math.floor(quotaBytes / 4 / valueBytes);
  const rounds = settings.quick ? 12 : 40;
  await write(server, keys, rounds, async (round) => {
    if (round % 2 !== 1) return;
    const header = fieldOf(await callOnce(target, paths.range, range(keyOf(0))), 1)!.bytes;
    await callOnce(target, paths.compact, compact(fieldOf(header, 3)!.number, true));
  });
  await delay(3_000);
  const used = Number(
    execFileSync("du", ["-sB1", server.options.dataDir], { encoding: "utf8" }).split("\t")[0],
  );
  const live = keys * valueBytes;
  const alarms = await mustRun([await peer("etcdctl"), ...server.clientFlags, "alarm", "list"]);
  equal(alarms, "", "alarms");
  console.log(
    `        ${((live * rounds) / 1e6).toFixed(0)} MB written, ${(live / 1e6).toFixed(0)} MB live, ${(used / 1e6).toFixed(0)} MB on disk`,
  );
  if (settings.subject.label.startsWith("etcd")) return;
  // The retained log: the segment being written and the one before it.
  check(used <= 2 * live + 2 * segmentBytes, `${used} bytes on disk for ${live} live bytes`);
}

export const memoryCases: readonly Case[] = [
  {
    name: "memory: slow readers of 200 MB answers do not make the member grow",
    limitMs: 300_000,
    run: (settings) => withServer(settings.subject, {}, (server) => slowReaders(settings, server)),
  },
  {
    name: "disk: ten times the quota passes through without an alarm or an admin command",
    limitMs: 600_000,
    run: (settings) =>
      withServer(settings.subject, { extra: ["--quota-backend-bytes", `${quotaBytes}`] }, (server) =>
        diskBound(settings, server),
      ),
  },
];
