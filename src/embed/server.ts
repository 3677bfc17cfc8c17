// A whole server: opens the member, then the listeners, and says when it is ready. What `cairn` runs and what tests embed.
// It wires; nothing is decided here.

import { databaseBytes } from "../apply/quota.ts";
import type { MemberId } from "../base/brand.ts";
import { humanBytes } from "../base/human-bytes.ts";
import { hexId } from "../cluster/ids.ts";
import type { Config } from "../config/config.ts";
import { registerFeatureMetrics } from "../config/feature-metrics.ts";
import { clientTlsContext } from "../config/listening.ts";
import { urlTexts } from "../config/urls.ts";
import type { Member } from "../member/member.ts";
import { publish } from "../member/membership/publish.ts";
import { sizeFields } from "../member/upkeep/size-fields.ts";
import type { NodeLogger } from "../node/logger.ts";
import { MetricsRegistry } from "../node/metrics.ts";
import { ETCD_METRICS } from "../node/metrics-catalog.ts";
import { registerProcessMetrics } from "../node/metrics-process.ts";
import type { PeerNetwork } from "../peer/network.ts";
import { HealthService } from "../service/health.ts";
import { ClientEdge, type ClientEdgeOptions, probeAddresses } from "./client-edge.ts";
import { registerMember, registerTransport } from "./member-metrics.ts";
import { healIfAsked, openNetworkedMember } from "./networked-member.ts";
import { openPeers } from "./peers.ts";
import { cannotStart } from "./start-error.ts";
import { nodeWorld } from "./world.ts";

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
  const world = nodeWorld(config, logger, metrics);
  const tls = await clientTlsContext(config, logger).catch(cannotStart);
  const removal = new Removal();
  const peers = await openPeers(config, logger, metrics, () => removal.hear()).catch(cannotStart);
  // Before the data directory is touched: whoever mends the flags shall find it as it was.
  await probeAddresses(config).catch(async (error: unknown) => {
    await peers.close();
    cannotStart(error);
  });
  const member = await openNetworkedMember(peers, config, logger, world);
  removal.of(member);
  registerMember(metrics, member);
  if (config.bootstrapDefragThresholdMegabytes > 0) skipDefragmentation(config, member, logger);
  const health = new HealthService();
  const edge = await openEdge({ config, member, health, tls, metrics, processMetrics, logger, args }, peers);
  registerTransport(metrics, edge.grpc.stats);
  processMetrics.serving();
  void healIfAsked(member, world).catch((error: unknown) => member.fatal(error));
  await Promise.race([publish(member), removal.promise]);
  announce(config, member.localId, edge, logger.named("embed/server.ts"));
  return {
    member,
    metrics,
    removed: removal.promise,
    clientPorts: edge.clientPorts,
    close: async () => {
      const fields = {
        name: config.name,
        "data-dir": config.dataDir,
        "advertise-peer-urls": urlTexts(config.advertisePeerUrls),
        "advertise-client-urls": urlTexts(config.advertiseClientUrls),
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

/** Everything is closed again when a socket cannot be opened. */
async function openEdge(options: ClientEdgeOptions, peers: PeerNetwork): Promise<ClientEdge> {
  let edge: ClientEdge | undefined;
  try {
    edge = new ClientEdge(options);
    await edge.listen();
    return edge;
  } catch (error) {
    await edge?.close();
    await options.member.close();
    await peers.close();
    return cannotStart(error);
  }
}

/** What --bootstrap-defrag-threshold-megabytes comes to: the line that tells an operator so, in etcd's words. */
function skipDefragmentation(config: Config, { store }: Member, logger: NodeLogger): void {
  const threshold = config.bootstrapDefragThresholdMegabytes * 1024 * 1024;
  logger.info("Skipping defragmentation", {
    ...sizeFields(databaseBytes(store)),
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

/** The lines that tools wait for. */
function announce(config: Config, localId: MemberId, edge: ClientEdge, logger: NodeLogger): void {
  logger.info("now serving peer/client/metrics", {
    "local-member-id": hexId(localId),
    "initial-advertise-peer-urls": urlTexts(config.advertisePeerUrls),
    "listen-peer-urls": urlTexts(config.listenPeerUrls),
    "advertise-client-urls": urlTexts(config.advertiseClientUrls),
    "listen-client-urls": urlTexts(config.listenClientUrls),
    "listen-metrics-urls": urlTexts(config.listenMetricsUrls),
  });
  edge.announce(logger);
}
