// Every flag of etcd 3.7's server: name, kind, default and what it does, in the order and sections of its help. The parser, the
// environment, the configuration file and the help text all read this one table.

export type FlagKind =
  | "string"
  | "bool"
  | "uint"
  | "uint64"
  | "uint32"
  | "int"
  | "int64"
  | "duration"
  | "urls"
  | "origins"
  | "strings"
  | "unique-strings"
  | "choice"
  | "v2-stages"
  | "gates";

export type FlagDefinition = {
  readonly name: string;
  readonly kind: FlagKind;
  /** As it would be typed. */
  readonly default: string;
  readonly section: string;
  readonly usage: string;
  readonly choices: readonly string[];
  /** What the help shows as default where that is not `default`. */
  readonly shown: string | undefined;
};

type Extra = { readonly choices?: readonly string[]; readonly shown?: string };

function section(
  title: string,
  rows: readonly (readonly [string, FlagKind, string, string, Extra?])[],
): FlagDefinition[] {
  return rows.map(([name, kind, defaultText, usage, extra]) => ({
    name,
    kind,
    default: defaultText,
    section: title,
    usage,
    choices: extra?.choices ?? [],
    shown: extra?.shown,
  }));
}

const MEMBER = section("Member", [
  ["name", "string", "default", "Name of this member, for people."],
  ["data-dir", "string", "", "Directory that holds all data of this member.", { shown: "NAME.etcd" }],
  ["wal-dir", "string", "", "Directory for the log alone, when it should lie on a device of its own."],
  ["snapshot-count", "uint64", "10000", "Committed entries after which a snapshot is taken."],
  ["heartbeat-interval", "uint", "100", "Milliseconds between two heartbeats of the leader."],
  [
    "election-timeout",
    "uint",
    "1000",
    "Milliseconds without a heartbeat after which a follower stands for election.",
  ],
  ["initial-election-tick-advance", "bool", "true", "Skip most of the first election timeout after a start."],
  ["listen-peer-urls", "urls", "http://localhost:2380", "URLs to listen on for other members."],
  [
    "listen-client-urls",
    "urls",
    "http://localhost:2379",
    "URLs to listen on for gRPC clients, and for HTTP unless --listen-client-http-urls is set.",
  ],
  [
    "listen-client-http-urls",
    "urls",
    "",
    "URLs to listen on for HTTP alone; --listen-client-urls then serve gRPC alone.",
  ],
  ["max-snapshots", "uint", "5", "Snapshot files to keep, 0 for all. Deprecated: will go with v3.8."],
  ["max-wals", "uint", "5", "Log files to keep, 0 for all."],
  ["memory-mlock", "bool", "false", "Keep the pages of the process in RAM."],
  [
    "quota-backend-bytes",
    "int64",
    "0",
    "Size of the data in bytes above which the member raises an alarm and takes no more writes. 0 means 2 GiB, negative no limit.",
  ],
  [
    "backend-bbolt-freelist-type",
    "string",
    "map",
    "Kind of free list of bbolt, array or map. Cairn keeps no such file: no effect.",
  ],
  [
    "backend-batch-interval",
    "duration",
    "0s",
    "Longest wait before the backend commits. Cairn commits as the log does: no effect.",
  ],
  [
    "backend-batch-limit",
    "int",
    "0",
    "Operations after which the backend commits. Cairn commits as the log does: no effect.",
  ],
  ["max-txn-ops", "uint", "128", "Operations that one transaction may hold."],
  ["max-request-bytes", "uint", "1572864", "Size of a client's request that is still accepted."],
  [
    "max-concurrent-streams",
    "uint32",
    "4294967295",
    "Streams that one client may have open at a time.",
    { shown: "math.MaxUint32" },
  ],
  ["grpc-keepalive-min-time", "duration", "5s", "Clients that ping more often than this are sent away."],
  [
    "grpc-keepalive-interval",
    "duration",
    "2h",
    "Pings to idle clients, to see whether they live. 0 for none.",
    { shown: "2h" },
  ],
  ["grpc-keepalive-timeout", "duration", "20s", "Wait for the answer to such a ping. 0 for none."],
  ["socket-reuse-port", "bool", "false", "Set SO_REUSEPORT on listeners."],
  ["socket-reuse-address", "bool", "false", "Set SO_REUSEADDR on listeners. (Node always does.)"],
  ["enable-grpc-gateway", "bool", "true", "Serve the JSON gateway."],
  ["raft-read-timeout", "duration", "5s", "Read timeout of connections between members, at least 5s."],
  ["raft-write-timeout", "duration", "5s", "Write timeout of connections between members, at least 5s."],
  ["feature-gates", "gates", "", "Switches of features that are not final, NAME=true|false:"],
]);

const CLUSTERING = section("Clustering", [
  [
    "initial-advertise-peer-urls",
    "urls",
    "http://localhost:2380",
    "URLs at which the other members reach this one.",
  ],
  [
    "initial-cluster",
    "string",
    "default=http://localhost:2380",
    "The members of a new cluster, as NAME=URL,NAME=URL.",
  ],
  [
    "initial-cluster-state",
    "choice",
    "new",
    "'new' for a cluster that does not exist yet, 'existing' for a member that joins one. No effect on later starts.",
    { choices: ["existing", "new"] },
  ],
  [
    "initial-cluster-token",
    "string",
    "etcd-cluster",
    "A word that keeps clusters apart that happen to have the same URLs.",
  ],
  ["advertise-client-urls", "urls", "http://localhost:2379", "URLs at which clients reach this member."],
  ["discovery-token", "string", "", "Discovery: the token of the cluster that is to form."],
  [
    "discovery-endpoints",
    "unique-strings",
    "",
    "Discovery: gRPC endpoints of the etcd that keeps the registry.",
  ],
  ["discovery-dial-timeout", "duration", "2s", "Discovery: limit for connecting."],
  ["discovery-request-timeout", "duration", "5s", "Discovery: limit for one request."],
  ["discovery-keepalive-time", "duration", "2s", "Discovery: time between two pings."],
  ["discovery-keepalive-timeout", "duration", "6s", "Discovery: wait for the answer to a ping."],
  ["discovery-insecure-transport", "bool", "true", "Discovery: connect without TLS."],
  [
    "discovery-insecure-skip-tls-verify",
    "bool",
    "false",
    "Discovery: do not verify the server's certificate. For tests only.",
  ],
  ["discovery-cert", "string", "", "Discovery: certificate to show."],
  ["discovery-key", "string", "", "Discovery: key of that certificate."],
  ["discovery-cacert", "string", "", "Discovery: authorities to trust."],
  ["discovery-user", "string", "", "Discovery: user name, or name:password."],
  ["discovery-password", "string", "", "Discovery: password, when it is not part of --discovery-user."],
  [
    "discovery-fallback",
    "choice",
    "exit",
    "What to do when discovery fails: 'exit'. (The v2 proxy is gone.)",
    { choices: ["exit", "proxy"] },
  ],
  ["discovery-srv", "string", "", "DNS domain whose SRV records name the members."],
  ["discovery-srv-name", "string", "", "Suffix of the service name in those records."],
  ["strict-reconfig-check", "bool", "true", "Refuse membership changes that would cost the quorum."],
  [
    "pre-vote",
    "bool",
    "true",
    "Ask before an election, so that a member coming back from a partition disturbs nobody.",
  ],
  [
    "auto-compaction-retention",
    "string",
    "0",
    "History to keep when compacting by itself. 0 for no compaction.",
  ],
  [
    "auto-compaction-mode",
    "string",
    "periodic",
    "'periodic': the retention is a duration ('5m'; a bare number is hours). 'revision': it is a number of revisions.",
  ],
  [
    "v2-deprecation",
    "v2-stages",
    "write-only",
    "Stage of the end of the v2 store. Deprecated, ignored: the default holds.",
    { choices: ["gone", "write-only", "write-only-drop-data", "write-only-skip-check"] },
  ],
]);

const SECURITY = section("Security", [
  ["cert-file", "string", "", "Certificate for clients."],
  ["key-file", "string", "", "Key of that certificate."],
  [
    "client-cert-auth",
    "bool",
    "false",
    "Require certificates of clients; a certificate's common name is the user.",
  ],
  ["client-cert-file", "string", "", "Certificate with which the server calls itself, when not --cert-file."],
  ["client-key-file", "string", "", "Key of that certificate."],
  ["client-crl-file", "string", "", "List of revoked client certificates."],
  ["client-cert-allowed-hostname", "strings", "", "Names of which a client certificate must carry one."],
  ["trusted-ca-file", "string", "", "Authorities for client certificates."],
  ["auto-tls", "bool", "false", "Serve clients over TLS with a certificate made at start."],
  ["peer-cert-file", "string", "", "Certificate for other members."],
  ["peer-key-file", "string", "", "Key of that certificate."],
  ["peer-client-cert-auth", "bool", "false", "Require certificates of other members."],
  [
    "peer-client-cert-file",
    "string",
    "",
    "Certificate with which to call other members, when not --peer-cert-file.",
  ],
  ["peer-client-key-file", "string", "", "Key of that certificate."],
  ["peer-trusted-ca-file", "string", "", "Authorities for the certificates of members."],
  ["peer-cert-allowed-cn", "strings", "", "Common names of which a member's certificate must have one."],
  ["peer-cert-allowed-hostname", "strings", "", "Names of which a member's certificate must carry one."],
  ["peer-auto-tls", "bool", "false", "TLS between members with certificates made at start."],
  ["self-signed-cert-validity", "uint", "1", "Years for which certificates made at start are valid."],
  ["peer-crl-file", "string", "", "List of revoked member certificates."],
  [
    "cipher-suites",
    "strings",
    "",
    "TLS cipher suites to offer, by their Go or IANA names. Empty for the usual ones.",
  ],
  ["cors", "origins", "*", "Origins from which browsers may call. Empty or * for all."],
  [
    "host-whitelist",
    "unique-strings",
    "*",
    "Host names under which plain HTTP is answered. Empty or * for all.",
  ],
  ["tls-min-version", "string", "TLS1.2", "Oldest TLS version to accept: TLS1.2 or TLS1.3."],
  ["tls-max-version", "string", "", "Newest TLS version to accept: TLS1.2 or TLS1.3."],
]);

const AUTH = section("Auth", [
  [
    "auth-token",
    "string",
    "simple",
    "Kind of the authentication token and its options: 'simple' or 'jwt,...'.",
  ],
  ["bcrypt-cost", "uint", "10", "Cost of hashing passwords, 4 to 31."],
  ["auth-token-ttl", "uint", "300", "Seconds for which a token is valid."],
]);

const MONITORING = section("Profiling and Monitoring", [
  ["enable-pprof", "bool", "false", "Serve profiles at the client URLs under /debug/pprof/."],
  ["metrics", "string", "basic", "Detail of the metrics; 'extensive' adds histograms of gRPC latencies."],
  [
    "listen-metrics-urls",
    "urls",
    "",
    "More URLs to listen on, for /metrics and /health alone. https uses the client certificate.",
  ],
]);

const LOGGING = section("Logging", [
  ["logger", "string", "zap", "Only 'zap'."],
  [
    "log-outputs",
    "unique-strings",
    "default",
    "Where log lines go: 'stderr', 'stdout', 'systemd/journal', files, or several with commas.",
  ],
  ["log-level", "string", "info", "debug, info, warn, error, panic or fatal."],
  ["log-format", "string", "json", "json or console."],
  ["enable-log-rotation", "bool", "false", "Rotate the one log file of --log-outputs."],
  [
    "log-rotation-config-json",
    "string",
    '{"maxsize": 100, "maxage": 0, "maxbackups": 0, "localtime": false, "compress": false}',
    "When to rotate: maxsize in MB, maxage in days (0 = keep), maxbackups (0 = all), localtime for names, compress with gzip.",
  ],
  ["warning-unary-request-duration", "duration", "300ms", "A request that takes longer is logged."],
]);

const TRACING = section("Distributed tracing", [
  ["enable-distributed-tracing", "bool", "false", "Send traces to an OpenTelemetry collector."],
  ["distributed-tracing-address", "string", "localhost:4317", "The collector."],
  [
    "distributed-tracing-service-name",
    "string",
    "etcd",
    "Service name in the traces, the same for all members.",
  ],
  [
    "distributed-tracing-instance-id",
    "string",
    "",
    "Name of this instance in the traces, unique per member.",
  ],
  ["distributed-tracing-sampling-rate", "int", "0", "Traces to keep of a million."],
]);

const FEATURES = section("Features", [
  ["corrupt-check-time", "duration", "0s", "Time between two comparisons of the members' data. 0 for none."],
  [
    "compact-hash-check-time",
    "duration",
    "1m",
    "Time between two comparisons of the hashes made at compaction.",
    { shown: "1m" },
  ],
  [
    "compaction-batch-limit",
    "int",
    "0",
    "Revisions that one step of a compaction removes.",
    { shown: "1000" },
  ],
  [
    "peer-skip-client-san-verification",
    "bool",
    "false",
    "Do not compare a member's certificate with its address.",
  ],
  [
    "watch-progress-notify-interval",
    "duration",
    "0s",
    "Time between two progress messages of a watch.",
    { shown: "10m" },
  ],
  ["warning-apply-duration", "duration", "100ms", "An entry that takes longer to apply is logged."],
  [
    "bootstrap-defrag-threshold-megabytes",
    "uint",
    "0",
    "Defragment at start when it frees this much. Cairn never needs it.",
  ],
  ["max-learners", "int", "1", "Learners that the cluster may have."],
  [
    "compaction-sleep-interval",
    "duration",
    "0s",
    "Pause between two steps of a compaction.",
    { shown: "10ms" },
  ],
  ["downgrade-check-time", "duration", "5s", "Time between two looks at a downgrade in progress."],
  [
    "snapshot-catchup-entries",
    "uint64",
    "5000",
    "Entries that are kept for slow followers after a snapshot.",
  ],
]);

const UNSAFE = section("Unsafe", [
  ["force-new-cluster", "bool", "false", "Make a new cluster of this one member out of its data."],
  ["unsafe-no-fsync", "bool", "false", "Do not flush to disk. Will lose data."],
]);

/** Outside the sections: they say where the rest comes from. */
const SOURCES = section("", [
  [
    "config-file",
    "string",
    "",
    "Path of a configuration file; then all other flags and the environment are ignored.",
  ],
  ["version", "bool", "false", "Print the version and exit."],
]);

export const FLAGS: readonly FlagDefinition[] = [
  ...MEMBER,
  ...CLUSTERING,
  ...SECURITY,
  ...AUTH,
  ...MONITORING,
  ...LOGGING,
  ...TRACING,
  ...FEATURES,
  ...UNSAFE,
  ...SOURCES,
];

/** Flags of long ago: accepted with any value and without effect, as etcd does. */
export const IGNORED_FLAGS: readonly string[] = [
  "cluster-active-size",
  "cluster-remove-delay",
  "cluster-sync-interval",
  "config",
  "force",
  "max-result-buffer",
  "max-retry-attempts",
  "peer-heartbeat-interval",
  "peer-election-timeout",
  "retry-interval",
  "snapshot",
  "v",
  "vv",
  "test.coverprofile",
  "test.outputdir",
];

export const FLAG_BY_NAME: ReadonlyMap<string, FlagDefinition> = new Map(
  FLAGS.map((flag) => [flag.name, flag]),
);
