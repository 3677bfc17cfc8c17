// The network between members, held against real etcd members: raft messages, snapshots both ways, and the questions that members ask each
// other. Ours is a RaftMember, so what is tested is src/peer and src/raft; the subject takes no part.
import { writeFileSync } from "node:fs";
import { request as httpRequest } from "node:http";
import { join } from "node:path";
import { type LeaseId, type MemberId, memberId } from "../../src/base/brand.ts";
import { errors } from "../../src/base/errors.ts";
import { EtcdFault } from "../../src/member/fault.ts";
import { NO_TLS } from "../../src/peer/testing/no-tls.ts";
import { type Case, check, equal, match } from "../lib/case.ts";
import { makeCertificates } from "../lib/certificates.ts";
import { mustRun } from "../lib/command.ts";
import { makeRunDir, removeRunDir } from "../lib/paths.ts";
import { freePort } from "../lib/ports.ts";
import { newCluster, RaftMember } from "../lib/raft-member.ts";
import { realEtcd, Server, type ServerCommand } from "../lib/server.ts";
import { peer } from "../peers.ts";

interface Pair {
  readonly etcd: Server;
  readonly ours: RaftMember;
  readonly etcdctl: readonly string[];
  readonly etcdPeerUrl: string;
}

/** Waits for what the other process does in its own time. */
async function until(what: string, ours: RaftMember, ready: () => boolean): Promise<void> {
  const end = Date.now() + 20_000;
  while (!ready()) {
    if (Date.now() > end)
      throw new Error(`${what} did not happen; our log:\n${ours.lines.slice(-25).join("\n")}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

function flags(name: string, peerUrl: string, cluster: string, state: "new" | "existing"): string[] {
  const own = ["--name", name, "--listen-peer-urls", peerUrl, "--initial-advertise-peer-urls", peerUrl];
  return [...own, "--initial-cluster", cluster, "--initial-cluster-state", state];
}

/** Two founders of one cluster, a real one and ours. */
async function withPair(
  command: ServerCommand,
  secure: boolean,
  body: (pair: Pair) => Promise<void>,
): Promise<void> {
  const dir = makeRunDir("peer");
  const scheme = secure ? "https" : "http";
  const ports = [await freePort(), await freePort()] as const;
  const [etcdPeerUrl, ourPeerUrl] = ports.map((port) => `${scheme}://127.0.0.1:${port}`) as [string, string];
  const cluster = newCluster([
    { name: "real", peerUrl: etcdPeerUrl },
    { name: "ours", peerUrl: ourPeerUrl },
  ]);
  const extra = flags("real", etcdPeerUrl, `real=${etcdPeerUrl},ours=${ourPeerUrl}`, "new");
  let tls = NO_TLS;
  if (secure) {
    const files = await makeCertificates(join(dir, "tls"));
    extra.push("--peer-cert-file", files.serverCert, "--peer-key-file", files.serverKey);
    extra.push("--peer-client-cert-auth", "--peer-trusted-ca-file", files.ca);
    const own = { certFile: files.serverCert, keyFile: files.serverKey, trustedCaFile: files.ca };
    tls = { ...NO_TLS, ...own, clientCertAuth: true };
  }
  const ours = await RaftMember.start({
    port: ports[1],
    peerUrl: ourPeerUrl,
    tls,
    ...cluster,
    founding: true,
  });
  try {
    const etcd = await Server.start(command, { dataDir: join(dir, "data"), extra });
    try {
      await body({ etcd, ours, etcdctl: [await peer("etcdctl"), ...etcd.clientFlags], etcdPeerUrl });
    } catch (error) {
      throw new Error(
        `${error instanceof Error ? error.message : String(error)}\n${etcd.log().slice(-3000)}`,
      );
    } finally {
      await etcd.stop();
    }
  } finally {
    await ours.close();
    removeRunDir(dir);
  }
}

async function leadsAfterMove(pair: Pair): Promise<void> {
  const { ours, etcdctl } = pair;
  if (ours.leads) return;
  await mustRun([...etcdctl, "move-leader", ours.localId.toString(16)]);
  await until("the move of leadership to us", ours, () => ours.leads);
}

async function handBack(ours: RaftMember, to: MemberId): Promise<void> {
  ours.handOver(to);
  await until("the move of leadership back", ours, () => ours.leader === to);
}

/** A write through the real member is committed by both, whoever leads. */
async function writes(pair: Pair, key: string): Promise<void> {
  const { ours, etcdctl } = pair;
  const value = `${key}-${"x".repeat(2000)}`;
  await mustRun([...etcdctl, "put", key, value]);
  const seen = (): boolean => ours.committed.some((data) => Buffer.from(data).includes(value));
  await until(`the commit of ${key} on our side`, ours, seen);
  equal((await mustRun([...etcdctl, "get", key, "--print-value-only"])).trim(), value, `the value of ${key}`);
}

async function replicate(pair: Pair): Promise<void> {
  const { ours, etcd } = pair;
  await writes(pair, "first");
  await leadsAfterMove(pair);
  await writes(pair, "while-we-lead");
  const before = ours.committed.length;
  const load = ["put", ...etcd.clientFlags, "--total=3000", "--clients=50", "--conns=5", "--val-size=200"];
  await mustRun([await peer("benchmark"), ...load]);
  await until("3,000 entries of the load", ours, () => ours.committed.length >= before + 3000);
  await handBack(ours, memberId(BigInt(`0x${await realId(pair)}`)));
  await writes(pair, "while-it-leads");
  const lost = ours.lines.filter((line) => /dropped|lost TCP/.test(line));
  equal(lost, [], "streams that broke or were too full");
}

async function realId({ etcdctl }: Pair): Promise<string> {
  const list = await mustRun([...etcdctl, "member", "list"]);
  return match(list, /^([0-9a-f]+), started, real/m, "the real member's id")[1]!;
}

async function ask(pair: Pair): Promise<void> {
  const { ours, etcdctl, etcdPeerUrl } = pair;
  const { client } = ours.network;
  const urls = ["http://127.0.0.1:1", etcdPeerUrl];
  const real = memberId(BigInt(`0x${await realId(pair)}`));
  const seen = await client.members(urls, 5000);
  equal(seen.clusterId, ours.clusterId, "the cluster's id");
  equal(seen.members.map((member) => member.id).includes(real), true, "the real member is a member");
  const versions = await client.versions(urls, 5000);
  match(versions.server, /^3\.[67]\.\d+$/, "the version of the server");
  const granted = await mustRun([...etcdctl, "lease", "grant", "500"]);
  const lease = BigInt(`0x${granted.split(" ")[1]}`) as LeaseId;
  await mustRun([...etcdctl, "put", "leased", "x", "--lease", lease.toString(16)]);
  if (ours.leads) await handBack(ours, real);
  equal(await client.renewLease(urls, lease, 5000), 500, "the renewed time to live");
  const alive = await client.leaseTimeToLive(urls, lease, true, 5000);
  equal(alive.grantedTtl, 500, "the granted time to live");
  equal(
    alive.keys.map((key) => Buffer.from(key).toString()),
    ["leased"],
    "the lease's keys",
  );
  equal(await client.renewLease(urls, 12345n as LeaseId, 5000), 0, "a lease that is not there");
  equal(
    (await client.leaseTimeToLive(urls, 12345n as LeaseId, false, 5000)).ttl,
    -1,
    "one that is not there",
  );
  const hash = await client.hashKv(urls, 0, 5000);
  const own = JSON.parse(await mustRun([...etcdctl, "endpoint", "hashkv", "-w", "json"])) as [
    { HashKV: { hash: number } },
  ];
  equal(hash.hash, own[0].HashKV.hash, "the hash of the key space");
  await refused(client.hashKv(urls, 100_000, 5000), errors.futureRevision.message);
  await refused(client.promote(urls, memberId(77n), 5000), errors.memberNotFound.message);
  await refused(client.promote(urls, real, 5000), errors.memberNotLearner.message);
  equal(await client.downgradeEnabled(urls, 5000), false, "whether a downgrade is under way");
}

interface Request {
  readonly method: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
}

/** Both get the same requests, good and bad, and must give the same answers but for who they are. */
async function answersAlike(pair: Pair): Promise<void> {
  const { ours, etcdPeerUrl } = pair;
  const cluster = ours.clusterId.toString(16);
  // Of leases, the leader alone says that they are not there; ours says so of all.
  if (ours.leads) await handBack(ours, memberId(BigInt(`0x${await realId(pair)}`)));
  const good = {
    "X-Server-From": "77",
    "X-Server-Version": "3.7.1",
    "X-Min-Cluster-Version": "3.0.0",
    "X-Etcd-Cluster-ID": cluster,
  };
  const requests: Request[] = [];
  for (const path of PEER_PATHS) {
    for (const method of ["GET", "POST", "PUT", "HEAD", "OPTIONS"]) requests.push({ method, path });
  }
  const bodies = ["", "\u00ff", "[]", Buffer.from("00000000000000020803", "hex"), Buffer.alloc(70_000)];
  for (const body of bodies) {
    for (const path of ["/raft", "/raft/snapshot"])
      requests.push({ method: "POST", path, headers: good, body });
    for (const path of ["/leases", "/leases/internal"]) requests.push({ method: "POST", path, body });
    requests.push({ method: "GET", path: "/members/hashkv", body });
  }
  for (const change of [
    { "X-Etcd-Cluster-ID": "1" },
    { "X-Server-Version": "2.2.0" },
    { "X-Min-Cluster-Version": "9.0.0" },
    { "X-Raft-To": "1" },
    {},
  ]) {
    const headers = { ...good, ...change };
    for (const path of STREAM_PATHS) requests.push({ method: "GET", path, headers });
    requests.push(
      { method: "POST", path: "/raft", headers },
      { method: "POST", path: "/raft/snapshot", headers },
    );
    requests.push({ method: "GET", path: "/members/hashkv", headers, body: '{"revision":1000000}' });
  }
  for (const request of requests) {
    const what = `${request.method} ${request.path} ${JSON.stringify(request.headers)} ${String(request.body).slice(0, 20)}`;
    const expected = await answer(etcdPeerUrl, request);
    // A few requests make etcd's handlers fail over a missing part, which breaks the connection off.
    if (expected !== BROKEN_OFF) equal(await answer(ours.url, request), expected, what);
  }
}

const STREAM_PATHS = [
  "/raft/stream/msgapp/77",
  "/raft/stream/message/xyz",
  "/raft/stream/other/77",
  "/raft/stream/77",
];
const PEER_PATHS = [
  "/",
  "/raft",
  "/raft/",
  "/raft/nothing",
  "/raft/snapshot",
  "/raft/stream",
  "/raft/stream/",
  ...STREAM_PATHS,
  "/members/promote",
  "/members/promote/",
  "/members/promote/x",
  "/members/promote/99999999999999999999",
  "/members/nothing",
  "/members/hashkv",
  "/leases",
  "/leases/",
  "/leases/internal",
  "/downgrade/enabled",
  "/downgrade",
  "//raft",
  "/raft/../members/x",
  "/health",
  "/metrics",
];

const BROKEN_OFF = "the connection was broken off";

/** What differs by nature: the version, the time, and how a connection is kept. */
const OWN_HEADERS = new Set([
  "x-server-version",
  "date",
  "connection",
  "keep-alive",
  "transfer-encoding",
  "content-length",
]);

function answer(url: string, request: Request): Promise<unknown> {
  return new Promise((resolve) => {
    const { method, path, headers = {}, body = "" } = request;
    const bytes = Buffer.from(body);
    const { hostname, port } = new URL(url);
    const sent = httpRequest(
      {
        host: hostname,
        port,
        method,
        path,
        agent: false,
        headers: { ...headers, "Content-Length": bytes.length },
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        const kept = Object.entries(response.headers).filter(([name]) => !OWN_HEADERS.has(name));
        const told = (): unknown => [
          response.statusCode,
          Object.fromEntries(kept.sort()),
          // Go's protobuf writes one of its spaces in a way of its own, so that nobody relies on its texts.
          Buffer.concat(chunks).toString().replaceAll("\u00a0", " "),
        ];
        // Broken off behind its head and text, it says the same.
        response.on("error", () => resolve(told()));
        response.on("end", () => resolve(told()));
      },
    );
    sent.on("error", (error) => resolve(error.message === "socket hang up" ? BROKEN_OFF : error.message));
    sent.end(bytes);
  });
}

async function refused(answer: Promise<unknown>, text: string): Promise<void> {
  const error = await answer.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof EtcdFault)) throw new Error(`expected "${text}", got ${error}`);
  equal(error.etcdError.message, text, "the error");
}

/** Ours joins a running cluster through a snapshot, and then leads another member in by one. */
async function snapshots(command: ServerCommand): Promise<void> {
  const dir = makeRunDir("peer-snapshot");
  const urls: string[] = [];
  for (let i = 0; i < 3; i++) urls.push(`http://127.0.0.1:${await freePort()}`);
  const [first, second, third] = urls as [string, string, string];
  const catchup =
    command.label === "etcd" ? "--snapshot-catchup-entries" : "--experimental-snapshot-catchup-entries";
  const short = ["--snapshot-count=50", `${catchup}=5`, "--max-learners=2"];
  const founder = await Server.start(command, {
    dataDir: join(dir, "a"),
    extra: [...flags("a", first, `a=${first}`, "new"), ...short],
  });
  const etcdctl = [await peer("etcdctl"), ...founder.clientFlags];
  let ours: RaftMember | undefined;
  let late: Server | undefined;
  try {
    // Both are members before the snapshot is made: who is not in it cannot be restored from it.
    await mustRun([...etcdctl, "member", "add", "ours", "--learner", "--peer-urls", second]);
    await mustRun([...etcdctl, "member", "add", "c", "--learner", "--peer-urls", third]);
    const load = ["put", ...founder.clientFlags, "--total=2000", "--clients=10", "--val-size=1000"];
    await mustRun([await peer("benchmark"), ...load]);
    ours = await joinRunning(second, first);
    const joined = ours;
    await until("the snapshot to us", joined, () => joined.database.length > 0 && joined.applied > 1000);
    writeFileSync(join(dir, "received.db"), joined.database);
    const status = JSON.parse(
      await mustRun([await peer("etcdutl"), "snapshot", "status", join(dir, "received.db"), "-w", "json"]),
    ) as { totalKey: number };
    check(status.totalKey > 0, "the database that came is one");
    await mustRun([...etcdctl, "member", "promote", joined.localId.toString(16)]);
    const pair = { etcd: founder, ours: joined, etcdctl, etcdPeerUrl: first };
    await leadsAfterMove(pair);
    late = await Server.start(command, {
      dataDir: join(dir, "c"),
      extra: [...flags("c", third, `a=${first},ours=${second},c=${third}`, "existing"), ...short],
    });
    const list = await mustRun([...etcdctl, "member", "list"]);
    const id = (name: string): string =>
      match(list, new RegExp(`^([0-9a-f]+), started, ${name},`, "m"), name)[1]!;
    await handBack(joined, memberId(BigInt(`0x${id("a")}`)));
    await mustRun([...etcdctl, "member", "promote", id("c")]);
    await mustRun([...etcdctl, "put", "at last", "everywhere"]);
    const there = [await peer("etcdctl"), ...late.clientFlags];
    equal(
      (await mustRun([...there, "get", "at last", "--print-value-only"])).trim(),
      "everywhere",
      "the value",
    );
    check(
      joined.lines.some((line) => line.endsWith(" sent")),
      "it came in by our snapshot",
    );
    const both = [...etcdctl.slice(0, 1), "--endpoints", `${founder.endpoint},${late.endpoint}`];
    const hashes = JSON.parse(await mustRun([...both, "endpoint", "hashkv", "-w", "json"])) as {
      HashKV: { hash: number };
    }[];
    equal(hashes[0]!.HashKV.hash, hashes[1]!.HashKV.hash, "the hashes of the real members");
  } catch (error) {
    const lines = ours?.lines.slice(-30).join("\n") ?? "";
    throw new Error(
      `${error instanceof Error ? error.message : String(error)}\n${lines}\n${founder.log().slice(-2000)}\n${late?.log().slice(-2000) ?? ""}`,
    );
  } finally {
    await late?.stop();
    await ours?.close();
    await founder.stop();
    removeRunDir(dir);
  }
}

/** As a member that was added: the cluster tells the ids. */
async function joinRunning(peerUrl: string, knownUrl: string): Promise<RaftMember> {
  const answer = await fetch(`${knownUrl}/members`);
  const text = await answer.text();
  // Ids have more digits than a number of JSON's keeps.
  const members = (
    JSON.parse(text.replaceAll(/"id":(\d+)/g, '"id":"$1"')) as { id: string; peerURLs: string[] }[]
  ).map(({ id, peerURLs }) => ({
    id: memberId(BigInt(id)),
    peerUrls: peerURLs,
    name: "",
    clientUrls: [],
    isLearner: false,
  }));
  const clusterId = memberId(
    BigInt(`0x${answer.headers.get("x-etcd-cluster-id")}`),
  ) as unknown as RaftMember["clusterId"];
  const port = Number(new URL(peerUrl).port);
  return RaftMember.start({ port, peerUrl, tls: NO_TLS, members, clusterId, founding: false });
}

const VERSIONS = ["etcd", "etcd-3.6"] as const;

export const peerCases: readonly Case[] = VERSIONS.flatMap((version): Case[] => {
  const name = version === "etcd" ? "etcd 3.7" : "etcd 3.6";
  return [
    {
      name: `peer: our raft elects and replicates with ${name}, both leading in turn`,
      run: async () => withPair(await realEtcd(version), false, replicate),
    },
    {
      name: `peer: our raft elects and replicates with ${name} over TLS`,
      run: async () => withPair(await realEtcd(version), true, replicate),
    },
    {
      name: `peer: the questions of members to ${name} have the answers of its handlers`,
      run: async () => withPair(await realEtcd(version), false, ask),
    },
    {
      name: `peer: requests good and bad have the answers of ${name}, header by header`,
      run: async () => withPair(await realEtcd(version), false, answersAlike),
    },
    {
      name: `peer: snapshots come from ${name} and go to it`,
      run: async () => snapshots(await realEtcd(version)),
    },
  ];
});
