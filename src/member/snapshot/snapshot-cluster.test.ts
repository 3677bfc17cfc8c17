// Goal: a member that is too far behind, or new, is brought up by the leader's snapshot while the cluster goes on; what its clients began
// before, they end with. Method: three members on simulated disks and one simulated clock, a network that the test can cut.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { MemberId, Millis } from "../../base/brand.ts";
import { isEtcdError } from "../../base/errors.ts";
import { nodeDigest } from "../../node/digest.ts";
import { silentLogger } from "../../ports/logger.ts";
import type { Message } from "../../raft/message.ts";
import { messageFromWire, messageToWire } from "../../raft/wire-message.ts";
import { HealthService } from "../../service/health.ts";
import { methodTable } from "../../service/methods.ts";
import { rangeRequest } from "../../sim/client.ts";
import { type ProcessClock, SimClock } from "../../sim/clock.ts";
import { SimDisk } from "../../sim/disk.ts";
import { SIM_LOG_LIMITS, SIM_MEMBER_OPTIONS } from "../../sim/machine.ts";
import { SeededRandom } from "../../sim/random.ts";
import { RecordedCall } from "../../sim/recorded-call.ts";
import type { EventBatch, Watcher } from "../../watch/hub.ts";
import { watchRange } from "../../watch/hub.ts";
import {
  createPutRequest,
  decodeRangeResponse,
  encodeCompactionRequest,
  encodeDeleteRangeRequest,
  encodePutRequest,
  encodeRangeRequest,
} from "../../wire/generated/etcdserverpb.ts";
import { encodeClusterMemberAttrSetRequest } from "../../wire/generated/membershippb.ts";
import { decodeMessage, encodeMessage } from "../../wire/generated/raftpb.ts";
import type { Member } from "../member.ts";
import { type InitialCluster, newCluster } from "../membership/initial-cluster.ts";
import { publish } from "../membership/publish.ts";
import { LONE_NETWORK, type Network } from "../network/network.ts";
import type { PeerVersions, SnapshotBody, TransportReceiver } from "../network/transport.ts";
import { openMember } from "../open.ts";
import { requestTimeoutMillis } from "../options.ts";
import { RequestField } from "../request.ts";
import { COPY_FORMAT } from "./copy-format.ts";

const seed = Number(process.env["FUZZ_SEED"] ?? 1);
const digest = nodeDigest();
const peerUrl = (name: string): string => `http://${name}:2380`;

class Node {
  readonly name: string;
  readonly disk: SimDisk;
  clock: ProcessClock | undefined;
  receiver: TransportReceiver | undefined;
  member: Member | undefined;
  /** Nothing comes in or goes out. */
  cut = false;
  /** Snapshots that arrived whole. */
  snapshots = 0;

  constructor(name: string, random: SeededRandom) {
    this.name = name;
    this.disk = new SimDisk({ random });
  }
}

const FORMS = ["database", "copy"] as const;
type Form = (typeof FORMS)[number];

class Cluster {
  readonly clock = new SimClock();
  readonly random = new SeededRandom(seed);
  readonly nodes = new Map<MemberId, Node>();
  /** What members say of themselves to each other. */
  readonly #form: Form;
  /** Forms of the snapshots that arrived whole. */
  readonly forms = new Set<Form>();
  /** How long the network takes for a chunk of a snapshot. */
  chunkMillis = 0;

  constructor(form: Form) {
    this.#form = form;
  }

  /** Lets things happen until `done` says so. */
  async until(done: () => boolean): Promise<void> {
    for (let steps = 0; !done(); steps++) {
      assert.ok(steps < 200_000, "what is waited for happens");
      await new Promise((resolve) => setImmediate(resolve));
      if (!done()) this.clock.step();
    }
  }

  async settled<T>(promise: Promise<T>): Promise<T> {
    let over = false;
    const end = (): void => {
      over = true;
    };
    promise.then(end, end);
    await this.until(() => over);
    return promise;
  }

  async start(node: Node, initial: InitialCluster): Promise<Member> {
    node.clock = this.clock.attach();
    node.disk.restart();
    const member = await this.settled(
      openMember(
        {
          ...SIM_MEMBER_OPTIONS,
          name: node.name,
          peerUrls: [peerUrl(node.name)],
          initialCluster: initial,
          catchUpEntries: 20,
        },
        {
          disk: node.disk.attach(),
          clock: node.clock,
          digest,
          random: this.random.fork(),
          logger: silentLogger,
          logLimits: SIM_LOG_LIMITS,
          lockDatabase: async () => ({ unlock: async () => {} }),
          connect: (receiver) => this.#connect(node, receiver),
          onFatal: (error) => assert.fail(error),
        },
      ),
    );
    node.member = member;
    this.nodes.set(member.localId, node);
    return member;
  }

  kill(node: Node): void {
    node.member = undefined;
    node.receiver = undefined;
    node.clock?.kill();
    node.disk.killProcess();
  }

  get leader(): Member | undefined {
    for (const { member, cut } of this.nodes.values())
      if (member?.raft.isLeader === true && !cut) return member;
    return undefined;
  }

  #connect(node: Node, receiver: TransportReceiver): Network {
    node.receiver = receiver;
    const send = (messages: readonly Message[]): void => {
      for (const message of messages) this.#deliver(node, message);
    };
    const sendSnapshot = (message: Message, body: SnapshotBody): void => {
      void this.#sendSnapshot(node, copyOf(message), body);
    };
    const activeSince = (id: MemberId): Millis | undefined =>
      node.cut || this.nodes.get(id)?.cut !== false ? undefined : (0 as Millis);
    const cairn = {
      version: "0.0.0",
      deviceFull: false,
      copyFormat: this.#form === "copy" ? COPY_FORMAT : 0,
    };
    const versions = async (): Promise<PeerVersions> => ({ server: "3.7.1", cluster: "3.7.0", cairn });
    return {
      transport: { ...LONE_NETWORK.transport, send, sendSnapshot, activeSince },
      peers: { ...LONE_NETWORK.peers, versions },
    };
  }

  #deliver(from: Node, message: Message): void {
    const bytes = encodeMessage(messageToWire(message));
    this.clock.after(1 as Millis, () => {
      const to = this.nodes.get(message.to);
      if (to === undefined || to.cut || from.cut) return;
      to.receiver?.receive(parsed(bytes));
    });
  }

  async #sendSnapshot(from: Node, message: Message, body: SnapshotBody): Promise<void> {
    const to = this.nodes.get(message.to);
    let failed = true;
    try {
      if (to?.receiver !== undefined && !to.cut && !from.cut) {
        await to.receiver.receiveSnapshot(message, this.#slowly(body, to));
        to.snapshots++;
        this.forms.add(body.bytesTotal === undefined ? "copy" : "database");
        failed = false;
      }
    } catch {}
    body.close();
    from.receiver?.reportSnapshot(message.to, failed);
  }

  async *#slowly(body: SnapshotBody, to: Node): AsyncGenerator<Uint8Array> {
    let bytes = 0;
    for await (const chunk of body.chunks()) {
      if (this.chunkMillis > 0)
        await new Promise<void>((resolve) => this.clock.after(this.chunkMillis as Millis, resolve));
      if (to.cut) throw new Error("connection lost");
      bytes += chunk.length;
      yield chunk.slice();
    }
    assert.equal(bytes, body.bytesTotal ?? bytes, "a body is as long as it said");
  }
}

function copyOf(message: Message): Message {
  return parsed(encodeMessage(messageToWire(message)));
}

function parsed(bytes: Uint8Array): Message {
  const message = messageFromWire(decodeMessage(bytes));
  assert.ok(typeof message !== "string");
  return message;
}

async function threeMembers(
  form: Form,
): Promise<{ cluster: Cluster; nodes: Node[]; leader: Member; lagging: Node }> {
  const cluster = new Cluster(form);
  const names = ["a", "b", "c"];
  const urls = new Map(names.map((name) => [name, [peerUrl(name)]]));
  const nodes = names.map((name) => new Node(name, cluster.random.fork()));
  for (const node of nodes) await cluster.start(node, newCluster(urls, node.name, "token", digest.sha1));
  await cluster.until(
    () =>
      cluster.leader !== undefined && nodes.every(({ member }) => member!.membership.version !== undefined),
  );
  const leader = cluster.leader!;
  return { cluster, nodes, leader, lagging: nodes.find(({ member }) => member !== leader)! };
}

function propose(cluster: Cluster, member: Member, field: RequestField, body: Uint8Array): Promise<void> {
  return cluster.settled(
    new Promise((resolve, reject) => {
      member.propose(field, body, {
        applied: ({ error }) => (error === undefined ? resolve() : reject(new Error(error.message))),
        failed: (error) => reject(new Error(error.message)),
      });
    }),
  );
}

async function put(cluster: Cluster, member: Member, key: string, value: string): Promise<void> {
  const request = createPutRequest();
  request.key = Buffer.from(key);
  request.value = Buffer.from(value);
  await propose(cluster, member, RequestField.Put, encodePutRequest(request));
}

async function putMany(cluster: Cluster, member: Member, prefix: string, keys: number): Promise<void> {
  for (let n = 0; n < keys; n++) await put(cluster, member, `${prefix}${n}`, `${prefix}-${n}`.repeat(20));
}

/** What a client can see, in one text. */
function describe(member: Member): string {
  const { store, reader, membership, raft } = member;
  const job = store.hashKv(0 as never);
  assert.ok(!isEtcdError(job));
  while (!job.step(1000, reader));
  const { voters, learners } = raft.confState;
  const parts = [
    store.currentRevision,
    job.result,
    membership.members(),
    membership.version,
    [...voters].sort(),
    learners,
  ];
  return JSON.stringify(parts, (_, value) => (typeof value === "bigint" ? String(value) : value));
}

const sameAs = (leader: Member, node: Node) => (): boolean =>
  node.member!.raft.appliedIndex === leader.raft.appliedIndex &&
  leader.raft.appliedIndex === leader.raft.committedIndex;

for (const form of FORMS)
  test(`a running member that missed more than the log keeps gets a snapshot, and its watchers what they missed (${form})`, async () => {
    const { cluster, leader, lagging } = await threeMembers(form);
    await putMany(cluster, leader, "early/", 10);
    await cluster.until(sameAs(leader, lagging));
    const seen: string[] = [];
    const sink = {
      full: false,
      events: (_watcher: Watcher, batch: EventBatch) =>
        void seen.push(`${batch.revision}:${batch.parts.length}`),
      compacted: (_watcher: Watcher, revision: number) => void seen.push(`compacted ${revision}`),
    };
    const all = watchRange(new Uint8Array(0), Uint8Array.of(0));
    const now = { startRevision: 0, filters: 0, prevKv: false };
    lagging.member!.hub.add(sink, 1n, all, now);
    lagging.cut = true;
    await putMany(cluster, leader, "late/", 200);
    await cluster.settled(leader.reclaimNow());
    assert.ok(
      leader.log.raft.firstIndex() > lagging.member!.raft.appliedIndex + 1,
      "the log begins behind the member",
    );
    lagging.cut = false;
    await cluster.until(sameAs(leader, lagging));
    assert.equal(lagging.snapshots, 1);
    assert.deepEqual([...cluster.forms], [form]);
    assert.equal(describe(lagging.member!), describe(leader));
    await cluster.until(() => lagging.member!.hub.slowWatcherCount === 0);
    const events = seen.reduce((sum, text) => sum + Number(text.split(":")[1]), 0);
    assert.equal(events, 200, seen.join(" "));
    await putMany(cluster, leader, "after/", 3);
    await cluster.until(sameAs(leader, lagging));
    assert.equal(describe(lagging.member!), describe(leader));
    assert.equal(seen.length > 0 && seen.at(-1), `${leader.store.currentRevision}:1`);
  });

for (const form of FORMS)
  test(`a watcher whose revisions were compacted away while its member was cut off is told so (${form})`, async () => {
    const { cluster, leader, lagging } = await threeMembers(form);
    await cluster.until(sameAs(leader, lagging));
    const compactions: number[] = [];
    const sink = {
      full: false,
      events() {},
      compacted: (_: Watcher, revision: number) => void compactions.push(revision),
    };
    const range = watchRange(Buffer.from("k"), new Uint8Array(0));
    lagging.member!.hub.add(sink, 1n, range, { startRevision: 0, filters: 0, prevKv: false });
    lagging.cut = true;
    await putMany(cluster, leader, "k", 60);
    const revision = leader.store.currentRevision;
    const compaction = encodeCompactionRequest({ revision, physical: false });
    await propose(cluster, leader, RequestField.Compaction, compaction);
    await cluster.until(() => !leader.store.compactionPending);
    await cluster.settled(leader.reclaimNow());
    lagging.cut = false;
    await cluster.until(() => compactions.length > 0);
    assert.deepEqual(compactions, [revision]);
    assert.equal(lagging.member!.store.compactedRevision, revision);
  });

for (const form of FORMS)
  test(`a new, empty member joins by a snapshot, and is there again after a restart (${form})`, async () => {
    const { cluster, leader } = await threeMembers(form);
    await putMany(cluster, leader, "k/", 150);
    await cluster.settled(leader.reclaimNow());
    const node = new Node("d", cluster.random.fork());
    const urls = new Map([["d", [peerUrl("d")]]]);
    const { localId, members } = newCluster(urls, "d", "token", digest.sha1);
    const member = { ...members[0]!, name: "", isLearner: true };
    const added = new Promise<void>((resolve, reject) =>
      leader.changeMembership(
        { kind: "add", member },
        { changed: () => resolve(), failed: (error) => reject(new Error(error.message)) },
      ),
    );
    await cluster.settled(added);
    const initial: InitialCluster = {
      kind: "join",
      clusterId: leader.clusterId,
      localId,
      members: leader.membership.members(),
    };
    await cluster.start(node, initial);
    await cluster.until(sameAs(leader, node));
    assert.equal(node.snapshots, 1);
    assert.deepEqual([...cluster.forms], [form]);
    assert.equal(describe(node.member!), describe(leader));
    cluster.kill(node);
    await cluster.start(node, initial);
    await putMany(cluster, leader, "more/", 5);
    await cluster.until(sameAs(leader, node));
    assert.equal(node.snapshots, 1, "the log goes on behind the snapshot");
    assert.equal(describe(node.member!), describe(leader));
  });

for (const form of FORMS)
  test(`while a slow snapshot is on its way the cluster writes on, and the log keeps what the receiver needs next (${form})`, async () => {
    const { cluster, leader, lagging } = await threeMembers(form);
    lagging.cut = true;
    await putMany(cluster, leader, "k/", 300);
    await cluster.settled(leader.reclaimNow());
    lagging.cut = false;
    cluster.chunkMillis = 3000;
    const applied = lagging.member!.raft.appliedIndex;
    await cluster.until(() => leader.store.compactionHeld);
    await putMany(cluster, leader, "meanwhile/", 100);
    await cluster.settled(leader.reclaimNow());
    assert.equal(lagging.member!.raft.appliedIndex, applied, "the snapshot is still on its way");
    cluster.chunkMillis = 0;
    await cluster.until(sameAs(leader, lagging));
    assert.equal(lagging.snapshots, 1, "a second one is not needed");
    assert.equal(describe(lagging.member!), describe(leader));
  });

type Reading = { cluster: Cluster; lagging: Node; call: RecordedCall; before: number };

/** A client of a member has begun a long list and not read it, when a snapshot replaces the member's state. */
async function readingOverSnapshot(form: Form): Promise<Reading> {
  const { cluster, leader, lagging } = await threeMembers(form);
  for (let n = 0; n < 100; n++) await put(cluster, leader, `k/${n}`, String(n).padEnd(45_000, "."));
  await cluster.until(sameAs(leader, lagging));
  lagging.cut = true;
  const methods = methodTable(lagging.member!, new HealthService());
  const method = methods.get("/etcdserverpb.KV/Range")!;
  assert.ok(method.kind === "unary");
  const call = new RecordedCall({ reading: false });
  const request = { ...rangeRequest("k/", "k0"), serializable: true };
  method.handle(call, encodeRangeRequest(request));
  const before = lagging.member!.store.currentRevision;
  await cluster.until(() => lagging.member!.store.readers > 0);
  const deletion = { key: Buffer.from("k/"), rangeEnd: Buffer.from("k0"), prevKv: false };
  await propose(cluster, leader, RequestField.DeleteRange, encodeDeleteRangeRequest(deletion));
  await putMany(cluster, leader, "k/", 50);
  await cluster.settled(leader.reclaimNow());
  lagging.cut = false;
  await cluster.until(sameAs(leader, lagging));
  assert.equal(lagging.snapshots, 1);
  assert.deepEqual([...cluster.forms], [form]);
  return { cluster, lagging, call, before };
}

for (const form of FORMS)
  test(`a long list that began before a snapshot ends with the revision it began with (${form})`, async () => {
    const { cluster, call, before } = await readingOverSnapshot(form);
    while (!call.done) {
      call.read(1);
      await cluster.until(() => true);
    }
    const { kvs, header } = decodeRangeResponse(call.messages[0]!);
    assert.deepEqual([header!.revision, kvs.length], [before, 100]);
    for (const { key, value } of kvs)
      assert.equal(Buffer.from(value).toString(), Buffer.from(key).toString().slice(2).padEnd(45_000, "."));
  });

for (const form of FORMS)
  test(`a long list that nobody reads does not keep the state that a snapshot has replaced (${form})`, async () => {
    const { cluster, lagging, call } = await readingOverSnapshot(form);
    const files = await lagging.disk.list("/data/member/cairn");
    const end = cluster.clock.now() + 61_000;
    await cluster.until(() => cluster.clock.now() > end);
    call.read(1);
    assert.equal(call.error?.message, "etcdserver: mvcc: required revision has been compacted");
    await cluster.until(() => lagging.member!.store.readers === 0);
    const left = await lagging.disk.list("/data/member/cairn");
    assert.ok(left.length < files.length, `${files.join(" ")} became ${left.join(" ")}`);
  });

test("a member whose name came with a snapshot is published, although nobody answers its proposal", async () => {
  const { cluster, leader, lagging } = await threeMembers("copy");
  await cluster.until(sameAs(leader, lagging));
  lagging.cut = true;
  const member = lagging.member!;
  const published = publish(member);
  const began = cluster.clock.now();
  const memberAttributes = { name: member.options.name, clientUrls: [...member.options.clientUrls] };
  const attributes = encodeClusterMemberAttrSetRequest({ memberId: member.localId, memberAttributes });
  await propose(cluster, leader, RequestField.ClusterMemberAttrSet, attributes);
  await putMany(cluster, leader, "k/", 100);
  await cluster.settled(leader.reclaimNow());
  lagging.cut = false;
  await cluster.settled(published);
  assert.equal(lagging.snapshots, 1);
  assert.ok(cluster.clock.now() - began < requestTimeoutMillis(member.options), "not by trying again");
});
