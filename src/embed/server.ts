// A whole server: opens the member, then the listeners, and says when it is ready. What `cairn` runs and what tests embed.
// It wires; nothing is decided here.
import type { Server as HttpServer } from "node:http";
import { SERVER_VERSION } from "../base/version.ts";
import { hexId } from "../cluster/ids.ts";
import type { Config } from "../config/config.ts";
import { type EndpointUrl, isSecure } from "../config/urls.ts";
import { GrpcServer } from "../grpc/server.ts";
import { createClientHandler, createMetricsHandler, type HttpOptions } from "../http/handler.ts";
import { createHttpServer } from "../http/server.ts";
import type { Member } from "../member/member.ts";
import { openMember, type World } from "../member/open.ts";
import { publish } from "../member/publish.ts";
import { nodeClock } from "../node/clock.ts";
import { tryLockDatabase } from "../node/database-lock.ts";
import { nodeDigest } from "../node/digest.ts";
import { nodeDisk } from "../node/disk.ts";
import type { NodeLogger } from "../node/logger.ts";
import { MetricsRegistry } from "../node/metrics.ts";
import { ETCD_METRICS } from "../node/metrics-catalog.ts";
import { type ProcessMetrics, registerProcessMetrics } from "../node/metrics-process.ts";
import { nodeRandom } from "../node/random.ts";
import { HealthService } from "../service/health.ts";
import { methodTable } from "../service/methods.ts";
import { MESSAGE_OVERHEAD_BYTES } from "../service/watch.ts";
import { healthSource } from "./health-source.ts";
import { type Listener, listen } from "./listen.ts";
import { flushHistogram, registerMember } from "./member-metrics.ts";
import { memberOptions } from "./member-options.ts";

/** Streams have so long to end by themselves when the server stops. */
const DRAIN_MILLIS = 1000;

export type Server = {
  readonly member: Member;
  readonly metrics: MetricsRegistry;
  /** Client URLs that are served, with the ports that were really taken. */
  readonly urls: readonly string[];
  /** Ends gracefully: GOAWAY to clients, a last checkpoint, the directory free again. */
  close(): Promise<void>;
};

export async function startServer(
  config: Config,
  logger: NodeLogger,
  args: readonly string[],
): Promise<Server> {
  const metrics = new MetricsRegistry();
  metrics.declare(ETCD_METRICS);
  const processMetrics = registerProcessMetrics(metrics);
  const fsync = flushHistogram(metrics);
  const member = await openMember(
    memberOptions(config),
    world(logger, (seconds) => fsync.observe(seconds)),
  );
  registerMember(metrics, member);
  const health = new HealthService();
  const http: HttpOptions = httpOptions(config, member, metrics, processMetrics, logger, args);
  const grpc = new GrpcServer({
    methods: methodTable(member, health),
    clock: member.clock,
    maxReceiveBytes: config.requestBytesMax + MESSAGE_OVERHEAD_BYTES,
    maxConcurrentStreams: config.concurrentStreamsMax,
    pingLimits: { minTimeMs: config.grpcKeepaliveMinTimeMillis, permitWithoutStream: false },
    keepaliveIntervalMs: config.grpcKeepaliveIntervalMillis,
    keepaliveTimeoutMs: config.grpcKeepaliveTimeoutMillis,
    onPlainRequest: undefined,
  });
  const listeners: Listener[] = [];
  const clientHttp = createHttpServer(createClientHandler(http));
  const metricsHttp = createHttpServer(createMetricsHandler(http));
  for (const url of config.listenClientUrls)
    listeners.push(await listen(url, grpc, config.listenClientHttpUrls.length > 0 ? undefined : clientHttp));
  for (const url of config.listenClientHttpUrls) listeners.push(await listen(url, undefined, clientHttp));
  for (const url of config.listenMetricsUrls) listeners.push(await listen(url, undefined, metricsHttp));
  await publish(member);
  announce(config, member, logger);
  return {
    member,
    metrics,
    urls: listeners.slice(0, config.listenClientUrls.length).map((listener) => listener.url),
    close: async () => {
      health.setServing(false);
      for (const listener of listeners) listener.stop();
      await grpc.drain(DRAIN_MILLIS);
      closeHttp(clientHttp);
      closeHttp(metricsHttp);
      await member.close();
      processMetrics.stop();
    },
  };
}

function world(logger: NodeLogger, onFlushed: (seconds: number) => void): World {
  return {
    disk: nodeDisk(),
    clock: nodeClock(),
    digest: nodeDigest(),
    random: nodeRandom(),
    logger: logger.named("member/member.ts"),
    lockDatabase: async (path) => tryLockDatabase(path, "shared"),
    onFlushed,
    onFatal: (error) => {
      logger.write("fatal", "the log can no longer be trusted; ending the process", { error: error.message });
      logger.flushSync();
      process.exit(1);
    },
  };
}

function httpOptions(
  config: Config,
  member: Member,
  metrics: MetricsRegistry,
  processMetrics: ProcessMetrics,
  logger: NodeLogger,
  args: readonly string[],
): HttpOptions {
  return {
    source: healthSource(member),
    logger: logger.named("http/health.ts"),
    metrics,
    processMetrics,
    corsOrigins: config.corsOrigins,
    hostWhitelist: config.hostWhitelist,
    clientCertAuth: config.clientTls.clientCertAuth,
    enablePprof: config.enablePprof,
    enableGrpcGateway: config.enableGrpcGateway,
    gateway: undefined,
    args,
  };
}

function closeHttp(server: HttpServer): void {
  server.close();
  server.closeAllConnections();
}

/** The lines that tools wait for. */
function announce(config: Config, member: Member, logger: NodeLogger): void {
  const log = logger.named("embed/serve.go:1");
  logger.info("ready to serve client requests", {
    "local-member-id": hexId(member.localId),
    "cluster-id": hexId(member.clusterId),
    "server-version": SERVER_VERSION,
  });
  for (const url of config.listenClientUrls) {
    const kind = isSecure(url) ? "securely" : "insecurely; this is strongly discouraged";
    log.info(`serving client traffic ${kind}`, { traffic: "grpc+http", address: url.host });
  }
}

export function describeUrl(url: EndpointUrl): string {
  return url.text;
}
