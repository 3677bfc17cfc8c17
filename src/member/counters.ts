// What a member counts about itself, as plain numbers: counting costs an addition, and the metrics read them when they are asked for.

export class Counters {
  ranges = 0;
  puts = 0;
  deletes = 0;
  txns = 0;
  putBytes = 0;
  watchStreams = 0;
  proposalsCommitted = 0;
  proposalsApplied = 0;
  proposalsFailed = 0;
  slowApplies = 0;
  leaderChanges = 0;
  leasesGranted = 0;
  leasesRevoked = 0;
  leasesRenewed = 0;
  leasesExpired = 0;
  compactions = 0;
  compactedKeys = 0;
}
