// The ways from a member to the others, as the wiring gives them when the member starts. A member that was given none is alone: what it
// sends is dropped, nobody is connected, and whoever is asked does not answer, which is what raft and every caller live with anyway.
import { errors } from "../../base/errors.ts";
import { EtcdFault } from "../fault.ts";
import type { PeerClient, PeerService, Transport, TransportReceiver } from "./transport.ts";

export type Network = { readonly transport: Transport; readonly peers: PeerClient };

/** How the wiring makes a network for a member that exists already: the network delivers to it. */
export type Connect = (receiver: TransportReceiver, service: PeerService) => Network;

const unreachable = (): Promise<never> => Promise.reject(new EtcdFault(errors.noLeader));

export const LONE_NETWORK: Network = {
  transport: {
    send() {},
    sendSnapshot(_message, body) {
      body.close();
    },
    addPeer() {},
    updatePeer() {},
    removePeer() {},
    activeSince: () => undefined,
    close: () => Promise.resolve(),
  },
  peers: {
    members: unreachable,
    versions: unreachable,
    promote: unreachable,
    renewLease: unreachable,
    leaseTimeToLive: unreachable,
    hashKv: unreachable,
    downgradeEnabled: unreachable,
  },
};
