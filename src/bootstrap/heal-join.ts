// The first start after `cairn heal`: the note says who this member is now, whatever the flags of the first cluster say, so the start's command line
// stays as it is. Asked by src/embed only while the note is there.

import { errorText } from "../base/error-text.ts";
import type { InitialCluster } from "../member/membership/initial-cluster.ts";
import type { PeerClient } from "../member/network/transport.ts";
import type { HealTicket } from "../member/upkeep/heal-ticket.ts";

const MEMBERS_TIMEOUT_MILLIS = 10_000;

/** The cluster as this member joins it, or why it cannot. */
export async function joinHealed(ticket: HealTicket, peers: PeerClient): Promise<InitialCluster | string> {
  const { step, newId, clusterId } = ticket;
  if (step !== "ready")
    return "cairn heal was cut off while it replaced this member; run it again with the same flags, then start";
  try {
    const running = await peers.members(ticket.others, MEMBERS_TIMEOUT_MILLIS);
    if (running.clusterId !== clusterId)
      return "the members at the peer URLs of cairn heal's note are of another cluster";
    if (!running.members.some(({ id }) => id === newId))
      return `the cluster does not know member ${newId.toString(16)}, which cairn heal has added; run cairn heal again`;
    return { kind: "join", clusterId, localId: newId, members: running.members };
  } catch (error) {
    const text = errorText(error);
    return `none of the other members answers at ${ticket.others.join(",")}: ${text}`;
  }
}
