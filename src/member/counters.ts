// What a member counts about itself, as plain numbers: counting costs an addition, and the metrics read them when they are asked for.
// Operations on the key space are counted where they run (apply/op-counts.ts).

export class Counters {
  watchStreams = 0;
  /** Messages of clients that could not be understood. */
  watchReceiveFailures = 0;
  keepAliveReceiveFailures = 0;
  proposalsFailed = 0;
  slowApplies = 0;
  slowReadIndexes = 0;
  readIndexesFailed = 0;
  leaderChanges = 0;
  leasesGranted = 0;
  leasesRevoked = 0;
  leasesRenewed = 0;
  leasesExpired = 0;
  learnersPromoted = 0;
  /** By etcd's text of the reason. */
  readonly promotionsFailed = new Map<string, number>();
  compactedKeys = 0;
  /** Unix seconds of the last compaction's end; 0 = none since the start. */
  lastCompaction = 0;
  /** Snapshots that are taking the place of the state. */
  snapshotsApplying = 0;
  /** Reclaims that somebody asked for, under way. */
  reclaims = 0;
}
