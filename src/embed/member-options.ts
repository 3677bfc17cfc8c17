// Config → MemberOptions: the part of the configuration that one member's inside needs.

import { SERVER_VERSION } from "../base/version.ts";
import type { Config } from "../config/config.ts";
import { urlTexts } from "../config/urls.ts";
import { LOG_LIMITS } from "../log/disk-budget.ts";
import type { InitialCluster } from "../member/membership/initial-cluster.ts";
import type { MemberOptions } from "../member/options.ts";
import type { AutoCompaction } from "../member/upkeep/compactor.ts";

/** etcd's defaults for what is 0 in the configuration. */
const COMPACTION_BATCH_DEFAULT = 1000;
const WATCH_PROGRESS_MILLIS_DEFAULT = 600_000;
/** A comparison reads every value once on every member: often enough to find what a bug or a device has done, too seldom to be felt. */
const CORRUPT_CHECK_MILLIS_IMPLIED = 4 * 3600_000;

export function memberOptions(config: Config, initialCluster?: InitialCluster): MemberOptions {
  return {
    name: config.name,
    dataDirectory: config.dataDir,
    walDirectory: config.walDir,
    initialCluster,
    mayBeginAlone: false,
    forceNewCluster: config.forceNewCluster,
    clusterToken: config.initialClusterToken,
    peerUrls: urlTexts(config.advertisePeerUrls),
    clientUrls: urlTexts(config.advertiseClientUrls),
    heartbeatMillis: config.heartbeatIntervalMillis,
    electionMillis: config.electionTimeoutMillis,
    preVote: config.preVote,
    quotaBytes: config.quotaBackendBytes,
    requestBytesMax: config.requestBytesMax,
    txnOpsMax: config.txnOpsMax,
    learnersMax: config.learnersMax,
    strictReconfigCheck: config.strictReconfigCheck,
    leaseCheckpoint: config.featureGates.enabled("LeaseCheckpoint"),
    fastLeaseKeepAlive: config.featureGates.enabled("FastLeaseKeepAlive"),
    downgradeCheckMillis: config.downgradeCheckIntervalMillis,
    corruptCheckMillis: config.corruptCheckIntervalMillis,
    compactHashCheckMillis: config.featureGates.enabled("CompactHashCheck")
      ? config.compactHashCheckIntervalMillis
      : 0,
    impliedCheckMillis: {
      corrupt: config.corruptCheckGiven ? 0 : CORRUPT_CHECK_MILLIS_IMPLIED,
      compactHash: config.featureGates.isSet("CompactHashCheck") ? 0 : config.compactHashCheckIntervalMillis,
    },
    autoCompaction: autoCompaction(config),
    compactionBatchLimit:
      config.compactionBatchLimit > 0 ? config.compactionBatchLimit : COMPACTION_BATCH_DEFAULT,
    watchProgressMillis:
      config.watchProgressNotifyIntervalMillis > 0
        ? Math.max(100, config.watchProgressNotifyIntervalMillis)
        : WATCH_PROGRESS_MILLIS_DEFAULT,
    // Zero asks for the default, as in etcd.
    checkpointEntries: config.snapshotCount || LOG_LIMITS.checkpointEntries,
    catchUpEntries: config.snapshotCatchupEntries || LOG_LIMITS.catchUpEntries,
    warningApplyMillis: config.warningApplyDurationMillis,
    serverVersion: SERVER_VERSION,
  };
}

function autoCompaction({ autoCompaction: mode }: Config): AutoCompaction | undefined {
  switch (mode.mode) {
    case "off":
      return undefined;
    case "periodic":
      return { mode: "periodic", periodMillis: mode.retentionMillis };
    case "revision":
      return { mode: "revision", retention: mode.retentionRevisions };
  }
}
