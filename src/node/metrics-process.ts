// The process, the runtime and the operating system as metrics: everything here is read when /metrics is asked for, and costs
// nothing before. Go's names carry the honest equivalent of Node where there is one, else 0. Wired by main.ts.
import { readdirSync, readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { type IntervalHistogram, monitorEventLoopDelay, PerformanceObserver } from "node:perf_hooks";
import { getHeapStatistics } from "node:v8";
import type { MetricsRegistry } from "./metrics.ts";
import { GO_GC_SECONDS, GO_METRICS, PROCESS_METRICS, PROXY_METRICS } from "./metrics-catalog.ts";
import { formatFloat } from "./metrics-format.ts";

/** Garbage collections of which the pauses are remembered for the quantiles. */
const GC_PAUSES_MAX = 512;
/** The event loop's delay is sampled this often: a block shows with its length less at most this. Ten times as many samples cost an idle process 1 % of a core. */
const LOOP_RESOLUTION_MILLIS = 5;

export type ProcessMetrics = {
  /** The scrape's own bookkeeping: called by the HTTP handler around each answer. */
  scrapeStarted(): void;
  scrapeEnded(): void;
  /** Clients are served from now on: what blocked before kept nobody waiting. */
  serving(): void;
  stop(): void;
};

export function registerProcessMetrics(metrics: MetricsRegistry): ProcessMetrics {
  metrics.declare(PROCESS_METRICS.filter((one) => (one.labels ?? []).length === 0));
  metrics.declare(GO_METRICS);
  metrics.declare(PROXY_METRICS);
  const observe = observer(metrics);
  registerOs(observe);
  registerGo(observe);
  metrics.gauge("go_info", "", { version: `node${process.versions.node}` }).set(1);
  const stopCollections = registerCollections(metrics);
  const loop = registerLoop(metrics);
  const inFlight = metrics.gauge("promhttp_metric_handler_requests_in_flight", "");
  const scrapes = ["200", "500", "503"].map((code) =>
    metrics.counter("promhttp_metric_handler_requests_total", scrapeHelp(), { code }),
  );
  return {
    scrapeStarted: () => inFlight.set(1),
    scrapeEnded: () => {
      inFlight.set(0);
      scrapes[0]!.add(1);
    },
    serving: () => loop.reset(),
    stop: () => {
      stopCollections();
      loop.disable();
    },
  };
}

function scrapeHelp(): string {
  return PROCESS_METRICS.find((one) => one.name === "promhttp_metric_handler_requests_total")?.help ?? "";
}

type Observe = (name: string, read: () => number) => void;

/** Puts a reader where the catalog declared a plain cell. */
function observer(metrics: MetricsRegistry): Observe {
  const kinds = new Map([...PROCESS_METRICS, ...GO_METRICS].map((one) => [one.name, one.type]));
  return (name, read) => {
    metrics.observed(kinds.get(name) === "counter" ? "counter" : "gauge", name, "", read);
  };
}

function registerOs(observe: Observe): void {
  const limits = readLimits();
  const started = Date.now() / 1000 - process.uptime();
  observe("process_cpu_seconds_total", () => {
    const used = process.cpuUsage();
    return (used.user + used.system) / 1e6;
  });
  observe("process_resident_memory_bytes", () => process.memoryUsage.rss());
  observe("process_virtual_memory_bytes", () => statusBytes("VmSize"));
  observe("process_virtual_memory_max_bytes", () => limits.addressBytes);
  observe("process_start_time_seconds", () => started);
  observe("process_open_fds", openFiles);
  observe("process_max_fds", () => limits.openFiles);
  observe("os_fd_used", openFiles);
  observe("os_fd_limit", () => limits.openFiles);
  observe("process_network_receive_bytes_total", () => networkBytes(0));
  observe("process_network_transmit_bytes_total", () => networkBytes(8));
}

/** One thread runs all JavaScript, so it stands for the goroutines; V8's heap stands for Go's. */
function registerGo(observe: Observe): void {
  const external = (): number => process.memoryUsage().external;
  observe("go_goroutines", () => 1);
  observe("go_threads", threads);
  observe("go_sched_gomaxprocs_threads", () => availableParallelism());
  observe("go_gc_gogc_percent", () => 100);
  observe("go_gc_gomemlimit_bytes", () => getHeapStatistics().heap_size_limit);
  observe("go_memstats_alloc_bytes", () => getHeapStatistics().used_heap_size);
  observe("go_memstats_heap_alloc_bytes", () => getHeapStatistics().used_heap_size);
  observe("go_memstats_heap_inuse_bytes", () => getHeapStatistics().total_physical_size);
  observe("go_memstats_heap_idle_bytes", () => {
    const heap = getHeapStatistics();
    return Math.max(0, heap.total_heap_size - heap.total_physical_size);
  });
  observe("go_memstats_heap_sys_bytes", () => getHeapStatistics().total_heap_size);
  observe("go_memstats_other_sys_bytes", external);
  observe("go_memstats_sys_bytes", () => getHeapStatistics().total_heap_size + external());
  observe("go_memstats_next_gc_bytes", () => getHeapStatistics().heap_size_limit);
}

function openFiles(): number {
  try {
    return readdirSync("/proc/self/fd").length;
  } catch {
    return 0;
  }
}

/** The process's limit of open files, for /debug/vars and the limit on connections. */
export function fileDescriptorLimit(): number {
  return readLimits().openFiles;
}

function readLimits(): { openFiles: number; addressBytes: number } {
  const text = readText("/proc/self/limits");
  const soft = (name: string): number => {
    const value = new RegExp(`^${name}\\s+(\\S+)`, "m").exec(text)?.[1];
    // Go shows the unlimited value, 2^64-1, as the nearest double.
    return value === undefined ? 0 : value === "unlimited" ? 2 ** 64 : Number(value);
  };
  return { openFiles: soft("Max open files"), addressBytes: soft("Max address space") };
}

function readText(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return "";
  }
}

function statusBytes(name: string): number {
  const value = new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(readText("/proc/self/status"))?.[1];
  return value === undefined ? 0 : Number(value) * 1024;
}

function threads(): number {
  return Number(/^Threads:\s+(\d+)/m.exec(readText("/proc/self/status"))?.[1] ?? 1);
}

/** Bytes through all interfaces that this process sees; as Go's client counts them, column 0 received, 8 sent. */
function networkBytes(column: number): number {
  let bytes = 0;
  for (const line of readText("/proc/self/net/dev").split("\n").slice(2)) {
    const numbers = line
      .slice(line.indexOf(":") + 1)
      .trim()
      .split(/\s+/);
    if (line.includes(":")) bytes += Number(numbers[column] ?? 0);
  }
  return bytes;
}

/** Pauses of the garbage collector, as Go's summary shows them. Returns how to stop watching. */
function registerCollections(metrics: MetricsRegistry): () => void {
  const pauses: number[] = [];
  let at = 0;
  let sum = 0;
  let count = 0;
  const watcher = new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) {
      const seconds = entry.duration / 1000;
      pauses[at] = seconds;
      at = (at + 1) % GC_PAUSES_MAX;
      sum += seconds;
      count++;
    }
  });
  watcher.observe({ entryTypes: ["gc"] });
  metrics.rendered(GO_GC_SECONDS, () => {
    const sorted = pauses.toSorted((a, b) => a - b);
    let lines = "";
    for (const quantile of [0, 0.25, 0.5, 0.75, 1]) {
      const value = sorted[Math.round(quantile * (sorted.length - 1))] ?? 0;
      lines += `go_gc_duration_seconds{quantile="${quantile}"} ${formatFloat(value)}\n`;
    }
    return `${lines}go_gc_duration_seconds_sum ${formatFloat(sum)}\ngo_gc_duration_seconds_count ${count}\n`;
  });
  return () => watcher.disconnect();
}

/** How long the one thread keeps others waiting: since the last scrape, and at worst since the start. */
function registerLoop(metrics: MetricsRegistry): IntervalHistogram {
  const loop = monitorEventLoopDelay({ resolution: LOOP_RESOLUTION_MILLIS });
  loop.enable();
  let longest = 0;
  const beyond = (nanos: number): number => Math.max(0, nanos / 1e9 - LOOP_RESOLUTION_MILLIS / 1000);
  const gauge = (name: string, help: string, read: () => number): void => {
    metrics.observed("gauge", name, help, read);
  };
  gauge("cairn_event_loop_delay_mean_seconds", "Mean delay of the event loop since the last scrape.", () =>
    Number.isNaN(loop.mean) ? 0 : beyond(loop.mean),
  );
  gauge(
    "cairn_event_loop_delay_p99_seconds",
    "99th percentile of the event loop's delay since the last scrape.",
    () => beyond(loop.percentile(99)),
  );
  gauge("cairn_event_loop_longest_block_seconds", "Longest block of the event loop since the start.", () => {
    // Rendered last of the names (in their order): it closes the interval between two scrapes.
    longest = Math.max(longest, loop.count === 0 ? 0 : beyond(loop.max));
    loop.reset();
    return longest;
  });
  gauge("cairn_event_loop_block_seconds_max", "Longest block of the event loop since the last scrape.", () =>
    loop.count === 0 ? 0 : beyond(loop.max),
  );
  return loop;
}
