// The flags' values → the Config, with the checks that etcd makes while it starts (TLS files per URL, cipher suites, retention).
// Called by src/config/parse after validate; pure.
import { byteCount, type Millis, millis } from "../base/brand.ts";
import type { LoggingOptions } from "../node/logger.ts";
import { cipherSuiteProblem } from "./cipher-suites.ts";
import type { AutoCompaction, Config, DiscoveryConfig, TlsConfig, TlsVersion } from "./config.ts";
import type { FlagValues } from "./flag-values.ts";
import { type Parsed, parseDuration, parsed, unparsed } from "./go-values.ts";
import { clientTlsProblem, missingTlsProblem, peerTlsProblem } from "./tls-checks.ts";
import { isSecure, urlAddress } from "./urls.ts";
import type { Warn } from "./validate.ts";

/** etcd's, for 0. */
export const QUOTA_BYTES_DEFAULT: number = 2 * 1024 * 1024 * 1024;
const QUOTA_BYTES_RECOMMENDED_MAX = 8 * 1024 * 1024 * 1024;
const REQUEST_BYTES_RECOMMENDED_MAX = 10 * 1024 * 1024;
const BCRYPT_COST_MIN = 4;
const BCRYPT_COST_MAX = 31;
const BCRYPT_COST_DEFAULT = 10;
const RAFT_TIMEOUT_MILLIS_MIN = 5000;
const PROGRESS_MILLIS_DEFAULT = 10 * 60 * 1000;
const PROGRESS_MILLIS_MIN = 100;

export type BuildInput = {
  readonly values: FlagValues;
  readonly logging: LoggingOptions;
  readonly clientAllowedCommonNames: readonly string[];
};

/** What ends the start, and the message under which etcd logs it as fatal. */
export type StartProblem = {
  readonly message: "discovery failed" | "listener failed";
  readonly error: string;
};

/** The first problem in etcd's order of starting. */
export function startProblem(input: BuildInput): StartProblem | undefined {
  const { values } = input;
  const error =
    cipherSuiteProblem(values.texts("cipher-suites")) ??
    peerTlsProblem(values) ??
    missingTlsProblem(values) ??
    sharedUrlProblem(values) ??
    checkRetention(values) ??
    checkAuthToken(values);
  if (error !== undefined) return { message: "discovery failed", error };
  const late = clientTlsProblem(values, input.clientAllowedCommonNames);
  return late === undefined ? undefined : { message: "listener failed", error: late };
}

function sharedUrlProblem(values: FlagValues): string | undefined {
  const taken = new Set(values.urls("listen-client-urls").map(urlAddress));
  const both = values.urls("listen-client-http-urls").find((url) => taken.has(urlAddress(url)));
  if (both === undefined) return undefined;
  return `cannot bind both --listen-client-urls and --listen-client-http-urls on the same url ${both.text}`;
}

function checkRetention(values: FlagValues): string | undefined {
  const compaction = parseRetention(values);
  return compaction.ok ? undefined : compaction.error;
}

/** A bare number is hours, or revisions; anything else a duration. In revision mode etcd counts a duration in nanoseconds. */
function parseRetention(values: FlagValues): Parsed<AutoCompaction> {
  const text = values.text("auto-compaction-retention") || "0";
  const periodic = values.text("auto-compaction-mode") === "periodic";
  let amount = /^\+?\d+$/.test(text) ? Number(text) : -1;
  if (amount < 0) {
    const duration = parseDuration(text);
    if (!duration.ok) return unparsed(`error parsing CompactionRetention: ${duration.error}`);
    amount = periodic ? duration.value / 3600e9 : duration.value;
  }
  if (amount === 0) return parsed({ mode: "off" });
  if (periodic) return parsed({ mode: "periodic", retentionMillis: millis(amount * 3600_000) });
  return parsed({ mode: "revision", retentionRevisions: amount });
}

function checkAuthToken(values: FlagValues): string | undefined {
  const [kind, ...options] = values.text("auth-token").split(",");
  const known = kind === "simple" || kind === "jwt" || kind === "";
  const names = options.map((option) => option.split("=")[0]!);
  const wellFormed = options.every((option) => option.split("=").length === 2);
  return known && wellFormed && new Set(names).size === names.length
    ? undefined
    : "auth: invalid auth options";
}

/** Things that work, but not as well as the user may think. */
export function startWarnings(values: FlagValues, warn: Warn): void {
  const requestBytes = values.number("max-request-bytes");
  if (requestBytes > REQUEST_BYTES_RECOMMENDED_MAX) {
    warn("exceeded recommended request limit", {
      "max-request-bytes": requestBytes,
      "recommended-request-bytes": REQUEST_BYTES_RECOMMENDED_MAX,
    });
  }
  const quota = values.number("quota-backend-bytes");
  if (quota > QUOTA_BYTES_RECOMMENDED_MAX) {
    warn("quota exceeds the maximum value", {
      "quota-size-bytes": quota,
      "quota-maximum-size-bytes": QUOTA_BYTES_RECOMMENDED_MAX,
    });
  }
  const cost = values.number("bcrypt-cost");
  if (cost < BCRYPT_COST_MIN || cost > BCRYPT_COST_MAX) {
    warn("use default bcrypt cost instead of the invalid given cost", {
      "min-cost": BCRYPT_COST_MIN,
      "max-cost": BCRYPT_COST_MAX,
      "default-cost": BCRYPT_COST_DEFAULT,
      "given-cost": cost,
    });
  }
  for (const url of [...values.urls("listen-client-urls"), ...values.urls("listen-client-http-urls")]) {
    if (isSecure(url)) continue;
    if (values.text("cert-file") !== "" || values.text("key-file") !== "") {
      warn("scheme is http or unix while key and cert files are present; ignoring key and cert files", {
        "client-url": url.text,
      });
    }
    if (values.bool("client-cert-auth")) {
      warn(
        "scheme is http or unix while --client-cert-auth is enabled; ignoring client cert auth for this URL",
        {
          "client-url": url.text,
        },
      );
    }
  }
}

export function buildConfig(input: BuildInput): Config {
  const { values, logging } = input;
  const quota = values.number("quota-backend-bytes");
  const cost = values.number("bcrypt-cost");
  const retention = parseRetention(values);
  const progress = duration(values, "watch-progress-notify-interval");
  return {
    name: values.text("name"),
    dataDir: values.text("data-dir"),
    walDir: values.text("wal-dir"),
    heartbeatIntervalMillis: millis(values.number("heartbeat-interval")),
    electionTimeoutMillis: millis(values.number("election-timeout")),
    forceNewCluster: values.bool("force-new-cluster"),
    initialElectionTickAdvance: values.bool("initial-election-tick-advance"),
    preVote: values.bool("pre-vote"),
    strictReconfigCheck: values.bool("strict-reconfig-check"),
    learnersMax: values.number("max-learners"),
    raftReadTimeoutMillis: atLeast(RAFT_TIMEOUT_MILLIS_MIN, duration(values, "raft-read-timeout")),
    raftWriteTimeoutMillis: atLeast(RAFT_TIMEOUT_MILLIS_MIN, duration(values, "raft-write-timeout")),
    downgradeCheckIntervalMillis: duration(values, "downgrade-check-time"),
    snapshotCount: values.number("snapshot-count"),
    snapshotCatchupEntries: values.number("snapshot-catchup-entries"),
    snapshotFilesMax: values.number("max-snapshots"),
    walFilesMax: values.number("max-wals"),
    listenPeerUrls: values.urls("listen-peer-urls"),
    listenClientUrls: values.urls("listen-client-urls"),
    listenClientHttpUrls: values.urls("listen-client-http-urls"),
    listenMetricsUrls: values.urls("listen-metrics-urls"),
    advertisePeerUrls: values.urls("initial-advertise-peer-urls"),
    advertiseClientUrls: values.urls("advertise-client-urls"),
    initialCluster: values.text("initial-cluster"),
    discovery: discovery(values),
    discoverySrv: discoverySrv(values),
    initialClusterState: values.text("initial-cluster-state") === "existing" ? "existing" : "new",
    initialClusterToken: values.text("initial-cluster-token"),
    bootstrapDefragThresholdMegabytes: values.number("bootstrap-defrag-threshold-megabytes"),
    quotaBackendBytes:
      quota < 0
        ? (Number.POSITIVE_INFINITY as Config["quotaBackendBytes"])
        : byteCount(quota || QUOTA_BYTES_DEFAULT),
    txnOpsMax: values.number("max-txn-ops"),
    requestBytesMax: byteCount(values.number("max-request-bytes")),
    concurrentStreamsMax: values.number("max-concurrent-streams"),
    grpcKeepaliveMinTimeMillis: duration(values, "grpc-keepalive-min-time"),
    grpcKeepaliveIntervalMillis: duration(values, "grpc-keepalive-interval"),
    grpcKeepaliveTimeoutMillis: duration(values, "grpc-keepalive-timeout"),
    enableGrpcGateway: values.bool("enable-grpc-gateway"),
    clientTls: clientTls(input),
    peerTls: peerTls(values),
    cipherSuites: values.texts("cipher-suites"),
    tlsVersionMin: tlsVersion(values.text("tls-min-version")),
    tlsVersionMax: tlsVersion(values.text("tls-max-version")),
    selfSignedCertValidityYears: values.number("self-signed-cert-validity"),
    corsOrigins: new Set(values.texts("cors")),
    hostWhitelist: new Set(values.texts("host-whitelist")),
    authToken: values.text("auth-token") || "simple",
    authTokenTtlSeconds: values.number("auth-token-ttl"),
    bcryptCost: cost < BCRYPT_COST_MIN || cost > BCRYPT_COST_MAX ? BCRYPT_COST_DEFAULT : cost,
    autoCompaction: retention.ok ? retention.value : { mode: "off" },
    compactionBatchLimit: values.number("compaction-batch-limit") || 1000,
    compactionSleepIntervalMillis: orDefault(duration(values, "compaction-sleep-interval"), 10),
    corruptCheckIntervalMillis: duration(values, "corrupt-check-time"),
    corruptCheckGiven:
      values.set.has("corrupt-check-time") || values.set.has("experimental-corrupt-check-time"),
    compactHashCheckIntervalMillis: duration(values, "compact-hash-check-time"),
    watchProgressNotifyIntervalMillis:
      progress === 0 ? millis(PROGRESS_MILLIS_DEFAULT) : atLeast(PROGRESS_MILLIS_MIN, progress),
    warningApplyDurationMillis: duration(values, "warning-apply-duration"),
    warningUnaryRequestDurationMillis: orDefault(duration(values, "warning-unary-request-duration"), 300),
    unsafeNoFsync: values.bool("unsafe-no-fsync"),
    enablePprof: values.bool("enable-pprof") || logging.level === "debug",
    metricsExtensive: values.text("metrics") === "extensive",
    logging,
    featureGates: values.gates(),
  };
}

function discovery(values: FlagValues): DiscoveryConfig | undefined {
  const endpoints = values.texts("discovery-endpoints");
  if (endpoints.length === 0) return undefined;
  const [user = "", ...rest] = values.text("discovery-user").split(":");
  return {
    endpoints,
    token: values.text("discovery-token"),
    dialTimeoutMillis: duration(values, "discovery-dial-timeout"),
    requestTimeoutMillis: duration(values, "discovery-request-timeout"),
    keepaliveTimeMillis: duration(values, "discovery-keepalive-time"),
    keepaliveTimeoutMillis: duration(values, "discovery-keepalive-timeout"),
    insecureTransport: values.bool("discovery-insecure-transport"),
    insecureSkipVerify: values.bool("discovery-insecure-skip-tls-verify"),
    certFile: values.text("discovery-cert"),
    keyFile: values.text("discovery-key"),
    caFile: values.text("discovery-cacert"),
    user,
    password: values.text("discovery-password") || rest.join(":"),
  };
}

function discoverySrv(values: FlagValues): Config["discoverySrv"] {
  const domain = values.text("discovery-srv");
  return domain === "" ? undefined : { domain, serviceName: values.text("discovery-srv-name") };
}

function duration(values: FlagValues, name: string): Millis {
  return millis(values.millis(name));
}

function atLeast(least: number, given: Millis): Millis {
  return millis(Math.max(least, given));
}

function orDefault(given: Millis, otherwise: number): Millis {
  return given === 0 ? millis(otherwise) : given;
}

function tlsVersion(text: string): TlsVersion | undefined {
  return text === "TLS1.2" || text === "TLS1.3" ? text : undefined;
}

function listed(names: readonly string[]): readonly string[] {
  return names.filter((name) => name !== "");
}

function clientTls(input: BuildInput): TlsConfig {
  const { values } = input;
  return {
    certFile: values.text("cert-file"),
    keyFile: values.text("key-file"),
    clientCertFile: values.text("client-cert-file"),
    clientKeyFile: values.text("client-key-file"),
    clientCertAuth: values.bool("client-cert-auth"),
    trustedCaFile: values.text("trusted-ca-file"),
    crlFile: values.text("client-crl-file"),
    allowedCommonNames: input.clientAllowedCommonNames,
    allowedHostnames: listed(values.texts("client-cert-allowed-hostname")),
    skipClientSanVerification: false,
    autoTls: values.bool("auto-tls"),
  };
}

function peerTls(values: FlagValues): TlsConfig {
  return {
    certFile: values.text("peer-cert-file"),
    keyFile: values.text("peer-key-file"),
    clientCertFile: values.text("peer-client-cert-file"),
    clientKeyFile: values.text("peer-client-key-file"),
    clientCertAuth: values.bool("peer-client-cert-auth"),
    trustedCaFile: values.text("peer-trusted-ca-file"),
    crlFile: values.text("peer-crl-file"),
    allowedCommonNames: listed(values.texts("peer-cert-allowed-cn")),
    allowedHostnames: listed(values.texts("peer-cert-allowed-hostname")),
    skipClientSanVerification: values.bool("peer-skip-client-san-verification"),
    autoTls: values.bool("peer-auto-tls"),
  };
}
