// The real etcdctl on three members, once through a follower and once through the leader: what a person types on a cluster must be answered
// as etcd does, whichever member is asked. Passes on a real etcd too.
import { join } from "node:path";
import { type Case, check, equal, match, withServer } from "../lib/case.ts";
import type { Cluster, ClusterMember } from "../lib/cluster.ts";
import { times, until, withCluster } from "../lib/cluster-case.ts";
import { type CommandResult, mustRun, runCommand } from "../lib/command.ts";
import { makeRunDir, removeRunDir } from "../lib/paths.ts";
import { freePort } from "../lib/ports.ts";
import type { ServerCommand } from "../lib/server.ts";
import { peer } from "../peers.ts";

interface Asked {
  readonly cluster: Cluster;
  /** Who is asked. */
  readonly at: ClusterMember;
  readonly subject: ServerCommand;
  etcdctl(...args: string[]): Promise<string>;
  refused(...args: string[]): Promise<CommandResult>;
}

async function asking(cluster: Cluster, at: ClusterMember, subject: ServerCommand): Promise<Asked> {
  const program = [await peer("etcdctl"), ...at.server.clientFlags];
  return {
    cluster,
    at,
    subject,
    etcdctl: (...args) => mustRun([...program, ...args]),
    refused: async (...args) => {
      const result = await runCommand([...program, ...args]);
      check(result.code !== 0, `${args.join(" ")} must be refused: ${result.stdout}`);
      return result;
    },
  };
}

const ID = "[0-9a-f]{14,16}";

async function endpoints({ etcdctl, cluster }: Asked): Promise<void> {
  await etcdctl("put", "key", "value");
  const urls = cluster.members.map(({ server }) => server.clientUrl).sort();
  const health = (await etcdctl("endpoint", "health", "--cluster")).trim().split("\n");
  equal(
    health.map((line) => line.split(" is healthy: successfully committed proposal: took = ")[0]).sort(),
    urls,
    "health",
  );
  type Status = {
    Status: { header: { member_id: number }; leader: number; raftTerm: number; version: string };
  };
  const rows = JSON.parse(await etcdctl("endpoint", "status", "--cluster", "-w", "json")) as Status[];
  equal(rows.length, 3, "rows of endpoint status");
  equal(
    new Set(rows.map(({ Status }) => `${Status.leader} ${Status.raftTerm}`)).size,
    1,
    "leaders that they name",
  );
  equal(
    rows.filter(({ Status }) => Status.leader === Status.header.member_id).length,
    1,
    "members that lead",
  );
  match(
    await etcdctl("endpoint", "status", "--cluster", "-w", "table"),
    /│ +true │ +false │/,
    "the leader's row",
  );
  await cluster.equalHashes();
  const hashes = JSON.parse(await etcdctl("endpoint", "hashkv", "--cluster", "-w", "json")) as {
    HashKV: { hash: number };
  }[];
  equal(new Set(hashes.map(({ HashKV }) => HashKV.hash)).size, 1, "hashes of hashkv --cluster");
  equal(
    (await etcdctl("defrag", "--cluster")).match(/Finished defragmenting etcd member/g)?.length,
    3,
    "defrag --cluster",
  );
  equal(await etcdctl("alarm", "list"), "", "alarm list");
  equal(await etcdctl("alarm", "disarm"), "", "alarm disarm");
}

async function members({ etcdctl, refused, cluster }: Asked): Promise<void> {
  const listed = await etcdctl("member", "list");
  for (const { name, server } of cluster.members)
    match(
      listed,
      new RegExp(`^${ID}, started, ${name}, ${server.peerUrl}, ${server.clientUrl}, false$`, "m"),
      "member list",
    );
  const url = `http://127.0.0.1:${await freePort()}`;
  let added = "";
  await until(async () => {
    const result = await cluster.tryEtcdctl(["member", "add", "late", "--learner", "--peer-urls", url]);
    added = result.stdout;
    return result.code === 0;
  }, "member add --learner");
  const id = match(
    added,
    new RegExp(`^Member +(${ID}) added as learner to cluster +${ID}\n`),
    "member add",
  )[1]!;
  match(added, /\nETCD_NAME="late"\nETCD_INITIAL_CLUSTER="[^"]*late=http:[^"]*"\n/, "what member add tells");
  match(added, /\nETCD_INITIAL_CLUSTER_STATE="existing"\n/, "the state that member add tells");
  match(
    await etcdctl("member", "list"),
    new RegExp(`${id}, unstarted, , ${url}, , true`),
    "an unstarted learner",
  );
  const early = await refused("member", "promote", id);
  match(
    early.stderr,
    /etcdserver: can only promote a learner member which is in sync with leader/,
    "member promote",
  );
  const twice = await refused("member", "add", "again", "--learner", "--peer-urls", url);
  // The id is made of URLs and the second.
  match(
    twice.stderr,
    /etcdserver: (Peer URLs already exists|member ID already exist)/,
    "a second member at the same URL",
  );
  const moved = `http://127.0.0.1:${await freePort()}`;
  match(
    await etcdctl("member", "update", id, "--peer-urls", moved),
    /^Member +[0-9a-f]+ updated in cluster/,
    "update",
  );
  match(
    await etcdctl("member", "list"),
    new RegExp(`${id}, unstarted, , ${moved}, , true`),
    "an updated learner",
  );
  match(
    await etcdctl("member", "remove", id),
    new RegExp(`^Member +${id} removed from cluster +${ID}\n`),
    "remove",
  );
  match(
    (await refused("member", "remove", id)).stderr,
    /etcdserver: member not found/,
    "member remove twice",
  );
  match(
    (await refused("member", "promote", id)).stderr,
    /etcdserver: member not found/,
    "member promote of nobody",
  );
}

async function leases({ etcdctl, refused }: Asked): Promise<void> {
  const id = match(
    await etcdctl("lease", "grant", "600"),
    /^lease ([0-9a-f]{16}) granted/,
    "lease grant",
  )[1]!;
  await etcdctl("put", "leased", "x", "--lease", id);
  match(await etcdctl("lease", "keep-alive", "--once", id), /keepalived with TTL\(600\)/, "lease keep-alive");
  match(
    await etcdctl("lease", "timetolive", id, "--keys"),
    /attached keys\(\[leased\]\)/,
    "lease timetolive",
  );
  match(await etcdctl("lease", "list"), new RegExp(`found 1 leases\n${id}`), "lease list");
  equal(await etcdctl("lease", "revoke", id), `lease ${id} revoked\n`, "lease revoke");
  match(await etcdctl("lease", "timetolive", id), /already expired/, "timetolive of a revoked lease");
  const late = await refused("lease", "keep-alive", "--once", id);
  match(late.stderr, /etcdserver: requested lease not found/, "keep-alive of a revoked lease");
}

async function downgrades({ etcdctl, refused }: Asked): Promise<void> {
  match(
    await etcdctl("downgrade", "validate", "3.6"),
    /Downgrade validate success, cluster version 3\.7/,
    "validate",
  );
  const wrong = await refused("downgrade", "validate", "3.4");
  match(wrong.stderr, /etcdserver: invalid downgrade target version/, "downgrade by three versions");
  match(
    await etcdctl("downgrade", "enable", "3.6"),
    /Downgrade enable success, cluster version 3\.7/,
    "enable",
  );
  match(await etcdctl("downgrade", "cancel"), /Downgrade cancel success, cluster version 3\.7/, "cancel");
}

async function copies({ etcdctl, subject }: Asked): Promise<void> {
  const dir = makeRunDir("etcdctl-cluster");
  try {
    const file = join(dir, "backup.db");
    match(await etcdctl("snapshot", "save", file), /Snapshot saved at/, "snapshot save");
    const status = await mustRun([await peer("etcdutl"), "snapshot", "status", file, "-w", "json"]);
    check((JSON.parse(status) as { totalKey: number }).totalKey > 0, "the backup has keys");
  } finally {
    removeRunDir(dir);
  }
  await withServer(subject, {}, async (mirror) => {
    const program = [await peer("etcdctl"), ...mirror.clientFlags];
    const mirroring = etcdctl("make-mirror", mirror.endpoint, "--max-txn-ops", "8").catch(() => undefined);
    await etcdctl("put", "mirrored", "late");
    await until(
      async () => (await mustRun([...program, "get", "mirrored", "--print-value-only"])) === "late\n",
      "the mirror has the newest key",
    );
    equal(
      await mustRun([...program, "get", "key", "--print-value-only"]),
      "value\n",
      "an older key in the mirror",
    );
    void mirroring;
  });
}

async function concurrency({ etcdctl }: Asked): Promise<void> {
  equal(await etcdctl("lock", "l", "echo", "held"), "held\n", "lock runs its command");
}

async function moves({ cluster, refused }: Asked): Promise<void> {
  const leader = await cluster.leader();
  const follower = cluster.members.find(({ name }) => name !== leader.name)!;
  const id = await cluster.idOf(follower.name);
  if ((await cluster.leader()).name !== leader.name) return;
  const asked = await cluster.etcdctlAt(follower, ["move-leader", id]);
  match(asked.stderr, /no leader endpoint given at/, "move-leader without the leader's endpoint");
  match(
    (await refused("move-leader", "123")).stderr,
    /no leader endpoint given|etcdserver: bad leader transferee/,
    "to nobody",
  );
  const moved = await cluster.etcdctlAt(leader, ["move-leader", id]);
  match(moved.stdout, new RegExp(`Leadership transferred from ${ID} to ${id}`), "move-leader");
}

function through(kind: "leader" | "follower"): Case {
  return {
    name: `etcdctl on three members, through ${kind === "leader" ? "the leader" : "a follower"}: endpoints, members, leases, downgrade, copies`,
    limitMs: 300_000,
    run: ({ subject }) =>
      withCluster(times(3, subject), async (cluster) => {
        for (const body of [endpoints, members, leases, downgrades, concurrency, copies, moves]) {
          const leader = await cluster.leader();
          const follower = cluster.members.find(({ name }) => name !== leader.name)!;
          await body(await asking(cluster, kind === "leader" ? leader : follower, subject));
        }
      }),
  };
}

export const etcdctlClusterCases: readonly Case[] = [through("follower"), through("leader")];
