// A store of a million keys: what it weighs, how fast it was filled, how long a snapshot and a restart take, what a compaction does to
// the slowest puts, and the longest time that the event loop stood still. One server goes through all of it.
import { callOnce, closedLoop } from "./load/closed-loop.ts";
import { Connection } from "./load/connection.ts";
import { fieldOf } from "./load/protobuf.ts";
import { compact, keyOf, paths, put, range } from "./load/requests.ts";
import { memoryMb } from "./process-usage.ts";
import { fill, type Measures, type Session } from "./session.ts";

const value256 = Buffer.alloc(256, "w");
const loopBlockMetric = /^cairn_event_loop_block_seconds_max(?:\{[^}]*\})? ([\d.e+-]+)$/m;
/** Compaction may be over at once; what it leaves for the background counts as its effect too. */
const insideMinMs = 2_000;
const insideMaxMs = 90_000;
const restartLimitMs = 120_000;

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

export async function million(session: Session): Promise<Measures> {
  const { server, say } = session;
  const count = session.quick ? 100_000 : 1_000_000;
  // As everywhere, a short round first: cold code stands still for as long in a store of ten keys.
  await fill(session, count / 50, 256, 1);
  await server.httpText("/metrics");
  const began = performance.now();
  await fill(session, count, 256, 1);
  const load = count / ((performance.now() - began) / 1000);
  await sleep(3_000);
  const rss = memoryMb(server.pid, "VmRSS");
  say(`filled at ${load.toFixed(0)} keys/s, ${rss.toFixed(0)} MiB`);
  const snapshot = await snapshotSeconds(session);
  say(`snapshot ${snapshot.toFixed(2)} s`);
  const { ratio, seconds } = await compactionEffect(session, count);
  say(`compaction ${seconds.toFixed(2)} s, p99 × ${ratio.toFixed(2)}`);
  const loopBlock = loopBlockMetric.exec(await server.httpText("/metrics"))?.[1];
  const restart = await restartSeconds(session);
  say(`restart ${restart.toFixed(2)} s`);
  const measures: Measures = { rss, load, snapshot, compactionP99: ratio, compaction: seconds, restart };
  measures["restartRss"] = memoryMb(server.pid, "VmRSS");
  if (loopBlock !== undefined) measures["loopBlock"] = Number(loopBlock) * 1000;
  return measures;
}

async function snapshotSeconds({ target }: Session): Promise<number> {
  const connection = await Connection.open(target);
  const began = performance.now();
  try {
    await new Promise<void>((resolve, reject) => {
      connection.unary(paths.snapshot, Buffer.alloc(0), {
        onMessage: () => {},
        onEnd: (failure) => (failure === undefined ? resolve() : reject(new Error(`snapshot: ${failure}`))),
      });
    });
  } finally {
    connection.close();
  }
  return (performance.now() - began) / 1000;
}

/** The p99 of puts while everything old is compacted, over the p99 of the same puts before. */
async function compactionEffect(
  { target }: Session,
  keys: number,
): Promise<{ ratio: number; seconds: number }> {
  const load = {
    target,
    connections: 10,
    clients: 50,
    path: paths.put,
    request: (n: number) => put(keyOf((n * 7919) % keys), value256),
    warmMs: 1_000,
  };
  const outside = await closedLoop({ ...load, runMs: 4_000 });
  const revision = await currentRevision(target);
  let seconds = 0;
  const inside = await closedLoop({
    ...load,
    runMs: insideMaxMs,
    until: async () => {
      const began = performance.now();
      await callOnce(target, paths.compact, compact(revision, true));
      seconds = (performance.now() - began) / 1000;
      await sleep(Math.max(0, insideMinMs - seconds * 1000));
    },
  });
  return { ratio: inside.latency.quantile(0.99) / outside.latency.quantile(0.99), seconds };
}

async function currentRevision(target: Session["target"]): Promise<number> {
  const header = fieldOf(await callOnce(target, paths.range, range(keyOf(0))), 1);
  const revision = header === undefined ? undefined : fieldOf(header.bytes, 3);
  if (revision === undefined) throw new Error("a range reply without a revision");
  return revision.number;
}

/** From the start of the process to the first key read. */
async function restartSeconds({ server, target }: Session): Promise<number> {
  await server.stop();
  const began = performance.now();
  server.spawn();
  while (performance.now() - began < restartLimitMs) {
    try {
      const reply = await callOnce(target, paths.range, range(keyOf(1)));
      if (fieldOf(reply, 2) === undefined) throw new Error("the key is gone after a restart");
      return (performance.now() - began) / 1000;
    } catch (error) {
      if (error instanceof Error && error.message.startsWith("the key")) throw error;
      await sleep(5);
    }
  }
  throw new Error(`no key could be read within ${restartLimitMs} ms of a restart`);
}
