// What a member asks of the network between members, and what it gives to it: raft's messages, snapshot bodies, and the few questions
// that members ask each other over HTTP. src/peer is the real network (rafthttp), the simulation has one of its own.
// Nothing here blocks: what cannot be sent is dropped and reported, as raft expects.
import type { ClusterId, LeaseId, MemberId, Millis } from "../../base/brand.ts";
import type { ClusterMember } from "../../cluster/membership.ts";
import type { Message } from "../../raft/message.ts";

/** The way out. Messages keep their order per addressee as far as the network does; raft tolerates loss, doubling and reordering. */
export interface Transport {
  /** Messages of one Ready, to several members, MsgSnap excepted. Encoded before it returns; the arrays stay the caller's. */
  send(messages: readonly Message[]): void;
  /** A MsgSnap with its body. Ends in exactly one reportSnapshot; closes the body whatever happens. */
  sendSnapshot(message: Message, body: SnapshotBody): void;
  /** A member of the cluster: streams, pipeline and probes begin. Adding one that is there does nothing. */
  addPeer(id: MemberId, peerUrls: readonly string[]): void;
  updatePeer(id: MemberId, peerUrls: readonly string[]): void;
  removePeer(id: MemberId): void;
  /** Since when (clock.now) messages arrive from this member without a break; undefined = not connected. */
  activeSince(id: MemberId): Millis | undefined;
  /** No connection survives; nothing is reported any more. */
  close(): Promise<void>;
}

/** A bbolt database, or for a member that takes them a copy (snapshot/copy-format.ts), as pinned when the body was made. */
export interface SnapshotBody {
  /** Undefined: not known before the end; what the body holds says where it ends. */
  readonly bytesTotal: number | undefined;
  /**
   * One consumer, which asks for the next chunk when it has room (back-pressure). A chunk is valid until the one after the next is asked for:
   * one may be on its way while another is made.
   */
  chunks(): AsyncIterable<Uint8Array>;
  /** Gives the pinned state back. Idempotent; also while chunks() is under way. */
  close(): void;
}

/** The way in: what the network tells the member. */
export interface TransportReceiver {
  readonly clusterId: ClusterId;
  readonly localId: MemberId;
  /** `X.Y.Z`, of this program. */
  readonly serverVersion: string;
  /** False: removed; the network answers 410 and closes. */
  isRemoved(id: MemberId): boolean;
  /** A message whose sender, addressee and cluster were checked. `undefined` = taken; "removed" = the sender is no member any more. */
  receive(message: Message): "removed" | undefined;
  /**
   * A MsgSnap and its body (exactly the bytes of the database file, or a copy). Resolves when raft has been told of it; rejects with a text for the
   * sender when the body is truncated, corrupt or cannot be stored, and then nothing has changed.
   */
  receiveSnapshot(message: Message, body: AsyncIterable<Uint8Array>): Promise<void>;
  reportUnreachable(id: MemberId): void;
  reportSnapshot(id: MemberId, failed: boolean): void;
}

/** What other members ask this one over HTTP on the peer port; answers as etcd's handlers give them. */
export interface PeerService {
  /** GET /members. */
  members(): readonly ClusterMember[];
  /** GET /version: `X.Y.0`, or undefined before it is decided. */
  readonly clusterVersion: string | undefined;
  /** Beside it: the version that this member's own data has, or undefined before it is known. */
  readonly storageVersion: string | undefined;
  /** Headers of that answer; absent: not told. */
  readonly traits?: CairnTraits | undefined;
  /** POST /members/promote/ID, forwarded by a follower. */
  promote(id: MemberId): Promise<readonly ClusterMember[]>;
  /** POST /leases: the renewed TTL in seconds, 0 = no such lease. Rejects (EtcdFault) when this member does not lead, or in time. */
  renewLease(id: LeaseId): Promise<number>;
  /** POST /leases/internal. */
  leaseTimeToLive(id: LeaseId, withKeys: boolean): Promise<LeaseTimeToLive>;
  /** GET /members/hashkv. */
  hashKv(revision: number): Promise<PeerHash>;
  /** GET /downgrade/enabled, after a linearizable read. */
  downgradeEnabled(): Promise<boolean>;
}

/** `ttl` -1 = no such lease; `keys` in ascending order. */
export type LeaseTimeToLive = {
  readonly ttl: number;
  readonly grantedTtl: number;
  readonly keys: readonly Uint8Array[];
};

export type PeerHash = {
  readonly hash: number;
  readonly revision: number;
  readonly hashRevision: number;
  readonly compactRevision: number;
  readonly memberId: MemberId;
  readonly clusterId: ClusterId;
  readonly term: number;
};

/** What members answer on GET /version; `cairn` only those of Cairn. */
export type PeerVersions = {
  readonly server: string;
  readonly cluster: string;
  readonly cairn?: CairnTraits;
};

/** What members of Cairn say of themselves beside etcd's answers, in headers that etcd ignores. */
export type CairnTraits = {
  readonly version: string;
  readonly deviceFull: boolean;
  /** The form of copies (snapshot/copy-format.ts) that it takes in place of a database; 0 = none. */
  readonly copyFormat: number;
};

/**
 * The same questions, asked of others. Each tries the given URLs in order and rejects (EtcdFault) when none answers within
 * `timeoutMillis`; an error answer of etcd's handlers comes back as etcd's own error.
 */
export interface PeerClient {
  members(peerUrls: readonly string[], timeoutMillis: number): Promise<PeerMembers>;
  versions(peerUrls: readonly string[], timeoutMillis: number): Promise<PeerVersions>;
  promote(
    peerUrls: readonly string[],
    id: MemberId,
    timeoutMillis: number,
  ): Promise<readonly ClusterMember[]>;
  renewLease(peerUrls: readonly string[], id: LeaseId, timeoutMillis: number): Promise<number>;
  leaseTimeToLive(
    peerUrls: readonly string[],
    id: LeaseId,
    withKeys: boolean,
    timeoutMillis: number,
  ): Promise<LeaseTimeToLive>;
  hashKv(peerUrls: readonly string[], revision: number, timeoutMillis: number): Promise<PeerHash>;
  downgradeEnabled(peerUrls: readonly string[], timeoutMillis: number): Promise<boolean>;
}

/** GET /members of a running cluster: what a joining member takes its ids from. */
export type PeerMembers = { readonly clusterId: ClusterId; readonly members: readonly ClusterMember[] };
