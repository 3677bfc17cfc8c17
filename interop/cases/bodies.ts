// Snapshots between members, both ways and whole: a member of ours is brought up by a real etcd's snapshot, then leads and brings up another
// real etcd by its own. All three end with equal hashes. The subject takes no part: ours is in this process, to look inside.
import { closeSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { type MemberId, memberId } from "../../src/base/brand.ts";
import type { ClusterMember } from "../../src/cluster/membership.ts";
import { openBackup } from "../../src/member/snapshot/backup.ts";
import { NO_TLS } from "../../src/peer/testing/no-tls.ts";
import { CairnMember } from "../lib/cairn-member.ts";
import { type Case, check, equal, match } from "../lib/case.ts";
import { mustRun } from "../lib/command.ts";
import { fillMixed, hashKv } from "../lib/fill.ts";
import { makeRunDir, projectRoot, removeRunDir } from "../lib/paths.ts";
import { freePort } from "../lib/ports.ts";
import { realEtcd, Server, type ServerCommand } from "../lib/server.ts";
import { peer } from "../peers.ts";

const url = (port: number): string => `http://127.0.0.1:${port}`;

function flags(name: string, port: number, cluster: string, state: "new" | "existing"): string[] {
  const own = ["--name", name, "--listen-peer-urls", url(port), "--initial-advertise-peer-urls", url(port)];
  const few = [
    "--strict-reconfig-check=false",
    "--snapshot-count",
    "100",
    "--snapshot-catchup-entries",
    "10",
  ];
  return [...own, "--initial-cluster", cluster, "--initial-cluster-state", state, ...few];
}

/** Waits for what other processes do in their own time. */
async function until(what: string, ready: () => Promise<boolean>, tell: () => string): Promise<void> {
  const end = Date.now() + 20_000;
  while (!(await ready())) {
    if (Date.now() > end) throw new Error(`${what} did not happen\n${tell()}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function sameHash(etcd: Server, ours: CairnMember): Promise<boolean> {
  return JSON.stringify(await hashKv(etcd)) === JSON.stringify(ours.hash());
}

/** `etcdctl member list`: id, status, name, peer URLs, client URLs, learner. */
async function membersOf(etcdctl: readonly string[]): Promise<ClusterMember[]> {
  const lines = (await mustRun([...etcdctl, "member", "list"])).trim().split("\n");
  return lines.map((line) => {
    const [id, , name, peerUrl] = line.split(", ") as [string, string, string, string];
    return { id: memberId(BigInt(`0x${id}`)), name, peerUrls: [peerUrl], clientUrls: [], isLearner: false };
  });
}

async function addMember(
  etcdctl: readonly string[],
  name: string,
  port: number,
): Promise<{ readonly localId: MemberId; readonly clusterId: bigint }> {
  const said = await mustRun([...etcdctl, "member", "add", name, `--peer-urls=${url(port)}`]);
  const [, id, cluster] = /Member\s+(\w+) added to cluster\s+(\w+)/.exec(said)!;
  return { localId: memberId(BigInt(`0x${id}`)), clusterId: BigInt(`0x${cluster}`) };
}

async function bothWays(first: ServerCommand, third: ServerCommand): Promise<void> {
  const dir = makeRunDir("bodies");
  const [realPort, ourPort, thirdPort] = [await freePort(), await freePort(), await freePort()];
  const extra = flags("real", realPort, `real=${url(realPort)}`, "new");
  const real = await Server.start(first, { dataDir: join(dir, "real"), extra });
  const etcdctl = [await peer("etcdctl"), ...real.clientFlags];
  let ours: CairnMember | undefined;
  let last: Server | undefined;
  const tell = (): string => `${ours?.lines.slice(-30).join("\n")}\n${last?.log().slice(-3000)}`;
  try {
    await fillMixed(real);
    const { localId, clusterId } = await addMember(etcdctl, "ours", ourPort);
    ours = await CairnMember.join({
      name: "ours",
      dataDir: join(dir, "ours"),
      port: ourPort,
      tls: NO_TLS,
      clusterId: clusterId as never,
      localId,
      members: [{ id: localId, name: "ours", peerUrls: [url(ourPort)], clientUrls: [], isLearner: false }],
    });
    const joined = ours;
    await until("our catching up", () => sameHash(real, joined), tell);
    check(
      joined.lines.some((line) => line.includes("applied snapshot")),
      "we were brought up by a snapshot",
    );
    equal(joined.member.membership.members().length, 2, "members known to us");
    equal(joined.member.lessor.size, 1, "leases known to us");
    await mustRun([...etcdctl, "put", "behind", "the snapshot"]);
    await until("our following", () => sameHash(real, joined), tell);
    await mustRun([...etcdctl, "move-leader", localId.toString(16)]);
    await until("our leading", async () => joined.member.raft.isLeader, tell);
    for (let n = 0; n < 20; n++) await mustRun([...etcdctl, "put", `while-we-lead/${n}`, `${n}`]);
    await joined.member.reclaimNow();
    last = await bringUp(third, dir, etcdctl, thirdPort);
    const brought = last;
    match(brought.log(), /applied snapshot/, "the third member was brought up by a snapshot");
    await until("its catching up", () => sameHash(brought, joined), tell);
    await mustRun([...etcdctl, "put", "all", "three"]);
    await until("all three", async () => (await sameHash(brought, joined)) && sameHash(real, joined), tell);
    await judgeBody(joined, join(dir, "body.db"));
  } finally {
    await last?.stop();
    await ours?.close();
    await real.stop();
    removeRunDir(dir);
  }
}

async function bringUp(
  command: ServerCommand,
  dir: string,
  etcdctl: readonly string[],
  port: number,
): Promise<Server> {
  await addMember(etcdctl, "third", port);
  const members = await membersOf(etcdctl);
  const named = members.map(({ name, peerUrls }) => `${name === "" ? "third" : name}=${peerUrls[0]}`);
  const extra = flags("third", port, named.join(","), "existing");
  return Server.start(command, { dataDir: join(dir, "third"), extra, logLevel: "info" });
}

/** Our body as a file: what the real etcdutl says of it. */
async function judgeBody(ours: CairnMember, file: string): Promise<void> {
  const backup = openBackup(ours.member, 64 << 10);
  const fd = openSync(file, "w");
  while (!backup.writer.plan(1000));
  for (let chunk = backup.writer.next(); chunk !== undefined; chunk = backup.writer.next())
    writeSync(fd, chunk);
  backup.release();
  closeSync(fd);
  const { hash, hash_revision } = ours.hash();
  const etcdutl = await peer("etcdutl");
  const status = JSON.parse(await mustRun([etcdutl, "snapshot", "status", file, "-w", "json"])) as {
    revision: number;
  };
  equal(status.revision, hash_revision, "etcdutl snapshot status tells our revision");
  match(await mustRun([etcdutl, "hashkv", file]), new RegExp(`^${hash},`), "etcdutl hashkv");
}

/** Three directories restored from one snapshot: two of ours and a real etcd are the new cluster. */
async function restoredThree(etcdutl: string): Promise<void> {
  const dir = makeRunDir("bodies");
  const names = ["a", "b", "c"];
  const ports = [await freePort(), await freePort(), await freePort()] as const;
  const cluster = names.map((name, i) => `${name}=${url(ports[i]!)}`).join(",");
  const file = join(dir, "snapshot.db");
  let before: unknown;
  const source = await Server.start(await realEtcd(), { dataDir: join(dir, "source") });
  try {
    await fillMixed(source);
    before = (await hashKv(source)).hash;
    await mustRun([await peer("etcdctl"), ...source.clientFlags, "snapshot", "save", file]);
  } finally {
    await source.stop();
  }
  for (const [i, name] of names.entries()) {
    const own = [
      "--name",
      name,
      "--initial-advertise-peer-urls",
      url(ports[i]!),
      "--initial-cluster",
      cluster,
    ];
    await mustRun([etcdutl, "snapshot", "restore", file, ...own, "--data-dir", join(dir, name)]);
  }
  const ours: CairnMember[] = [];
  let real: Server | undefined;
  try {
    for (const [i, name] of ["a", "b"].entries()) {
      const nobody = { clusterId: 0n as never, localId: memberId(0n), members: [] };
      ours.push(
        await CairnMember.join({ name, dataDir: join(dir, name), port: ports[i]!, tls: NO_TLS, ...nobody }),
      );
    }
    const extra = flags("c", ports[2], cluster, "new");
    real = await Server.start(await realEtcd(), { dataDir: join(dir, "c"), extra });
    const [etcd, tell] = [real, () => ours.flatMap(({ lines }) => lines.slice(-20)).join("\n")];
    equal((await hashKv(etcd)).hash, before, "the hash of what was saved");
    await mustRun([await peer("etcdctl"), ...etcd.clientFlags, "put", "new", "cluster"]);
    for (const each of ours) await until("equal hashes", () => sameHash(etcd, each), tell);
    equal(ours[0]!.member.membership.members().length, 3, "members of the new cluster");
  } finally {
    await real?.stop();
    for (const each of ours) await each.close();
    removeRunDir(dir);
  }
}

const PAIRS = [
  ["etcd", "etcd"],
  ["etcd-3.6", "etcd-3.6"],
  ["etcd-3.6", "etcd"],
] as const;

export const bodyCases: readonly Case[] = [
  ...PAIRS.map(([first, third]) => ({
    name: `bodies: ${first} brings us up by a snapshot, and we bring up ${third === first ? "another" : third}`,
    run: async () => bothWays(await realEtcd(first), await realEtcd(third)),
  })),
  {
    name: "bodies: two of ours and a real etcd begin a cluster of three that our etcdutl restored",
    run: async () => restoredThree(join(projectRoot, "bin", "etcdutl")),
  },
  {
    name: "bodies: two of ours and a real etcd begin a cluster of three that the real etcdutl restored",
    run: async () => restoredThree(await peer("etcdutl")),
  },
];
