// Goal: both ways of flushing may meet, and a segment may outgrow its allocation, without a byte lost. Method: the simulated disk with
// writes that hang until the test lets them go, and with a power loss in between.
import assert from "node:assert/strict";
import { test } from "node:test";
import { clusterId, index, type Millis, memberId, millis } from "../base/brand.ts";
import { nodeClock } from "../node/clock.ts";
import { nodeDigest } from "../node/digest.ts";
import type { Clock } from "../ports/clock.ts";
import { silentLogger } from "../ports/logger.ts";
import { type OperationKind, SimDisk } from "../sim/disk.ts";
import { dice, entryFor, LogModel } from "../sim/log-model.ts";
import type { EntryPlace } from "./contract.ts";
import { LOG_LIMITS } from "./disk-budget.ts";
import { type Log, openLog } from "./log.ts";

const directory = "/data";
const identity = { memberId: memberId(11n), clusterId: clusterId(22n) };
const limits = { ...LOG_LIMITS, segmentBytesFirst: 16 << 10, segmentBytesMax: 16 << 10, reserveBytes: 0 };

/** What waits is let go by hand. */
class Gate {
  held: (() => void)[] = [];
  closed = false;
  readonly clock: Clock = {
    ...nodeClock(),
    now: () => millis(0),
    after: (_delay: Millis, callback: () => void) => {
      this.held.push(callback);
      return { cancel: () => {} };
    },
  };
  delay = (kind: OperationKind): Millis =>
    millis(this.closed && (kind === "write" || kind === "sync") ? 1 : 0);
  async open(): Promise<void> {
    this.closed = false;
    while (this.held.length > 0) {
      for (const go of this.held.splice(0)) go();
      await turn();
    }
  }
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function open(disk: SimDisk, clock: Clock): Promise<Log> {
  return openLog({
    directory,
    disk: disk.attach(),
    clock,
    digest: nodeDigest(),
    logger: silentLogger,
    expected: identity,
    limits,
    onFatal: () => {},
    onSpace: () => {},
  });
}

async function start(
  seed: number,
): Promise<{ disk: SimDisk; gate: Gate; log: Log; append: (length: number) => void }> {
  const gate = new Gate();
  const disk = new SimDisk({ random: dice(seed), clock: gate.clock, delay: gate.delay });
  const log = await open(disk, gate.clock);
  await log.start(identity);
  for (let i = 0; i < 5; i++) await turn();
  const append = (length: number): void => {
    const at = log.raft.lastIndex() + 1;
    log.writer.append([entryFor(at, at % 100, length)], undefined);
  };
  return { disk, gate, log, append };
}

/** Opens what the disk holds and returns the last index; all values must be right. */
async function lastAfterRestart(disk: SimDisk, gate: Gate): Promise<number> {
  const log = await open(disk, gate.clock);
  const model = new LogModel();
  await model.restore(log);
  assert.equal(model.wrongRow(log), undefined);
  await log.close();
  return log.raft.lastIndex();
}

test("an inline flush that meets one under way makes both safe, and the other still tells when it is done", async () => {
  for (let seed = 1; seed <= 20; seed++) {
    const { disk, gate, log, append } = await start(seed);
    append(300);
    append(7000);
    gate.closed = true;
    let done = 0;
    log.writer.flush(() => done++);
    await turn();
    assert.equal(log.writer.prefersSync, false, "a flush under way is no moment for another");
    append(200);
    append(9000);
    append(100);
    log.writer.flushSync();
    assert.equal(done, 0);
    if (seed % 2 === 0) {
      disk.crash();
      disk.restart();
      gate.closed = false;
      assert.equal(await lastAfterRestart(disk, gate), 5);
      continue;
    }
    append(400);
    log.writer.flush(() => done++);
    await gate.open();
    assert.equal(done, 2);
    assert.equal(log.writer.flushing, false);
    for (let i = 0; i < 50; i++) append(900);
    log.writer.flushSync();
    await log.close();
    disk.killProcess();
    assert.equal(await lastAfterRestart(disk, gate), 56);
  }
});

test("a power loss during both kinds of flush at once leaves no false alarm and loses nothing acknowledged", async () => {
  for (let seed = 1; seed <= 60; seed++) {
    const { disk, gate, log, append } = await start(seed);
    append(700);
    log.writer.flushSync();
    gate.closed = true;
    append(2500);
    log.writer.flush(() => {});
    await turn();
    append(1500);
    let operations = 0;
    disk.fault = (kind) => (kind === "sync" && ++operations === 1 + (seed % 2) ? "crash" : undefined);
    assert.throws(() => log.writer.flushSync());
    disk.restart();
    disk.fault = undefined;
    gate.closed = false;
    assert.ok((await lastAfterRestart(disk, gate)) >= 1, `seed ${seed}`);
  }
});

test("a power loss while a segment is closed loses nothing acknowledged, whatever is left of its last flush", async () => {
  let lost = 0;
  for (let seed = 1; seed <= 60; seed++) {
    const { disk, gate, log, append } = await start(seed);
    const newest = (): EntryPlace => log.writer.placeOf(index(log.raft.lastIndex()));
    do append(1000);
    while (newest().offset < 0.6 * limits.segmentBytesMax);
    log.writer.flushSync();
    const acknowledged = log.raft.lastIndex();
    const { file } = newest();
    // Half of the times it outgrows its allocation before the next one is there: then its footer ends the file.
    if (seed % 2 === 0)
      do append(600);
      while (newest().offset < 1.2 * limits.segmentBytesMax);
    for (let i = 0; i < 20; i++) await turn();
    do append(600);
    while (newest().file === file);
    const all = log.raft.lastIndex();
    disk.fault = (kind) => (kind === "sync" ? "crash" : undefined);
    assert.throws(() => log.writer.flushSync());
    disk.restart();
    disk.fault = undefined;
    const last = await lastAfterRestart(disk, gate);
    assert.ok(last >= acknowledged, `seed ${seed}`);
    if (last < all) lost++;
  }
  assert.ok(lost > 0, "some flushes are torn");
});

test("a segment whose footer is torn in its trailer goes on where it was to be closed", async () => {
  for (let seed = 1; seed <= 8; seed++) {
    const { disk, gate, log, append } = await start(seed);
    append(600);
    const { file } = log.writer.placeOf(index(1));
    do append(600);
    while (log.writer.placeOf(index(log.raft.lastIndex())).offset < 0.6 * limits.segmentBytesMax);
    log.writer.flushSync();
    for (let i = 0; i < 20; i++) await turn();
    do append(600);
    while (log.writer.placeOf(index(log.raft.lastIndex())).file === file);
    const last = log.raft.lastIndex() - 1;
    const path = `${directory}/0000000001.segment`;
    let written: Uint8Array = new Uint8Array();
    disk.fault = (kind) => {
      if (kind !== "sync") return undefined;
      written = disk.bytesOf(path);
      return "crash";
    };
    assert.throws(() => log.writer.flushSync());
    disk.restart();
    disk.fault = undefined;
    let end = written.length;
    while (written[end - 1] === 0) end--;
    disk.place(path, seed % 2 === 0 ? written.fill(0, end - seed) : written.fill(0xa5, end - seed, end));
    assert.equal(await lastAfterRestart(disk, gate), last, `seed ${seed}`);
  }
});

test("while no new segment can be made the current one goes on, and is read back", async () => {
  const { disk, gate, log, append } = await start(1);
  disk.fault = (kind) => (kind === "allocate" ? { code: "EIO" } : undefined);
  for (let i = 0; i < 100; i++) {
    append(900);
    log.writer.flushSync();
    await turn();
  }
  assert.ok(
    disk.sizeOf(`${directory}/0000000001.segment`) > 2 * limits.segmentBytesMax,
    "it outgrew its allocation",
  );
  await log.close();
  disk.crash();
  disk.restart();
  assert.equal(await lastAfterRestart(disk, gate), 100);
});

test("while a checkpoint is written or a segment made, no flush is done inline", async () => {
  const { gate, log, append } = await start(1);
  const model = new LogModel();
  append(500);
  assert.equal(log.writer.prefersSync, true);
  log.writer.flushSync();
  const { file, offset } = log.writer.placeOf(index(1));
  model.apply(1, entryFor(1, 1, 500).data, file, offset);
  gate.closed = true;
  const written = log.checkpoint(model);
  append(500);
  assert.equal(log.writer.prefersSync, false);
  await gate.open();
  await written;
  assert.equal(log.writer.prefersSync, true);
  gate.closed = true;
  do append(600);
  while (log.writer.placeOf(index(log.raft.lastIndex())).offset < 0.6 * limits.segmentBytesMax);
  log.writer.flushSync();
  append(500);
  assert.equal(log.writer.prefersSync, false);
  await gate.open();
  for (let i = 0; i < 20; i++) await turn();
  assert.equal(log.writer.prefersSync, true);
  await log.close();
});

test("a checkpoint that finds no room is put off, and the log goes on", async () => {
  const { disk, log, append } = await start(1);
  const model = new LogModel();
  append(500);
  log.writer.flushSync();
  const { file, offset } = log.writer.placeOf(index(1));
  model.apply(1, entryFor(1, 1, 500).data, file, offset);
  disk.capacityBytes = disk.usedBytes;
  await log.checkpoint(model);
  assert.deepEqual(
    (await disk.list(directory)).filter((name) => name === "MANIFEST" || name.endsWith(".image")),
    [],
  );
  disk.capacityBytes += 1 << 20;
  await log.checkpoint(model);
  assert.ok((await disk.list(directory)).includes("MANIFEST"));
  await log.close();
});
