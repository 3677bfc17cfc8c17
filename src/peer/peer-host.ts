// What the handlers of the peer port share: who we are, whom messages go to, and the limits of waiting. Made by network.
import type { ServerResponse } from "node:http";
import { hexId } from "../cluster/ids.ts";
import type { PeerService, TransportReceiver } from "../member/network/transport.ts";
import { send } from "../node/http-reply.ts";
import type { Logger } from "../ports/logger.ts";
import type { Introduction } from "./compatibility.ts";
import type { PeerTimings } from "./limits.ts";
import type { PeerMetrics } from "./peer-metrics.ts";
import type { HttpTransport } from "./transport.ts";

export type PeerHost = {
  readonly introduction: Introduction;
  readonly receiver: TransportReceiver;
  readonly service: PeerService;
  readonly transport: HttpTransport;
  readonly metrics: PeerMetrics;
  readonly logger: Logger;
  readonly timings: PeerTimings;
};

export function setClusterId(host: PeerHost, response: ServerResponse): void {
  response.setHeader("X-Etcd-Cluster-ID", hexId(host.introduction.clusterId));
}

/** etcd's HTTPError. */
export function sendHttpError(response: ServerResponse, status: number, message: string): void {
  response.setHeader("Content-Type", "application/json");
  send(response, status, JSON.stringify({ message }));
}
