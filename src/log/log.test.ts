// Goal: what was flushed is there after a restart, at the place that was told, and raft's view shows it. Method: the real disk in a
// temporary directory, small segments, so that every path (rotation, values across blocks, restart) is walked in milliseconds.
import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, test } from "node:test";
import { clusterId, type Index, index, memberId, term } from "../base/brand.ts";
import { nodeClock } from "../node/clock.ts";
import { nodeDigest } from "../node/digest.ts";
import { nodeDisk } from "../node/disk.ts";
import { silentLogger } from "../ports/logger.ts";
import type { Entry } from "./contract.ts";
import { LOG_LIMITS } from "./disk-budget.ts";
import { type Log, openLog } from "./log.ts";

const identity = { memberId: memberId(0x8e9e05c52164694dn), clusterId: clusterId(0xcdf818194e3a8c32n) };
const directories: string[] = [];

function newDirectory(): string {
  const path = mkdtempSync(join(tmpdir(), "cairn-log-"));
  directories.push(path);
  return path;
}

afterEach(() => {
  for (const path of directories.splice(0)) rmSync(path, { recursive: true, force: true });
});

function open(directory: string, limits = {}): Promise<Log> {
  return openLog({
    directory,
    disk: nodeDisk(),
    clock: nodeClock(),
    digest: nodeDigest(),
    logger: silentLogger,
    expected: identity,
    limits: { ...LOG_LIMITS, segmentBytesFirst: 256 << 10, segmentBytesMax: 512 << 10, ...limits },
    onFatal: (error) => assert.fail(error),
    onSpace: () => {},
  });
}

/** Bytes that tell their index at every place. */
function dataOf(at: number, length: number): Uint8Array {
  const data = new Uint8Array(length);
  for (let i = 0; i < length; i++) data[i] = (at * 31 + i * 7 + (i >> 8)) & 0xff;
  return data;
}

function entry(at: number, length: number, inTerm = 1): Entry {
  return { term: term(inTerm), index: index(at), type: 0, data: dataOf(at + inTerm * 1000, length) };
}

function flush(log: Log): Promise<void> {
  return new Promise((resolve) => log.writer.flush(resolve));
}

const lengths = [0, 1, 200, 300, 4096, 70_000, 65_536, 13, 150_000];
const lengthOf = (at: number): number => lengths[at % lengths.length]!;

function check(log: Log, last: number): void {
  assert.equal(log.raft.lastIndex(), last);
  const entries = log.raft.entries(index(1), index(last + 1), Number.MAX_SAFE_INTEGER);
  assert.ok(Array.isArray(entries));
  assert.equal(entries.length, last);
  for (const { index: at, data } of entries) assert.deepEqual(data, dataOf(at + 1000, lengthOf(at)));
}

test("entries of all sizes, staged, flushed inline and flushed through the pool, are there after a restart", async () => {
  const directory = newDirectory();
  let log = await open(directory);
  assert.equal(log.identity, undefined);
  await log.start(identity);
  let last = 0;
  const segments = (): number => readdirSync(directory).filter((name) => name.endsWith(".segment")).length;
  // A next segment is taken when it is ready; on a slow disk that is some rounds later.
  for (let round = 0; round < 30 || (segments() <= 3 && round < 2000); round++) {
    const entries: Entry[] = [];
    for (let i = 0; i <= round % 7; i++) entries.push(entry(++last, lengthOf(last)));
    log.writer.append(entries, { term: term(1), vote: identity.memberId, commit: index(last) });
    check(log, last);
    if (round % 2 === 0) log.writer.flushSync();
    else await flush(log);
    check(log, last);
  }
  assert.ok(segments() > 3);
  for (let restart = 0; restart < 3; restart++) {
    await log.close();
    log = await open(directory);
    assert.deepEqual(log.identity, identity);
    assert.deepEqual(log.hardState, {
      term: term(1),
      vote: identity.memberId as bigint,
      commit: index(last),
    });
    check(log, last);
    const seen: Index[] = [];
    await log.replay(index(1), index(last), (at, _term, _type, data, file, offset) => {
      seen.push(at);
      assert.deepEqual(data, dataOf(at + 1000, lengthOf(at)));
      assert.deepEqual(log.values.readValue(file, offset, data.length), data);
    });
    assert.equal(seen.length, last);
    await log.start(identity);
    log.writer.append([entry(++last, lengthOf(last))], undefined);
    log.writer.flushSync();
    log.writer.append([], { term: term(1), vote: identity.memberId, commit: index(last) });
    log.writer.flushSync();
    check(log, last);
  }
  await log.close();
});

test("entries that overlap the end replace it, also after a restart", async () => {
  const directory = newDirectory();
  let log = await open(directory);
  await log.start(identity);
  log.writer.append([entry(1, 100), entry(2, 100), entry(3, 100)], undefined);
  log.writer.flushSync();
  log.writer.append([entry(2, 50, 2)], undefined);
  log.writer.flushSync();
  for (let restart = 0; restart < 2; restart++) {
    assert.equal(log.raft.lastIndex(), 2);
    assert.equal(log.raft.term(index(2)), 2);
    assert.equal(log.raft.term(index(3)), "unavailable");
    await log.close();
    log = await open(directory);
  }
  await log.close();
});

test("a directory in use is refused, and free again once its owner has closed it", async () => {
  const directory = newDirectory();
  const log = await open(directory);
  await assert.rejects(open(directory), { name: "LogOpenError", kind: "locked" });
  await log.close();
  await (await open(directory)).close();
});

test("the directory of another cluster is refused", async () => {
  const directory = newDirectory();
  const log = await open(directory);
  await log.start({ memberId: memberId(7n), clusterId: clusterId(8n) });
  log.writer.flushSync();
  await log.close();
  await assert.rejects(open(directory), { name: "LogOpenError", kind: "other-cluster" });
});
