// The member's figures under etcd's names. Most are read from the member when /metrics is asked for; what must be timed where it
// happens is handed out as histograms.
import { SERVER_VERSION } from "../base/version.ts";
import { AlarmType } from "../cluster/alarms.ts";
import { hexId } from "../cluster/ids.ts";
import type { Member } from "../member/member.ts";
import { exponentialBuckets, type Histogram, type Metrics } from "../ports/metrics.ts";

export function flushHistogram(metrics: Metrics): Histogram {
  return metrics.histogram("etcd_disk_wal_fsync_duration_seconds", "", exponentialBuckets(0.001, 2, 14));
}

export function registerMember(metrics: Metrics, member: Member): void {
  const gauge = (name: string, read: () => number): void => metrics.observed("gauge", name, "", read);
  const counter = (name: string, read: () => number): void => metrics.observed("counter", name, "", read);
  registerServer(member, gauge, counter);
  registerStore(member, gauge, counter);
  registerLeases(member, counter);
  metrics.gauge("etcd_server_version", "", { server_version: SERVER_VERSION }).set(1);
  metrics.gauge("etcd_server_go_version", "", { server_go_version: `node${process.versions.node}` }).set(1);
  metrics.gauge("etcd_server_id", "", { server_id: hexId(member.localId) }).set(1);
  registerAlarms(metrics, member);
}

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
  counter("etcd_server_slow_apply_total", () => counters.slowApplies);
  gauge("etcd_server_quota_backend_bytes", () =>
    Number.isFinite(options.quotaBytes) ? options.quotaBytes : 0,
  );
}

function registerStore(member: Member, gauge: Observe, counter: Observe): void {
  const { counters, store, hub } = member;
  counter("etcd_mvcc_range_total", () => counters.ranges);
  counter("etcd_mvcc_put_total", () => counters.puts);
  counter("etcd_mvcc_delete_total", () => counters.deletes);
  counter("etcd_mvcc_txn_total", () => counters.txns);
  gauge("etcd_mvcc_db_total_size_in_bytes", () => store.liveBytes);
  gauge("etcd_mvcc_db_total_size_in_use_in_bytes", () => store.liveBytes);
  gauge("etcd_debugging_mvcc_keys_total", () => store.keysAlive);
  gauge("etcd_debugging_mvcc_current_revision", () => store.currentRevision);
  gauge("etcd_debugging_mvcc_compact_revision", () => store.compactedRevision);
  gauge("etcd_debugging_mvcc_total_put_size_in_bytes", () => counters.putBytes);
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

function registerAlarms(metrics: Metrics, member: Member): void {
  const types: readonly [string, number][] = [
    ["NOSPACE", AlarmType.NoSpace],
    ["CORRUPT", AlarmType.Corrupt],
  ];
  for (const [name, alarm] of types) {
    const read = (): number =>
      member.applyContext.alarms.get(alarm).filter(({ memberId }) => memberId === member.localId).length;
    const labels = { server_id: hexId(member.localId), alarm_type: name };
    metrics.observed("gauge", "etcd_debugging_server_alarms", "", read, labels);
  }
}

/** Bytes on the client connections. */
export function registerTransport(
  metrics: Metrics,
  stats: { readonly bytesReceived: number; readonly bytesSent: number },
): void {
  metrics.observed("counter", "etcd_network_client_grpc_received_bytes_total", "", () => stats.bytesReceived);
  metrics.observed("counter", "etcd_network_client_grpc_sent_bytes_total", "", () => stats.bytesSent);
}
