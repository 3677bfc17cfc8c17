// Goal: a changed bit or a missing end in any file is either told with file and offset, or harmless; a wrong byte is never read, and
// what was acknowledged never disappears in silence. Method: one small directory with everything in it (sealed and open segments, a
// run, an image, a manifest) is damaged at one place, opened, read as a whole, and put back, over and over.
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
const seed = Number(process.env["FUZZ_SEED"] ?? 1);
/** Every n-th byte of the big files; FUZZ_RUNS=all takes every one. */
const stride = process.env["FUZZ_RUNS"] === "all" ? 1 : 11;

const limits = {
  ...LOG_LIMITS,
  segmentBytesFirst: 4096,
  segmentBytesMax: 4096,
  cacheBytesMax: 256 << 10,
  reserveBytes: 0,
  catchUpEntries: 4,
  reclaimSlackBytes: 0,
};

function open(disk: SimDisk): Promise<Log> {
  return openLog({
    directory,
    disk: disk.attach(),
    clock: { ...nodeClock(), now: () => millis(0) },
    digest: nodeDigest(),
    logger: silentLogger,
    expected: identity,
    limits,
    onFatal: (error) => assert.fail(error),
    onSpace: () => {},
  });
}

/** A directory with two sealed segments behind the checkpoint, one before it, a run, and an open segment. */
async function build(disk: SimDisk): Promise<{ model: LogModel; files: Map<string, Uint8Array> }> {
  const log = await open(disk);
  await log.start(identity);
  const model = new LogModel();
  const random = dice(3);
  for (let at = 1; at <= 60; at++) {
    const entry = entryFor(at, at <= 20 ? 100 + at : random.below(6), 40 + random.below(300));
    log.writer.append([entry], at % 3 === 0 ? { term: term(1), vote: 11n, commit: index(at) } : undefined);
    log.writer.flushSync();
    const { file, offset } = log.writer.placeOf(index(at));
    model.apply(at, entry.data, file, offset);
    if (at === 30) await log.reclaim(model, true);
    if (at === 36) await log.checkpoint(model);
    await clockTurn();
  }
  await log.close();
  const files = new Map<string, Uint8Array>();
  for (const name of await disk.list(directory)) files.set(name, disk.bytesOf(`${directory}/${name}`));
  return { model, files };
}

function clockTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Opens and reads everything. Returns the error, or undefined when all is as it was. */
async function readAll(disk: SimDisk, model: LogModel): Promise<unknown> {
  let log: Log | undefined;
  try {
    log = await open(disk);
    const found = new LogModel();
    await found.restore(log);
    const entries = log.raft.entries(log.raft.firstIndex(), index(log.raft.lastIndex() + 1), 1e9);
    assert.ok(Array.isArray(entries));
    for (const { index: at, data } of entries) {
      assert.equal(new DataView(data.buffer, data.byteOffset).getUint32(2), at, "a wrong entry");
    }
    assert.equal(found.wrongRow(log), undefined);
    assert.equal(log.raft.lastIndex(), model.applied, "an acknowledged entry is gone");
    assert.deepEqual(log.hardState, { term: term(1), vote: 11n, commit: index(60) });
    assert.equal(found.rows.size, model.rows.size);
    return undefined;
  } catch (error) {
    return error;
  } finally {
    await log?.close();
  }
}

function isTold(error: unknown): boolean {
  return (
    error === undefined ||
    (error instanceof Error && (error.name === "LogOpenError" || error.name === "CorruptionError"))
  );
}

/** Which bytes of a file are damaged: every one where structure is dense, some of long values and of zeros. */
function* placesOf(name: string, bytes: Uint8Array): Generator<number> {
  for (let at = 0; at < bytes.length; at++) {
    if (name === "MANIFEST" || at < 64 || at >= bytes.length - 24 || (at + seed) % stride === 0) yield at;
  }
}

async function damageEverywhere(
  damage: (bytes: Uint8Array, at: number) => Uint8Array,
): Promise<{ told: number; harmless: number }> {
  const disk = new SimDisk({ random: dice(seed) });
  const { model, files } = await build(disk);
  assert.equal(await readAll(disk, model), undefined, "the directory is whole at first");
  const kinds = [...files.keys()].map((name) => name.replace(/^\d+\./, ""));
  for (const kind of ["segment", "run", "image", "MANIFEST"])
    assert.ok(kinds.includes(kind), `there is a ${kind}`);
  assert.ok(kinds.filter((kind) => kind === "segment").length >= 4, "there are several segments");
  let told = 0;
  let harmless = 0;
  for (const [name, bytes] of files) {
    for (const at of placesOf(name, bytes)) {
      disk.place(`${directory}/${name}`, damage(bytes, at));
      const error = await readAll(disk, model);
      assert.ok(isTold(error), `${name} damaged at ${at}: ${String(error)}`);
      if (error === undefined) harmless++;
      else told++;
    }
    disk.place(`${directory}/${name}`, bytes);
  }
  assert.equal(await readAll(disk, model), undefined, "the directory is whole at the end");
  return { told, harmless };
}

test("a flipped bit at any place of any file is told or harmless", async () => {
  const { told, harmless } = await damageEverywhere((bytes, at) => {
    const damaged = bytes.slice();
    damaged[at] = damaged[at]! ^ (1 << ((at + seed) % 8));
    return damaged;
  });
  assert.ok(told > harmless, `${told} told, ${harmless} harmless`);
});

test("a file cut off at any place is told or harmless", async () => {
  const { told } = await damageEverywhere((bytes, at) => bytes.slice(0, at));
  assert.ok(told > 0);
});

test("a missing file is told", async () => {
  const disk = new SimDisk({ random: dice(seed) });
  const { model, files } = await build(disk);
  for (const [name, bytes] of files) {
    await disk.remove(`${directory}/${name}`);
    const error = await readAll(disk, model);
    assert.ok(isTold(error), `${name} removed: ${String(error)}`);
    if (name.endsWith(".run") || name.endsWith(".image"))
      assert.ok(error instanceof Error, `${name} is missed`);
    disk.place(`${directory}/${name}`, bytes);
  }
});

test("an error says which file, where, why, and what to do", async () => {
  const disk = new SimDisk({ random: dice(seed) });
  const { model } = await build(disk);
  const names = (await disk.list(directory)).filter((name) => name.endsWith(".segment"));
  disk.flipBit(`${directory}/${names.at(-2)}`, 100, 0);
  const error = await readAll(disk, model);
  assert.match(String(error), /0{5}\d+\.segment is corrupt at offset \d+: .*\. Keep the directory as it is/);
});
