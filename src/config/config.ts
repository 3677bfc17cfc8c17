// The one configuration of a server, readonly and complete: what main.ts wires from. Units stand last in the names. Built by
// src/config/build from the command line, the environment or a file; nobody else makes one, and nobody changes it.
import type { ByteCount, Millis } from "../base/brand.ts";
import type { LoggingOptions } from "../node/logger.ts";
import type { FeatureGates } from "./feature-gates.ts";
import type { EndpointUrl } from "./urls.ts";

export type TlsVersion = "TLS1.2" | "TLS1.3";

/** One side of TLS: towards clients, or towards other members. Empty texts mean "not given". */
export type TlsConfig = {
  readonly certFile: string;
  readonly keyFile: string;
  /** With which the server itself calls, when not certFile. */
  readonly clientCertFile: string;
  readonly clientKeyFile: string;
  readonly clientCertAuth: boolean;
  /** Given = client certificates are required and verified, as in etcd, even without clientCertAuth. */
  readonly trustedCaFile: string;
  readonly crlFile: string;
  readonly allowedCommonNames: readonly string[];
  readonly allowedHostnames: readonly string[];
  readonly skipClientSanVerification: boolean;
  readonly autoTls: boolean;
};

export type AutoCompaction =
  | { readonly mode: "off" }
  | { readonly mode: "periodic"; readonly retentionMillis: Millis }
  | { readonly mode: "revision"; readonly retentionRevisions: number };

/** v3 discovery: a registry in an etcd that runs already. Empty texts mean "not given". */
export type DiscoveryConfig = {
  readonly endpoints: readonly string[];
  readonly token: string;
  readonly dialTimeoutMillis: Millis;
  readonly requestTimeoutMillis: Millis;
  readonly keepaliveTimeMillis: Millis;
  readonly keepaliveTimeoutMillis: Millis;
  readonly insecureTransport: boolean;
  readonly insecureSkipVerify: boolean;
  readonly certFile: string;
  readonly keyFile: string;
  readonly caFile: string;
  readonly user: string;
  readonly password: string;
};

export type Config = {
  readonly name: string;
  readonly dataDir: string;
  /** "" = inside dataDir. */
  readonly walDir: string;

  readonly heartbeatIntervalMillis: Millis;
  readonly electionTimeoutMillis: Millis;
  readonly initialElectionTickAdvance: boolean;
  readonly preVote: boolean;
  readonly strictReconfigCheck: boolean;
  readonly learnersMax: number;
  readonly raftReadTimeoutMillis: Millis;
  readonly raftWriteTimeoutMillis: Millis;
  readonly downgradeCheckIntervalMillis: Millis;

  readonly snapshotCount: number;
  readonly snapshotCatchupEntries: number;
  readonly snapshotFilesMax: number;
  readonly walFilesMax: number;

  readonly listenPeerUrls: readonly EndpointUrl[];
  readonly listenClientUrls: readonly EndpointUrl[];
  /** Not empty: listenClientUrls serve gRPC alone, these HTTP alone. */
  readonly listenClientHttpUrls: readonly EndpointUrl[];
  readonly listenMetricsUrls: readonly EndpointUrl[];
  readonly advertisePeerUrls: readonly EndpointUrl[];
  readonly advertiseClientUrls: readonly EndpointUrl[];

  /** As given; parsed and judged by src/bootstrap when the data directory is empty, else without meaning. */
  readonly initialCluster: string;
  readonly discovery: DiscoveryConfig | undefined;
  /** DNS: the domain, and the suffix of the service's name ("" = none). */
  readonly discoverySrv: { readonly domain: string; readonly serviceName: string } | undefined;
  readonly initialClusterState: "new" | "existing";
  readonly initialClusterToken: string;
  readonly forceNewCluster: boolean;

  /** 0 = not asked for. There is never anything to defragment. */
  readonly bootstrapDefragThresholdMegabytes: number;
  /** Infinity = no limit. */
  readonly quotaBackendBytes: ByteCount;
  readonly txnOpsMax: number;
  readonly requestBytesMax: ByteCount;
  readonly concurrentStreamsMax: number;
  readonly grpcKeepaliveMinTimeMillis: Millis;
  /** 0 = the server does not ping. */
  readonly grpcKeepaliveIntervalMillis: Millis;
  readonly grpcKeepaliveTimeoutMillis: Millis;
  readonly enableGrpcGateway: boolean;

  readonly clientTls: TlsConfig;
  readonly peerTls: TlsConfig;
  readonly cipherSuites: readonly string[];
  readonly tlsVersionMin: TlsVersion | undefined;
  readonly tlsVersionMax: TlsVersion | undefined;
  readonly selfSignedCertValidityYears: number;
  /** Origins, or "*" among them for all. */
  readonly corsOrigins: ReadonlySet<string>;
  /** Host names, or "*" among them (or none at all) for all. */
  readonly hostWhitelist: ReadonlySet<string>;

  readonly authToken: string;
  readonly authTokenTtlSeconds: number;
  readonly bcryptCost: number;

  readonly autoCompaction: AutoCompaction;
  readonly compactionBatchLimit: number;
  readonly compactionSleepIntervalMillis: Millis;
  readonly corruptCheckIntervalMillis: Millis;
  /** --corrupt-check-time was given, be it 0. */
  readonly corruptCheckGiven: boolean;
  readonly compactHashCheckIntervalMillis: Millis;
  readonly watchProgressNotifyIntervalMillis: Millis;
  readonly warningApplyDurationMillis: Millis;
  readonly warningUnaryRequestDurationMillis: Millis;
  readonly unsafeNoFsync: boolean;

  readonly enablePprof: boolean;
  readonly metricsExtensive: boolean;
  readonly logging: LoggingOptions;
  readonly featureGates: FeatureGates;
};

/** How long a request through raft may take: time in queues, and two elections. */
export function requestTimeoutMillis(config: Config): number {
  return 5000 + 2 * config.electionTimeoutMillis;
}

/** Ticks per election, as raft counts. */
export function electionTicks(config: Config): number {
  return Math.floor(config.electionTimeoutMillis / config.heartbeatIntervalMillis);
}
