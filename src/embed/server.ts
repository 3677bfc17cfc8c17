// A whole server: opens the member, then the listeners, and says when it is ready. What `cairn` runs and what tests embed.
// It wires; nothing is decided here.

import type { Server as HttpServer } from "node:http";
import type { Socket } from "node:net";
import type { MemberId } from "../base/brand.ts";
import { errorText } from "../base/error-text.ts";
import { goDuration } from "../base/go-duration.ts";
import { humanBytes } from "../base/human-bytes.ts";
import { firstStart } from "../bootstrap/first-start.ts";
import { joinHealed } from "../bootstrap/heal-join.ts";
import { hexId } from "../cluster/ids.ts";
import type { Config } from "../config/config.ts";
import { connectionLimit } from "../config/connection-limit.ts";
import { registerFeatureMetrics } from "../config/feature-metrics.ts";
import { clientTlsContext, type ListenTarget, listenTargets } from "../config/listening.ts";
import { STARTUP_MESSAGE, startupFields } from "../config/startup-line.ts";
import type { EndpointUrl } from "../config/urls.ts";
import { EtcdDataError } from "../etcdfile/import.ts";
import type { GrpcCall } from "../grpc/call.ts";
import { GrpcServer } from "../grpc/server.ts";
import { createClientHandler, createMetricsHandler, type HttpOptions } from "../http/handler.ts";
import { createHttpServer } from "../http/server.ts";
import { LogOpenError } from "../log/errors.ts";
import { logDirectory } from "../log/paths.ts";
import type { Member } from "../member/member.ts";
import { advice, CannotGoOnError } from "../member/membership/advice.ts";
import type { InitialCluster } from "../member/membership/initial-cluster.ts";
import { publish } from "../member/membership/publish.ts";
import { VersionError } from "../member/membership/version-monitor.ts";
import type { PeerClient } from "../member/network/transport.ts";
import { NoDataError, openMember, type World } from "../member/open.ts";
import { readTicket } from "../member/upkeep/heal-ticket.ts";
import { finishHealing } from "../member/upkeep/healing.ts";
import { sizeFields } from "../member/upkeep/size-fields.ts";
import { nodeClock } from "../node/clock.ts";
import { tryLockDatabase } from "../node/database-lock.ts";
import { nodeDigest } from "../node/digest.ts";
import { nodeDisk } from "../node/disk.ts";
import { hashThread } from "../node/hash-thread.ts";
import { Listener } from "../node/listener.ts";
import type { NodeLogger } from "../node/logger.ts";
import { MetricsRegistry } from "../node/metrics.ts";
import { ETCD_METRICS } from "../node/metrics-catalog.ts";
import { GrpcMetrics } from "../node/metrics-grpc.ts";
import { fileDescriptorLimit, type ProcessMetrics, registerProcessMetrics } from "../node/metrics-process.ts";
import { nodeRandom } from "../node/random.ts";
import type { TlsContext } from "../node/tls-context.ts";
import type { PeerNetwork } from "../peer/network.ts";
import { HealthService } from "../service/health.ts";
import { methodTable } from "../service/methods.ts";
import { MESSAGE_OVERHEAD_BYTES } from "../service/watch.ts";
import { healthSource } from "./health-source.ts";
import { clientRequestCells, registerMember, registerTransport } from "./member-metrics.ts";
import { memberOptions } from "./member-options.ts";
import { openPeers } from "./peers.ts";
import { plainBridge } from "./plain-bridge.ts";

/**
 * So few are flushed inline, and their answers leave in the same turn. With more, the flush is in the thread pool, and there is time to
 * acknowledge pings meanwhile: holding those back was no gain with a thousand writers, rather a loss.
 */
const FEW_PROPOSALS = 4;
/** What helps a member whose data is wrong. */
const HEAL_STEP =
  "cairn heal --data-dir DIR --endpoints CLIENT-URLS-OF-THE-OTHERS, where this member's directory is; then start it";
/** Go's exit code of a panic. */
const PANIC_EXIT_CODE = 2;
/** Calls have so long to end by themselves when the server stops. */
const DRAIN_MILLIS = 1000;

export type Server = {
  readonly member: Member;
  readonly metrics: MetricsRegistry;
  /** Ports of --listen-client-urls, in their order and each once, as really taken (0 for unix sockets). */
  readonly clientPorts: readonly number[];
  /** Resolves when this member was removed from its cluster: there is nothing left to do but to close. */
  readonly removed: Promise<void>;
  /** Ends gracefully: GOAWAY to clients, a last checkpoint, the directory free again. */
  close(): Promise<void>;
};

/** Why a server did not start, in the words of its log line. */
export class StartError extends Error {
  override readonly name = "StartError";
  readonly fields: Readonly<Record<string, unknown>>;
  constructor(message: string, fields: Readonly<Record<string, unknown>>) {
    super(message);
    this.fields = fields;
  }
}

/** Rejects with a StartError when the configuration or the data directory does not allow it. */
export async function startServer(
  config: Config,
  logger: NodeLogger,
  args: readonly string[],
): Promise<Server> {
  const metrics = new MetricsRegistry();
  metrics.declare(ETCD_METRICS);
  registerFeatureMetrics(metrics, config.featureGates);
  const processMetrics = registerProcessMetrics(metrics);
  const here = world(config, logger, metrics);
  const tls = await clientTlsContext(config, logger).catch(cannotStart);
  const removal = new Removal();
  const peers = await openPeers(config, logger, metrics, () => removal.hear()).catch(cannotStart);
  const member = await openBetween(peers, config, logger, here);
  removal.of(member);
  registerMember(metrics, member);
  if (config.bootstrapDefragThresholdMegabytes > 0) skipDefragmentation(config, member, logger);
  const health = new HealthService();
  const http = httpOptions(config, member, metrics, processMetrics, logger, args);
  const edge = await openEdge(config, member, peers, health, http, tls, metrics, logger);
  registerTransport(metrics, edge.grpc.stats);
  processMetrics.serving();
  void healIfAsked(member, here).catch((error: unknown) => member.fatal(error));
  await Promise.race([publish(member), removal.promise]);
  announce(config, member.localId, edge.clientListeners, logger);
  return {
    member,
    metrics,
    removed: removal.promise,
    clientPorts: edge.clientListeners.flatMap(({ listener, traffic }) =>
      traffic === "http" ? [] : [listener.port],
    ),
    close: async () => {
      const fields = {
        name: config.name,
        "data-dir": config.dataDir,
        "advertise-peer-urls": config.advertisePeerUrls.map((url) => url.text),
        "advertise-client-urls": config.advertiseClientUrls.map((url) => url.text),
      };
      logger.info("closing etcd server", fields);
      health.setServing(false);
      await edge.close();
      await member.close();
      await peers.close();
      processMetrics.stop();
      logger.info("closed etcd server", fields);
    },
  };
}

/** What --bootstrap-defrag-threshold-megabytes comes to: the line that tells an operator so, in etcd's words. */
function skipDefragmentation(config: Config, { store }: Member, logger: NodeLogger): void {
  const threshold = config.bootstrapDefragThresholdMegabytes * 1024 * 1024;
  logger.info("Skipping defragmentation", {
    ...sizeFields(store.liveBytes),
    "bootstrap-defrag-threshold-bytes": threshold,
    "bootstrap-defrag-threshold": humanBytes(threshold),
  });
}

/** Whether the member was removed from its cluster. Other members may say so before this one has been opened, and more than once. */
class Removal {
  readonly promise: Promise<void>;
  #resolve: () => void = () => {};
  #member: Member | undefined;
  #heard = false;

  constructor() {
    this.promise = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  of(member: Member): void {
    this.#member = member;
    member.onRemoved = this.#resolve;
    if (this.#heard) member.removed();
  }

  hear(): void {
    this.#heard = true;
    this.#member?.removed();
  }
}

function cannotStart(error: unknown): never {
  throw new StartError("failed to start etcd", { error: errorText(error) });
}

/** The member, with its ways to the others. The network is closed again when there can be no member. */
async function openBetween(
  network: PeerNetwork,
  config: Config,
  logger: NodeLogger,
  here: World,
): Promise<Member> {
  try {
    const cluster = await initialCluster(config, logger, network.client, here);
    const world = { ...here, connect: network.connect };
    const known = cluster === undefined;
    const member = await open(config, cluster, world).catch(async (error: unknown) => {
      // A first start that was cut off has left a directory and nothing else: which cluster it is of, it must ask again.
      if (!(error instanceof NoDataError)) throw error;
      return open(config, await firstCluster(config, logger, network.client, here), world);
    });
    if (known) await checkCorruption(member, config, logger);
    return member;
  } catch (error) {
    await network.close();
    throw error;
  }
}

/** Only a member without data looks at the flags that name its first cluster; undefined when there is data. */
async function initialCluster(
  config: Config,
  logger: NodeLogger,
  peers: PeerClient,
  { disk, digest }: World,
): Promise<InitialCluster | undefined> {
  const known =
    (await disk.exists(logDirectory(config.dataDir, config.walDir))) ||
    (await disk.exists(`${config.dataDir}/member/snap/db`));
  logger.info(STARTUP_MESSAGE, startupFields(config, known));
  const ticket = await readTicket(disk, config.dataDir).catch(cannotStart);
  if (ticket !== undefined) {
    const healed = await joinHealed(ticket, peers);
    if (typeof healed !== "string") return healed;
    if (known && ticket.step === "ready") return undefined;
    throw new StartError("failed to start etcd", { error: healed });
  }
  return known ? undefined : firstCluster(config, logger, peers, { digest });
}

async function firstCluster(
  config: Config,
  logger: NodeLogger,
  peers: PeerClient,
  { digest }: Pick<World, "digest">,
): Promise<InitialCluster> {
  const cluster = await firstStart(config, {
    peers,
    digest,
    logger: logger.named("bootstrap/first-start.ts"),
  });
  if (typeof cluster === "string") throw new StartError("discovery failed", { error: cluster });
  if (cluster.kind === "refused")
    throw new StartError("discovery failed", { error: cluster.error, ...cluster.fields });
  return cluster;
}

/** A member that `cairn heal` has replaced finishes that itself. */
async function healIfAsked(member: Member, { disk }: World): Promise<void> {
  const ticket = await readTicket(disk, member.options.dataDirectory);
  if (ticket?.newId === member.localId) await finishHealing(member, ticket, disk);
}

/** A member that differs from the others must not serve. One that is new has nothing to compare. */
async function checkCorruption(member: Member, config: Config, logger: NodeLogger): Promise<void> {
  const { featureGates } = config;
  const isAsked = featureGates.enabled("InitialCorruptCheck");
  if (!isAsked && featureGates.isSet("InitialCorruptCheck")) return;
  const check = isAsked ? member.corruptionCheck.initial() : member.corruptionCheck.impliedInitial();
  // What nobody asked for, and could not be made, keeps nobody from serving.
  const problem = await check.catch((error: unknown) => (isAsked ? errorText(error) : undefined));
  if (problem === undefined) return;
  logger.error("checkInitialHashKV failed", { error: problem });
  await member.close();
  const why = "this member's data differs from the others'";
  throw new StartError("failed to start etcd", { error: problem, ...advice(why, [HEAL_STEP]) });
}

async function open(config: Config, cluster: InitialCluster | undefined, here: World): Promise<Member> {
  try {
    return await openMember(memberOptions(config, cluster), here);
  } catch (error) {
    if (error instanceof LogOpenError || error instanceof EtcdDataError) {
      throw new StartError("failed to open the data directory", {
        "data-dir": config.dataDir,
        path: error.path,
        kind: error.kind,
        error: error.message,
      });
    }
    if (error instanceof VersionError) throw new StartError(error.message, error.fields);
    throw error;
  }
}

/** What a listening socket serves, in the words of etcd's log. */
type Traffic = "grpc" | "http" | "grpc+http";
type ClientListener = {
  readonly listener: Listener;
  readonly target: ListenTarget;
  readonly traffic: Traffic;
};

type Edge = {
  readonly grpc: GrpcServer;
  /** Those of --listen-client-urls first. */
  readonly clientListeners: readonly ClientListener[];
  close(): Promise<void>;
};

/** All listening sockets, and what answers on them. Everything is closed again when one cannot be opened. */
async function openEdge(
  config: Config,
  member: Member,
  peers: PeerNetwork,
  health: HealthService,
  http: HttpOptions,
  tls: TlsContext | undefined,
  metrics: MetricsRegistry,
  logger: NodeLogger,
): Promise<Edge> {
  const clientHandler = createClientHandler(http);
  const clientHttp = createHttpServer(clientHandler);
  const metricsHttp = createHttpServer(createMetricsHandler(http));
  const apart = config.listenClientHttpUrls.length > 0;
  const grpc = new GrpcServer({
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
    onPlainRequest: apart ? undefined : plainBridge(clientHandler),
    plainRequestsWithoutTls: true,
  });
  member.onBatchAnswered = () => grpc.flush();
  member.leaderWatch.onLeaderless = () => grpc.sendAway();
  const { connectionsMax } = checkedLimit();
  const listeners: Listener[] = [];
  const clientListeners: ClientListener[] = [];
  const close = async (): Promise<void> => {
    for (const listener of listeners) listener.close();
    await grpc.drain(DRAIN_MILLIS);
    for (const server of [clientHttp, metricsHttp]) server.closeAllConnections();
  };
  const listen = async (target: ListenTarget, traffic: Traffic, server: HttpServer): Promise<Listener> => {
    const listener = await Listener.open({
      address: target.address,
      tls: target.secure ? tls : undefined,
      alsoPlain: target.plain,
      onHttp2: traffic === "http" ? undefined : (socket, head) => grpc.accept(socket, head),
      onHttp1: traffic === "grpc" ? undefined : (socket: Socket) => server.emit("connection", socket),
      logger: logger.named("node/listener.ts"),
      connectionsMax,
    });
    listeners.push(listener);
    return listener;
  };
  const listenForClients = async (urls: readonly EndpointUrl[], traffic: Traffic): Promise<void> => {
    for (const target of listenTargets(urls))
      clientListeners.push({ listener: await listen(target, traffic, clientHttp), target, traffic });
  };
  try {
    await listenForClients(config.listenClientUrls, apart ? "grpc" : "grpc+http");
    await listenForClients(config.listenClientHttpUrls, "http");
    for (const target of listenTargets(config.listenMetricsUrls)) await listen(target, "http", metricsHttp);
  } catch (error) {
    await close();
    await member.close();
    await peers.close();
    cannotStart(error);
  }
  return { grpc, clientListeners, close };
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
function checkedLimit(): { readonly connectionsMax: number } {
  const limit = connectionLimit(fileDescriptorLimit());
  if (!limit.ok) throw new StartError(limit.error, limit.fields);
  return limit;
}

function world(config: Config, logger: NodeLogger, metrics: MetricsRegistry): World {
  return {
    disk: nodeDisk({ flushes: !config.unsafeNoFsync }),
    clock: nodeClock(),
    digest: { ...nodeDigest(), sha256Stream: hashThread() },
    random: nodeRandom(),
    logger: logger.named("member/member.ts"),
    raftLogger: logger.named("raft/raft.ts", "raft"),
    metrics,
    lockDatabase: async (path) => tryLockDatabase(path, "shared"),
    onFatal: (error) => {
      if (error instanceof CannotGoOnError) cannotGoOn(logger, error);
      logger.write("fatal", "the log can no longer be trusted; ending the process", { error: error.message });
      logger.flushSync();
      process.exit(1);
    },
  };
}

/** As etcd's panic ends: its text, and code 2. */
function cannotGoOn(logger: NodeLogger, error: CannotGoOnError): never {
  logger.write("fatal", error.message, error.fields);
  logger.flushSync();
  process.exit(PANIC_EXIT_CODE);
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

/** The lines that tools wait for. */
function announce(
  config: Config,
  localId: MemberId,
  listeners: readonly ClientListener[],
  logger: NodeLogger,
): void {
  const log = logger.named("embed/server.ts");
  const texts = (urls: readonly EndpointUrl[]): string[] => urls.map((url) => url.text);
  log.info("now serving peer/client/metrics", {
    "local-member-id": hexId(localId),
    "initial-advertise-peer-urls": texts(config.advertisePeerUrls),
    "listen-peer-urls": texts(config.listenPeerUrls),
    "advertise-client-urls": texts(config.advertiseClientUrls),
    "listen-client-urls": texts(config.listenClientUrls),
    "listen-metrics-urls": texts(config.listenMetricsUrls),
  });
  for (const { listener, target, traffic } of listeners) {
    const fields = { traffic, address: listener.address };
    log.info("ready to serve client requests");
    if (target.plain) log.info("serving client traffic insecurely; this is strongly discouraged!", fields);
    if (target.secure) log.info("serving client traffic securely", fields);
  }
}
