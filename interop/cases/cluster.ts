// Clusters of processes: three members under test, and members under test among real etcd members. A live cluster changes its kind member
// by member under load; kinds are mixed and killed at random. The load judges what clients are told, HashKV what the members hold.
import { setTimeout as delay } from "node:timers/promises";
import { type Case, check, equal, match, type Settings } from "../lib/case.ts";
import type { Cluster } from "../lib/cluster.ts";
import { compareHashes, times, underLoad, until, withCluster } from "../lib/cluster-case.ts";
import { random } from "../lib/random.ts";
import { realEtcd, type ServerCommand } from "../lib/server.ts";

async function survivesEach(cluster: Cluster): Promise<void> {
  await underLoad(cluster, [], async (load) => {
    for (const { name, server } of [...cluster.members]) {
      await server.kill();
      const { puts } = await load.report();
      await until(async () => (await load.report()).puts > puts + 20, `writes without ${name}`);
      await server.restart();
      await compareHashes(cluster, load);
    }
  });
}

/**
 * Member by member from real etcd to the kind under test and back, hashes compared after each step. A member of 3.6 stays until the end:
 * with it the cluster keeps the version 3.6, and a cluster that has become 3.7 takes no new member of 3.6.
 */
async function thereAndBack(from: readonly ServerCommand[], { subject }: Settings): Promise<void> {
  await withCluster(from, (cluster) =>
    underLoad(cluster, [], async (load) => {
      const replace = async (which: string, command: ServerCommand): Promise<void> => {
        for (const { name, server } of [...cluster.members]) {
          if (server.command.label !== which) continue;
          await cluster.replace(name, command);
          await load.setEndpoints(cluster.endpoints);
          await compareHashes(cluster, load);
        }
      };
      await replace("etcd", subject);
      await replace(subject.label, await realEtcd());
      await replace("etcd-3.6", subject);
    }),
  );
}

/** What a killed member had shown it may not know yet when it comes back: only the others can tell it. */
async function staysSilentAlone(cluster: Cluster): Promise<void> {
  const [alone, other] = [cluster.members[1]!, cluster.members[2]!];
  const read = ["get", "key", "--print-value-only", "--consistency=s"];
  for (let n = 1; n <= 5; n++) await cluster.etcdctl(["put", "key", `${n}`]);
  await until(
    async () => (await cluster.etcdctlAt(alone, read)).stdout === "5\n",
    "the newest value everywhere",
  );
  for (const { server } of cluster.members) await server.kill();
  alone.server.spawn();
  await until(
    async () => (await alone.server.httpText("/version").catch(() => "")) !== "",
    "a member that listens",
  );
  const early = await cluster.etcdctlAt(alone, [...read, "--command-timeout=2s"]);
  equal([early.code === 0, early.stdout], [false, ""], "a serializable read without a quorum behind a start");
  other.server.spawn();
  await until(async () => (await cluster.etcdctlAt(alone, read)).code === 0, "reads with a quorum");
  equal((await cluster.etcdctlAt(alone, read)).stdout, "5\n", "the first value that is read");
  await other.server.kill();
  equal(
    (await cluster.etcdctlAt(alone, read)).stdout,
    "5\n",
    "a serializable read when the quorum is lost again",
  );
}

async function memberCommands(cluster: Cluster, subject: ServerCommand): Promise<void> {
  await cluster.etcdctl(["put", "key", "value"]);
  const learner = await cluster.add(subject, true);
  const id = await cluster.idOf(learner.name);
  check((await cluster.list()).find((row) => row.id === id)!.learner, "member list shows the learner");
  const refused = await cluster.etcdctlAt(learner, ["put", "key", "other"]);
  match(refused.stderr, /rpc not supported for learner/, "a put at a learner");
  await until(
    async () => (await cluster.tryEtcdctl(["member", "promote", id])).code === 0,
    "member promote, once the learner has caught up",
  );
  check(!(await cluster.list()).some((row) => row.learner), "the learner is a voter now");
  const table = await cluster.etcdctl(["endpoint", "status", "--cluster", "-w", "simple"]);
  equal(table.trim().split("\n").length, 4, "rows of endpoint status --cluster");
  const leader = await cluster.leader();
  const next = cluster.members.find(({ name }) => name !== leader.name)!;
  const target = await cluster.idOf(next.name);
  const moved = await cluster.etcdctlAt(leader, ["move-leader", target]);
  match(moved.stdout, /Leadership transferred from [0-9a-f]+ to [0-9a-f]+/, "move-leader");
  equal((await cluster.leader()).name, next.name, "the new leader");
  await cluster.remove(leader.name);
  equal((await cluster.list()).length, 3, "members after a removal");
  match(
    await cluster.etcdctl(["downgrade", "validate", "3.6"]),
    /Downgrade validate success, cluster version 3\.7/,
    "downgrade validate",
  );
  match(
    await cluster.etcdctl(["downgrade", "enable", "3.6"]),
    /Downgrade enable success, cluster version 3\.7/,
    "downgrade enable",
  );
  match(await cluster.etcdctl(["downgrade", "cancel"]), /Downgrade cancel success/, "downgrade cancel");
  await cluster.wipe(cluster.members[0]!.name);
  await cluster.equalHashes();
}

async function mixedKills(settings: Settings, seconds: number): Promise<void> {
  const { subject, seed } = settings;
  const commands = [subject, await realEtcd(), subject, await realEtcd(), await realEtcd("etcd-3.6")];
  const next = random(seed);
  await withCluster(commands, (cluster) =>
    underLoad(cluster, ["--clients", "6", "--think", "2ms"], async (load) => {
      const end = Date.now() + seconds * 1000;
      let kills = 0;
      while (Date.now() < end) {
        // Up to two of five at once: a quorum is left.
        const victims = [...cluster.members].sort(() => next() - 0.5).slice(0, 1 + Math.floor(next() * 2));
        await Promise.all(victims.map(({ server }) => server.kill()));
        kills += victims.length;
        await delay(next() * 1500);
        for (const { server } of victims) await server.restart();
        if (kills % 5 === 0) await compareHashes(cluster, load);
        await delay(next() * 1000);
      }
      await compareHashes(cluster, load);
      console.log(`        ${kills} kills in ${seconds} s, seed ${seed}`);
    }),
  );
}

export const clusterCases: readonly Case[] = [
  {
    name: "cluster: three members lose each of them in turn, and nothing else",
    run: ({ subject }) => withCluster(times(3, subject), survivesEach),
  },
  {
    name: "cluster: a member that starts without a quorum shows nothing older than it had shown before",
    run: ({ subject }) => withCluster(times(3, subject), staysSilentAlone),
  },
  {
    name: "cluster: member add, promote, remove, move-leader, status and downgrade of the real etcdctl work",
    run: ({ subject }) => withCluster(times(3, subject), (cluster) => memberCommands(cluster, subject)),
  },
  {
    name: "cluster: three members of etcd 3.7 become members under test and again etcd, under load",
    limitMs: 400_000,
    run: async (settings) => thereAndBack(times(3, await realEtcd()), settings),
  },
  {
    name: "cluster: beside a member of etcd 3.6, three of etcd 3.7 become members under test and again etcd, under load",
    limitMs: 400_000,
    run: async (settings) =>
      thereAndBack([...times(3, await realEtcd()), await realEtcd("etcd-3.6")], settings),
  },
  {
    name: "cluster: members under test among those of etcd 3.7 and 3.6 survive random kills",
    limitMs: 2_400_000,
    run: (settings) => mixedKills(settings, settings.quick ? 20 : settings.seconds),
  },
];
