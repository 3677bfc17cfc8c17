// Every metric name of etcd 3.7.1 with its type, help text, labels and buckets, as its /metrics shows them: dashboards, alerts and
// the mixin depend on each word. main.ts declares them all, so that a name shows before its first event. Facts only, no code.
import { exponentialBuckets } from "../ports/metrics.ts";
import type { MetricDefinition } from "./metrics.ts";

function counter(name: string, help: string, labels: readonly string[] = []): MetricDefinition {
  return { name, type: "counter", help, labels };
}

function gauge(name: string, help: string, labels: readonly string[] = []): MetricDefinition {
  return { name, type: "gauge", help, labels };
}

function histogram(
  name: string,
  help: string,
  buckets: readonly number[],
  labels: readonly string[] = [],
): MetricDefinition {
  return { name, type: "histogram", help, buckets, labels };
}

function doubling(start: number, count: number): readonly number[] {
  return exponentialBuckets(start, 2, count);
}

/** go-grpc-prometheus' default buckets. */
const GRPC_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** What etcd itself counts. */
export const ETCD_METRICS: readonly MetricDefinition[] = [
  gauge(
    "etcd_cluster_version",
    "Which version is running. 1 for 'cluster_version' label with current cluster version",
    ["cluster_version"],
  ),
  gauge("etcd_debugging_auth_revision", "The current revision of auth store."),
  histogram(
    "etcd_debugging_disk_backend_commit_rebalance_duration_seconds",
    "The latency distributions of commit.rebalance called by bboltdb backend.",
    doubling(0.001, 14),
  ),
  histogram(
    "etcd_debugging_disk_backend_commit_spill_duration_seconds",
    "The latency distributions of commit.spill called by bboltdb backend.",
    doubling(0.001, 14),
  ),
  histogram(
    "etcd_debugging_disk_backend_commit_write_duration_seconds",
    "The latency distributions of commit.write called by bboltdb backend.",
    doubling(0.001, 14),
  ),
  counter("etcd_debugging_lease_granted_total", "The total number of granted leases."),
  counter("etcd_debugging_lease_renewed_total", "The number of renewed leases seen by the leader."),
  counter("etcd_debugging_lease_revoked_total", "The total number of revoked leases."),
  histogram("etcd_debugging_lease_ttl_total", "Bucketed histogram of lease TTLs.", doubling(1, 24)),
  gauge("etcd_debugging_mvcc_compact_revision", "The revision of the last compaction in store."),
  gauge("etcd_debugging_mvcc_current_revision", "The current revision of store."),
  counter("etcd_debugging_mvcc_db_compaction_keys_total", "Total number of db keys compacted."),
  gauge(
    "etcd_debugging_mvcc_db_compaction_last",
    "The unix time of the last db compaction. Resets to 0 on start.",
  ),
  histogram(
    "etcd_debugging_mvcc_db_compaction_pause_duration_milliseconds",
    "Bucketed histogram of db compaction pause duration.",
    doubling(1, 13),
  ),
  histogram(
    "etcd_debugging_mvcc_db_compaction_total_duration_milliseconds",
    "Bucketed histogram of db compaction total duration.",
    doubling(100, 14),
  ),
  counter("etcd_debugging_mvcc_events_total", "Total number of events sent by this member."),
  histogram(
    "etcd_debugging_mvcc_index_compaction_pause_duration_milliseconds",
    "Bucketed histogram of index compaction pause duration.",
    doubling(0.5, 14),
  ),
  gauge("etcd_debugging_mvcc_keys_total", "Total number of keys."),
  gauge("etcd_debugging_mvcc_pending_events_total", "Total number of pending events to be sent."),
  gauge("etcd_debugging_mvcc_slow_watcher_total", "Total number of unsynced slow watchers."),
  gauge("etcd_debugging_mvcc_total_put_size_in_bytes", "The total size of put kv pairs seen by this member."),
  gauge("etcd_debugging_mvcc_watch_stream_total", "Total number of watch streams."),
  gauge("etcd_debugging_mvcc_watcher_total", "Total number of watchers."),
  gauge(
    "etcd_debugging_server_alarms",
    "Alarms for every member in cluster. 1 for 'server_id' label with current ID. 2 for 'alarm_type' label with type of this alarm",
    ["server_id", "alarm_type"],
  ),
  counter("etcd_debugging_server_lease_expired_total", "The total number of expired leases."),
  histogram(
    "etcd_debugging_server_watch_send_loop_control_stream_duration_seconds",
    "The total duration in seconds of running through the send loop control stream response.",
    doubling(0.001, 14),
  ),
  histogram(
    "etcd_debugging_server_watch_send_loop_progress_duration_seconds",
    "The total duration in seconds of running through the progress loop control stream response.",
    doubling(0.001, 14),
  ),
  histogram(
    "etcd_debugging_server_watch_send_loop_watch_stream_duration_per_event_seconds",
    "The average duration in seconds of running through the send loop watch stream response, per event.",
    doubling(0.001, 14),
  ),
  histogram(
    "etcd_debugging_server_watch_send_loop_watch_stream_duration_seconds",
    "The total duration in seconds of running through the send loop watch stream response all events.",
    doubling(0.001, 14),
  ),
  histogram(
    "etcd_debugging_snap_save_marshalling_duration_seconds",
    "The marshalling cost distributions of save called by snapshot.",
    doubling(0.001, 14),
  ),
  histogram(
    "etcd_debugging_snap_save_total_duration_seconds",
    "The total latency distributions of writing a checkpoint of the store.",
    doubling(0.001, 14),
  ),
  counter("etcd_debugging_store_expires_total", "Total number of expired keys."),
  counter(
    "etcd_debugging_store_reads_failed_total",
    "Failed read actions by (get/getRecursive), local to this member.",
    ["action"],
  ),
  counter(
    "etcd_debugging_store_reads_total",
    "Total number of reads action by (get/getRecursive), local to this member.",
    ["action"],
  ),
  counter(
    "etcd_debugging_store_watch_requests_total",
    "Total number of incoming watch requests (new or reestablished).",
  ),
  gauge("etcd_debugging_store_watchers", "Count of currently active watchers."),
  counter(
    "etcd_debugging_store_writes_failed_total",
    "Failed write actions (e.g. set/compareAndDelete), seen by this member.",
    ["action"],
  ),
  counter(
    "etcd_debugging_store_writes_total",
    "Total number of writes (e.g. set/compareAndDelete) seen by this member.",
    ["action"],
  ),
  histogram(
    "etcd_disk_backend_commit_duration_seconds",
    // Not etcd's words: there is no backend to commit to, the log is the database.
    "The latency distributions of a batch of committed entries becoming the state of the store.",
    doubling(0.001, 14),
  ),
  histogram(
    "etcd_disk_backend_defrag_duration_seconds",
    "The latency distribution of backend defragmentation.",
    doubling(0.1, 13),
  ),
  histogram(
    "etcd_disk_backend_snapshot_duration_seconds",
    "The latency distribution of backend snapshots.",
    doubling(0.01, 17),
  ),
  gauge(
    "etcd_disk_defrag_inflight",
    "Whether or not defrag is active on the member. 1 means active, 0 means not.",
  ),
  histogram(
    "etcd_disk_wal_fsync_duration_seconds",
    "The latency distributions of fsync called by WAL.",
    doubling(0.001, 14),
  ),
  gauge("etcd_disk_wal_write_bytes_total", "Total number of bytes written in WAL."),
  histogram(
    "etcd_disk_wal_write_duration_seconds",
    "The latency distributions of write called by WAL.",
    doubling(0.001, 14),
  ),
  gauge("etcd_mvcc_db_open_read_transactions", "The number of currently open read transactions"),
  gauge(
    "etcd_mvcc_db_total_size_in_bytes",
    "Total size of the underlying database physically allocated in bytes.",
  ),
  gauge(
    "etcd_mvcc_db_total_size_in_use_in_bytes",
    "Total size of the underlying database logically in use in bytes.",
  ),
  counter("etcd_mvcc_delete_total", "Total number of deletes seen by this member."),
  histogram(
    "etcd_mvcc_hash_duration_seconds",
    "The latency distribution of storage hash operation.",
    doubling(0.01, 15),
  ),
  histogram(
    "etcd_mvcc_hash_rev_duration_seconds",
    "The latency distribution of storage hash by revision operation.",
    doubling(0.01, 15),
  ),
  counter("etcd_mvcc_put_total", "Total number of puts seen by this member."),
  counter("etcd_mvcc_range_total", "Total number of ranges seen by this member."),
  counter("etcd_mvcc_txn_total", "Total number of txns seen by this member."),
  gauge("etcd_network_active_peers", "The current number of active peer connections.", ["Local", "Remote"]),
  counter(
    "etcd_network_client_grpc_received_bytes_total",
    "The total number of bytes received from grpc clients.",
  ),
  counter("etcd_network_client_grpc_sent_bytes_total", "The total number of bytes sent to grpc clients."),
  counter("etcd_network_disconnected_peers_total", "The total number of disconnected peers.", [
    "Local",
    "Remote",
  ]),
  gauge("etcd_network_known_peers", "The current number of known peers.", ["Local", "Remote"]),
  counter("etcd_network_peer_received_bytes_total", "The total number of bytes received from peers.", [
    "From",
  ]),
  counter("etcd_network_peer_received_failures_total", "The total number of receive failures from peers.", [
    "From",
  ]),
  histogram(
    "etcd_network_peer_round_trip_time_seconds",
    "Round-Trip-Time histogram between peers",
    doubling(0.0001, 16),
    ["To"],
  ),
  counter("etcd_network_peer_sent_bytes_total", "The total number of bytes sent to peers.", ["To"]),
  counter("etcd_network_peer_sent_failures_total", "The total number of send failures from peers.", ["To"]),
  counter(
    "etcd_network_server_stream_failures_total",
    "The total number of stream failures from the local server.",
    ["Type", "API"],
  ),
  counter("etcd_network_snapshot_receive_failures", "Total number of snapshot receive failures", ["From"]),
  gauge("etcd_network_snapshot_receive_inflights_total", "Total number of inflight snapshot receives", [
    "From",
  ]),
  counter("etcd_network_snapshot_receive_success", "Total number of successful snapshot receives", ["From"]),
  histogram(
    "etcd_network_snapshot_receive_total_duration_seconds",
    "Total latency distributions of v3 snapshot receives",
    doubling(0.1, 10),
    ["From"],
  ),
  counter("etcd_network_snapshot_send_failures", "Total number of snapshot send failures", ["To"]),
  gauge("etcd_network_snapshot_send_inflights_total", "Total number of inflight snapshot sends", ["To"]),
  counter("etcd_network_snapshot_send_success", "Total number of successful snapshot sends", ["To"]),
  histogram(
    "etcd_network_snapshot_send_total_duration_seconds",
    "Total latency distributions of v3 snapshot sends",
    doubling(0.1, 10),
    ["To"],
  ),
  histogram(
    "etcd_server_apply_duration_seconds",
    "The latency distributions of v2 apply called by backend.",
    doubling(0.0001, 20),
    ["version", "op", "success"],
  ),
  counter("etcd_server_client_requests_total", "The total number of client requests per client version.", [
    "type",
    "client_api_version",
  ]),
  gauge("etcd_server_feature_enabled", "Whether or not a feature is enabled. 1 is enabled, 0 is not.", [
    "name",
    "stage",
  ]),
  gauge(
    "etcd_server_go_version",
    "Which Go version server is running with. 1 for 'server_go_version' label with current version.",
    ["server_go_version"],
  ),
  gauge("etcd_server_has_leader", "Whether or not a leader exists. 1 is existence, 0 is not."),
  counter("etcd_server_health_failures", "The total number of failed health checks"),
  counter("etcd_server_health_success", "The total number of successful health checks"),
  gauge("etcd_server_healthcheck", "The result of each kind of healthcheck.", ["type", "name"]),
  counter("etcd_server_healthchecks_total", "The total number of each kind of healthcheck.", [
    "type",
    "name",
    "status",
  ]),
  counter(
    "etcd_server_heartbeat_send_failures_total",
    "The total number of leader heartbeat send failures (likely overloaded from slow disk).",
  ),
  gauge(
    "etcd_server_id",
    "Server or member ID in hexadecimal format. 1 for 'server_id' label with current ID.",
    ["server_id"],
  ),
  gauge("etcd_server_is_leader", "Whether or not this member is a leader. 1 if is, 0 otherwise."),
  gauge("etcd_server_is_learner", "Whether or not this member is a learner. 1 if is, 0 otherwise."),
  counter("etcd_server_leader_changes_seen_total", "The number of leader changes seen."),
  counter(
    "etcd_server_learner_promote_failures",
    "The total number of failed learner promotions (likely learner not ready) while this member is leader.",
    ["Reason"],
  ),
  counter(
    "etcd_server_learner_promote_successes",
    "The total number of successful learner promotions while this member is leader.",
  ),
  gauge("etcd_server_proposals_applied_total", "The total number of consensus proposals applied."),
  gauge("etcd_server_proposals_committed_total", "The total number of consensus proposals committed."),
  counter("etcd_server_proposals_failed_total", "The total number of failed proposals seen."),
  gauge("etcd_server_proposals_pending", "The current number of pending proposals to commit."),
  gauge("etcd_server_quota_backend_bytes", "Current backend storage quota size in bytes."),
  histogram(
    "etcd_server_range_duration_seconds",
    "The latency distributions of txn.Range",
    doubling(0.0001, 20),
    ["success"],
  ),
  counter("etcd_server_read_indexes_failed_total", "The total number of failed read indexes seen."),
  histogram(
    "etcd_server_request_duration_seconds",
    "Response latency distribution in seconds for each type.",
    doubling(0.001, 14),
    ["type", "success"],
  ),
  counter(
    "etcd_server_slow_apply_total",
    "The total number of slow apply requests (likely overloaded from slow disk).",
  ),
  counter(
    "etcd_server_slow_read_indexes_total",
    "The total number of pending read indexes not in sync with leader's or timed out read index requests.",
  ),
  gauge(
    "etcd_server_snapshot_apply_in_progress_total",
    "1 if the server is applying the incoming snapshot. 0 if none.",
  ),
  gauge(
    "etcd_server_version",
    "Which version is running. 1 for 'server_version' label with current version.",
    ["server_version"],
  ),
  histogram(
    "etcd_snap_db_fsync_duration_seconds",
    "The latency distributions of fsyncing .snap.db file",
    doubling(0.001, 14),
  ),
  histogram(
    "etcd_snap_db_save_total_duration_seconds",
    "The total latency distributions of v3 snapshot save",
    doubling(0.1, 10),
  ),
  histogram(
    "etcd_snap_fsync_duration_seconds",
    "The latency distributions of fsync called by snap.",
    doubling(0.001, 14),
  ),
];

/** The counters of the gRPC server, one series per method; handling_seconds only with --metrics extensive. */
export const GRPC_METRICS: readonly MetricDefinition[] = [
  counter(
    "grpc_server_handled_total",
    "Total number of RPCs completed on the server, regardless of success or failure.",
    ["grpc_type", "grpc_service", "grpc_method", "grpc_code"],
  ),
  counter("grpc_server_msg_received_total", "Total number of RPC stream messages received on the server.", [
    "grpc_type",
    "grpc_service",
    "grpc_method",
  ]),
  counter("grpc_server_msg_sent_total", "Total number of gRPC stream messages sent by the server.", [
    "grpc_type",
    "grpc_service",
    "grpc_method",
  ]),
  counter("grpc_server_started_total", "Total number of RPCs started on the server.", [
    "grpc_type",
    "grpc_service",
    "grpc_method",
  ]),
];

export const GRPC_HANDLING_SECONDS: MetricDefinition = histogram(
  "grpc_server_handling_seconds",
  "Histogram of response latency (seconds) of gRPC that had been application-level handled by the server.",
  GRPC_SECONDS,
  ["grpc_type", "grpc_service", "grpc_method"],
);

/** etcd registers the names of its proxy in every server; they stay 0. */
export const PROXY_METRICS: readonly MetricDefinition[] = [
  gauge("etcd_grpc_proxy_cache_hits_total", "Total number of cache hits"),
  gauge("etcd_grpc_proxy_cache_keys_total", "Total number of keys/ranges cached"),
  gauge("etcd_grpc_proxy_cache_misses_total", "Total number of cache misses"),
  counter("etcd_grpc_proxy_events_coalescing_total", "Total number of events coalescing"),
  gauge("etcd_grpc_proxy_watchers_coalescing_total", "Total number of current watchers coalescing"),
];

/** The process, the operating system and the scrapes themselves: src/node/metrics-process fills them. */
export const PROCESS_METRICS: readonly MetricDefinition[] = [
  gauge("os_fd_limit", "The file descriptor limit."),
  gauge("os_fd_used", "The number of used file descriptors."),
  counter("process_cpu_seconds_total", "Total user and system CPU time spent in seconds."),
  gauge("process_max_fds", "Maximum number of open file descriptors."),
  counter("process_network_receive_bytes_total", "Number of bytes received by the process over the network."),
  counter("process_network_transmit_bytes_total", "Number of bytes sent by the process over the network."),
  gauge("process_open_fds", "Number of open file descriptors."),
  gauge("process_resident_memory_bytes", "Resident memory size in bytes."),
  gauge("process_start_time_seconds", "Start time of the process since unix epoch in seconds."),
  gauge("process_virtual_memory_bytes", "Virtual memory size in bytes."),
  gauge("process_virtual_memory_max_bytes", "Maximum amount of virtual memory available in bytes."),
  gauge("promhttp_metric_handler_requests_in_flight", "Current number of scrapes being served."),
  counter("promhttp_metric_handler_requests_total", "Total number of scrapes by HTTP status code.", ["code"]),
];

/** Go's runtime. Those with an honest equivalent in Node carry it, the others are 0. */
export const GO_METRICS: readonly MetricDefinition[] = [
  gauge(
    "go_gc_gogc_percent",
    "Heap size target percentage configured by the user, otherwise 100. This value is set by the GOGC environment variable, and the runtime/debug.SetGCPercent function. Sourced from /gc/gogc:percent.",
  ),
  gauge(
    "go_gc_gomemlimit_bytes",
    "Go runtime memory limit configured by the user, otherwise math.MaxInt64. This value is set by the GOMEMLIMIT environment variable, and the runtime/debug.SetMemoryLimit function. Sourced from /gc/gomemlimit:bytes.",
  ),
  gauge("go_goroutines", "Number of goroutines that currently exist."),
  gauge("go_info", "Information about the Go environment.", ["version"]),
  gauge(
    "go_memstats_alloc_bytes",
    "Number of bytes allocated in heap and currently in use. Equals to /memory/classes/heap/objects:bytes.",
  ),
  counter(
    "go_memstats_alloc_bytes_total",
    "Total number of bytes allocated in heap until now, even if released already. Equals to /gc/heap/allocs:bytes.",
  ),
  gauge(
    "go_memstats_buck_hash_sys_bytes",
    "Number of bytes used by the profiling bucket hash table. Equals to /memory/classes/profiling/buckets:bytes.",
  ),
  counter(
    "go_memstats_frees_total",
    "Total number of heap objects frees. Equals to /gc/heap/frees:objects + /gc/heap/tiny/allocs:objects.",
  ),
  gauge(
    "go_memstats_gc_sys_bytes",
    "Number of bytes used for garbage collection system metadata. Equals to /memory/classes/metadata/other:bytes.",
  ),
  gauge(
    "go_memstats_heap_alloc_bytes",
    "Number of heap bytes allocated and currently in use, same as go_memstats_alloc_bytes. Equals to /memory/classes/heap/objects:bytes.",
  ),
  gauge(
    "go_memstats_heap_idle_bytes",
    "Number of heap bytes waiting to be used. Equals to /memory/classes/heap/released:bytes + /memory/classes/heap/free:bytes.",
  ),
  gauge(
    "go_memstats_heap_inuse_bytes",
    "Number of heap bytes that are in use. Equals to /memory/classes/heap/objects:bytes + /memory/classes/heap/unused:bytes",
  ),
  gauge(
    "go_memstats_heap_objects",
    "Number of currently allocated objects. Equals to /gc/heap/objects:objects.",
  ),
  gauge(
    "go_memstats_heap_released_bytes",
    "Number of heap bytes released to OS. Equals to /memory/classes/heap/released:bytes.",
  ),
  gauge(
    "go_memstats_heap_sys_bytes",
    "Number of heap bytes obtained from system. Equals to /memory/classes/heap/objects:bytes + /memory/classes/heap/unused:bytes + /memory/classes/heap/released:bytes + /memory/classes/heap/free:bytes.",
  ),
  gauge("go_memstats_last_gc_time_seconds", "Number of seconds since 1970 of last garbage collection."),
  counter(
    "go_memstats_mallocs_total",
    "Total number of heap objects allocated, both live and gc-ed. Semantically a counter version for go_memstats_heap_objects gauge. Equals to /gc/heap/allocs:objects + /gc/heap/tiny/allocs:objects.",
  ),
  gauge(
    "go_memstats_mcache_inuse_bytes",
    "Number of bytes in use by mcache structures. Equals to /memory/classes/metadata/mcache/inuse:bytes.",
  ),
  gauge(
    "go_memstats_mcache_sys_bytes",
    "Number of bytes used for mcache structures obtained from system. Equals to /memory/classes/metadata/mcache/inuse:bytes + /memory/classes/metadata/mcache/free:bytes.",
  ),
  gauge(
    "go_memstats_mspan_inuse_bytes",
    "Number of bytes in use by mspan structures. Equals to /memory/classes/metadata/mspan/inuse:bytes.",
  ),
  gauge(
    "go_memstats_mspan_sys_bytes",
    "Number of bytes used for mspan structures obtained from system. Equals to /memory/classes/metadata/mspan/inuse:bytes + /memory/classes/metadata/mspan/free:bytes.",
  ),
  gauge(
    "go_memstats_next_gc_bytes",
    "Number of heap bytes when next garbage collection will take place. Equals to /gc/heap/goal:bytes.",
  ),
  gauge(
    "go_memstats_other_sys_bytes",
    "Number of bytes used for other system allocations. Equals to /memory/classes/other:bytes.",
  ),
  gauge(
    "go_memstats_stack_inuse_bytes",
    "Number of bytes obtained from system for stack allocator in non-CGO environments. Equals to /memory/classes/heap/stacks:bytes.",
  ),
  gauge(
    "go_memstats_stack_sys_bytes",
    "Number of bytes obtained from system for stack allocator. Equals to /memory/classes/heap/stacks:bytes + /memory/classes/os-stacks:bytes.",
  ),
  gauge(
    "go_memstats_sys_bytes",
    "Number of bytes obtained from system. Equals to /memory/classes/total:byte.",
  ),
  gauge(
    "go_sched_gomaxprocs_threads",
    "The current runtime.GOMAXPROCS setting, or the number of operating system threads that can execute user-level Go code simultaneously. Sourced from /sched/gomaxprocs:threads.",
  ),
  gauge("go_threads", "Number of OS threads created."),
];

export const GO_GC_SECONDS: MetricDefinition = {
  name: "go_gc_duration_seconds",
  type: "summary",
  help: "A summary of the wall-time pause (stop-the-world) duration in garbage collection cycles.",
};
