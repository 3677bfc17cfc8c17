// Goal: every reason why a directory cannot be opened has its own name and words, and opening changes nothing on disk. Method: the
// simulated disk, one broken thing at a time.
import assert from "node:assert/strict";
import { test } from "node:test";
import { clusterId, index, memberId, millis, term } from "../base/brand.ts";
import { nodeClock } from "../node/clock.ts";
import { nodeDigest } from "../node/digest.ts";
import { silentLogger } from "../ports/logger.ts";
import { SimDisk } from "../sim/disk.ts";
import { dice, entryFor, LogModel } from "../sim/log-model.ts";
import { LOG_LIMITS } from "./disk-budget.ts";
import { type Log, openLog } from "./log.ts";

const directory = "/data";
const identity = { memberId: memberId(11n), clusterId: clusterId(22n) };
const digest = nodeDigest();
const limits = { ...LOG_LIMITS, segmentBytesFirst: 8192, segmentBytesMax: 8192, reserveBytes: 1024 };

function open(disk: SimDisk, expected = identity): Promise<Log> {
  return openLog({
    directory,
    disk: disk.attach(),
    clock: { ...nodeClock(), now: () => millis(0) },
    digest,
    logger: silentLogger,
    expected,
    limits,
    onFatal: (error) => assert.fail(error),
    onSpace: () => {},
  });
}

async function filled(): Promise<{ disk: SimDisk; model: LogModel }> {
  const disk = new SimDisk({ random: dice(1) });
  const log = await open(disk);
  await log.start(identity);
  const model = new LogModel();
  for (let at = 1; at <= 40; at++) {
    const entry = entryFor(at, at % 7, 600);
    log.writer.append([entry], { term: term(1), vote: 11n, commit: index(at) });
    log.writer.flushSync();
    const { file, offset } = log.writer.placeOf(index(at));
    model.apply(at, entry.data, file, offset);
    await new Promise((resolve) => setImmediate(resolve));
    if (at === 30) await log.checkpoint(model);
  }
  await log.close();
  disk.killProcess();
  return { disk, model };
}

async function contents(disk: SimDisk): Promise<Map<string, string>> {
  const files = new Map<string, string>();
  for (const name of await disk.list(directory)) {
    files.set(name, Buffer.from(disk.bytesOf(`${directory}/${name}`)).toString("hex"));
  }
  return files;
}

test("opening, reading and closing without start leaves every byte on disk as it was", async () => {
  const { disk, model } = await filled();
  const before = await contents(disk);
  const log = await open(disk);
  const found = new LogModel();
  await found.restore(log);
  assert.equal(found.wrongRow(log), undefined);
  assert.equal(found.applied, model.applied);
  await log.close();
  assert.deepEqual(await contents(disk), before);
});

test("a directory that may not be read says so, with what to check", async () => {
  const { disk } = await filled();
  disk.fault = (kind, path) =>
    kind === "open" && path.endsWith(".segment") ? { code: "EACCES" } : undefined;
  await assert.rejects(open(disk), {
    name: "LogOpenError",
    kind: "unreadable",
    message: /check owner and mode/,
  });
});

test("a device without room for the first segment is told as such", async () => {
  const disk = new SimDisk({ random: dice(1), capacityBytes: 100 });
  const log = await open(disk);
  await assert.rejects(log.start(identity), { name: "LogOpenError", kind: "no-space" });
  await log.close();
});

test("the directory of another cluster is told by both names", async () => {
  const { disk } = await filled();
  await assert.rejects(open(disk, { memberId: memberId(11n), clusterId: clusterId(0xabcn) }), {
    name: "LogOpenError",
    kind: "other-cluster",
    message: /belongs to cluster 0000000000000016, not to 0000000000000abc/,
  });
});

test("a newer format is refused and left alone, not called corrupt", async () => {
  for (const suffix of [".segment", "MANIFEST", ".image"]) {
    const { disk } = await filled();
    const name = (await disk.list(directory)).findLast((one) => one.endsWith(suffix))!;
    const bytes = disk.bytesOf(`${directory}/${name}`);
    if (suffix === "MANIFEST") bytes.set(Buffer.from("cairn-manifest 2"));
    else {
      new DataView(bytes.buffer).setUint32(4, 2, true);
      new DataView(bytes.buffer).setUint32(60, digest.crc32(bytes.subarray(0, 60)), true);
    }
    disk.place(`${directory}/${name}`, bytes);
    const before = await contents(disk);
    await assert.rejects(open(disk), { name: "LogOpenError", kind: "newer-version" }, name);
    assert.deepEqual(await contents(disk), before);
  }
});

test("what a crash left behind is removed at start, and nothing else", async () => {
  const { disk, model } = await filled();
  for (const name of ["MANIFEST.tmp", "0000000900.segment.tmp", "0000000901.run", "0000000902.image"]) {
    disk.place(`${directory}/${name}`, Uint8Array.of(1, 2, 3));
  }
  disk.place(`${directory}/notes.txt`, Uint8Array.of(4));
  const log = await open(disk);
  const found = new LogModel();
  await found.restore(log);
  await log.start(identity);
  await new Promise((resolve) => setImmediate(resolve));
  const names = await disk.list(directory);
  assert.ok(names.includes("notes.txt"), "a stranger's file is not ours to remove");
  assert.ok(!names.some((name) => /MANIFEST\.tmp|90[012]\.(run|image)|0900/.test(name)), names.join());
  assert.equal(found.applied, model.applied);
  assert.match(
    log.describe(found),
    /\.segment open 8192 bytes entries \d+\.\.40 live \d+ %\n.*entries 1\.\.40/s,
  );
  await log.close();
});
