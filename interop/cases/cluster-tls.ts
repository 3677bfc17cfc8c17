// Members that speak TLS with each other: members under test among real etcd members, with certificates that both sides ask for, with
// certificates of their own making, and with all of it replaced on disk while the cluster runs.
import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { get } from "node:https";
import { join } from "node:path";
import { type Case, check, equal, match, type Settings } from "../lib/case.ts";
import { type Certificates, makeCertificates, replaceFile, replaceFiles } from "../lib/certificates.ts";
import type { Cluster, ClusterMember } from "../lib/cluster.ts";
import { compareHashes, times, underLoad, until, withCluster } from "../lib/cluster-case.ts";
import type { ClusterLoad } from "../lib/cluster-load.ts";
import { mustRun } from "../lib/command.ts";
import { makeRunDir, projectRoot, removeRunDir } from "../lib/paths.ts";
import { realEtcd, Server, type ServerCommand } from "../lib/server.ts";
import { peer } from "../peers.ts";

const clients = ["--clients", "4", "--think", "5ms"];

async function inDirectory(body: (dir: string) => Promise<void>): Promise<void> {
  const dir = makeRunDir("cluster-tls");
  try {
    await body(dir);
  } finally {
    removeRunDir(dir);
  }
}

/** Each member is killed and comes back: every connection between members is made anew, in both directions. */
async function everyoneReconnects(
  cluster: Cluster,
  load: ClusterLoad,
  before: (member: ClusterMember) => void = () => undefined,
): Promise<void> {
  for (const member of [...cluster.members]) {
    await member.server.kill();
    before(member);
    await writesGoOn(load, `writes without ${member.name}`);
    await member.server.restart();
    await compareHashes(cluster, load);
  }
}

async function writesGoOn(load: ClusterLoad, what: string): Promise<void> {
  const { puts } = await load.report();
  await until(async () => (await load.report()).puts > puts + 20, what);
}

function withCertificates(commands: readonly ServerCommand[]): Promise<void> {
  return inDirectory(async (dir) => {
    const files = await makeCertificates(join(dir, "tls"));
    const body = (cluster: Cluster): Promise<void> =>
      underLoad(cluster, clients, async (load) => {
        await leadsOnce(cluster, load);
        await everyoneReconnects(cluster, load);
        await refusesStrangers(cluster, files, join(dir, "strange"));
      });
    await withCluster(commands, body, { peerTls: () => files });
  });
}

/** Every member leads for a while: entries go out from each of them. */
async function leadsOnce(cluster: Cluster, load: ClusterLoad): Promise<void> {
  for (const member of cluster.members) {
    const leader = await cluster.leader();
    if (leader.name === member.name) continue;
    const moved = await cluster.etcdctlAt(leader, ["move-leader", await cluster.idOf(member.name)]);
    match(moved.stdout, /Leadership transferred/, `move-leader to ${member.name}: ${moved.stderr}`);
    await writesGoOn(load, `writes while ${member.name} leads`);
  }
}

/** Without a certificate, and with one of another authority, nobody is heard on a peer port; with one of the members' own authority, one is. */
async function refusesStrangers(cluster: Cluster, known: Certificates, dir: string): Promise<void> {
  const strange = await makeCertificates(dir);
  for (const { name, server } of cluster.members) {
    const url = `${server.peerUrl}/members`;
    check((await statusOf(url, known)) === 200, `${name} does not answer who may ask`);
    check((await statusOf(url, strange)) === 0, `${name} answers a certificate of another authority`);
    check((await statusOf(url, undefined)) === 0, `${name} answers without a certificate`);
  }
}

/** 0 when the connection is refused or broken off. */
function statusOf(url: string, own: Certificates | undefined): Promise<number> {
  const pair =
    own === undefined ? {} : { cert: readFileSync(own.clientCert), key: readFileSync(own.clientKey) };
  return new Promise((resolve) => {
    const options = { ...pair, rejectUnauthorized: false, agent: false, timeout: 5_000 };
    const asking = get(url, options, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    asking.on("timeout", () => asking.destroy());
    asking.on("error", () => resolve(0));
  });
}

/** Each side asks for a common name: who calls of who is called, too. */
function withNames(commands: readonly ServerCommand[]): Promise<void> {
  return inDirectory(async (dir) => {
    const files = await makeCertificates(join(dir, "tls"));
    const { subject } = new X509Certificate(readFileSync(files.serverCert));
    const name = /^CN=(.*)$/m.exec(subject)?.[1];
    check(name !== undefined, `a certificate without a common name: ${subject}`);
    const extra = ["--peer-cert-allowed-cn", name!];
    const body = (cluster: Cluster): Promise<void> =>
      underLoad(cluster, clients, (load) => everyoneReconnects(cluster, load));
    await withCluster(commands, body, { peerTls: () => files, extra });
  });
}

async function withOwnCertificates(settings: Settings): Promise<void> {
  const commands = [settings.subject, settings.subject, await realEtcd()];
  const body = (cluster: Cluster): Promise<void> =>
    underLoad(cluster, clients, async (load) => {
      await leadsOnce(cluster, load);
      await everyoneReconnects(cluster, load);
    });
  await withCluster(commands, body, { peerTls: () => "auto" });
}

/**
 * Both authorities are trusted, then all have certificates of the new one, then only the new one is trusted; no member is restarted for it.
 * A real etcd reads its authorities at its start alone: it has both from the beginning, and gets the new one alone when it is killed anyway.
 */
function rotating(commands: readonly ServerCommand[]): Promise<void> {
  return inDirectory(async (dir) => {
    const [old, fresh] = [await makeCertificates(join(dir, "old")), await makeCertificates(join(dir, "new"))];
    const both = readFileSync(old.ca, "utf8") + readFileSync(fresh.ca, "utf8");
    const files = new Map<string, Certificates>();
    for (let i = 1; i <= commands.length; i++) {
      const own = await makeCertificates(join(dir, `m${i}`));
      replaceFiles(old, own);
      if (commands[i - 1]!.label.startsWith("etcd")) replaceFile(own.ca, both);
      files.set(`m${i}`, own);
    }
    const body = (cluster: Cluster): Promise<void> =>
      underLoad(cluster, clients, async (load) => {
        for (const own of files.values()) replaceFile(own.ca, both);
        const { serverCert, serverKey } = fresh;
        for (const own of files.values()) replaceFiles({ serverCert, serverKey }, own);
        const onlyNew = ({ name }: ClusterMember): void =>
          replaceFile(files.get(name)!.ca, readFileSync(fresh.ca));
        for (const member of cluster.members)
          if (!member.server.command.label.startsWith("etcd")) onlyNew(member);
        await everyoneReconnects(cluster, load, onlyNew);
      });
    await withCluster(commands, body, { peerTls: (name) => files.get(name)! });
  });
}

/** What Go trusts is what stands in the file, whoever signed it: members of each other, and servers and clients. */
function belowAnother(commands: readonly ServerCommand[]): Promise<void> {
  return inDirectory(async (dir) => {
    const tls = await makeCertificates(join(dir, "tls"), true);
    const body = (cluster: Cluster): Promise<void> =>
      underLoad(cluster, clients, (load) => everyoneReconnects(cluster, load));
    await withCluster(commands, body, { peerTls: () => tls });
    for (const command of commands.slice(0, 2)) await answersBoth(command, tls, join(dir, command.label));
  });
}

async function answersBoth(command: ServerCommand, tls: Certificates, dataDir: string): Promise<void> {
  const server = await Server.start(command, { dataDir, tls });
  try {
    for (const program of [await peer("etcdctl"), join(projectRoot, "bin", "etcdctl")]) {
      const put = await mustRun([program, ...server.clientFlags, "put", "trust", "k"]);
      equal(put, "OK\n", `${program} at ${command.label}`);
    }
  } finally {
    await server.stop();
  }
}

export const clusterTlsCases: readonly Case[] = [
  {
    name: "cluster: one member under test and two of etcd speak TLS with each other and refuse strangers",
    run: async ({ subject }) => withCertificates([subject, ...times(2, await realEtcd())]),
  },
  {
    name: "cluster: two members under test and one of etcd allow each other's common name",
    run: async ({ subject }) => withNames([...times(2, subject), await realEtcd()]),
  },
  {
    name: "cluster: members and clients of both kinds trust an authority that another one signed",
    run: async ({ subject }) => belowAnother([subject, await realEtcd(), subject]),
  },
  {
    name: "cluster: members under test and one of etcd agree with --peer-auto-tls",
    run: withOwnCertificates,
  },
  {
    name: "cluster: certificates and authorities of three members are replaced on disk, without a restart for it",
    run: ({ subject }) => rotating(times(3, subject)),
  },
  {
    name: "cluster: certificates and authorities are replaced on disk beside a member of etcd",
    run: async ({ subject }) => rotating([subject, await realEtcd(), subject]),
  },
];
