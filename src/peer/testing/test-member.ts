// A member without raft, for the tests of this folder: a real network on a loopback port, which remembers what it is told. Waiting is by
// event: for a line of the log, a message, a report.

import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ClusterId, type LeaseId, type MemberId, memberId } from "../../base/brand.ts";
import { errors } from "../../base/errors.ts";
import type { ClusterMember } from "../../cluster/membership.ts";
import { EtcdFault } from "../../member/fault.ts";
import type {
  CairnTraits,
  LeaseTimeToLive,
  PeerHash,
  PeerService,
  TransportReceiver,
} from "../../member/network/transport.ts";
import { nodeClock } from "../../node/clock.ts";
import { MetricsRegistry } from "../../node/metrics.ts";
import { ETCD_METRICS } from "../../node/metrics-catalog.ts";
import type { Fields, Logger } from "../../ports/logger.ts";
import { type Message, MessageType, newEntry, newMessage } from "../../raft/message.ts";
import { PEER_TIMINGS, type PeerTimings } from "../limits.ts";
import { openPeerNetwork, type PeerNetwork, type PeerTlsOptions } from "../network.ts";
import type { Resolver } from "../san-check.ts";
import { NO_TLS } from "./no-tls.ts";

export const CLUSTER = 0xc1n as ClusterId;

/** Fast enough for tests, slow enough for a loaded machine. */
export const TEST_TIMINGS: PeerTimings = {
  ...PEER_TIMINGS,
  heartbeatIntervalMillis: 50,
  redialIntervalMillis: 10,
  probeIntervalMillis: 20,
};

type Event = { readonly what: string; readonly fields: Fields };

export class TestMember implements TransportReceiver, PeerService, Logger {
  readonly clusterId: ClusterId;
  readonly localId: MemberId;
  readonly serverVersion: string;
  readonly debugEnabled = true;
  readonly metrics = new MetricsRegistry();
  readonly network: PeerNetwork;
  readonly secure: boolean;
  readonly messages: Message[] = [];
  readonly snapshots: { readonly message: Message; readonly body: Buffer }[] = [];
  readonly removed = new Set<MemberId>();
  removedSelf = 0;
  clusterVersion: string | undefined = "3.7.0";
  storageVersion: string | undefined = "3.7.0";
  traits: CairnTraits | undefined;
  /** Held before it takes the next piece of a snapshot. */
  snapshotGate: Promise<void> = Promise.resolve();
  snapshotPieces = 0;
  readonly #events: Event[] = [];
  readonly #waiting = new Set<{ readonly check: () => boolean; readonly done: () => void }>();

  constructor(id: bigint, options: TestMemberOptions = {}) {
    this.localId = memberId(id);
    this.clusterId = options.clusterId ?? CLUSTER;
    this.serverVersion = options.serverVersion ?? "3.7.1";
    this.secure = options.tls !== undefined;
    this.metrics.declare(ETCD_METRICS);
    const address = options.unix
      ? ({ kind: "unix", path: join(mkdtempSync(join(tmpdir(), "cairn-peer-")), "socket") } as const)
      : ({ kind: "tcp", host: "127.0.0.1", port: 0 } as const);
    this.#unixPath = address.kind === "unix" ? address.path : undefined;
    this.network = openPeerNetwork({
      listen: [{ address, secure: this.secure }],
      peerUrls: options.peerUrls ?? [],
      tls: options.tls ?? NO_TLS,
      dialTimeoutMillis: 2000,
      clock: nodeClock(),
      logger: this,
      metrics: this.metrics,
      onRemoved: () => {
        this.removedSelf++;
        this.event("onRemoved", {});
      },
      timings: options.timings ?? TEST_TIMINGS,
      ...(options.resolver === undefined ? {} : { resolver: options.resolver }),
    });
  }

  readonly #unixPath: string | undefined;

  async start(): Promise<this> {
    await this.network.listen();
    this.network.connect(this, this);
    return this;
  }

  get url(): string {
    const scheme = this.#unixPath === undefined ? "http" : "unix";
    return `${scheme}${this.secure ? "s" : ""}://${this.#unixPath ?? `127.0.0.1:${this.network.ports[0]}`}`;
  }

  /** Knows the other, in both directions of the network. */
  knows(other: TestMember): void {
    this.network.transport.addPeer(other.localId, [other.url]);
  }

  /** Both streams from here to there are up. */
  async connected(other: TestMember): Promise<void> {
    const id = other.localId.toString(16);
    for (const kind of ["stream MsgApp v2", "stream Message"]) {
      await this.logged("established TCP streaming connection with remote peer", {
        "stream-writer-type": kind,
        "remote-peer-id": id,
      });
    }
  }

  close(): Promise<void> {
    return this.network.close();
  }

  // --- what the network tells

  isRemoved(id: MemberId): boolean {
    return this.removed.has(id);
  }

  receive(message: Message): "removed" | undefined {
    this.messages.push(message);
    this.event("message", { type: message.type });
    return undefined;
  }

  async receiveSnapshot(message: Message, body: AsyncIterable<Uint8Array>): Promise<void> {
    const pieces: Uint8Array[] = [];
    for await (const piece of body) {
      await this.snapshotGate;
      pieces.push(Uint8Array.from(piece));
      this.snapshotPieces++;
      this.event("piece", {});
    }
    const whole = Buffer.concat(pieces);
    if (whole.toString("latin1").startsWith("corrupt")) throw new Error("snapshot is corrupt");
    this.snapshots.push({ message, body: whole });
    this.event("snapshot", {});
  }

  reportUnreachable(id: MemberId): void {
    this.event("unreachable", { id });
  }

  reportSnapshot(id: MemberId, failed: boolean): void {
    this.event("snapshot report", { id, failed });
  }

  // --- what others ask

  readonly memberList: ClusterMember[] = [];
  promotion: EtcdFault | undefined = undefined;
  lease: LeaseTimeToLive | EtcdFault = { ttl: -1, grantedTtl: 0, keys: [] };
  hash: PeerHash | EtcdFault = new EtcdFault(errors.compacted);
  downgrade: boolean | EtcdFault = false;

  members(): readonly ClusterMember[] {
    return this.memberList;
  }

  async promote(): Promise<readonly ClusterMember[]> {
    if (this.promotion !== undefined) throw this.promotion;
    return this.memberList;
  }

  async renewLease(_id: LeaseId): Promise<number> {
    if (this.lease instanceof EtcdFault) throw this.lease;
    return Math.max(0, this.lease.ttl);
  }

  async leaseTimeToLive(_id: LeaseId, withKeys: boolean): Promise<LeaseTimeToLive> {
    if (this.lease instanceof EtcdFault) throw this.lease;
    return withKeys ? this.lease : { ...this.lease, keys: [] };
  }

  async hashKv(_revision: number): Promise<PeerHash> {
    if (this.hash instanceof EtcdFault) throw this.hash;
    return this.hash;
  }

  async downgradeEnabled(): Promise<boolean> {
    if (this.downgrade instanceof EtcdFault) throw this.downgrade;
    return this.downgrade;
  }

  // --- the log, and waiting

  debug(message: string, fields: Fields = {}): void {
    this.event(message, fields);
  }
  info(message: string, fields: Fields = {}): void {
    this.event(message, fields);
  }
  warn(message: string, fields: Fields = {}): void {
    this.event(message, fields);
  }
  error(message: string, fields: Fields = {}): void {
    this.event(message, fields);
  }

  event(what: string, fields: Fields): void {
    this.#events.push({ what, fields });
    for (const waiting of this.#waiting) {
      if (!waiting.check()) continue;
      this.#waiting.delete(waiting);
      waiting.done();
    }
  }

  count(what: string, fields: Fields = {}): number {
    const wanted = Object.entries(fields);
    return this.#events.filter(
      (event) => event.what === what && wanted.every(([name, value]) => event.fields[name] === value),
    ).length;
  }

  /** The fields of these lines, as JSON. */
  lines(what: string): string[] {
    const text = (_: string, value: unknown): unknown => (typeof value === "bigint" ? String(value) : value);
    return this.#events
      .filter((event) => event.what === what)
      .map((event) => JSON.stringify(event.fields, text));
  }

  /** Until this has happened so many times. */
  logged(what: string, fields: Fields = {}, times = 1): Promise<void> {
    return this.until(() => this.count(what, fields) >= times);
  }

  received(count: number): Promise<void> {
    return this.until(() => this.messages.length >= count);
  }

  until(check: () => boolean): Promise<void> {
    if (check()) return Promise.resolve();
    return new Promise((done) => this.#waiting.add({ check, done }));
  }

  metric(line: string): string | undefined {
    return this.metrics
      .text()
      .split("\n")
      .find((each) => each.startsWith(line))
      ?.slice(line.length + 1);
  }
}

export type TestMemberOptions = {
  readonly clusterId?: ClusterId;
  readonly serverVersion?: string;
  readonly tls?: PeerTlsOptions;
  readonly unix?: boolean;
  readonly peerUrls?: readonly string[];
  readonly timings?: PeerTimings;
  readonly resolver?: Resolver;
};

/** Members that know each other, and are connected in all directions. */
export async function connectedPair(
  options: TestMemberOptions = {},
): Promise<readonly [TestMember, TestMember]> {
  const a = await new TestMember(0xan, options).start();
  const b = await new TestMember(0xbn, options).start();
  a.knows(b);
  b.knows(a);
  await Promise.all([a.connected(b), b.connected(a)]);
  return [a, b];
}

export function message(
  type: MessageType,
  from: TestMember,
  to: TestMember,
  fields: Partial<Message> = {},
): Message {
  return Object.assign(newMessage(type, to.localId), { from: from.localId, term: 1 }, fields);
}

/** An append of entries behind `index`, as a leader in term 1 sends it. */
export function append(from: TestMember, to: TestMember, index: number, ...data: readonly string[]): Message {
  const entries = data.map((text, i) => newEntry(1, index + 1 + i, 0, Buffer.from(text)));
  return message(MessageType.MsgApp, from, to, { logTerm: 1, index, commit: index, entries });
}
