// Who has been connected for how long: what etcd asks of the network before it lets a change of members cost the quorum.
import type { MemberId, Millis } from "../../base/brand.ts";
import type { ClusterMember } from "../../cluster/membership.ts";
import type { Transport } from "./transport.ts";

type Activity = Pick<Transport, "activeSince">;

export function isConnectedSince(transport: Activity, since: Millis, id: MemberId): boolean {
  const active = transport.activeSince(id);
  return active !== undefined && active < since;
}

/** A member is connected to itself. */
export function countConnected(
  transport: Activity,
  since: Millis,
  self: MemberId,
  members: readonly ClusterMember[],
): number {
  return members.filter(({ id }) => id === self || isConnectedSince(transport, since, id)).length;
}
