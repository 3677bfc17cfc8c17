// Lease keepalives of our own generator: a hundred leases, each with a stream of its own, asked again as soon as the answer is there.
import { cpuMs, memoryMb } from "../process-usage.ts";
import type { Measures, Session } from "../session.ts";
import { callOnce, openAll } from "./closed-loop.ts";
import { Histogram } from "./histogram.ts";
import { leaseGrant, leaseKeepAlive, paths } from "./requests.ts";

const connectionCount = 100;
const streamsPerConnection = 10;
const ttlSeconds = 3_600;

export async function keepAliveStreams(session: Session): Promise<Measures> {
  for (let id = 1; id <= connectionCount; id++)
    await callOnce(session.target, paths.leaseGrant, leaseGrant(id, ttlSeconds));
  const connections = await openAll(session.target, connectionCount);
  const latency = { current: new Histogram() };
  const state = { stopped: false, failure: "" };
  try {
    connections.forEach((connection, index) => {
      const request = leaseKeepAlive(index + 1);
      for (let i = 0; i < streamsPerConnection; i++) {
        let sentAt = performance.now();
        const send = connection.stream(paths.leaseKeepAlive, {
          onMessage: () => {
            latency.current.record(performance.now() - sentAt);
            if (state.stopped) return;
            sentAt = performance.now();
            send(request);
          },
          onEnd: (why) => {
            if (!state.stopped) state.failure ||= why ?? "stream ended";
          },
        });
        send(request);
      }
    });
    await sleep(session.quick ? 500 : 2_000);
    latency.current = new Histogram();
    const [cpuBefore, began] = [cpuMs(session.server.pid), performance.now()];
    await sleep(session.quick ? 1_000 : 4_000);
    const seconds = (performance.now() - began) / 1000;
    const cpu = cpuMs(session.server.pid) - cpuBefore;
    const { total } = latency.current;
    state.stopped = true;
    if (state.failure !== "" || total === 0) throw new Error(`keepalive streams failed: ${state.failure}`);
    return {
      rate: total / seconds,
      p50: latency.current.quantile(0.5),
      p99: latency.current.quantile(0.99),
      cpu: (cpu * 1000) / total,
      rss: memoryMb(session.server.pid, "VmHWM"),
    };
  } finally {
    state.stopped = true;
    for (const connection of connections) connection.close();
  }
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
