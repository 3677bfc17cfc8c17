// Goal: pages of one log become runs of another in which the same values stand at the same places, whether they were safe on disk or not;
// what did not come reads as zeros, and a run is as sound as any other when it is opened again. Method: two logs on simulated disks, of whose
// values a part is alive.
import assert from "node:assert/strict";
import { test } from "node:test";
import { clusterId, index, memberId, millis } from "../base/brand.ts";
import { nodeClock } from "../node/clock.ts";
import { nodeDigest } from "../node/digest.ts";
import { silentLogger } from "../ports/logger.ts";
import { SimDisk } from "../sim/disk.ts";
import { dice, entryFor } from "../sim/log-model.ts";
import type { EntryPlace } from "./contract.ts";
import { LOG_LIMITS } from "./disk-budget.ts";
import { openFile, readSeal } from "./footer.ts";
import { LivePages } from "./live-pages.ts";
import { type Log, openLog } from "./log.ts";
import { type LogFile, PAGE_BYTES } from "./log-file.ts";
import type { RunCopies } from "./run-copy.ts";

const directory = "/data";
const identity = { memberId: memberId(11n), clusterId: clusterId(22n) };
const digest = nodeDigest();
const SEGMENT_BYTES = 256 << 10;
const PAGES_MAX = 16;
const limits = {
  ...LOG_LIMITS,
  segmentBytesFirst: SEGMENT_BYTES,
  segmentBytesMax: SEGMENT_BYTES,
  cacheBytesMax: 256 << 10,
  reserveBytes: 0,
};

type Value = EntryPlace & { readonly data: Uint8Array };

async function open(disk: SimDisk): Promise<Log> {
  const log = await openLog({
    directory,
    disk: disk.attach(),
    clock: { ...nodeClock(), now: () => millis(0) },
    digest,
    logger: silentLogger,
    expected: identity,
    limits,
    onFatal: (error) => assert.fail(error),
    onSpace: () => {},
  });
  await log.start(identity);
  return log;
}

/** All are flushed but the last `inHand`; some are longer than a block. */
async function write(log: Log, count: number, inHand: number): Promise<Value[]> {
  const random = dice(5);
  const values: Value[] = [];
  for (let at = 1; at <= count; at++) {
    const entry = entryFor(at, at % 6, at % 90 === 0 ? 150_000 : 1 + random.below(2500));
    log.writer.append([entry], undefined);
    if (at % 20 === 0 && at <= count - inHand) log.writer.flushSync();
    values.push({ ...log.writer.placeOf(index(at)), data: entry.data });
    if (at % 20 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  return values;
}

/** Sends the pages of `values` over, and says what became of which file. */
async function copy(from: Log, runs: RunCopies, values: readonly Value[]): Promise<Map<number, number>> {
  const live = new LivePages();
  for (const { file, offset, data } of values) live.add(file, offset, data.length);
  const numbers = new Map<number, number>();
  const sums = new Uint32Array(PAGES_MAX);
  for (const file of live.files) {
    const end = Math.min(live.bytesOf(file), from.values.endOf(file));
    const number = runs.nextNumber();
    numbers.set(file, number);
    runs.begin(number, end);
    for (let page = live.next(file, 0); page !== -1; page = live.next(file, page)) {
      const position = page * PAGE_BYTES;
      const wanted = Math.min(live.endOf(file, page, PAGES_MAX) * PAGE_BYTES, end) - position;
      const bytes = new Uint8Array(wanted);
      const read = from.values.readPages(file, position, bytes, sums);
      const pages = Math.ceil(read / PAGE_BYTES);
      assert.ok(read > 0 && (read % PAGE_BYTES === 0 || position + read === end));
      for (let at = 0; at < pages; at++)
        assert.equal(
          sums[at],
          digest.crc32(bytes.subarray(at * PAGE_BYTES, Math.min(read, (at + 1) * PAGE_BYTES))),
        );
      runs.add(position, bytes.subarray(0, read), sums.subarray(0, pages));
      // Whoever reuses its buffers must not change what was handed over.
      bytes.fill(0);
      page += pages;
      await runs.drain();
    }
  }
  return numbers;
}

test("values stand where they stood, safe on disk or not, and what did not come is a hole", async () => {
  const from = await open(new SimDisk({ random: dice(7) }));
  const all = await write(from, 500, 30);
  const random = dice(8);
  const values = all.filter((_, at) => random.below(20) === 0 || at > 450);
  assert.ok(new Set(values.map(({ file }) => file)).size > 3, "several files");
  const disk = new SimDisk({ random: dice(9) });
  const to = await open(disk);
  const { runs } = to.newState();
  const numbers = await copy(from, runs, values);
  const files = await runs.finish();
  assert.deepEqual(new Set(files.map(({ number }) => number)), new Set(numbers.values()));
  to.adoptRuns(files);
  const check = (): void => {
    for (const { file, offset, data } of values) {
      const there = to.values.readValue(numbers.get(file)! as never, offset, data.length);
      assert.ok(Buffer.from(there).equals(data), `the value at ${file}:${offset}`);
    }
  };
  check();
  let holes = 0;
  for (const file of files) holes += await soundPages(disk, file);
  assert.ok(holes > 20, `${holes} pages did not come`);
  await from.close();
  await to.close();
});

/** Opens a run as a start does; every page must be what its checksum says. Returns how many pages are empty. */
async function soundPages(disk: SimDisk, { disk: { path }, number, dataEnd }: LogFile): Promise<number> {
  const handle = await disk.attach().open(path, "read");
  const file = await openFile(handle, "run", number, digest);
  const seal = await readSeal(file, digest, handle.sizeSync(), true);
  assert.equal(seal?.offset, dataEnd);
  let empty = 0;
  for (let page = 0; page < file.pageCount(); page++) {
    const bytes = new Uint8Array(Math.min(PAGE_BYTES, dataEnd - page * PAGE_BYTES));
    assert.equal(await handle.read(bytes, page * PAGE_BYTES), bytes.length);
    assert.equal(digest.crc32(bytes), file.pageCrcs[page], `page ${page} of ${path}`);
    if (bytes.every((byte) => byte === 0)) empty++;
  }
  await handle.close();
  return empty;
}

test("a device that runs full is told by whoever waits, and nothing stays behind", async () => {
  const from = await open(new SimDisk({ random: dice(7) }));
  const values = await write(from, 300, 0);
  const disk = new SimDisk({ random: dice(9), capacityBytes: 4 << 20 });
  const to = await open(disk);
  const before = await disk.attach().list(directory);
  disk.capacityBytes = disk.usedBytes + (300 << 10);
  const { runs, image } = to.newState();
  image.begin({
    appliedIndex: index(1),
    appliedTerm: 1 as never,
    confState: new Uint8Array(0),
    tables: new Uint8Array(0),
  });
  await assert.rejects(
    async () => {
      await copy(from, runs, values);
      await runs.finish();
    },
    { code: "ENOSPC" },
  );
  await runs.discard();
  await image.discard();
  assert.deepEqual(await disk.attach().list(directory), before);
  await from.close();
  await to.close();
});
