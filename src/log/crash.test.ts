// Goal: whatever the moment at which the power goes, nothing acknowledged is lost, no value is wrong, and the log goes on. Method: one
// fixed history (appends, flushes of both kinds, rotation, checkpoints, reclaim, a snapshot) on the simulated disk is cut at every
// single disk operation in turn, the unsynced bytes torn by seeded dice; then the directory is opened again and checked.
import assert from "node:assert/strict";
import { test } from "node:test";
import { clusterId, index, memberId, millis, term } from "../base/brand.ts";
import { nodeClock } from "../node/clock.ts";
import { nodeDigest } from "../node/digest.ts";
import type { Clock } from "../ports/clock.ts";
import { silentLogger } from "../ports/logger.ts";
import { SimDisk } from "../sim/disk.ts";
import { dice, entryFor, LogModel } from "../sim/log-model.ts";
import { LOG_LIMITS, type LogLimits } from "./disk-budget.ts";
import { type Log, openLog } from "./log.ts";

const directory = "/data/member/cairn";
const identity = { memberId: memberId(11n), clusterId: clusterId(22n) };
const seed = Number(process.env["FUZZ_SEED"] ?? 1);

const small: LogLimits = {
  ...LOG_LIMITS,
  segmentBytesFirst: 16 << 10,
  segmentBytesMax: 32 << 10,
  cacheBytesMax: 256 << 10,
  reserveBytes: 4 << 10,
  catchUpEntries: 10,
  reclaimSlackBytes: 8 << 10,
};

/** Real turns, no real time. */
const clock: Clock = { ...nodeClock(), now: () => millis(0) };

function open(disk: SimDisk, onSpace: (full: boolean) => void = () => {}): Promise<Log> {
  return openLog({
    directory,
    disk: disk.attach(),
    clock,
    digest: nodeDigest(),
    logger: silentLogger,
    expected: identity,
    limits: small,
    onFatal: () => {},
    onSpace,
  });
}

type Acknowledged = { last: number; commit: number; snapshot: number };

/** Flushes the one way or the other; what was staged counts as acknowledged only after it. */
async function flush(log: Log, sync: boolean, disk: SimDisk): Promise<void> {
  if (sync && !log.writer.flushing) return log.writer.flushSync();
  await new Promise<void>((resolve, reject) => {
    log.writer.flush(resolve);
    const look = (): void => {
      if (disk.crashed || log.writer.failed) reject(new Error("off"));
      else if (log.writer.flushing) setImmediate(look);
    };
    setImmediate(look);
  });
}

async function work(
  log: Log,
  model: LogModel,
  disk: SimDisk,
  acknowledged: Acknowledged,
  rounds: number,
): Promise<void> {
  const random = dice(7);
  for (let round = 0; round < rounds; round++) {
    const first = log.raft.lastIndex() + 1;
    const count = 1 + random.below(4);
    const entries = Array.from({ length: count }, (_, i) =>
      entryFor(first + i, random.below(12), random.below(6) === 0 ? 3000 : random.below(500)),
    );
    const commit = first + count - 1;
    log.writer.append(entries, { term: term(1), vote: 11n, commit: index(commit) });
    await flush(log, round % 2 === 0, disk);
    acknowledged.last = commit;
    acknowledged.commit = commit;
    for (const { index: at, data } of entries) {
      const { file, offset } = log.writer.placeOf(at);
      model.apply(at, data, file, offset);
    }
    if (round % 9 === 8) await log.checkpoint(model);
    if (round % 15 === 14) await log.reclaim(model, round % 2 === 0);
    if (round === 20) await installSnapshot(log, model, acknowledged);
  }
}

/** A snapshot 100 entries ahead: its values come as a run. */
async function installSnapshot(log: Log, model: LogModel, acknowledged: Acknowledged): Promise<void> {
  const at = log.raft.lastIndex() + 100;
  const runs = log.newRuns();
  const taken = new LogModel();
  for (let key = 0; key < 5; key++) {
    const { data } = entryFor(at, key, 700);
    const place = runs.add(data);
    if (runs.full) await runs.drain();
    taken.apply(at, data, place.file, place.offset);
  }
  log.adoptRuns(await runs.finish());
  await log.installSnapshot({ index: index(at), term: term(1) }, taken);
  model.rows.clear();
  for (const [key, row] of taken.rows) model.rows.set(key, row);
  model.applied = at;
  acknowledged.last = at;
  acknowledged.snapshot = at;
}

async function checkAfterCrash(disk: SimDisk, acknowledged: Acknowledged, what: string): Promise<void> {
  const log = await open(disk);
  assert.ok(log.raft.lastIndex() >= acknowledged.last, `${what}: lost an acknowledged entry`);
  if (acknowledged.commit > 0)
    assert.ok(log.hardState!.commit >= acknowledged.commit, `${what}: lost a hard state`);
  if (log.hardState !== undefined) {
    assert.ok(
      log.hardState.commit <= log.raft.lastIndex() || log.raft.lastIndex() === 0,
      `${what}: commit beyond the end`,
    );
  }
  const model = new LogModel();
  await model.restore(log);
  assert.equal(model.wrongRow(log), undefined, what);
  const entries = log.raft.entries(
    log.raft.firstIndex(),
    index(log.raft.lastIndex() + 1),
    Number.MAX_SAFE_INTEGER,
  );
  assert.ok(Array.isArray(entries));
  entries.forEach((entry, i) => {
    assert.equal(entry.index, log.raft.firstIndex() + i, what);
    assert.equal(new DataView(entry.data.buffer, entry.data.byteOffset).getUint32(2), entry.index, what);
  });
  await log.start(identity);
  await work(log, model, disk, { last: 0, commit: 0, snapshot: 0 }, 12);
  assert.equal(model.wrongRow(log), undefined, what);
  await log.close();
  await disk.crash();
  disk.restart();
  const again = await open(disk);
  assert.equal(again.raft.lastIndex(), model.applied, `${what}: lost an entry the second time`);
  await again.close();
}

async function historyCutAt(operation: number): Promise<boolean> {
  const disk = new SimDisk({ random: dice(seed * 1000 + operation) });
  disk.fault = (_kind, _path, count) => (count === operation ? "crash" : undefined);
  const acknowledged: Acknowledged = { last: 0, commit: 0, snapshot: 0 };
  try {
    const log = await open(disk);
    await log.start(identity);
    await work(log, new LogModel(), disk, acknowledged, 32);
    await log.close();
  } catch (error) {
    if (!disk.crashed) throw error;
  }
  const cut = disk.crashed;
  if (!cut) disk.crash();
  disk.restart();
  disk.fault = undefined;
  await checkAfterCrash(disk, acknowledged, `crash at operation ${operation}, FUZZ_SEED=${seed}`);
  return cut;
}

/** The process dies at its n-th flush, and what it had written is there; the next one adds to it, and then the power goes. */
async function historyKilledAtFlush(flushes: number): Promise<boolean> {
  const disk = new SimDisk({ random: dice(seed * 1000 + flushes) });
  let left = flushes;
  disk.fault = (kind, path) =>
    kind === "sync" && path.endsWith(".segment") && --left === 0 ? { code: "EIO" } : undefined;
  try {
    const log = await open(disk);
    await log.start(identity);
    await work(log, new LogModel(), disk, { last: 0, commit: 0, snapshot: 0 }, 16);
    await log.close();
  } catch (error) {
    if (left > 0) throw error;
  }
  disk.killProcess();
  disk.fault = undefined;
  const next = await open(disk);
  await next.start(identity);
  const first = next.raft.lastIndex() + 1;
  next.writer.append([entryFor(first, 1, 100)], { term: term(1), vote: 11n, commit: index(first - 1) });
  next.writer.flushSync();
  disk.crash();
  disk.restart();
  const last = await open(disk);
  assert.ok(last.raft.lastIndex() >= first, `killed at flush ${flushes}, FUZZ_SEED=${seed}`);
  await last.close();
  return left <= 0;
}

test("what a killed process had written and not flushed is safe before the next one builds on it", async () => {
  let flushes = 1;
  while (await historyKilledAtFlush(flushes)) flushes++;
  assert.ok(flushes > 10, `the history has ${flushes} flushes`);
});

test("a power loss at any disk operation loses nothing acknowledged and leaves no wrong value", async () => {
  let operation = 1;
  while (await historyCutAt(operation)) operation++;
  assert.ok(operation > 200, `the history has ${operation} operations`);
});
