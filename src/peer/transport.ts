// The Transport of a real member: its peers by id, and those who have called before they were known. Made by network; messages come from
// the member once per Ready, and leave in one write per stream before `send` returns.
import type { MemberId, Millis } from "../base/brand.ts";
import { hexId } from "../cluster/ids.ts";
import type { SnapshotBody, Transport } from "../member/network/transport.ts";
import { type Message, NONE } from "../raft/message.ts";
import { REMOTES_MAX } from "./limits.ts";
import { messageTypeName, Peer, type PeerContext, Remote } from "./peer.ts";

export class HttpTransport implements Transport {
  readonly #peers = new Map<MemberId, Peer>();
  readonly #remotes = new Map<MemberId, Remote>();
  /** Added before there was a member to hand messages to. */
  readonly #early = new Map<MemberId, readonly string[]>();
  readonly #touched = new Set<Peer>();
  #context: PeerContext | undefined = undefined;
  #closed = false;

  /** The member is there: peers are dialled from now on. */
  start(context: PeerContext): void {
    this.#context = context;
    for (const [id, urls] of this.#early) this.addPeer(id, urls);
    this.#early.clear();
  }

  send(messages: readonly Message[]): void {
    for (let i = 0; i < messages.length; i++) {
      const message = messages[i]!;
      if (message.to === NONE) continue;
      const peer = this.#peers.get(message.to);
      if (peer === undefined) {
        this.#sendToRemote(message);
      } else {
        peer.send(message);
        this.#touched.add(peer);
      }
    }
    for (const peer of this.#touched) peer.flush();
    this.#touched.clear();
  }

  #sendToRemote(message: Message): void {
    const remote = this.#remotes.get(message.to);
    if (remote !== undefined) {
      remote.send(message);
      return;
    }
    const logger = this.#context?.logger;
    if (logger?.debugEnabled !== true) return;
    logger.debug("ignored message send request; unknown remote peer target", {
      type: messageTypeName(message.type),
      "unknown-target-peer-id": hexId(message.to),
    });
  }

  sendSnapshot(message: Message, body: SnapshotBody): void {
    const peer = this.#peers.get(message.to);
    if (peer !== undefined) {
      peer.sendSnapshot(message, body);
      return;
    }
    body.close();
    const receiver = this.#context?.receiver;
    // Not within the caller's own turn with raft.
    if (!this.#closed) queueMicrotask(() => receiver?.reportSnapshot(message.to, true));
  }

  addPeer(id: MemberId, peerUrls: readonly string[]): void {
    const context = this.#context;
    if (this.#closed || this.#peers.has(id) || peerUrls.length === 0) return;
    if (context === undefined) {
      this.#early.set(id, [...peerUrls]);
      return;
    }
    this.#remotes.get(id)?.stop();
    this.#remotes.delete(id);
    const urls = [...peerUrls];
    this.#peers.set(id, new Peer(id, urls, context));
    context.logger.info("added remote peer", {
      "local-member-id": hexId(context.introduction.localId),
      "remote-peer-id": hexId(id),
      "remote-peer-urls": urls,
    });
  }

  updatePeer(id: MemberId, peerUrls: readonly string[]): void {
    if (peerUrls.length === 0) return;
    if (this.#early.has(id)) this.#early.set(id, [...peerUrls]);
    const peer = this.#peers.get(id);
    if (peer === undefined || this.#context === undefined) return;
    peer.update([...peerUrls]);
    this.#context.logger.info("updated remote peer", {
      "local-member-id": hexId(this.#context.introduction.localId),
      "updated-remote-peer-id": hexId(id),
      "updated-remote-peer-urls": peerUrls,
    });
  }

  removePeer(id: MemberId): void {
    this.#early.delete(id);
    this.#remotes.get(id)?.stop();
    this.#remotes.delete(id);
    const peer = this.#peers.get(id);
    const context = this.#context;
    if (context === undefined) return;
    const fields = {
      "local-member-id": hexId(context.introduction.localId),
      "removed-remote-peer-id": hexId(id),
    };
    if (peer === undefined) {
      context.logger.warn("skipped removing already removed peer", fields);
      return;
    }
    peer.stop();
    this.#peers.delete(id);
    this.#touched.delete(peer);
    context.logger.info("removed remote peer", fields);
  }

  /** Somebody of our cluster whom we do not know yet: it is answered where it says it is. */
  addRemote(id: MemberId, peerUrls: readonly string[]): void {
    const context = this.#context;
    if (this.#closed || context === undefined || this.#peers.has(id) || this.#remotes.has(id)) return;
    if (id === context.introduction.localId || this.#remotes.size >= REMOTES_MAX) return;
    const urls = peerUrls.map((url) => url.trim()).filter((url) => /^(https?|unixs?):\/\/[^/]/.test(url));
    if (urls.length === 0 || context.receiver.isRemoved(id)) return;
    this.#remotes.set(id, new Remote(id, urls, context));
    context.logger.info("added new remote peer", {
      "local-member-id": hexId(context.introduction.localId),
      "remote-peer-id": hexId(id),
      "remote-peer-urls": urls,
    });
  }

  peer(id: MemberId): Peer | undefined {
    return this.#peers.get(id);
  }

  activeSince(id: MemberId): Millis | undefined {
    return this.#peers.get(id)?.activeSince;
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const remote of this.#remotes.values()) remote.stop();
    for (const peer of this.#peers.values()) peer.stop();
    this.#remotes.clear();
    this.#peers.clear();
    this.#early.clear();
    this.#context?.dialer.close();
  }
}
