// The workloads of the bench: what is sent, how it is counted, and which way is better. Every workload gets a fresh server.
// A name with "own" is driven by our generator, the others by etcd's own `benchmark`.

import { catchUp, failover } from "./cluster.ts";
import { keepAliveStreams } from "./load/keepalive.ts";
import { keyOf, keyPrefix, keyPrefixEnd, paths, put, range, txnPut } from "./load/requests.ts";
import { fanOut, watchLatency } from "./load/watch.ts";
import { million } from "./million.ts";
import { etcdBenchmark, fill, type Measures, ownLoad, type Session } from "./session.ts";

export interface Metric {
  readonly unit: string;
  readonly lessIsBetter: boolean;
}

export const metrics: Readonly<Record<string, Metric>> = {
  rate: { unit: "op/s", lessIsBetter: false },
  p50: { unit: "ms", lessIsBetter: true },
  p99: { unit: "ms", lessIsBetter: true },
  cpu: { unit: "µs of server CPU/op", lessIsBetter: true },
  rss: { unit: "MiB", lessIsBetter: true },
  lists: { unit: "op/s", lessIsBetter: false },
  listP99: { unit: "ms", lessIsBetter: true },
  load: { unit: "keys/s", lessIsBetter: false },
  restart: { unit: "s", lessIsBetter: true },
  restartRss: { unit: "MiB", lessIsBetter: true },
  snapshot: { unit: "s", lessIsBetter: true },
  compactionP99: { unit: "× of p99 outside", lessIsBetter: true },
  compaction: { unit: "s", lessIsBetter: true },
  catchUp: { unit: "s", lessIsBetter: true },
  failover: { unit: "ms without writes", lessIsBetter: true },
  loopBlock: { unit: "ms", lessIsBetter: true },
};

export interface Workload {
  readonly name: string;
  readonly tls?: boolean;
  /** 1 when absent. */
  readonly members?: number;
  /** The metric that the workload is named for. */
  readonly main?: string;
  run(session: Session): Promise<Measures>;
}

const value256 = Buffer.alloc(256, "v");
const many = ["--clients=1000", "--conns=100"];
const one = ["--clients=1", "--conns=1"];
const keySpace = 100_000;
const tenThousand = 10_000;

const putArgs = ["put", "--key-size=40", "--val-size=256", `--key-space-size=${keySpace}`];
const txnArgs = ["txn-put", "--key-size=40", "--val-size=256", `--key-space-size=${keySpace}`];

/** `benchmark range` of one existing key. */
function rangeWorkload(
  name: string,
  clients: string[],
  consistency: "l" | "s",
  total: number,
  more: Pick<Workload, "tls" | "members"> = {},
): Workload {
  return {
    name,
    ...more,
    run: async (session) => {
      await fill(session, 100, 256);
      return etcdBenchmark(
        session,
        ["range", keyOf(7).toString(), `--consistency=${consistency}`, ...clients],
        total,
      );
    },
  };
}

function listWorkload(name: string, valueBytes: number, driver: "etcd" | "own"): Workload {
  return {
    name,
    run: async (session) => {
      await fill(session, tenThousand, valueBytes, valueBytes > 512 ? 50 : 100);
      if (driver === "own") {
        const request = range(keyPrefix, { end: keyPrefixEnd });
        return ownLoad(
          session,
          { connections: 4, clients: 4, path: paths.range, request: () => request },
          tenThousand,
        );
      }
      const args = ["range", keyPrefix.toString(), keyPrefixEnd.toString(), "--clients=4", "--conns=4"];
      const measured = await etcdBenchmark(session, args, 160);
      return { ...measured, cpu: measured["cpu"]! / tenThousand };
    },
  };
}

function ownPut(session: Session): Promise<Measures> {
  return ownLoad(session, {
    connections: 100,
    clients: 1000,
    path: paths.put,
    request: (n) => put(keyOf(n % keySpace), value256),
  });
}

async function ownRange(session: Session, serializable: boolean): Promise<Measures> {
  await fill(session, 100, 256);
  const request = range(keyOf(7), { serializable });
  return ownLoad(session, { connections: 100, clients: 1000, path: paths.range, request: () => request });
}

/** Writers and one client that reads 10,000 keys at a time, together. */
async function mixed(session: Session): Promise<Measures> {
  await fill(session, tenThousand, 256);
  const list = range(keyPrefix, { end: keyPrefixEnd });
  const [puts, lists] = await Promise.all([
    ownLoad(session, {
      connections: 10,
      clients: 100,
      path: paths.put,
      request: (n) => put(keyOf(n % tenThousand), value256),
    }),
    ownLoad(session, { connections: 1, clients: 1, path: paths.range, request: () => list }),
  ]);
  return {
    rate: puts["rate"]!,
    p50: puts["p50"]!,
    p99: puts["p99"]!,
    lists: lists["rate"]!,
    listP99: lists["p99"]!,
    rss: puts["rss"]!,
  };
}

export const workloads: readonly Workload[] = [
  { name: "put-1", run: (session) => etcdBenchmark(session, [...putArgs, ...one], 8_000) },
  { name: "put-1000", run: (session) => etcdBenchmark(session, [...putArgs, ...many], 80_000) },
  { name: "put-1000-own", run: ownPut },
  { name: "txn-put-1000", run: (session) => etcdBenchmark(session, [...txnArgs, ...many], 80_000) },
  {
    name: "txn-create-1000-own",
    run: (session) =>
      ownLoad(session, {
        connections: 100,
        clients: 1000,
        path: paths.txn,
        request: (n) => txnPut(keyOf(n), value256, 0),
      }),
  },
  rangeWorkload("range-1", one, "l", 12_000),
  rangeWorkload("range-1000-linearizable", many, "l", 120_000),
  rangeWorkload("range-1000-serializable", many, "s", 120_000),
  { name: "range-1000-linearizable-own", run: (session) => ownRange(session, false) },
  { name: "range-1000-serializable-own", run: (session) => ownRange(session, true) },
  listWorkload("list-10000-256B", 256, "etcd"),
  listWorkload("list-10000-1KiB", 1024, "etcd"),
  listWorkload("list-10000-256B-own", 256, "own"),
  listWorkload("list-10000-1KiB-own", 1024, "own"),
  { name: "mixed-put-list-own", run: mixed },
  { name: "watch-fanout-1000-own", run: fanOut },
  { name: "watch-latency-own", main: "p50", run: watchLatency },
  {
    name: "lease-keepalive-1000",
    run: (session) => etcdBenchmark(session, ["lease-keepalive", ...many], 80_000),
  },
  { name: "lease-keepalive-own", run: keepAliveStreams },
  {
    name: "put-1000-tls",
    tls: true,
    run: (session) => etcdBenchmark(session, [...putArgs, ...many], 60_000),
  },
  rangeWorkload("range-1000-tls", many, "l", 60_000, { tls: true }),
  { name: "put-1000-tls-own", tls: true, run: ownPut },
  { name: "range-1000-tls-own", tls: true, run: (session) => ownRange(session, false) },
  { name: "million", main: "rss", run: million },
  {
    name: "cluster-put-1",
    members: 3,
    run: (session) => etcdBenchmark(session, [...putArgs, ...one], 12_000),
  },
  {
    name: "cluster-put-1000",
    members: 3,
    run: (session) => etcdBenchmark(session, [...putArgs, ...many], 160_000),
  },
  rangeWorkload("cluster-range-1000-linearizable", many, "l", 240_000, { members: 3 }),
  { name: "cluster-catch-up", members: 3, main: "catchUp", run: catchUp },
  { name: "cluster-failover", members: 3, main: "failover", run: failover },
];
