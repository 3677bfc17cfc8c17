// One server, or a cluster of three, fresh, for the length of one workload, and the ways to load it: etcd's own `benchmark` and our own closed loops.
// Workloads use it; both sides of a pair go through exactly the same calls.
import type { Certificates } from "../interop/lib/certificates.ts";
import { Cluster } from "../interop/lib/cluster.ts";
import { mustRun } from "../interop/lib/command.ts";
import { makeRunDir, removeRunDir } from "../interop/lib/paths.ts";
import { readTls, type Server, type ServerCommand } from "../interop/lib/server.ts";
import { peer } from "../interop/peers.ts";
import { closedLoop, fixedCount, type LoopOptions } from "./load/closed-loop.ts";
import type { Target } from "./load/connection.ts";
import { keyOf, paths, put, txnOfPuts } from "./load/requests.ts";
import { cpuMs, memoryMb } from "./process-usage.ts";

/** What one run on one server measured, by metric. */
export type Measures = Record<string, number>;

export interface Session {
  /** The only member, or the first of the cluster. */
  readonly server: Server;
  readonly cluster: Cluster;
  readonly target: Target;
  readonly quick: boolean;
  readonly say: (text: string) => void;
}

export async function withSession<T>(
  command: ServerCommand,
  options: {
    readonly tls?: Certificates;
    readonly members: number;
    readonly quick: boolean;
    readonly say: (text: string) => void;
  },
  body: (session: Session) => Promise<T>,
): Promise<T> {
  const dir = makeRunDir(`bench-${command.label}`);
  const tls = options.tls === undefined ? {} : { tls: options.tls };
  // A quota that a million keys do not reach, and no log lines that one server might write and the other not.
  const extra = ["--quota-backend-bytes", `${8 * 1024 ** 3}`];
  const commands = Array.from({ length: options.members }, () => command);
  const cluster = await Cluster.start(dir, commands, { extra, logLevel: "error", ...tls });
  const { server } = cluster.members[0]!;
  const target: Target = {
    host: "127.0.0.1",
    port: server.clientPort,
    ...(options.tls === undefined ? {} : { tls: readTls(options.tls) }),
  };
  try {
    return await body({ server, cluster, target, quick: options.quick, say: options.say });
  } finally {
    await cluster.stop();
    removeRunDir(dir);
  }
}

/** Runs etcd's own load tool: a short uncounted round first, then the counted one. */
export async function etcdBenchmark(
  session: Session,
  args: readonly string[],
  total: number,
): Promise<Measures> {
  // The tool prints no p99 for fewer requests.
  const count = Math.max(Math.min(total, 160), session.quick ? Math.ceil(total / 5) : total);
  const run = async (requests: number): Promise<string> =>
    mustRun(
      [await peer("benchmark"), ...args, ...session.cluster.clientFlags, "--precise", `--total=${requests}`],
      { timeoutMs: 300_000 },
    );
  await run(Math.ceil(count / 4));
  const usedCpu = (): number => sum(session.cluster.members.map(({ server }) => cpuMs(server.pid)));
  const before = usedCpu();
  const report = await run(count);
  const cpu = usedCpu() - before;
  const figure = (pattern: RegExp): number => {
    const found = pattern.exec(report);
    if (found === null) throw new Error(`benchmark ${args.join(" ")} printed no ${pattern}:\n${report}`);
    return Number(found[1]);
  };
  return {
    rate: figure(/Requests\/sec:\s+([\d.e+-]+)/),
    p50: figure(/50% in ([\d.e+-]+) secs/) * 1000,
    p99: figure(/99% in ([\d.e+-]+) secs/) * 1000,
    cpu: (cpu * 1000) / count,
    rss: memoryMb(session.server.pid, "VmHWM"),
  };
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((all, one) => all + one, 0);
}

/** Runs a closed loop of our own generator; `share` splits a call's cost, for instance over the keys of a list. */
export async function ownLoad(
  session: Session,
  options: Omit<LoopOptions, "target" | "warmMs" | "runMs">,
  share = 1,
): Promise<Measures> {
  let before = 0;
  let cpu = 0;
  const result = await closedLoop({
    ...options,
    target: session.target,
    warmMs: session.quick ? 500 : 2_000,
    runMs: session.quick ? 1_000 : 4_000,
    onStart: () => {
      before = cpuMs(session.server.pid);
    },
    onStop: () => {
      cpu = cpuMs(session.server.pid) - before;
    },
  });
  return {
    rate: result.operations / result.seconds,
    p50: result.latency.quantile(0.5),
    p99: result.latency.quantile(0.99),
    cpu: (cpu * 1000) / result.operations / share,
    rss: memoryMb(session.server.pid, "VmHWM"),
  };
}

/** Puts `count` keys with one revision each for a big store, or in txns where only the contents matter. */
export async function fill(
  session: Session,
  count: number,
  valueBytes: number,
  together = 100,
): Promise<void> {
  const value = Buffer.alloc(valueBytes, "v");
  const calls = Math.ceil(count / together);
  const request = (n: number): Buffer => {
    if (together === 1) return put(keyOf(n), value);
    const puts = [];
    for (let i = n * together; i < Math.min(count, (n + 1) * together); i++) puts.push(put(keyOf(i), value));
    return txnOfPuts(puts);
  };
  await fixedCount({
    target: session.target,
    connections: 20,
    clients: together === 1 ? 500 : 20,
    path: together === 1 ? paths.put : paths.txn,
    request,
    count: calls,
    onProgress: (done) => {
      if (done % 100_000 === 0)
        session.say(`${((done * together) / 1000).toFixed(0)}k keys of ${count / 1000}k`);
    },
  });
}
