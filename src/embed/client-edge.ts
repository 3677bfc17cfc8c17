// What clients reach: every listening socket of the client and metrics URLs, and the gRPC and HTTP servers behind them. Opened when there
// is a member to ask, closed before it.
import type { Server as HttpServer } from "node:http";
import type { Socket } from "node:net";
import { goDuration } from "../base/go-duration.ts";
import type { Config } from "../config/config.ts";
import { connectionLimit } from "../config/connection-limit.ts";
import { type ListenTarget, listenTargets } from "../config/listening.ts";
import type { EndpointUrl } from "../config/urls.ts";
import type { GrpcCall } from "../grpc/call.ts";
import { GrpcServer } from "../grpc/server.ts";
import { createClientHandler, createMetricsHandler, type HttpOptions } from "../http/handler.ts";
import { createHttpServer } from "../http/server.ts";
import type { Member } from "../member/member.ts";
import { Listener } from "../node/listener.ts";
import type { NodeLogger } from "../node/logger.ts";
import type { MetricsRegistry } from "../node/metrics.ts";
import { GrpcMetrics } from "../node/metrics-grpc.ts";
import { fileDescriptorLimit, type ProcessMetrics } from "../node/metrics-process.ts";
import type { TlsContext } from "../node/tls-context.ts";
import type { HealthService } from "../service/health.ts";
import { methodTable } from "../service/methods.ts";
import { MESSAGE_OVERHEAD_BYTES } from "../service/watch.ts";
import { healthSource } from "./health-source.ts";
import { clientRequestCells } from "./member-metrics.ts";
import { plainBridge } from "./plain-bridge.ts";
import { StartError } from "./start-error.ts";

/**
 * So few are flushed inline, and their answers leave in the same turn. With more, the flush is in the thread pool, and there is time to
 * acknowledge pings meanwhile: holding those back was no gain with a thousand writers, rather a loss.
 */
const FEW_PROPOSALS = 4;
/** Calls have so long to end by themselves when the server stops. */
const DRAIN_MILLIS = 1000;

export type ClientEdgeOptions = {
  readonly config: Config;
  readonly member: Member;
  readonly health: HealthService;
  /** Of the URLs with https and unixs. */
  readonly tls: TlsContext | undefined;
  readonly metrics: MetricsRegistry;
  readonly processMetrics: ProcessMetrics;
  readonly logger: NodeLogger;
  /** The command line, which /debug/vars shows. */
  readonly args: readonly string[];
};

/** What a listening socket serves, in the words of etcd's log. */
type Traffic = "grpc" | "http" | "grpc+http";
type ClientListener = {
  readonly listener: Listener;
  readonly target: ListenTarget;
  readonly traffic: Traffic;
};

export class ClientEdge {
  readonly grpc: GrpcServer;
  readonly #options: ClientEdgeOptions;
  readonly #clientHttp: HttpServer;
  readonly #metricsHttp: HttpServer;
  /** gRPC and HTTP have URLs of their own. */
  readonly #apart: boolean;
  readonly #connectionsMax: number;
  /** Those of --listen-client-urls first. */
  readonly #clientListeners: ClientListener[] = [];
  readonly #listeners: Listener[] = [];

  /** Throws a StartError when there are no files left for connections. */
  constructor(options: ClientEdgeOptions) {
    this.#options = options;
    const { config, member } = options;
    this.#connectionsMax = checkedConnectionsMax();
    this.#apart = config.listenClientHttpUrls.length > 0;
    const http = httpOptions(options);
    const clientHandler = createClientHandler(http);
    this.#clientHttp = createHttpServer(clientHandler);
    this.#metricsHttp = createHttpServer(createMetricsHandler(http));
    this.grpc = grpcServer(options, this.#apart, this.#apart ? undefined : plainBridge(clientHandler));
    member.onBatchAnswered = () => this.grpc.flush();
    member.leaderWatch.onLeaderless = () => this.grpc.sendAway();
  }

  /** Rejects when an address cannot be taken; close is due then too. */
  async listen(): Promise<void> {
    const { listenClientUrls, listenClientHttpUrls, listenMetricsUrls } = this.#options.config;
    await this.#listenForClients(listenClientUrls, this.#apart ? "grpc" : "grpc+http");
    await this.#listenForClients(listenClientHttpUrls, "http");
    for (const target of listenTargets(listenMetricsUrls)) {
      await this.#listenOn(target, "http", this.#metricsHttp);
    }
  }

  /** Ports of --listen-client-urls, in their order and each once, as really taken (0 for unix sockets). */
  get clientPorts(): number[] {
    return this.#clientListeners.flatMap(({ listener, traffic }) =>
      traffic === "http" ? [] : [listener.port],
    );
  }

  /** Logs the lines that tools wait for. */
  announce(logger: NodeLogger): void {
    for (const { listener, target, traffic } of this.#clientListeners) {
      const fields = { traffic, address: listener.address };
      logger.info("ready to serve client requests");
      if (target.plain)
        logger.info("serving client traffic insecurely; this is strongly discouraged!", fields);
      if (target.secure) logger.info("serving client traffic securely", fields);
    }
  }

  async close(): Promise<void> {
    for (const listener of this.#listeners) listener.close();
    await this.grpc.drain(DRAIN_MILLIS);
    for (const server of [this.#clientHttp, this.#metricsHttp]) server.closeAllConnections();
  }

  async #listenForClients(urls: readonly EndpointUrl[], traffic: Traffic): Promise<void> {
    for (const target of listenTargets(urls)) {
      const listener = await this.#listenOn(target, traffic, this.#clientHttp);
      this.#clientListeners.push({ listener, target, traffic });
    }
  }

  async #listenOn(target: ListenTarget, traffic: Traffic, http: HttpServer): Promise<Listener> {
    const { tls, logger } = this.#options;
    const listener = await Listener.open({
      address: target.address,
      tls: target.secure ? tls : undefined,
      alsoPlain: target.plain,
      onHttp2: traffic === "http" ? undefined : (socket, head) => this.grpc.accept(socket, head),
      onHttp1: traffic === "grpc" ? undefined : (socket: Socket) => http.emit("connection", socket),
      logger: logger.named("node/listener.ts"),
      connectionsMax: this.#connectionsMax,
    });
    this.#listeners.push(listener);
    return listener;
  }
}

/** Rejects when one of the addresses that a ClientEdge will listen on is taken. */
export async function probeAddresses(config: Config): Promise<void> {
  for (const urls of [config.listenClientUrls, config.listenClientHttpUrls, config.listenMetricsUrls])
    for (const { address } of listenTargets(urls)) await Listener.probe(address);
}

function grpcServer(
  { config, member, health, metrics, logger }: ClientEdgeOptions,
  apart: boolean,
  onPlainRequest: ReturnType<typeof plainBridge> | undefined,
): GrpcServer {
  return new GrpcServer({
    methods: methodTable(member, health),
    clientRequests: clientRequestCells(metrics),
    slowUnaryMillis: config.warningUnaryRequestDurationMillis,
    onSlowUnary: slowUnaryLine(logger.named("grpc/server.ts")),
    answersSoon: () => member.pendingProposals > 0 && member.pendingProposals <= FEW_PROPOSALS,
    methodStats: new GrpcMetrics(metrics, config.metricsExtensive).method,
    clock: member.clock,
    maxReceiveBytes: config.requestBytesMax + MESSAGE_OVERHEAD_BYTES,
    maxConcurrentStreams: config.concurrentStreamsMax,
    pingLimits: { minTimeMs: config.grpcKeepaliveMinTimeMillis, permitWithoutStream: false },
    keepaliveIntervalMs: config.grpcKeepaliveIntervalMillis,
    keepaliveTimeoutMs: config.grpcKeepaliveTimeoutMillis,
    // Where etcd's TLS port is shared with the HTTP mux, Go's HTTP/2 server answers, which counts no pings.
    enforcePingsOverTls: apart,
    onPlainRequest,
    plainRequestsWithoutTls: true,
  });
}

/** etcd's line about a slow unary call; what the messages held is not known here. */
function slowUnaryLine(logger: NodeLogger): (call: GrpcCall, millis: number) => void {
  return (call, millis) =>
    logger.warn("request stats", {
      "start time": new Date(Date.now() - millis).toISOString(),
      "time spent": goDuration(millis),
      remote: call.remoteAddress,
      "response type": call.route.path,
      "request count": -1,
      "request size": call.requestBytes,
      "response count": -1,
      "response size": call.responseBytes,
      "request content": "",
    });
}

/** Files left for connections; a start without any is refused, as etcd does. */
function checkedConnectionsMax(): number {
  const limit = connectionLimit(fileDescriptorLimit());
  if (!limit.ok) throw new StartError(limit.error, limit.fields);
  return limit.connectionsMax;
}

function httpOptions(options: ClientEdgeOptions): HttpOptions {
  const { config, member, metrics, processMetrics, logger, args } = options;
  return {
    source: healthSource(member),
    logger: logger.named("http/health.ts"),
    metrics,
    processMetrics: {
      ...processMetrics,
      scrapeStarted: () => {
        member.rangeTimer.settle();
        processMetrics.scrapeStarted();
      },
    },
    corsOrigins: config.corsOrigins,
    hostWhitelist: config.hostWhitelist,
    clientCertAuth: config.clientTls.clientCertAuth,
    enablePprof: config.enablePprof,
    enableGrpcGateway: config.enableGrpcGateway,
    gateway: undefined,
    args,
  };
}
