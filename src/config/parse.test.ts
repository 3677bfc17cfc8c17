// Goal: the command line, the environment and the file are read as etcd 3.7.1 reads them; every refusal has its words and its
// exit code. The expected texts were taken from the real binary, run with the same arguments.
import assert from "node:assert/strict";
import { test } from "node:test";
import { twinsExist } from "./experimental-flags.ts";
import { type Outcome, parseConfig } from "./parse.ts";

type Given = { args?: string; environment?: Record<string, string>; file?: string };

function run(given: Given): Outcome {
  return parseConfig({
    args: ["etcd", ...(given.args ?? "").split(" ").filter((word) => word !== "")],
    environment: given.environment ?? {},
    readFile: (path) => {
      if (given.file !== undefined) return given.file;
      throw Object.assign(new Error(path), { code: "ENOENT" });
    },
    defaultHost: () => ({ host: "192.0.2.7" }),
  });
}

function configOf(given: Given): Extract<Outcome, { kind: "config" }>["config"] {
  const outcome = run(given);
  assert.equal(outcome.kind, "config", JSON.stringify(outcome));
  assert(outcome.kind === "config");
  return outcome.config;
}

/** The error that etcd logs with "failed to verify flags" (or as fatal), or what it prints first. */
function problemOf(given: Given): string {
  const outcome = run(given);
  if (outcome.kind === "printed") return `${outcome.exitCode} ${outcome.stderr.split("\n")[0]}`;
  const lines = outcome.logged.lines;
  const last = lines.findLast((line) => line.fields?.["error"] !== undefined);
  const code = outcome.kind === "failed" ? outcome.exitCode : 0;
  return `${code} ${last === undefined ? lines.at(-1)?.message : String(last.fields?.["error"])}`;
}

function messages(given: Given): string[] {
  const outcome = run(given);
  if (outcome.kind === "printed") return [];
  return outcome.logged.lines.map((line) => line.message);
}

const REFUSED: readonly (readonly [string, string])[] = [
  ["--nope", "2 flag provided but not defined: -nope"],
  ["-nope=1", "2 flag provided but not defined: -nope"],
  ["--discovery=http://x", "2 flag provided but not defined: -discovery"],
  ["--snapshot-count=abc", '2 invalid value "abc" for flag -snapshot-count: parse error'],
  ["--snapshot-count", "2 flag needs an argument: -snapshot-count"],
  ["--snapshot-count=-1", '2 invalid value "-1" for flag -snapshot-count: parse error'],
  ["--heartbeat-interval 5s", '2 invalid value "5s" for flag -heartbeat-interval: parse error'],
  ["--pre-vote=maybe", '2 invalid boolean value "maybe" for -pre-vote: parse error'],
  ["--grpc-keepalive-min-time=5", '2 invalid value "5" for flag -grpc-keepalive-min-time: parse error'],
  [
    "--listen-client-urls=foo",
    '2 invalid value "foo" for flag -listen-client-urls: URL scheme must be http, https, unix, or unixs: foo',
  ],
  ["--listen-client-urls=http://foo:1", "1 expected IP in URL for binding (http://foo:1)"],
  [
    "--listen-client-urls=http://127.0.0.1:2379",
    "1 --advertise-client-urls is required when --listen-client-urls is set explicitly",
  ],
  ["--initial-cluster-state=foo", '2 invalid value "foo" for flag -initial-cluster-state: invalid value'],
  ["--v2-deprecation=x", '2 invalid value "x" for flag -v2-deprecation: invalid value "x"'],
  ["positional --name x", '1 "positional" is not a valid flag'],
  ["---x", "2 bad flag syntax: ---x"],
  [
    "--max-concurrent-streams=99999999999",
    '2 invalid value "99999999999" for flag -max-concurrent-streams: strconv.ParseUint: parsing "99999999999": value out of range',
  ],
  [
    "--quota-backend-bytes=9999999999999999999999",
    '2 invalid value "9999999999999999999999" for flag -quota-backend-bytes: value out of range',
  ],
  [
    "--feature-gates=X=true",
    '2 invalid value "X=true" for flag -feature-gates: unrecognized feature gate: X',
  ],
  ["--feature-gates=X", '2 invalid value "X" for flag -feature-gates: missing bool value for X'],
  [
    "--feature-gates=LeaseCheckpointPersist=true",
    "1 enabling feature gate LeaseCheckpointPersist requires enabling feature gate LeaseCheckpoint",
  ],
  [
    "--election-timeout=100",
    "1 --election-timeout[100ms] should be at least as 5 times as --heartbeat-interval[100ms]",
  ],
  [
    "--election-timeout=60000",
    "1 --election-timeout[60000ms] is too long, and should be set less than 50000ms",
  ],
  ["--config-file /nonexistent", "1 open /nonexistent: no such file or directory"],
  ["--log-level=foo", '2 panic: unrecognized level: "foo"'],
  ["--log-format=foo", "1 unknown log format: foo, supported values json, console"],
  ["--logger=capnslog", "1 --logger=capnslog is removed in v3.5"],
  [
    "--enable-log-rotation",
    "1 --log-outputs requires a single file path when --log-rotate-config-json is defined",
  ],
  ["--tls-min-version=TLS1.1", '1 unexpected TLS version "TLS1.1" (must be one of: TLS1.2, TLS1.3)'],
  ["--auto-compaction-mode=foo", '1 unknown auto-compaction-mode "foo"'],
  ["--compact-hash-check-time=-90s", "1 --compact-hash-check-time must be >0 (set to -1m30s)"],
  ["--cipher-suites=foo", '1 unexpected TLS cipher suite "foo"'],
  ["--auto-compaction-retention=foo", '1 error parsing CompactionRetention: time: invalid duration "foo"'],
  [
    "--listen-client-urls=https://127.0.0.1:2379 --advertise-client-urls=https://127.0.0.1:2379",
    "1 TLS key/cert (--cert-file, --key-file) must be provided for client url https://127.0.0.1:2379 with HTTPS scheme",
  ],
];

const CERT = "--listen-client-urls=https://127.0.0.1:1 --advertise-client-urls=https://127.0.0.1:1";
const PEER = "--name=x --listen-peer-urls=https://127.0.0.1:2";

const TLS_REFUSED: readonly (readonly [string, string])[] = [
  [PEER, "1 cannot listen on TLS for 127.0.0.1:2: KeyFile and CertFile are not presented"],
  [`${PEER} --peer-cert-file c`, "1 KeyFile and CertFile must both be present[key: , cert: c]"],
  [
    `${PEER} --peer-cert-file c --peer-key-file k --peer-cert-allowed-cn a --peer-cert-allowed-hostname b,c`,
    '1 AllowedCNs and AllowedHostnames are mutually exclusive (cns=["a"], hostnames=["b" "c"])',
  ],
  [
    `${PEER} --peer-cert-file c --peer-key-file k --peer-client-cert-file d`,
    "1 ClientKeyFile and ClientCertFile must both be present or both absent: key: , cert: d]",
  ],
  [`${CERT} --key-file k`, "1 KeyFile and CertFile must both be present[key: k, cert: ]"],
  [
    "--listen-metrics-urls=https://127.0.0.1:3",
    "1 client TLS key/cert (--cert-file, --key-file) must be provided for metrics secure url",
  ],
];

test("TLS files that are missing or do not fit together are named", () => {
  for (const [args, expected] of TLS_REFUSED) assert.equal(problemOf({ args }), expected, args);
  assert.equal(configOf({ args: `${CERT} --cert-file c --key-file k` }).clientTls.keyFile, "k");
  assert.equal(configOf({ args: `${PEER} --peer-auto-tls` }).peerTls.autoTls, true);
});

test("a wrong command line is refused in etcd's words with etcd's exit code", () => {
  for (const [args, expected] of REFUSED) assert.equal(problemOf({ args }), expected, args);
});

test("what is not supported yet is said, not ignored", () => {
  for (const args of [
    "--memory-mlock=true",
    "--enable-distributed-tracing",
    "--auth-token=jwt,pub-key=a,priv-key=b,sign-method=RS256",
    "--experimental-memory-mlock",
  ]) {
    assert.match(problemOf({ args }), /^1 --[a-z-]+ is not supported yet by this version of Cairn: /, args);
  }
  assert.match(problemOf({ args: "gateway start" }), /^1 etcd gateway is not supported yet/);
});

test("without arguments the defaults of etcd hold", () => {
  const config = configOf({});
  assert.equal(config.dataDir, "default.etcd");
  assert.equal(config.quotaBackendBytes, 2 * 1024 ** 3);
  assert.equal(config.requestBytesMax, 1572864);
  assert.equal(config.electionTimeoutMillis, 1000);
  assert.equal(config.initialCluster, "default=http://localhost:2380");
  assert.equal(config.watchProgressNotifyIntervalMillis, 600_000);
  assert.deepEqual(config.autoCompaction, { mode: "off" });
  assert.deepEqual([...config.corsOrigins], ["*"]);
  assert.equal(config.concurrentStreamsMax, 4294967295);
});

test("the command line of kubeadm's static pod is accepted whole", () => {
  const config = configOf({
    args:
      "--advertise-client-urls=https://10.0.0.5:2379 --cert-file=/pki/server.crt --client-cert-auth=true " +
      "--data-dir=/var/lib/etcd --feature-gates=InitialCorruptCheck=true --initial-advertise-peer-urls=https://10.0.0.5:2380 " +
      "--initial-cluster=cp=https://10.0.0.5:2380 --key-file=/pki/server.key " +
      "--listen-client-urls=https://127.0.0.1:2379,https://10.0.0.5:2379 --listen-metrics-urls=http://127.0.0.1:2381 " +
      "--listen-peer-urls=https://10.0.0.5:2380 --name=cp --peer-cert-file=/pki/peer.crt --peer-client-cert-auth=true " +
      "--peer-key-file=/pki/peer.key --peer-trusted-ca-file=/pki/ca.crt --snapshot-count=10000 " +
      "--trusted-ca-file=/pki/ca.crt --watch-progress-notify-interval=5s",
  });
  assert.equal(config.clientTls.trustedCaFile, "/pki/ca.crt");
  assert.equal(config.peerTls.clientCertAuth, true);
  assert.deepEqual(
    config.listenClientUrls.map((url) => url.text),
    ["https://10.0.0.5:2379", "https://127.0.0.1:2379"],
  );
  assert.equal(config.watchProgressNotifyIntervalMillis, 5000);
  assert.equal(config.featureGates.enabled("InitialCorruptCheck"), true);
});

test("single dashes, values after a space, and every spelling of numbers work", () => {
  const config = configOf({
    args: "-name a -max-txn-ops 0x100 --snapshot-count=1_000 -pre-vote=F --heartbeat-interval 050",
  });
  assert.equal(config.name, "a");
  assert.equal(config.txnOpsMax, 256);
  assert.equal(config.snapshotCount, 1000);
  assert.equal(config.preVote, false);
  assert.equal(config.heartbeatIntervalMillis, 40);
});

test("a name alone renames the default member", () => {
  assert.equal(configOf({ args: "--name m1" }).initialCluster, "m1=http://localhost:2380");
});

test("listening everywhere with default advertise URLs advertises the machine's own address", () => {
  const config = configOf({ args: "--name m1 --listen-peer-urls http://0.0.0.0:2390" });
  assert.deepEqual(
    config.advertisePeerUrls.map((url) => url.text),
    ["http://192.0.2.7:2390"],
  );
  assert.equal(config.initialCluster, "m1=http://192.0.2.7:2390");
});

test("the retention of auto compaction is hours, a duration or revisions", () => {
  const of = (args: string): unknown => configOf({ args }).autoCompaction;
  assert.deepEqual(of("--auto-compaction-retention=2"), { mode: "periodic", retentionMillis: 7_200_000 });
  assert.deepEqual(of("--auto-compaction-retention=5m"), { mode: "periodic", retentionMillis: 300_000 });
  const revisions = of("--auto-compaction-retention=1000 --auto-compaction-mode=revision");
  assert.deepEqual(revisions, { mode: "revision", retentionRevisions: 1000 });
});

test("the environment fills what the command line leaves open, and a conflict is fatal", () => {
  const environment = { ETCD_NAME: "e1", ETCD_MAX_TXN_OPS: "7", ETCD_FOO: "bar", PATH: "/bin" };
  assert.equal(configOf({ environment }).txnOpsMax, 7);
  assert.ok(messages({ environment }).includes("unrecognized environment variable"));
  const outcome = run({ args: "--name x", environment });
  assert.equal(outcome.kind, "failed");
  const shadowed =
    "conflicting environment variable is shadowed by corresponding command-line flag (either unset environment variable or disable flag))";
  assert.equal(messages({ args: "--name x", environment }).at(-1), shadowed);
  const wrong = problemOf({ environment: { ETCD_SNAPSHOT_COUNT: "foo" } });
  assert.equal(wrong, '1 invalid value "foo" for ETCD_SNAPSHOT_COUNT: parse error');
});

test("the flags of 3.6 still work, warn, and refuse to stand beside their successors", () => {
  assert.ok(twinsExist());
  const args = "--experimental-watch-progress-notify-interval=5s --experimental-initial-corrupt-check=true";
  assert.equal(configOf({ args }).watchProgressNotifyIntervalMillis, 5000);
  assert.equal(configOf({ args }).featureGates.enabled("InitialCorruptCheck"), true);
  const warning =
    "--experimental-watch-progress-notify-interval is deprecated in v3.6 and will be decommissioned in v3.7. Use '--watch-progress-notify-interval' instead.";
  assert.ok(messages({ args }).includes(warning));
  assert.equal(
    problemOf({ args: `${args} --watch-progress-notify-interval=6s` }),
    "1 cannot set --experimental-watch-progress-notify-interval and --watch-progress-notify-interval at the same time, please use --watch-progress-notify-interval only",
  );
});

test("a file replaces flags and environment", () => {
  const file = [
    "name: m9",
    "election-timeout: 3000",
    "grpc-keepalive-min-time: 7000000000",
    "listen-client-urls: http://127.0.0.1:2379,http://127.0.0.2:2379",
    "log-outputs: [stdout]",
    "unknown-key: {a: 1}",
    "client-transport-security:",
    "  cert-file: c.pem",
    "  allowed-cn: [one, two]",
    "peer-transport-security: {client-cert-auth: true}",
    "feature-gates: AllAlpha=true,LeaseCheckpoint=false,LeaseCheckpointPersist=false",
  ].join("\n");
  const config = configOf({ args: "--config-file c.yaml --name x", environment: { ETCD_NAME: "y" }, file });
  assert.equal(config.name, "m9");
  assert.equal(config.electionTimeoutMillis, 3000);
  assert.equal(config.grpcKeepaliveMinTimeMillis, 7000);
  assert.equal(config.listenClientUrls.length, 2);
  assert.deepEqual(config.logging.outputs, ["stdout"]);
  assert.deepEqual(config.clientTls.allowedCommonNames, ["one", "two"]);
  assert.equal(config.peerTls.clientCertAuth, true);
  assert.equal(config.featureGates.enabled("PriorityRequest"), true);
  assert.equal(config.featureGates.enabled("LeaseCheckpoint"), false);
});

test("the file that k3s writes is accepted whole, with the keys of 3.6", () => {
  const file = [
    "advertise-client-urls: https://10.0.0.5:2379",
    "client-transport-security: {cert-file: s.crt, key-file: s.key, client-cert-auth: true, trusted-ca-file: ca.crt}",
    "data-dir: /var/lib/rancher/k3s/server/db/etcd",
    "election-timeout: 5000",
    "experimental-initial-corrupt-check: true",
    "experimental-watch-progress-notify-interval: 5000000000",
    "heartbeat-interval: 500",
    "initial-advertise-peer-urls: https://10.0.0.5:2380",
    "initial-cluster: n1=https://10.0.0.5:2380",
    "initial-cluster-state: new",
    "listen-client-http-urls: https://127.0.0.1:2382",
    "listen-client-urls: https://127.0.0.1:2379,https://10.0.0.5:2379",
    "listen-metrics-urls: http://127.0.0.1:2381",
    "listen-peer-urls: https://127.0.0.1:2380,https://10.0.0.5:2380",
    "log-outputs:",
    "- stderr",
    "logger: zap",
    "name: n1",
    "peer-transport-security: {cert-file: p.crt, key-file: p.key, client-cert-auth: true, trusted-ca-file: p-ca.crt}",
    "snapshot-count: 10000",
  ].join("\n");
  const config = configOf({ args: "--config-file /x", file });
  assert.equal(config.watchProgressNotifyIntervalMillis, 5000);
  assert.equal(config.featureGates.enabled("InitialCorruptCheck"), true);
  assert.equal(config.listenClientHttpUrls[0]?.text, "https://127.0.0.1:2382");
  assert.equal(config.peerTls.trustedCaFile, "p-ca.crt");
});

test("a second document, YAML 1.1 truth and an alias are read as Go's library reads them", () => {
  const config = configOf({
    args: "--config-file c",
    file: "name: &n x\npre-vote: off\ninitial-cluster-token: *n\n---\nname: y",
  });
  assert.equal(config.name, "x");
  assert.equal(config.preVote, false);
  assert.equal(config.initialClusterToken, "x");
});

const REFUSED_FILES: readonly (readonly [string, string])[] = [
  [
    "heartbeat-interval: abc",
    "string into Go struct field configYAML.Config.heartbeat-interval of type uint",
  ],
  [
    "heartbeat-interval: -1",
    "number -1 into Go struct field configYAML.Config.heartbeat-interval of type uint",
  ],
  [
    "heartbeat-interval: 1.5",
    "number 1.5 into Go struct field configYAML.Config.heartbeat-interval of type uint",
  ],
  [
    "grpc-keepalive-min-time: 5s",
    "string into Go struct field configYAML.Config.grpc-keepalive-min-time of type time.Duration",
  ],
  ["pre-vote: 1", "number into Go struct field configYAML.Config.pre-vote of type bool"],
  ["log-outputs: stderr", "string into Go struct field configYAML.Config.log-outputs of type []string"],
  [
    "auto-compaction-retention: 5\nauto-compaction-mode: 7",
    "number into Go struct field configYAML.Config.auto-compaction-mode of type string",
  ],
  [
    "client-transport-security: foo",
    "string into Go struct field configYAML.configJSON.client-transport-security of type embed.securityConfig",
  ],
  ["[a, b]", "array into Go value of type embed.configYAML"],
];

test("a file with a value of the wrong kind is refused in the words of Go's decoder", () => {
  for (const [file, expected] of REFUSED_FILES) {
    const full = `1 error unmarshaling JSON: while decoding JSON: json: cannot unmarshal ${expected}`;
    assert.equal(problemOf({ args: "--config-file c", file }), full, file);
  }
  assert.match(
    problemOf({ args: "--config-file c", file: "name: [a" }),
    /^1 error converting YAML to JSON: yaml: line 1: /,
  );
  const metrics = problemOf({ args: "--config-file c", file: "listen-metrics-urls: foo" });
  const scheme = "URL scheme must be http, https, unix, or unixs: foo";
  assert.equal(metrics, `1 unexpected error setting up listen-metrics-urls: ${scheme}`);
});

test("help and version print and end with 0", () => {
  const help = run({ args: "--help" });
  assert(help.kind === "printed" && help.exitCode === 0);
  for (const section of ["Member:", "Clustering:", "Security:", "Auth:", "Logging:", "Unsafe feature:"]) {
    assert.ok(help.stdout.includes(`\n${section}\n`), section);
  }
  const version = run({ args: "--version" });
  assert(version.kind === "printed" && version.exitCode === 0);
  assert.match(version.stdout, /^etcd Version: 3\.7\.1\nGit SHA: .+\nGo Version: .+\nGo OS\/Arch: .+\n$/);
});
