// What members ask each other over HTTP, on the simulated network: a question travels like a message, is answered by the other member's
// own peer service, and travels back. Who cannot be reached, or does not answer in time, gives etcd's timeout.
import { errors } from "../base/errors.ts";
import { EtcdFault } from "../member/fault.ts";
import type { PeerClient, PeerService, TransportReceiver } from "../member/network/transport.ts";

/** Someone who answers. */
export type Answerer = { readonly receiver: TransportReceiver; readonly service: PeerService };

/** Asks whoever listens on one of the URLs; `question` runs in that member's process. */
export type Ask = <T>(
  peerUrls: readonly string[],
  timeoutMillis: number,
  question: (answerer: Answerer) => Promise<T>,
) => Promise<T>;

/** `tellsCopies`: whether answers say that copies are taken. */
export function simPeerClient(ask: Ask, tellsCopies: boolean): PeerClient {
  return {
    members: (urls, timeout) =>
      ask(urls, timeout, async ({ receiver, service }) => ({
        clusterId: receiver.clusterId,
        members: service.members(),
      })),
    versions: (urls, timeout) =>
      ask(urls, timeout, async ({ receiver, service }) => ({
        server: receiver.serverVersion,
        cluster: service.clusterVersion ?? "not_decided",
        ...(service.traits === undefined
          ? {}
          : { cairn: tellsCopies ? service.traits : { ...service.traits, copyFormat: 0 } }),
      })),
    promote: (urls, id, timeout) => ask(urls, timeout, ({ service }) => service.promote(id)),
    renewLease: (urls, id, timeout) => ask(urls, timeout, ({ service }) => service.renewLease(id)),
    leaseTimeToLive: (urls, id, withKeys, timeout) =>
      ask(urls, timeout, ({ service }) => service.leaseTimeToLive(id, withKeys)),
    hashKv: (urls, revision, timeout) => ask(urls, timeout, ({ service }) => service.hashKv(revision)),
    downgradeEnabled: (urls, timeout) => ask(urls, timeout, ({ service }) => service.downgradeEnabled()),
  };
}

export const NO_ANSWER = new EtcdFault(errors.timeout);
