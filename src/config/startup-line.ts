// The fields of the log line "starting an etcd server": the whole effective configuration in one line, under etcd's names, which
// support scripts read; and the line about the quota. Logged before the member opens. It decides nothing.
import { availableParallelism, cpus } from "node:os";
import { join } from "node:path";
import { humanBytes } from "../base/human-bytes.ts";
import { CAIRN_VERSION, SERVER_VERSION } from "../base/version.ts";
import type { Fields } from "../ports/logger.ts";
import { QUOTA_BYTES_DEFAULT } from "./build.ts";
import type { Config } from "./config.ts";
import { formatDuration } from "./go-values.ts";
import { memberLocalAddress } from "./local-address.ts";
import { urlTexts } from "./urls.ts";

export const STARTUP_MESSAGE = "starting an etcd server";

export function startupFields(config: Config, memberInitialized: boolean): Fields {
  return {
    ...machine(memberInitialized),
    ...member(config),
    ...urls(config),
    ...limits(config),
    ...checks(config),
  };
}

/** etcd's line about the quota. */
export function quotaLine({ quotaBackendBytes }: Config): { message: string; fields: Fields } {
  const name = { "quota-name": "v3-applier" };
  if (!Number.isFinite(quotaBackendBytes))
    return { message: "disabled backend quota", fields: { ...name, "quota-size-bytes": -1 } };
  return {
    message:
      quotaBackendBytes === QUOTA_BYTES_DEFAULT
        ? "enabled backend quota with default value"
        : "enabled backend quota",
    fields: {
      ...name,
      "quota-size-bytes": quotaBackendBytes,
      "quota-size": humanBytes(quotaBackendBytes),
    },
  };
}

function machine(memberInitialized: boolean): Fields {
  return {
    "etcd-version": SERVER_VERSION,
    "git-sha": "Not provided",
    "cairn-version": CAIRN_VERSION,
    "go-version": `node${process.versions.node}`,
    "go-os": process.platform,
    "go-arch": process.arch === "x64" ? "amd64" : process.arch,
    "max-cpu-set": availableParallelism(),
    "max-cpu-available": cpus().length,
    "member-initialized": memberInitialized,
  };
}

function member(config: Config): Fields {
  return {
    name: config.name,
    "data-dir": config.dataDir,
    "wal-dir": config.walDir,
    "wal-dir-dedicated": config.walDir,
    "member-dir": join(config.dataDir, "member"),
    "force-new-cluster": config.forceNewCluster,
    "heartbeat-interval": duration(config.heartbeatIntervalMillis),
    "election-timeout": duration(config.electionTimeoutMillis),
    "initial-election-tick-advance": config.initialElectionTickAdvance,
    "snapshot-count": config.snapshotCount,
    "max-wals": config.walFilesMax,
    "max-snapshots": config.snapshotFilesMax,
    "snapshot-catchup-entries": config.snapshotCatchupEntries,
  };
}

function urls(config: Config): Fields {
  return {
    "initial-advertise-peer-urls": urlTexts(config.advertisePeerUrls),
    "listen-peer-urls": urlTexts(config.listenPeerUrls),
    "advertise-client-urls": urlTexts(config.advertiseClientUrls),
    "listen-client-urls": urlTexts(config.listenClientUrls),
    "listen-metrics-urls": urlTexts(config.listenMetricsUrls),
    "local-address": memberLocalAddress(config) ?? "",
    cors: [...config.corsOrigins],
    "host-whitelist": [...config.hostWhitelist],
    "initial-cluster": config.initialCluster,
    "initial-cluster-state": config.initialClusterState,
    "initial-cluster-token": config.initialClusterToken,
  };
}

function limits(config: Config): Fields {
  return {
    "quota-backend-bytes": Number.isFinite(config.quotaBackendBytes) ? config.quotaBackendBytes : -1,
    "max-request-bytes": config.requestBytesMax,
    "max-concurrent-streams": config.concurrentStreamsMax,
    "pre-vote": config.preVote,
    "feature-gates": config.featureGates.text(),
    "initial-corrupt-check": config.featureGates.enabled("InitialCorruptCheck"),
  };
}

function checks(config: Config): Fields {
  const compaction = config.autoCompaction;
  const retention = compaction.mode === "periodic" ? compaction.retentionMillis : 0;
  return {
    "corrupt-check-time-interval": duration(config.corruptCheckIntervalMillis),
    "compact-check-time-interval": duration(config.compactHashCheckIntervalMillis),
    "auto-compaction-mode": compaction.mode === "revision" ? "revision" : "periodic",
    "auto-compaction-retention":
      compaction.mode === "revision" ? formatDuration(compaction.retentionRevisions) : duration(retention),
    "auto-compaction-interval":
      compaction.mode === "revision" ? formatDuration(compaction.retentionRevisions) : duration(retention),
    "downgrade-check-interval": duration(config.downgradeCheckIntervalMillis),
    "max-learners": config.learnersMax,
    "v2-deprecation": "write-only",
  };
}

function duration(given: number): string {
  return formatDuration(given * 1e6);
}
