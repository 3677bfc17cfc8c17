// Whom the network serves: the other members, as the membership has them, and what it knows of their connections. The member calls it
// when it starts, when a membership change was applied, and when leadership is handed over.
import type { MemberId } from "../../base/brand.ts";
import type { ClusterMember, MemberChange, Membership } from "../../cluster/membership.ts";
import type { Transport } from "./transport.ts";

export class Peers {
  readonly #transport: Transport;
  readonly #membership: Membership;
  /** Those that the network was told of. */
  readonly #added = new Set<MemberId>();

  constructor(transport: Transport, membership: Membership) {
    this.#transport = transport;
    this.#membership = membership;
  }

  /** The members now. A member that has applied nothing yet knows them from what it was started with. */
  sync(initial: readonly ClusterMember[] = []): void {
    const members = this.#membership.members();
    const known = members.length > 0 ? members : initial;
    const ids = new Set(known.map(({ id }) => id));
    for (const id of this.#added) if (!ids.has(id)) this.#remove(id);
    for (const { id, peerUrls } of known) this.#add(id, peerUrls);
  }

  /** A membership change was applied. */
  changed(change: MemberChange): void {
    switch (change.kind) {
      case "add":
        this.#add(change.member.id, change.member.peerUrls);
        break;
      case "update":
        if (change.id !== this.#membership.localId) this.#transport.updatePeer(change.id, change.peerUrls);
        break;
      case "remove":
        this.#remove(change.id);
        break;
      case "promote":
        break;
    }
  }

  /** etcd's longestConnected: the other voter that messages have come from for the longest time. */
  longestConnected(): MemberId | undefined {
    let longest: MemberId | undefined;
    let since = Number.POSITIVE_INFINITY;
    for (const { id } of this.#membership.voters) {
      if (id === this.#membership.localId) continue;
      const active = this.#transport.activeSince(id);
      if (active === undefined || active >= since) continue;
      longest = id;
      since = active;
    }
    return longest;
  }

  /** Whether messages have come from this member ever since then. */
  isConnectedSince(id: MemberId, since: number): boolean {
    const active = this.#transport.activeSince(id);
    return active !== undefined && active < since;
  }

  /** Whether a majority of the members has been connected ever since then. */
  isConnectedToQuorumSince(since: number): boolean {
    const members = this.#membership.members();
    const { localId } = this.#membership;
    const connected = members.filter(({ id }) => id === localId || this.isConnectedSince(id, since)).length;
    return connected >= Math.floor(members.length / 2) + 1;
  }

  #add(id: MemberId, peerUrls: readonly string[]): void {
    if (id === this.#membership.localId) return;
    if (this.#added.has(id)) this.#transport.updatePeer(id, peerUrls);
    else this.#transport.addPeer(id, peerUrls);
    this.#added.add(id);
  }

  #remove(id: MemberId): void {
    if (this.#added.delete(id)) this.#transport.removePeer(id);
  }
}
