// How much disk the log may hold besides live values, by how much is alive: a store of a few megabytes must not keep hundreds of them
// for segments, reserve and lagging followers, and a big one must not rotate, reclaim or send snapshots all the time. Log keeps one
// and renews it once a second. Pure arithmetic; the limits are upper bounds.

/** Sizes of segments, cache, inline flushes and reserve: named, so that tests make them small. */
export type LogLimits = {
  readonly segmentBytesFirst: number;
  readonly segmentBytesMax: number;
  readonly cacheBytesMax: number;
  /** Bigger batches are flushed through the thread pool (see flush-pace.ts). */
  readonly inlineFlushBytesMax: number;
  /** Given back when the device is full, so that what is in flight can finish. */
  readonly reserveBytes: number;
  /** Entries behind a checkpoint that make the next one due (etcd's --snapshot-count), however short they are. */
  readonly checkpointEntries: number;
  /** Entries (etcd's --snapshot-catchup-entries) and their bytes kept for followers that lag behind. */
  readonly catchUpEntries: number;
  readonly catchUpBytesMax: number;
  /** Dead bytes that are not worth a reclaim. */
  readonly reclaimSlackBytes: number;
};

export const LOG_LIMITS: LogLimits = {
  segmentBytesFirst: 4 << 20,
  segmentBytesMax: 64 << 20,
  cacheBytesMax: 32 << 20,
  inlineFlushBytesMax: 64 << 10,
  reserveBytes: 32 << 20,
  checkpointEntries: 10_000,
  catchUpEntries: 5_000,
  catchUpBytesMax: 64 << 20,
  reclaimSlackBytes: 16 << 20,
};

export type DiskBudget = {
  /** The next segment's size: two of them (the one being written, the prepared one) weigh no more than what is alive. */
  readonly segmentBytes: number;
  readonly reserveBytes: number;
  /** A follower that lags further than the whole store is long is served better by a snapshot. */
  readonly catchUpBytes: number;
  /** The same while one of them is being sent a snapshot: so much more, or a writer's few seconds would make the snapshot useless. */
  readonly keptBytes: number;
  readonly slackBytes: number;
};

/** A rotation costs a few flushes of the directory: below this a busy small store would do little else. */
const SEGMENT_BYTES_MIN = 8 << 20;
const CATCH_UP_BYTES_MIN = 8 << 20;
const KEPT_SHARE_MIN = 4;
const KEPT_SHARE_MAX = 16;

export function diskBudget(limits: LogLimits, liveBytes: number): DiskBudget {
  let segmentBytes = SEGMENT_BYTES_MIN;
  while (segmentBytes * 2 <= liveBytes / 2) segmentBytes *= 2;
  const catchUpBytes = Math.min(limits.catchUpBytesMax, Math.max(CATCH_UP_BYTES_MIN, liveBytes));
  return {
    segmentBytes: Math.min(limits.segmentBytesMax, segmentBytes),
    reserveBytes: Math.min(limits.reserveBytes, segmentBytes),
    catchUpBytes,
    keptBytes: Math.min(
      KEPT_SHARE_MAX * limits.catchUpBytesMax,
      Math.max(KEPT_SHARE_MIN * catchUpBytes, liveBytes),
    ),
    slackBytes: Math.min(limits.reclaimSlackBytes, segmentBytes),
  };
}
