// What a cluster does when its leader is killed, frozen, or parted from the others, and when a follower's disk is full: writes go on, and
// nothing acknowledged is lost. Prints how long nobody could write; etcd's default election timeout is one second.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { type Case, check, type Settings } from "../lib/case.ts";
import type { Cluster, ClusterMember } from "../lib/cluster.ts";
import { compareHashes, times, underLoad, until, withCluster } from "../lib/cluster-case.ts";
import type { ClusterLoad } from "../lib/cluster-load.ts";
import { mustRun, runCommand } from "../lib/command.ts";
import { Network } from "../lib/network.ts";
import { makeRunDir, removeRunDir } from "../lib/paths.ts";

const electionMillis = 1000;
/** Acknowledged writes after which they are said to flow again. */
const resumed = 20;

interface Fault {
  strike(leader: ClusterMember): Promise<void>;
  mend(leader: ClusterMember): Promise<void>;
}

/** One fault after the other on whoever leads, each until writes flow again. Gives the gaps in milliseconds. */
async function strikeLeaders(
  cluster: Cluster,
  load: ClusterLoad,
  rounds: number,
  fault: Fault,
): Promise<number[]> {
  const gaps: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const leader = await cluster.leader();
    await load.mark();
    const { puts } = await load.report();
    await fault.strike(leader);
    await until(async () => (await load.report()).puts > puts + resumed, "writes after the fault", 60_000);
    // The clients of the struck member have their own time to move; the gap is that of the cluster.
    await until(async () => (await load.report()).longestGapMillis > 0, "a gap");
    gaps.push((await load.report()).longestGapMillis);
    await fault.mend(leader);
    await until(async () => (await cluster.status(leader)) !== undefined, "the struck member's return");
    if (round % 10 === 9) await compareHashes(cluster, load);
  }
  await compareHashes(cluster, load);
  return gaps;
}

function tell(what: string, gaps: readonly number[]): void {
  const sorted = [...gaps].sort((a, b) => a - b);
  const within = sorted.filter((gap) => gap <= 2 * electionMillis).length;
  const median = sorted[Math.floor(sorted.length / 2)];
  console.log(
    `        ${what}: ${gaps.length} rounds, no writes for ${sorted[0]} to ${sorted.at(-1)} ms, median ${median}, ${within} within 2 election timeouts`,
  );
}

/** Many short attempts: what is measured is how long the cluster takes nothing, not how long one client waits for a lost answer. */
const clients = ["--clients", "12", "--think", "2ms", "--attempt", "300ms"];

function killing({ subject, rounds }: Settings): Promise<void> {
  return withCluster(times(3, subject), (cluster) =>
    underLoad(cluster, clients, async (load) => {
      const gaps = await strikeLeaders(cluster, load, rounds, {
        strike: ({ server }) => server.kill(),
        mend: ({ server }) => server.restart(),
      });
      tell("leader killed", gaps);
    }),
  );
}

function freezing({ subject, rounds }: Settings): Promise<void> {
  return withCluster(times(3, subject), (cluster) =>
    underLoad(cluster, clients, async (load) => {
      const gaps = await strikeLeaders(cluster, load, rounds, {
        strike: async ({ server }) => server.signal("SIGSTOP"),
        mend: async ({ server }) => server.signal("SIGCONT"),
      });
      tell("leader frozen", gaps);
    }),
  );
}

async function parting({ subject, rounds }: Settings): Promise<void> {
  const network = await Network.create();
  const number = ({ name }: ClusterMember): number => Number(name.slice(1));
  try {
    await withCluster(
      times(3, subject),
      (cluster) =>
        underLoad(cluster, clients, async (load) => {
          const gaps = await strikeLeaders(cluster, load, rounds, {
            strike: (leader) => network.cut(number(leader)),
            mend: (leader) => network.heal(number(leader)),
          });
          tell("leader parted from its peers", gaps);
        }),
      { network },
    );
  } finally {
    await network.close();
  }
}

/** A member whose volume is full, again and again, while the others write: as a follower, or as the leader. */
async function fillingUp({ subject, rounds }: Settings, role: "follower" | "leader"): Promise<void> {
  const dir = makeRunDir("small-volume");
  const volume = join(dir, "volume");
  mkdirSync(volume);
  await mustRun(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", volume]);
  try {
    await withCluster(
      times(3, subject),
      (cluster) => underLoad(cluster, clients, (load) => fillMember(cluster, load, volume, rounds, role)),
      { dataDir: (name) => (name === "m1" ? join(volume, name) : undefined) },
    );
  } finally {
    await runCommand(["umount", volume]);
    removeRunDir(dir);
  }
}

async function fillMember(
  cluster: Cluster,
  load: ClusterLoad,
  volume: string,
  rounds: number,
  role: "follower" | "leader",
): Promise<void> {
  const gaps: number[] = [];
  const small = cluster.member("m1");
  for (let round = 0; round < rounds; round++) {
    const leader = await cluster.leader();
    if ((leader.name === small.name) !== (role === "leader")) {
      const next = role === "leader" ? small : cluster.members.find(({ name }) => name !== small.name)!;
      await cluster.etcdctlAt(leader, ["move-leader", await cluster.idOf(next.name)]);
    }
    await load.mark();
    const { puts } = await load.report();
    const ballast = join(volume, "ballast");
    await runCommand(["dd", "if=/dev/zero", `of=${ballast}`, "bs=64k"]);
    await until(
      async () => (await load.report()).puts > puts + 50 * resumed,
      "writes beside the full member",
    );
    // What is allocated can still be written: a full volume shows when a segment is used up.
    if (role === "leader")
      await until(
        async () => {
          await cluster.tryEtcdctl(["put", "big", "v".repeat(100_000)], "");
          return (await cluster.leader()).name !== small.name;
        },
        "another leader",
        120_000,
      );
    gaps.push((await load.report()).longestGapMillis);
    await mustRun(["rm", ballast]);
    const { revision } = await load.report();
    if ((await cluster.status(small)) === undefined)
      await small.server.kill().then(() => small.server.restart());
    await until(
      async () => ((await cluster.status(small))?.revision ?? 0) >= revision,
      "the member with room again catches up",
      60_000,
    );
    await delay(50);
  }
  await compareHashes(cluster, load);
  const alarms = await cluster.etcdctl(["alarm", "list"]);
  check(alarms.trim() === "", `alarms are left: ${alarms}`);
  tell(`${role}'s volume full`, gaps);
}

export const failoverCases: readonly Case[] = [
  {
    name: "failover: killed leaders stop writes for a moment and lose nothing",
    limitMs: 900_000,
    run: killing,
  },
  {
    name: "failover: frozen leaders stop writes for a moment and lose nothing",
    limitMs: 900_000,
    run: freezing,
  },
  {
    name: "failover: leaders parted from their peers stop writes for a moment and lose nothing",
    limitMs: 900_000,
    run: parting,
  },
  {
    name: "failover: a follower whose volume is full stops nobody, and catches up when there is room",
    limitMs: 900_000,
    run: (settings) => fillingUp(settings, "follower"),
  },
  {
    name: "failover: a leader whose volume is full hands over, and catches up when there is room",
    limitMs: 900_000,
    run: (settings) => fillingUp(settings, "leader"),
  },
];
