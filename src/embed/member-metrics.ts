// The member's figures under etcd's names. Most are read from the member when /metrics is asked for; what takes time is timed where it
// happens (member/timings.ts). Called once by the wiring.

import { databaseBytes } from "../apply/quota.ts";
import { SERVER_VERSION } from "../base/version.ts";
import { hexId } from "../cluster/ids.ts";
import type { Member } from "../member/member.ts";
import type { MetricsRegistry } from "../node/metrics.ts";
import { ETCD_METRICS } from "../node/metrics-catalog.ts";
import { labelList } from "../node/metrics-format.ts";
import type { Counter, Metrics } from "../ports/metrics.ts";
import { registerCluster } from "./cluster-metrics.ts";

export function registerMember(metrics: MetricsRegistry, member: Member): void {
  const gauge = (name: string, read: () => number): void => metrics.observed("gauge", name, "", read);
  const counter = (name: string, read: () => number): void => metrics.observed("counter", name, "", read);
  registerServer(member, gauge, counter);
  registerStore(member, gauge, counter);
  registerWatches(member, gauge, counter);
  registerLeases(member, counter);
  metrics.gauge("etcd_server_version", "", { server_version: SERVER_VERSION }).set(1);
  metrics.gauge("etcd_server_go_version", "", { server_go_version: `node${process.versions.node}` }).set(1);
  metrics.gauge("etcd_server_id", "", { server_id: hexId(member.localId) }).set(1);
  registerCluster(metrics, member);
  registerStreamFailures(metrics, member);
  registerPromotions(metrics, member);
  registerVersion2(metrics);
  registerDevice(metrics, member);
  // Where authentication begins; nothing here moves it on.
  metrics.gauge("etcd_debugging_auth_revision", "").set(1);
}

/** Versions told apart: clients write what they like there. */
const CLIENT_VERSIONS_MAX = 100;
/** What etcd's store says of a compaction that there was none of. */
const NEVER_COMPACTED = -1;

type Observe = (name: string, read: () => number) => void;

function registerServer(member: Member, gauge: Observe, counter: Observe): void {
  const { counters, raft, options } = member;
  gauge("etcd_server_has_leader", () => (raft.leader === 0n ? 0 : 1));
  gauge("etcd_server_is_leader", () => (raft.isLeader ? 1 : 0));
  gauge("etcd_server_is_learner", () => (member.membership.local?.isLearner ? 1 : 0));
  counter("etcd_server_leader_changes_seen_total", () => counters.leaderChanges);
  gauge("etcd_server_proposals_committed_total", () => raft.committedIndex);
  gauge("etcd_server_proposals_applied_total", () => raft.appliedIndex);
  gauge("etcd_server_proposals_pending", () => member.pendingProposals);
  counter("etcd_server_proposals_failed_total", () => counters.proposalsFailed);
  gauge("etcd_server_snapshot_apply_in_progress_total", () => counters.snapshotsApplying);
  counter("etcd_server_slow_apply_total", () => counters.slowApplies);
  counter("etcd_server_slow_read_indexes_total", () => counters.slowReadIndexes);
  counter("etcd_server_read_indexes_failed_total", () => counters.readIndexesFailed);
  gauge("etcd_server_quota_backend_bytes", () =>
    Number.isFinite(options.quotaBytes) ? options.quotaBytes : 0,
  );
}

/** Ours; etcd ends when its device is full. */
function registerDevice(metrics: MetricsRegistry, member: Member): void {
  const help = "Whether the device of this member's log has no room.";
  metrics.observed("gauge", "cairn_device_full", help, () => (member.deviceFull ? 1 : 0));
}

function registerStore(member: Member, gauge: Observe, counter: Observe): void {
  const { counters } = member;
  const { counts } = member.applyContext;
  counter("etcd_mvcc_range_total", () => counts.ranges);
  counter("etcd_mvcc_put_total", () => counts.puts);
  counter("etcd_mvcc_delete_total", () => counts.deletes);
  counter("etcd_mvcc_txn_total", () => counts.txns);
  // What the quota is held against: nothing has to be defragmented, so what is allocated is what is in use.
  gauge("etcd_mvcc_db_total_size_in_bytes", () => databaseBytes(member.store));
  gauge("etcd_mvcc_db_total_size_in_use_in_bytes", () => databaseBytes(member.store));
  gauge("etcd_mvcc_db_open_read_transactions", () => member.store.readers);
  gauge("etcd_disk_defrag_inflight", () => (counters.reclaims > 0 ? 1 : 0));
  gauge("etcd_disk_wal_write_bytes_total", () => member.log.writer.appendedBytes);
  gauge("etcd_debugging_mvcc_keys_total", () => member.store.keysAlive);
  gauge("etcd_debugging_mvcc_current_revision", () => member.store.currentRevision);
  gauge("etcd_debugging_mvcc_compact_revision", () => member.store.compactedRevision || NEVER_COMPACTED);
  gauge("etcd_debugging_mvcc_db_compaction_last", () => counters.lastCompaction);
  counter("etcd_debugging_mvcc_db_compaction_keys_total", () => counters.compactedKeys);
  gauge("etcd_debugging_mvcc_total_put_size_in_bytes", () => counts.putBytes);
}

function registerWatches({ counters, hub }: Member, gauge: Observe, counter: Observe): void {
  gauge("etcd_debugging_mvcc_watch_stream_total", () => counters.watchStreams);
  gauge("etcd_debugging_mvcc_watcher_total", () => hub.watcherCount);
  gauge("etcd_debugging_mvcc_slow_watcher_total", () => hub.slowWatcherCount);
  counter("etcd_debugging_mvcc_events_total", () => hub.eventsTotal);
}

function registerLeases({ counters }: Member, counter: Observe): void {
  counter("etcd_debugging_lease_granted_total", () => counters.leasesGranted);
  counter("etcd_debugging_lease_revoked_total", () => counters.leasesRevoked);
  counter("etcd_debugging_lease_renewed_total", () => counters.leasesRenewed);
  counter("etcd_debugging_server_lease_expired_total", () => counters.leasesExpired);
}

function registerPromotions(metrics: MetricsRegistry, { counters }: Member): void {
  metrics.observed("counter", "etcd_server_learner_promote_successes", "", () => counters.learnersPromoted);
  const name = "etcd_server_learner_promote_failures";
  const definition = ETCD_METRICS.find((one) => one.name === name);
  if (definition === undefined) return;
  metrics.rendered(definition, () =>
    [...counters.promotionsFailed]
      .map(([reason, count]) => `${name}{${labelList({ Reason: reason })}} ${count}\n`)
      .join(""),
  );
}

/** As etcd's vectors, a series shows with its first event. */
function registerStreamFailures(metrics: MetricsRegistry, { counters }: Member): void {
  const name = "etcd_network_server_stream_failures_total";
  const definition = ETCD_METRICS.find((one) => one.name === name);
  if (definition === undefined) return;
  const line = (api: string, count: number): string =>
    count === 0 ? "" : `${name}{API="${api}",Type="receive"} ${count}\n`;
  metrics.rendered(
    definition,
    () =>
      line("lease-keepalive", counters.keepAliveReceiveFailures) +
      line("watch", counters.watchReceiveFailures),
  );
}

/** What is left of etcd 2 in etcd's metrics: nothing of it is here, so nothing ever happens to it. */
function registerVersion2(metrics: Metrics): void {
  metrics.counter("etcd_debugging_store_reads_total", "", { action: "getRecursive" });
  for (const action of ["create", "set"])
    metrics.counter("etcd_debugging_store_writes_total", "", { action });
}

/** Requests by the version that the client says it speaks. */
export function clientRequestCells(metrics: Metrics): (stream: boolean, version: string) => Counter {
  const known = new Set<string>();
  return (stream, version) => {
    if (known.size < CLIENT_VERSIONS_MAX) known.add(version);
    return metrics.counter("etcd_server_client_requests_total", "", {
      type: stream ? "stream" : "unary",
      client_api_version: known.has(version) ? version : "unknown",
    });
  };
}

/** Bytes on the client connections. */
export function registerTransport(
  metrics: Metrics,
  stats: { readonly bytesReceived: number; readonly bytesSent: number },
): void {
  metrics.observed("counter", "etcd_network_client_grpc_received_bytes_total", "", () => stats.bytesReceived);
  metrics.observed("counter", "etcd_network_client_grpc_sent_bytes_total", "", () => stats.bytesSent);
}
