// A member of a cluster that is nothing but raft and the network between members: src/raft with its log in memory behind src/peer. It votes,
// leads and follows among real etcd members, and keeps what was committed; it has no store and serves no client.
import { createHash } from "node:crypto";
import { type ClusterId, type LeaseId, type MemberId, memberId } from "../../src/base/brand.ts";
import { EMPTY } from "../../src/base/bytes.ts";
import { errors } from "../../src/base/errors.ts";
import { SERVER_VERSION } from "../../src/base/version.ts";
import { computeClusterId, computeMemberId } from "../../src/cluster/ids.ts";
import type { ClusterMember } from "../../src/cluster/membership.ts";
import { encodeMember } from "../../src/etcdfile/member-json.ts";
import { EtcdFault } from "../../src/member/fault.ts";
import type {
  LeaseTimeToLive,
  PeerHash,
  PeerService,
  SnapshotBody,
  TransportReceiver,
} from "../../src/member/network/transport.ts";
import { nodeClock } from "../../src/node/clock.ts";
import { MetricsRegistry } from "../../src/node/metrics.ts";
import { ETCD_METRICS } from "../../src/node/metrics-catalog.ts";
import { openPeerNetwork, type PeerNetwork, type PeerTlsOptions } from "../../src/peer/network.ts";
import type { Fields, Logger } from "../../src/ports/logger.ts";
import { ConfChangeType } from "../../src/raft/conf-change.ts";
import { decodeConfChange } from "../../src/raft/conf-change-codec.ts";
import { MemoryStorage } from "../../src/raft/memory-storage.ts";
import { type Entry, EntryType, type Message, MessageType } from "../../src/raft/message.ts";
import { StateType } from "../../src/raft/raft.ts";
import { RawNode } from "../../src/raft/raw-node.ts";

const TICK_MILLIS = 100;
const TOKEN = "etcd-cluster";

export interface Founder {
  readonly name: string;
  readonly peerUrl: string;
}

export interface RaftMemberOptions {
  readonly port: number;
  readonly peerUrl: string;
  readonly tls: PeerTlsOptions;
  /** The members of the cluster, as --initial-cluster has them; of a running one with their ids. */
  readonly members: readonly ClusterMember[];
  readonly clusterId: ClusterId;
  /** False: the others tell what there is. */
  readonly founding: boolean;
}

const sha1 = (chunks: readonly Uint8Array[]): Uint8Array => {
  const hash = createHash("sha1");
  for (const chunk of chunks) hash.update(chunk);
  return hash.digest();
};

/** The members and the id of a new cluster, as each of its members computes them for itself. */
export function newCluster(founders: readonly Founder[]): {
  readonly clusterId: ClusterId;
  readonly members: readonly ClusterMember[];
} {
  const members = founders
    .map(({ name, peerUrl }) => ({
      id: computeMemberId([peerUrl], TOKEN, undefined, sha1),
      name,
      peerUrls: [peerUrl],
      clientUrls: [],
      isLearner: false,
    }))
    .sort((a, b) => (a.id < b.id ? -1 : 1));
  const ids = members.map((member) => member.id);
  return { clusterId: computeClusterId(ids, sha1), members };
}

export class RaftMember implements TransportReceiver, PeerService {
  readonly clusterId: ClusterId;
  readonly localId: MemberId;
  readonly serverVersion = SERVER_VERSION;
  readonly clusterVersion: string | undefined = undefined;
  readonly storageVersion: string | undefined = undefined;
  readonly metrics = new MetricsRegistry();
  readonly network: PeerNetwork;
  readonly lines: string[] = [];
  /** Data of every normal entry that was committed, in order. */
  readonly committed: Uint8Array[] = [];
  /** The database of the last snapshot that came. */
  database: Buffer = Buffer.alloc(0);
  readonly #storage = new MemoryStorage();
  readonly #node: RawNode;
  readonly #members: ClusterMember[];
  readonly #ticker: NodeJS.Timeout;
  #pumping = false;
  #closed = false;

  private constructor(options: RaftMemberOptions) {
    this.clusterId = options.clusterId;
    this.#members = [...options.members];
    const self = options.members.find((member) => member.peerUrls.includes(options.peerUrl))!;
    this.localId = self.id;
    this.metrics.declare(ETCD_METRICS);
    const secure = options.peerUrl.startsWith("https:");
    this.network = openPeerNetwork({
      listen: [{ address: { kind: "tcp", host: "127.0.0.1", port: options.port }, secure }],
      peerUrls: [options.peerUrl],
      tls: options.tls,
      dialTimeoutMillis: 2000,
      clock: nodeClock(),
      logger: this.#logger(),
      metrics: this.metrics,
      onRemoved: () => this.lines.push("told that it was removed"),
    });
    const quiet = (): void => {};
    const say = (text: string): void => {
      this.lines.push(text);
    };
    this.#node = new RawNode({
      id: this.localId,
      electionTick: 10,
      heartbeatTick: 1,
      storage: this.#storage,
      logger: { debug: quiet, info: say, warn: say, error: say, debugEnabled: false },
      random: (bound) => Math.floor(Math.random() * bound),
      maxSizePerMsg: 1024 * 1024,
      maxInflightMsgs: 512,
      checkQuorum: true,
      preVote: true,
    });
    if (options.founding) {
      const peers = options.members.map((member) => ({
        id: member.id,
        context: Buffer.from(encodeMember(member)),
      }));
      const problem = this.#node.bootstrap(peers);
      if (problem !== undefined) throw new Error(problem);
    }
    for (const member of options.members) {
      if (member.id !== this.localId) this.network.transport.addPeer(member.id, member.peerUrls);
    }
    this.#ticker = setInterval(() => {
      this.#node.tick();
      this.#wake();
    }, TICK_MILLIS);
  }

  static async start(options: RaftMemberOptions): Promise<RaftMember> {
    const member = new RaftMember(options);
    await member.network.listen();
    member.network.connect(member, member);
    member.#wake();
    return member;
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#ticker);
    await this.network.close();
  }

  get url(): string {
    return this.#members.find((member) => member.id === this.localId)!.peerUrls[0]!;
  }

  get leads(): boolean {
    return this.#node.state === StateType.Leader;
  }

  get leader(): MemberId {
    return this.#node.lead;
  }

  get applied(): number {
    return this.#node.applied;
  }

  handOver(to: MemberId): void {
    this.#node.transferLeader(to);
    this.#wake();
  }

  // --- what the network tells

  isRemoved(_id: MemberId): boolean {
    return false;
  }

  receive(message: Message): undefined {
    this.#node.step(message);
    this.#wake();
  }

  async receiveSnapshot(message: Message, body: AsyncIterable<Uint8Array>): Promise<void> {
    const pieces: Uint8Array[] = [];
    for await (const piece of body) pieces.push(piece);
    this.database = Buffer.concat(pieces);
    this.receive(message);
  }

  reportUnreachable(id: MemberId): void {
    this.#node.reportUnreachable(id);
  }

  reportSnapshot(id: MemberId, failed: boolean): void {
    this.lines.push(`snapshot to ${id.toString(16)} ${failed ? "failed" : "sent"}`);
    this.#node.reportSnapshot(id, failed);
    this.#wake();
  }

  // --- what others ask

  members(): readonly ClusterMember[] {
    return this.#members;
  }

  promote(): Promise<readonly ClusterMember[]> {
    return Promise.reject(new EtcdFault(errors.memberNotLearner));
  }

  renewLease(_id: LeaseId): Promise<number> {
    return Promise.resolve(0);
  }

  leaseTimeToLive(_id: LeaseId): Promise<LeaseTimeToLive> {
    return Promise.resolve({ ttl: -1, grantedTtl: 0, keys: [] });
  }

  hashKv(): Promise<PeerHash> {
    return Promise.reject(new EtcdFault(errors.futureRevision));
  }

  downgradeEnabled(): Promise<boolean> {
    return Promise.resolve(false);
  }

  // --- raft

  #wake(): void {
    if (this.#pumping || this.#closed) return;
    this.#pumping = true;
    setImmediate(() => {
      this.#pumping = false;
      while (!this.#closed && this.#node.hasReady()) this.#pump();
    });
  }

  #pump(): void {
    const ready = this.#node.ready();
    if (ready.snapshot !== undefined) this.#storage.applySnapshot(ready.snapshot);
    this.#storage.append(ready.entries);
    if (ready.hardState !== undefined) this.#storage.setHardState(ready.hardState);
    this.network.transport.send(ready.messages.filter((message) => message.type !== MessageType.MsgSnap));
    for (const message of ready.messages)
      if (message.type === MessageType.MsgSnap) this.#sendSnapshot(message);
    for (const entry of ready.committedEntries) this.#apply(entry);
    this.#node.advance();
  }

  /** What once came from another: this member has no database of its own. */
  #sendSnapshot(message: Message): void {
    const { database } = this;
    const body: SnapshotBody = {
      bytesTotal: database.length,
      async *chunks() {
        for (let at = 0; at < database.length; at += 32_768) yield database.subarray(at, at + 32_768);
      },
      close() {},
    };
    this.network.transport.sendSnapshot(message, body);
  }

  #apply(entry: Entry): void {
    if (entry.type === EntryType.Normal) {
      if (entry.data.length > 0) this.committed.push(entry.data);
      return;
    }
    const change = decodeConfChange(entry.data);
    if (change === undefined) throw new Error("a conf change that is none");
    this.#node.applyConfChange(change);
    if (change.type === ConfChangeType.RemoveNode || change.nodeId === this.localId) return;
    const context = Buffer.from(change.context ?? EMPTY).toString();
    const urls = /"peerURLs":(\[[^\]]*\])/.exec(context)?.[1];
    if (urls !== undefined)
      this.network.transport.addPeer(memberId(change.nodeId), JSON.parse(urls) as string[]);
  }

  #logger(): Logger {
    const line =
      (level: string) =>
      (message: string, fields: Fields = {}): void => {
        const text = JSON.stringify(fields, (_, value: unknown) =>
          typeof value === "bigint" ? `${value}` : value,
        );
        this.lines.push(`${level} ${message} ${text}`);
      };
    return {
      debug: () => {},
      info: line("info"),
      warn: line("warn"),
      error: line("error"),
      debugEnabled: false,
    };
  }
}
