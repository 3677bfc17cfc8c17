// The checks of etcd's embed.Config.Validate in its order and words, on the flags' values. Called once per start by
// src/config/build; answers the first problem, and what is worth a warning.

import type { FlagValues } from "./flag-values.ts";
import { formatDuration, quote } from "./go-values.ts";
import { bindProblem, type EndpointUrl, hostUrlProblem } from "./urls.ts";

export const ADVERTISE_REQUIRED =
  "--advertise-client-urls is required when --listen-client-urls is set explicitly";
const CONFLICT =
  "multiple discovery or bootstrap flags are set. " +
  'Choose one of "initial-cluster", "discovery-endpoints" or "discovery-srv"';
const ELECTION_MILLIS_MAX = 50000;

export type Warn = (message: string, fields?: Readonly<Record<string, unknown>>) => void;

/** `clusterGiven`: an initial cluster stands, given or by default. */
export function validate(values: FlagValues, warn: Warn): string | undefined {
  return (
    checkUrls(values, warn) ??
    checkBootstrap(values) ??
    checkTiming(values) ??
    checkAdvertise(values) ??
    checkCompactionMode(values) ??
    checkTracing(values) ??
    checkGates(values, warn) ??
    checkHashTime(values) ??
    checkName(values, warn) ??
    checkTls(values)
  );
}

function checkUrls(values: FlagValues, warn: Warn): string | undefined {
  const bind =
    bindProblem(values.urls("listen-peer-urls")) ??
    bindProblem(values.urls("listen-client-urls")) ??
    bindProblem(values.urls("listen-client-http-urls"));
  if (bind !== undefined) return bind;
  if (values.urls("listen-client-http-urls").length === 0) {
    warn("Running http and grpc server on single port. This is not recommended for production.");
  }
  const metrics = bindProblem(values.urls("listen-metrics-urls"));
  if (metrics !== undefined) return metrics;
  const peers = values.urls("initial-advertise-peer-urls");
  const peerHost = hostUrlProblem(peers);
  if (peerHost !== undefined) {
    return `--initial-advertise-peer-urls ${quote(texts(peers))} must be "host:port" (${peerHost})`;
  }
  const clients = values.urls("advertise-client-urls");
  const clientHost = hostUrlProblem(clients);
  if (clientHost === undefined) return undefined;
  const forms = 'must be in the format "host:port", "unix:/path/to/socket" or "unixs:/path/to/socket"';
  return `--advertise-client-urls ${quote(texts(clients))} ${forms} (${clientHost})`;
}

function texts(urls: readonly EndpointUrl[]): string {
  return urls.map((url) => url.text).join(",");
}

function checkBootstrap(values: FlagValues): string | undefined {
  const state = values.text("initial-cluster-state");
  if (state !== "new" && state !== "existing") return `unexpected clusterState ${quote(state)}`;
  const endpoints = values.texts("discovery-endpoints");
  const ways = [
    values.text("initial-cluster") !== "",
    values.text("discovery-srv") !== "",
    endpoints.length > 0,
  ];
  if (ways.filter(Boolean).length > 1) return CONFLICT;
  if ((values.text("discovery-token") !== "") !== endpoints.length > 0) {
    return "both --discovery-token and --discovery-endpoints must be set";
  }
  const empty = endpoints.some((endpoint) => endpoint.trim() === "");
  return empty ? "--discovery-endpoints must not contain empty endpoints" : undefined;
}

function checkTiming(values: FlagValues): string | undefined {
  const tick = values.number("heartbeat-interval");
  const election = values.number("election-timeout");
  if (tick === 0) return "--heartbeat-interval must be >0 (set to 0ms)";
  if (election === 0) return "--election-timeout must be >0 (set to 0ms)";
  if (5 * tick > election) {
    const wanted = `should be at least as 5 times as --heartbeat-interval[${tick}ms]`;
    return `--election-timeout[${election}ms] ${wanted}`;
  }
  if (election <= ELECTION_MILLIS_MAX) return undefined;
  return `--election-timeout[${election}ms] is too long, and should be set less than ${ELECTION_MILLIS_MAX}ms`;
}

function checkAdvertise(values: FlagValues): string | undefined {
  const missing = values.urls("advertise-client-urls").length === 0;
  return missing && values.urls("listen-client-urls").length > 0 ? ADVERTISE_REQUIRED : undefined;
}

function checkCompactionMode(values: FlagValues): string | undefined {
  const mode = values.text("auto-compaction-mode");
  if (mode === "") return "undefined auto-compaction-mode";
  return mode === "periodic" || mode === "revision"
    ? undefined
    : `unknown auto-compaction-mode ${quote(mode)}`;
}

function checkTracing(values: FlagValues): string | undefined {
  if (!values.bool("enable-distributed-tracing")) return undefined;
  const rate = values.number("distributed-tracing-sampling-rate");
  const wrong = (why: string): string => `distributed tracing configurition is not valid: (${why})`;
  if (rate < 0) return wrong("tracing sampling rate must be positive");
  return rate > 1e6 ? wrong("tracing sampling rate must be less than 1000000") : undefined;
}

function checkGates(values: FlagValues, warn: Warn): string | undefined {
  const gates = values.gates();
  const checkpoint = gates.enabled("LeaseCheckpoint");
  const persist = gates.enabled("LeaseCheckpointPersist");
  if (checkpoint && !persist) {
    warn(
      "Detected that checkpointing is enabled without persistence. Consider enabling feature gate LeaseCheckpointPersist",
    );
  }
  if (!persist || checkpoint) return undefined;
  return "enabling feature gate LeaseCheckpointPersist requires enabling feature gate LeaseCheckpoint";
}

function checkHashTime(values: FlagValues): string | undefined {
  const nanos = values.number("compact-hash-check-time");
  return nanos > 0 ? undefined : `--compact-hash-check-time must be >0 (set to ${formatDuration(nanos)})`;
}

function checkName(values: FlagValues, warn: Warn): undefined {
  const name = values.text("name");
  if (name !== "default") return;
  warn(
    "it isn't recommended to use default name, please set a value for --name. " +
      "Note that etcd might run into issue when multiple members have the same default name",
    { name },
  );
}

function checkTls(values: FlagValues): string | undefined {
  const lowest = values.text("tls-min-version");
  const highest = values.text("tls-max-version");
  for (const version of [lowest, highest]) {
    if (version !== "" && version !== "TLS1.2" && version !== "TLS1.3") {
      return `unexpected TLS version ${quote(version)} (must be one of: TLS1.2, TLS1.3)`;
    }
  }
  if (highest !== "" && lowest > highest)
    return `min version (${lowest}) is greater than max version (${highest})`;
  if (lowest === "TLS1.3" && values.texts("cipher-suites").length > 0) {
    return "cipher suites cannot be configured when only TLS1.3 is enabled";
  }
  return undefined;
}
