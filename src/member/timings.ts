// How long things take, as histograms under etcd's names. Made once per member; whoever does the work tells it the time that passed.
// A clock reading costs as much as five additions on a hot path, so entries and single-key ranges are not each read: apply-timer.ts and
// range-timer.ts spread one reading over many, and the counts stay exact.
import { exponentialBuckets, type Histogram, type Metrics } from "../ports/metrics.ts";

/** One histogram per name of an operation and outcome, made when the first such operation ends, as etcd's vectors do. */
export class OutcomeHistograms {
  readonly #make: (op: string, success: boolean) => Histogram;
  readonly #succeeded = new Map<string, Histogram>();
  readonly #failed = new Map<string, Histogram>();

  constructor(make: (op: string, success: boolean) => Histogram) {
    this.#make = make;
  }

  observe(op: string, success: boolean, seconds: number, times = 1): void {
    const cells = success ? this.#succeeded : this.#failed;
    let cell = cells.get(op);
    if (cell === undefined) {
      cell = this.#make(op, success);
      cells.set(op, cell);
    }
    cell.observe(seconds, times);
  }
}

const APPLY_BUCKETS = exponentialBuckets(0.0001, 2, 20);
const DISK_BUCKETS = exponentialBuckets(0.001, 2, 14);
const HASH_BUCKETS = exponentialBuckets(0.01, 2, 15);

export class Timings {
  /** Entries by what they asked for. */
  readonly applied: OutcomeHistograms;
  /** Ranges by themselves, from the permission to read until the reply is made. */
  readonly ranges: OutcomeHistograms;
  /** Requests from their arrival in the member until their result. */
  readonly requests: OutcomeHistograms;
  /** A batch of committed entries becoming the store's state: the log is the database, there is no second commit. */
  readonly commit: Histogram;
  readonly #walWrite: Histogram;
  readonly #walFsync: Histogram;
  readonly checkpoint: Histogram;
  readonly reclaim: Histogram;
  readonly snapshot: Histogram;
  readonly hash: Histogram;
  readonly hashKv: Histogram;
  readonly leaseTtl: Histogram;
  readonly compactionPause: Histogram;
  readonly indexCompactionPause: Histogram;
  readonly compactionTotal: Histogram;
  readonly watchEvents: Histogram;
  readonly watchPerEvent: Histogram;
  readonly watchControl: Histogram;
  readonly watchProgress: Histogram;

  constructor(metrics: Metrics) {
    const disk = (name: string): Histogram => metrics.histogram(name, "", DISK_BUCKETS);
    const outcome = (success: boolean): { success: string } => ({ success: success ? "true" : "false" });
    this.applied = new OutcomeHistograms((op, success) =>
      metrics.histogram("etcd_server_apply_duration_seconds", "", APPLY_BUCKETS, {
        version: "v3",
        op,
        ...outcome(success),
      }),
    );
    this.ranges = new OutcomeHistograms((_, success) =>
      metrics.histogram("etcd_server_range_duration_seconds", "", APPLY_BUCKETS, outcome(success)),
    );
    this.requests = new OutcomeHistograms((type, success) =>
      metrics.histogram("etcd_server_request_duration_seconds", "", DISK_BUCKETS, {
        type,
        ...outcome(success),
      }),
    );
    this.commit = disk("etcd_disk_backend_commit_duration_seconds");
    this.#walWrite = disk("etcd_disk_wal_write_duration_seconds");
    this.#walFsync = disk("etcd_disk_wal_fsync_duration_seconds");
    this.checkpoint = disk("etcd_debugging_snap_save_total_duration_seconds");
    this.reclaim = metrics.histogram(
      "etcd_disk_backend_defrag_duration_seconds",
      "",
      exponentialBuckets(0.1, 2, 13),
    );
    this.snapshot = metrics.histogram(
      "etcd_disk_backend_snapshot_duration_seconds",
      "",
      exponentialBuckets(0.01, 2, 17),
    );
    this.hash = metrics.histogram("etcd_mvcc_hash_duration_seconds", "", HASH_BUCKETS);
    this.hashKv = metrics.histogram("etcd_mvcc_hash_rev_duration_seconds", "", HASH_BUCKETS);
    this.leaseTtl = metrics.histogram("etcd_debugging_lease_ttl_total", "", exponentialBuckets(1, 2, 24));
    const mvcc = (name: string, start: number, count: number): Histogram =>
      metrics.histogram(
        `etcd_debugging_mvcc_${name}_duration_milliseconds`,
        "",
        exponentialBuckets(start, 2, count),
      );
    this.compactionPause = mvcc("db_compaction_pause", 1, 13);
    this.indexCompactionPause = mvcc("index_compaction_pause", 0.5, 14);
    this.compactionTotal = mvcc("db_compaction_total", 100, 14);
    const loop = (name: string): Histogram => disk(`etcd_debugging_server_watch_send_loop_${name}_seconds`);
    this.watchEvents = loop("watch_stream_duration");
    this.watchPerEvent = loop("watch_stream_duration_per_event");
    this.watchControl = loop("control_stream_duration");
    this.watchProgress = loop("progress_duration");
  }
  /** A flush of the log, and what of it went by with writing. */
  flushed(millis: number, writtenMillis: number): void {
    this.#walWrite.observe(writtenMillis / 1000);
    this.#walFsync.observe(Math.max(0, millis - writtenMillis) / 1000);
  }
}
