// Goal: whatever a crash leaves behind the last acknowledged flush, the log opens with all that was acknowledged; and whatever happens to
// bytes before it is told. Method: a log whose last flush nobody was told of (its mark is put back to the flush before) is torn by
// seeded dice in every shape, opened, started, written, and opened again.
import assert from "node:assert/strict";
import { test } from "node:test";
import { clusterId, index, memberId, millis, term } from "../base/brand.ts";
import { nodeClock } from "../node/clock.ts";
import { nodeDigest } from "../node/digest.ts";
import { silentLogger } from "../ports/logger.ts";
import { SimDisk } from "../sim/disk.ts";
import { dice, entryFor } from "../sim/log-model.ts";
import { sizeWithOneFlip } from "./bit-flip.ts";
import { LOG_LIMITS } from "./disk-budget.ts";
import { FRAME_BYTES, HEADER_BYTES, placeSeed, putFrame, putU32, RecordKind } from "./format.ts";
import { type Log, openLog } from "./log.ts";

const directory = "/data";
const identity = { memberId: memberId(11n), clusterId: clusterId(22n) };
const seed = Number(process.env["FUZZ_SEED"] ?? 1);
const runs = Number(process.env["FUZZ_RUNS"] ?? 150);
const segmentBytes = 64 << 10;
const acknowledged = 12;

function open(disk: SimDisk): Promise<Log> {
  return openLog({
    directory,
    disk: disk.attach(),
    clock: { ...nodeClock(), now: () => millis(0) },
    digest: nodeDigest(),
    logger: silentLogger,
    expected: identity,
    limits: {
      ...LOG_LIMITS,
      segmentBytesFirst: segmentBytes,
      segmentBytesMax: segmentBytes,
      reserveBytes: 0,
    },
    onFatal: (error) => assert.fail(error),
    onSpace: () => {},
  });
}

function append(log: Log, from: number, to: number, random: ReturnType<typeof dice>): void {
  const entries = [];
  for (let at = from; at <= to; at++) entries.push(entryFor(at, random.below(9), 1 + random.below(1400)));
  log.writer.append(entries, { term: term(1), vote: 11n, commit: index(to) });
}

type Torn = {
  readonly disk: SimDisk;
  readonly segment: string;
  readonly bytes: Uint8Array;
  /** Where the last acknowledged flush ends, and the one behind it. */
  readonly safe: number;
  readonly end: number;
  readonly last: number;
};

/** A log of 12 acknowledged entries, and up to 8 in a flush that nobody was told of. */
async function build(random: ReturnType<typeof dice>): Promise<Torn> {
  const disk = new SimDisk({ random });
  let log = await open(disk);
  await log.start(identity);
  for (let at = 1; at <= acknowledged; at++) {
    append(log, at, at, random);
    log.writer.flushSync();
  }
  await log.close();
  const mark = `${directory}/FLUSHED`;
  const before = disk.bytesOf(mark);
  const segment = `${directory}/${(await disk.list(directory)).find((name) => name.endsWith(".segment"))}`;
  const safe = lastNonZero(disk.bytesOf(segment));
  log = await open(disk);
  await log.start(identity);
  const last = acknowledged + 1 + random.below(8);
  append(log, acknowledged + 1, last, random);
  log.writer.flushSync();
  await log.close();
  disk.place(mark, before);
  const bytes = disk.bytesOf(segment);
  return { disk, segment, bytes, safe, end: lastNonZero(bytes), last };
}

function lastNonZero(bytes: Uint8Array): number {
  let at = bytes.length;
  while (at > 0 && bytes[at - 1] === 0) at--;
  return at;
}

/** Opens, goes on writing, and opens again; returns the last entry found at first. */
async function goOn(disk: SimDisk, segment: string): Promise<number> {
  let log = await open(disk);
  const last = log.raft.lastIndex();
  checkEntries(log);
  await log.start(identity);
  append(log, last + 1, last + 3, dice(5));
  log.writer.flushSync();
  await log.close();
  assert.equal(disk.bytesOf(segment).length, segmentBytes, "the segment has its length again");
  log = await open(disk);
  assert.equal(log.raft.lastIndex(), last + 3);
  checkEntries(log);
  await log.close();
  return last;
}

function checkEntries(log: Log): void {
  const entries = log.raft.entries(log.raft.firstIndex(), index(log.raft.lastIndex() + 1), 1e9);
  assert.ok(Array.isArray(entries));
  for (const { index: at, data } of entries) {
    assert.equal(new DataView(data.buffer, data.byteOffset).getUint32(2), at, "a wrong entry");
  }
}

async function isRefused(disk: SimDisk): Promise<boolean> {
  try {
    await (await open(disk)).close();
    return false;
  } catch (error) {
    assert.match(String(error), /is corrupt at offset \d+: .*\. Keep the directory as it is/);
    return true;
  }
}

function fillGarbage(bytes: Uint8Array, from: number, to: number, random: ReturnType<typeof dice>): void {
  for (let at = from; at < to; at++) bytes[at] = random.below(256);
}

/** Shapes of a torn end, between `from` and `to`; the bytes behind `to` are zeros. */
const shapes: readonly ((
  bytes: Uint8Array,
  from: number,
  to: number,
  random: ReturnType<typeof dice>,
) => Uint8Array)[] = [
  (bytes, from, to, random) => {
    fillGarbage(bytes, from, Math.min(bytes.length, to + random.below(2000)), random);
    return bytes;
  },
  (bytes, from, to, random) => {
    const length = 1 + random.below(600);
    fillGarbage(bytes, from, Math.min(to, from + length), random);
    return bytes;
  },
  (bytes, from) => bytes.fill(0, from),
  (bytes, from, to, random) => bytes.fill(0, from, Math.min(to, from + 1 + random.below(700))),
  (bytes, from) => bytes.slice(0, from),
  (bytes, _from, to, random) => bytes.slice(0, to + random.below(bytes.length - to)),
];

test("any tear behind the last acknowledged flush is cut, and nothing acknowledged is lost", async () => {
  let refused = 0;
  for (let run = 0; run < runs; run++) {
    const random = dice(seed * 1000 + run);
    const { disk, segment, bytes, safe, end } = await build(random);
    const from = safe + random.below(end - safe);
    disk.place(segment, shapes[run % shapes.length]!(bytes.slice(), from, end, random));
    // Garbage of a byte or two may look like one flipped bit; that is told, as rot would be.
    if (run % shapes.length === 1 && (await isRefused(disk))) {
      refused++;
      continue;
    }
    const last = await goOn(disk, segment);
    assert.ok(last >= acknowledged, `run ${run}: entry ${last} is the last of ${acknowledged}`);
  }
  assert.ok(refused <= runs / 30, `${refused} of ${runs} refused`);
});

test("what was acknowledged is told when it is torn or overwritten in any shape", async () => {
  for (let run = 0; run < runs; run++) {
    const random = dice(seed * 1000 + run);
    const { disk, segment, bytes, safe, end } = await build(random);
    const from = HEADER_BYTES + random.below(safe - HEADER_BYTES - 8);
    const torn = shapes[run % shapes.length]!(bytes.slice(), from, run % 2 === 0 ? safe : end, random);
    const same =
      torn.length >= safe && bytes.subarray(from, safe).every((byte, i) => byte === torn[from + i]);
    disk.place(segment, torn);
    assert.equal(await isRefused(disk), !same, `run ${run}`);
  }
});

test("one flipped bit anywhere in the last flush is told even when the mark is older", async () => {
  const random = dice(seed);
  const { disk, segment, bytes, safe, end } = await build(random);
  for (let at = safe; at < end; at += 1 + random.below(5)) {
    const damaged = bytes.slice();
    damaged[at] = damaged[at]! ^ (1 << random.below(8));
    disk.place(segment, damaged);
    assert.ok(await isRefused(disk), `at ${at}`);
  }
});

test("one flipped bit in a short record is told although the flush behind it is torn", async () => {
  const random = dice(seed + 1);
  const { disk, segment, bytes, safe, end } = await build(random);
  for (let at = safe; at < end; at += 1 + random.below(9)) {
    const damaged = bytes.slice();
    damaged[at] = damaged[at]! ^ (1 << random.below(8));
    fillGarbage(damaged, end, end + 1 + random.below(1500), random);
    disk.place(segment, damaged);
    assert.ok(await isRefused(disk), `at ${at}`);
  }
});

test("without a mark only a missing sector counts as torn", async () => {
  const { disk, segment, bytes, safe, end } = await build(dice(seed));
  await disk.remove(`${directory}/FLUSHED`);
  const garbage = bytes.slice();
  fillGarbage(garbage, safe + 3, end, dice(1));
  disk.place(segment, garbage);
  assert.ok(await isRefused(disk), "garbage");
  disk.place(segment, bytes.slice(0, end - 10));
  assert.ok(await isRefused(disk), "a shorter file");
  disk.place(segment, bytes.slice().fill(0, safe));
  assert.equal(await goOn(disk, segment), acknowledged);
});

test("one flipped bit is found in a record of any length, and two are not taken for one", () => {
  const digest = nodeDigest();
  const random = dice(seed);
  for (const length of [1, 2, 30, 600, 70_000, 1_500_000]) {
    const bytes = new Uint8Array(FRAME_BYTES + length);
    for (let at = FRAME_BYTES; at < bytes.length; at++) bytes[at] = random.below(256);
    const place = placeSeed(7, 4096);
    putFrame(bytes, 0, place, length, 64, RecordKind.Entry);
    putU32(bytes, 0, digest.crc32(bytes.subarray(4), place));
    const size = Math.min(bytes.length, 400);
    for (let run = 0; run < size; run++) {
      const byte = run < FRAME_BYTES ? run : random.below(bytes.length);
      const mask = 1 << random.below(8);
      if (length > 100_000 && run > 40) break;
      bytes[byte] = bytes[byte]! ^ mask;
      assert.equal(sizeWithOneFlip(bytes, 0, place, digest), bytes.length, `byte ${byte} of ${bytes.length}`);
      const other = (byte + 1) % bytes.length;
      bytes[other] = bytes[other]! ^ mask;
      if (length < 100_000)
        assert.equal(sizeWithOneFlip(bytes, 0, place, digest), 0, `bytes ${byte}, ${other}`);
      bytes[other] = bytes[other]! ^ mask;
      bytes[byte] = bytes[byte]! ^ mask;
    }
  }
});
