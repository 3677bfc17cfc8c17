// Micro-benchmark of the log's background work at a million keys: the longest turn of the event loop while a checkpoint and a reclaim run
// beside nothing else, on real files below the temporary directory. Run: npm run build && node --expose-gc
// dist/bench/micro/background.js [keys] [valueBytes]. It measures, it asserts nothing.
import { closeSync, mkdtempSync, openSync, readSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { clusterId, type Index, index, memberId, NO_LEASE, term } from "../../src/base/brand.ts";
import { latin1ToBytes } from "../../src/base/bytes.ts";
import { type Entry, EntryType, type LogSource } from "../../src/log/contract.ts";
import { LOG_LIMITS } from "../../src/log/disk-budget.ts";
import { openLog } from "../../src/log/log.ts";
import { reclaimStore } from "../../src/member/upkeep/reclaim-store.ts";
import { Store } from "../../src/mvcc/store.ts";
import { nodeClock } from "../../src/node/clock.ts";
import { nodeDigest } from "../../src/node/digest.ts";
import { nodeDisk } from "../../src/node/disk.ts";
import { silentLogger } from "../../src/ports/logger.ts";

const count = Number(process.argv[2] ?? 1_000_000);
const valueBytes = Number(process.argv[3] ?? 256);
const batch = 200;
const directory = mkdtempSync(join(tmpdir(), "cairn-background-"));
const store = new Store({ seed: 7 });
const clock = nodeClock();
const log = await openLog({
  directory,
  disk: nodeDisk(),
  clock,
  digest: nodeDigest(),
  logger: silentLogger,
  expected: undefined,
  limits: LOG_LIMITS,
  onFatal: (error) => {
    throw error;
  },
  onSpace: () => {},
});
await log.start({ memberId: memberId(1n), clusterId: clusterId(2n) });

let applied = 0;
const source: LogSource = {
  store: reclaimStore(store),
  get appliedIndex(): Index {
    return index(applied);
  },
  checkpoint: () => ({
    appliedIndex: index(applied),
    appliedTerm: term(1),
    confState: new Uint8Array(0),
    tables: new Uint8Array(0),
    image: store.checkpoint(),
  }),
};

/** Puts keys in an order unlike theirs, so that reclaim reads values from all over. */
async function fill(from: number, to: number): Promise<void> {
  const data = new Uint8Array(valueBytes).fill(120);
  for (let at = from; at < to; at += batch) {
    const entries: Entry[] = [];
    for (let i = at; i < Math.min(to, at + batch); i++)
      entries.push({
        term: term(1),
        index: index(applied + entries.length + 1),
        type: EntryType.Normal,
        data,
      });
    log.writer.append(entries, undefined);
    await new Promise<void>((resolve) => log.writer.flush(resolve));
    for (let i = 0; i < entries.length; i++) {
      const name = (Math.imul((at + i) % count, 2654435761) >>> 0).toString(36).padStart(7, "0");
      const { file, offset } = log.writer.placeOf(entries[i]!.index);
      const txn = store.write();
      txn.put(latin1ToBytes(`/registry/things/namespace/${name}`), NO_LEASE, file, offset, valueBytes);
      txn.end();
    }
    applied += entries.length;
  }
}

const schedule = process.platform === "linux" ? openSync("/proc/thread-self/schedstat", "r") : -1;
const scheduleBytes = Buffer.alloc(100);

/** How long this thread has waited for a processor: on a shared machine that is no pause of ours. 0 where nobody counts it. */
function waitedMillis(): number {
  if (schedule < 0) return 0;
  const length = readSync(schedule, scheduleBytes, 0, 100, 0);
  return Number(scheduleBytes.toString("latin1", 0, length).split(" ")[1]) / 1e6;
}

async function measure(name: string, job: () => Promise<void>): Promise<void> {
  globalThis.gc?.();
  let running = true;
  const turns: number[] = [];
  let last = performance.now();
  let waited = waitedMillis();
  const turn = (): void => {
    const now = performance.now();
    const waitedNow = waitedMillis();
    turns.push(now - last - (waitedNow - waited));
    last = now;
    waited = waitedNow;
    if (running) setImmediate(turn);
  };
  setImmediate(turn);
  const began = performance.now();
  await job();
  running = false;
  turns.sort((a, b) => b - a);
  const longest = turns.slice(0, 5).map((millis) => millis.toFixed(1));
  const over = turns.filter((millis) => millis > 2).length;
  console.log(
    `${name}: ${(performance.now() - began).toFixed(0)} ms, ${turns.length} turns, ${over} over 2 ms, the longest ${longest.join(" ")} ms`,
  );
}

try {
  await fill(0, count);
  await measure("nothing", () => new Promise((resolve) => setTimeout(resolve, 1_000)));
  await measure("checkpoint", () => log.checkpoint(source));
  await fill(count, count + Math.floor(count / 2));
  store.compact(store.currentRevision);
  while (!store.compactSlice(1000, undefined)) await clock.yield();
  await measure("reclaim and checkpoint", () => log.reclaim(source, true));
  console.log(log.describe(source.store).split("\n").slice(-3).join("\n"));
  await log.close();
} finally {
  rmSync(directory, { recursive: true });
  if (schedule >= 0) closeSync(schedule);
}
