// The network between members as the configuration wants it, bound to the peer URLs. Called by server.ts before there is a member: a member
// that joins asks the others first.
import type { Config } from "../config/config.ts";
import { peerSettings } from "../config/listening.ts";
import { nodeClock } from "../node/clock.ts";
import type { NodeLogger } from "../node/logger.ts";
import type { MetricsRegistry } from "../node/metrics.ts";
import { openPeerNetwork, type PeerNetwork } from "../peer/network.ts";

/** Rejects, with nothing left open, when an address or the TLS files cannot be used. */
export async function openPeers(
  config: Config,
  logger: NodeLogger,
  metrics: MetricsRegistry,
  onRemoved: () => void,
): Promise<PeerNetwork> {
  const network = openPeerNetwork({
    ...(await peerSettings(config, logger)),
    clock: nodeClock(),
    logger: logger.named("peer/network.ts"),
    metrics,
    onRemoved,
  });
  await network.listen();
  return network;
}
