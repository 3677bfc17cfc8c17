// The cells of etcd_network_peer_* and etcd_network_snapshot_*, looked up once per peer. Names, labels and buckets are declared in
// src/node/metrics-catalog; the registry takes help and buckets from there when it knows the name.
import type { MemberId } from "../base/brand.ts";
import { hexId } from "../cluster/ids.ts";
import {
  type Counter,
  exponentialBuckets,
  type Gauge,
  type Histogram,
  type Metrics,
} from "../ports/metrics.ts";

const SNAPSHOT_SECONDS = exponentialBuckets(0.1, 2, 10);
const ROUND_TRIP_SECONDS = exponentialBuckets(0.0001, 2, 16);

/** What is counted about one member, by its id as a label. */
export type PeerCells = {
  readonly active: Gauge;
  readonly disconnected: Counter;
  readonly sentBytes: Counter;
  readonly sentFailures: Counter;
  readonly receivedFailures: Counter;
  readonly roundTripSeconds: Histogram;
};

export type SnapshotCells = {
  readonly succeeded: Counter;
  readonly failed: Counter;
  readonly inflight: Gauge;
  readonly seconds: Histogram;
};

export class PeerMetrics {
  readonly #metrics: Metrics;
  readonly #local: string;
  readonly #received = new Map<bigint, Counter>();

  constructor(metrics: Metrics, local: MemberId) {
    this.#metrics = metrics;
    this.#local = hexId(local);
  }

  peer(id: MemberId): PeerCells {
    const metrics = this.#metrics;
    const both = { Local: this.#local, Remote: hexId(id) };
    const to = { To: hexId(id) };
    return {
      active: metrics.gauge(
        "etcd_network_active_peers",
        "The current number of active peer connections.",
        both,
      ),
      disconnected: metrics.counter(
        "etcd_network_disconnected_peers_total",
        "The total number of disconnected peers.",
        both,
      ),
      sentBytes: metrics.counter(
        "etcd_network_peer_sent_bytes_total",
        "The total number of bytes sent to peers.",
        to,
      ),
      sentFailures: metrics.counter(
        "etcd_network_peer_sent_failures_total",
        "The total number of send failures from peers.",
        to,
      ),
      receivedFailures: this.receivedFailures(hexId(id)),
      roundTripSeconds: metrics.histogram(
        "etcd_network_peer_round_trip_time_seconds",
        "Round-Trip-Time histogram between peers",
        ROUND_TRIP_SECONDS,
        to,
      ),
    };
  }

  /** Bytes by the sender that the message names: heartbeats of the link are counted under 0, as in etcd. */
  received(from: bigint, bytes: number): void {
    let cell = this.#received.get(from);
    if (cell === undefined) {
      cell = this.#metrics.counter(
        "etcd_network_peer_received_bytes_total",
        "The total number of bytes received from peers.",
        { From: hexId(from) },
      );
      this.#received.set(from, cell);
    }
    cell.add(bytes);
  }

  /** `from`: a member's id, or the address of who could not be understood. */
  receivedFailures(from: string): Counter {
    return this.#metrics.counter(
      "etcd_network_peer_received_failures_total",
      "The total number of receive failures from peers.",
      { From: from },
    );
  }

  snapshotsTo(id: MemberId): SnapshotCells {
    return this.#snapshots("send", { To: hexId(id) });
  }

  snapshotsFrom(from: string): SnapshotCells {
    return this.#snapshots("receive", { From: from });
  }

  #snapshots(way: "send" | "receive", labels: Readonly<Record<string, string>>): SnapshotCells {
    const metrics = this.#metrics;
    const name = `etcd_network_snapshot_${way}`;
    return {
      succeeded: metrics.counter(`${name}_success`, `Total number of successful snapshot ${way}s`, labels),
      failed: metrics.counter(`${name}_failures`, `Total number of snapshot ${way} failures`, labels),
      inflight: metrics.gauge(`${name}_inflights_total`, `Total number of inflight snapshot ${way}s`, labels),
      seconds: metrics.histogram(
        `${name}_total_duration_seconds`,
        `Total latency distributions of v3 snapshot ${way}s`,
        SNAPSHOT_SECONDS,
        labels,
      ),
    };
  }
}
