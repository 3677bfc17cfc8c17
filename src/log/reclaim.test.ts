// Goal: under endless overwriting the disk stays within twice the live bytes plus what is retained; short-lived values are never
// copied; readers that pinned the files keep theirs; a full device is survived. Method: the dumb store on the simulated disk.
import assert from "node:assert/strict";
import { test } from "node:test";
import { clusterId, index, type Millis, memberId, millis, term } from "../base/brand.ts";
import { nodeClock } from "../node/clock.ts";
import { nodeDigest } from "../node/digest.ts";
import type { Clock } from "../ports/clock.ts";
import { silentLogger } from "../ports/logger.ts";
import { SimDisk } from "../sim/disk.ts";
import { dice, entryFor, LogModel } from "../sim/log-model.ts";
import { diskBudget, LOG_LIMITS, type LogLimits } from "./disk-budget.ts";
import { type Log, openLog } from "./log.ts";

const directory = "/data";
const identity = { memberId: memberId(11n), clusterId: clusterId(22n) };
const limits = {
  ...LOG_LIMITS,
  segmentBytesFirst: 64 << 10,
  segmentBytesMax: 64 << 10,
  cacheBytesMax: 512 << 10,
  reserveBytes: 256 << 10,
  catchUpEntries: 50,
  reclaimSlackBytes: 64 << 10,
};

/** Time stands still until a test moves it on. */
class TestClock implements Clock {
  readonly #turns = nodeClock();
  #timers: { at: number; callback: () => void }[] = [];
  #now = 0;
  now = (): Millis => millis(this.#now);
  wall = (): Millis => millis(this.#now);
  endOfTurn = (callback: () => void): void => this.#turns.endOfTurn(callback);
  yield = (): Promise<void> => this.#turns.yield();
  after(delay: Millis, callback: () => void): { cancel(): void } {
    const timer = { at: this.#now + delay, callback };
    this.#timers.push(timer);
    return {
      cancel: () => {
        this.#timers = this.#timers.filter((one) => one !== timer);
      },
    };
  }
  advance(by: number): void {
    this.#now += by;
    const due = this.#timers.filter((timer) => timer.at <= this.#now);
    this.#timers = this.#timers.filter((timer) => timer.at > this.#now);
    for (const timer of due) timer.callback();
  }
}

type Bench = { disk: SimDisk; clock: TestClock; log: Log; model: LogModel; spaces: boolean[]; last: number };

async function start(capacityBytes = Number.POSITIVE_INFINITY, used: LogLimits = limits): Promise<Bench> {
  const disk = new SimDisk({ random: dice(5), capacityBytes });
  const clock = new TestClock();
  const spaces: boolean[] = [];
  const log = await openLog({
    directory,
    disk: disk.attach(),
    clock,
    digest: nodeDigest(),
    logger: silentLogger,
    expected: identity,
    limits: used,
    onFatal: (error) => assert.fail(error),
    onSpace: (full) => spaces.push(full),
  });
  await log.start(identity);
  await turns(3);
  return { disk, clock, log, model: new LogModel(), spaces, last: 0 };
}

/** Lets promises that wait for nothing but a turn go on. */
async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
}

async function put(bench: Bench, key: number, length: number): Promise<void> {
  const entry = entryFor(++bench.last, key, length);
  bench.log.writer.append([entry], { term: term(1), vote: 11n, commit: index(bench.last) });
  await new Promise<void>((resolve) => bench.log.writer.flush(resolve));
  const { file, offset } = bench.log.writer.placeOf(index(bench.last));
  bench.model.apply(bench.last, entry.data, file, offset);
}

test("the disk holds at most twice the live bytes and what is retained, however often keys are overwritten", async () => {
  const bench = await start();
  const { log, model, disk } = bench;
  const random = dice(9);
  const retained = 3 * limits.segmentBytesMax + limits.reserveBytes + limits.reclaimSlackBytes;
  let most = 0;
  for (let round = 0; round < 6000; round++) {
    await put(
      bench,
      random.below(10) === 0 ? 1000 + random.below(400) : random.below(20),
      200 + random.below(1200),
    );
    if (round % 100 !== 99) continue;
    await log.checkpoint(model);
    if (log.reclaimDue(model)) await log.reclaim(model, false);
    most = Math.max(most, disk.usedBytes - 2 * model.liveBytes);
  }
  assert.ok(most <= retained, `${most} bytes more than twice the live ones, ${retained} are allowed`);
  assert.equal(model.wrongRow(log), undefined);
  await log.reclaim(model, true);
  assert.ok(disk.usedBytes <= 1.2 * model.liveBytes + retained, log.describe(model));
  assert.equal(model.wrongRow(log), undefined);
  await log.close();
});

test("values are moved when no checkpoint of somebody else holds their places", async () => {
  const bench = await start();
  const { log, model, clock } = bench;
  for (let round = 0; round < 600; round++)
    await put(bench, round % 20 === 0 ? 100 + round : round % 7, 1000);
  const places = (): string => JSON.stringify([...model.rows.values()]);
  const before = places();
  assert.equal(log.reclaimDue(model), true);
  model.relocatable = false;
  assert.equal(log.reclaimDue(model), false, "what would wait for the other does not begin by itself");
  let done = false;
  const reclaimed = log.reclaim(model, true).then(() => {
    done = true;
  });
  for (let look = 0; look < 20; look++) {
    await turns(20);
    clock.advance(10);
  }
  assert.equal(done, false);
  assert.equal(places(), before);
  model.relocatable = true;
  clock.advance(10);
  await reclaimed;
  assert.notEqual(places(), before);
  assert.equal(model.wrongRow(log), undefined);
  await log.close();
});

test("a small store keeps a few times what is alive on disk, however much was written", async () => {
  const bench = await start(Number.POSITIVE_INFINITY, LOG_LIMITS);
  const { log, model, disk } = bench;
  for (let round = 0; round < 1200; round++) {
    await put(bench, round % 40, 100_000);
    if (round % 50 !== 49) continue;
    if (log.reclaimDue(model)) await log.reclaim(model, false);
    else if (log.checkpointDue) await log.checkpoint(model);
  }
  const { segmentBytes, reserveBytes, catchUpBytes, slackBytes } = diskBudget(LOG_LIMITS, model.liveBytes);
  const allowed = 3 * segmentBytes + reserveBytes + catchUpBytes + slackBytes + 2 * model.liveBytes;
  assert.ok(allowed < 64 << 20, `${allowed} bytes are allowed for ${model.liveBytes} live ones`);
  assert.ok(disk.usedBytes <= allowed, log.describe(model));
  assert.equal(model.wrongRow(log), undefined);
  await log.close();
});

test("what the log holds besides live values grows with them, and never beyond the limits", () => {
  const small = diskBudget(LOG_LIMITS, 0);
  assert.ok(2 * small.segmentBytes + small.reserveBytes + small.slackBytes <= 32 << 20);
  let before = small;
  for (let live = 1 << 20; live <= 16 * 2 ** 30; live *= 2) {
    const budget = diskBudget(LOG_LIMITS, live);
    for (const key of ["segmentBytes", "reserveBytes", "catchUpBytes", "keptBytes", "slackBytes"] as const)
      assert.ok(budget[key] >= before[key], key);
    before = budget;
  }
  assert.deepEqual(before, {
    segmentBytes: LOG_LIMITS.segmentBytesMax,
    reserveBytes: LOG_LIMITS.reserveBytes,
    catchUpBytes: LOG_LIMITS.catchUpBytesMax,
    keptBytes: 16 * LOG_LIMITS.catchUpBytesMax,
    slackBytes: LOG_LIMITS.reclaimSlackBytes,
  });
});

test("values that died before the reclaim are never copied", async () => {
  const bench = await start();
  const { log, model, disk } = bench;
  for (let round = 0; round < 400; round++) await put(bench, round % 5, 1000);
  await log.checkpoint(model);
  await log.reclaim(model, true);
  const runs = (await disk.list(directory)).filter((name) => name.endsWith(".run"));
  for (const name of runs)
    assert.ok(disk.sizeOf(`${directory}/${name}`) < 8000, "a run holds live values only");
  assert.ok(disk.usedBytes < 6 * limits.segmentBytesMax + limits.reserveBytes, log.describe(model));
  await log.close();
});

test("a file stays readable until the last pin from before its end is released", async () => {
  const bench = await start();
  const { log, model } = bench;
  await put(bench, 1, 500);
  const place = { ...model.rows.get(1)! };
  const release = log.pin();
  const read = (): Uint8Array => log.values.readValue(place.file as never, place.offset, place.length);
  const before = read().slice();
  for (let round = 0; round < 300; round++) await put(bench, 2 + (round % 3), 1000);
  await log.reclaim(model, true);
  await log.checkpoint(model);
  const late = log.pin();
  assert.deepEqual(read(), before);
  release();
  assert.throws(read, { name: "CorruptionError" });
  late();
  await log.close();
});

test("values taken over for a snapshot stay while it is not installed yet, whatever checkpoints come in between", async () => {
  const bench = await start();
  const { log, model } = bench;
  for (let i = 0; i < 20; i++) await put(bench, i, 1000);
  const taken = new LogModel();
  const runs = log.newRuns();
  const at = bench.last + 100;
  for (let key = 0; key < 10; key++) {
    const { data } = entryFor(at, key, 5000);
    const place = runs.add(data);
    if (runs.full) await runs.drain();
    taken.apply(at, data, place.file, place.offset);
  }
  log.adoptRuns(await runs.finish());
  await log.checkpoint(model);
  await log.reclaim(model, true);
  assert.equal(taken.wrongRow(log), undefined);
  await log.installSnapshot({ index: index(at), term: term(1) }, taken);
  assert.equal(taken.wrongRow(log), undefined);
  assert.equal(log.raft.firstIndex(), at + 1);
  assert.equal(log.raft.term(index(at)), 1);
  bench.last = at;
  bench.model = taken;
  await put(bench, 3, 800);
  await log.checkpoint(taken);
  assert.equal(taken.wrongRow(log), undefined);
  await log.close();
});

test("a full device gives the reserve back, says so, keeps what is in flight, and recovers by itself", async () => {
  const bench = await start(900 << 10);
  const { log, model, disk, clock, spaces } = bench;
  while (spaces.length === 0) await put(bench, bench.last % 300, 1500);
  assert.deepEqual(spaces, [true]);
  for (let i = 0; i < 20; i++) await put(bench, 5, 1000);
  assert.equal(model.wrongRow(log), undefined, "what was put since is there");
  clock.advance(5000);
  await turns(5);
  assert.deepEqual(spaces, [true], "still full");
  disk.capacityBytes += 2 << 20;
  clock.advance(5000);
  await turns(20);
  assert.deepEqual(spaces, [true, false]);
  for (let i = 0; i < 300; i++) await put(bench, i % 300, 1500);
  assert.equal(model.wrongRow(log), undefined);
  assert.ok((await disk.list(directory)).includes("RESERVE"), "the reserve is there again");
  await log.close();
});

test("a failed flush is fatal and is never reported as done", async () => {
  const disk = new SimDisk({ random: dice(1) });
  const fatal: Error[] = [];
  const log = await openLog({
    directory,
    disk: disk.attach(),
    clock: new TestClock(),
    digest: nodeDigest(),
    logger: silentLogger,
    expected: identity,
    limits,
    onFatal: (error) => fatal.push(error),
    onSpace: () => {},
  });
  await log.start(identity);
  await turns(3);
  disk.fault = (kind) => (kind === "sync" ? { code: "EIO" } : undefined);
  log.writer.append([entryFor(1, 1, 10)], undefined);
  let done = false;
  log.writer.flush(() => {
    done = true;
  });
  await turns(5);
  assert.equal(done, false);
  assert.equal(fatal.length, 1);
  log.writer.flush(() => {
    done = true;
  });
  await turns(5);
  assert.equal(done, false, "nothing is flushed after a failure");
  disk.fault = undefined;
  await assert.rejects(log.checkpoint(new LogModel()), { code: "EIO" });
});
