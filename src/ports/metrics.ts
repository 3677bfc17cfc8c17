// Metrics, as the member counts them: plain number cells that the edge reads when /metrics is asked for, so that counting costs
// an addition. Names, labels and buckets are etcd's (specification 2.4). src/node/metrics renders them.
export interface Counter {
  add(n: number): void;
}

export interface Gauge {
  set(n: number): void;
}

export interface Histogram {
  /** In the unit of the metric's name (seconds, milliseconds). `times`: that many observations of this value, one by default. */
  observe(value: number, times?: number): void;
}

export interface Metrics {
  /** The same name and labels give the same cell. `labels` in the order that etcd declares them. */
  counter(name: string, help: string, labels?: Readonly<Record<string, string>>): Counter;
  gauge(name: string, help: string, labels?: Readonly<Record<string, string>>): Gauge;
  /** A gauge or counter whose value is asked for at scrape time. */
  observed(
    kind: "gauge" | "counter",
    name: string,
    help: string,
    read: () => number,
    labels?: Readonly<Record<string, string>>,
  ): void;
  /** `buckets`: upper bounds, ascending, without +Inf. See exponentialBuckets. */
  histogram(
    name: string,
    help: string,
    buckets: readonly number[],
    labels?: Readonly<Record<string, string>>,
  ): Histogram;
}

/** `count` bounds from `start`, each `factor` times the one before: Prometheus' ExponentialBuckets. */
export function exponentialBuckets(start: number, factor: number, count: number): number[] {
  const bounds: number[] = [];
  for (let i = 0, bound = start; i < count; i++, bound *= factor) bounds.push(bound);
  return bounds;
}

const silentCell = { add(): void {}, set(): void {}, observe(): void {} };

/** For tests and simulations, where nobody asks. */
export const silentMetrics: Metrics = {
  counter: () => silentCell,
  gauge: () => silentCell,
  observed() {},
  histogram: () => silentCell,
};
