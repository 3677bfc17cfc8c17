// Workloads on three members: how fast a member that lost its disk has a million keys again, and for how long nobody can write when the
// leader is killed. Both sides go through the same steps with the real etcdctl.
import { setTimeout as delay } from "node:timers/promises";
import type { Cluster, ClusterMember } from "../interop/lib/cluster.ts";
import { until } from "../interop/lib/cluster-case.ts";
import { ClusterLoad } from "../interop/lib/cluster-load.ts";
import { tail } from "../interop/lib/command.ts";
import { memoryMb } from "./process-usage.ts";
import { fill, type Measures, type Session } from "./session.ts";

const CATCH_UP_LIMIT_MS = 180_000;
/** Metrics cost either server milliseconds: looked at more often, they would be a part of what is measured. */
const CATCH_UP_LOOK_MS = 100;

/** A follower is wiped and comes back empty: from the start of its process until it has everything. */
export async function catchUp(session: Session): Promise<Measures> {
  const { cluster, say } = session;
  await fill(session, session.quick ? 100_000 : 1_000_000, 256);
  const leader = await cluster.leader();
  const follower = cluster.members.find(({ name }) => name !== leader.name)!;
  const { revision } = (await cluster.status(leader))!;
  let catchUpSeconds = 0;
  await cluster.wipe(follower.name, async () => {
    // A member that asks one who has not yet heard of it ends at once; here that would be a race, not a measure.
    for (const member of cluster.members) if (member !== follower) await knowsMembers(cluster, member);
    const began = performance.now();
    follower.server.spawn();
    await until(
      async () => {
        if (!follower.server.running)
          throw new Error(`the wiped member has ended:\n${tail(follower.server.log())}`);
        return (await newestRevision(follower)) >= revision;
      },
      "the wiped member has everything",
      CATCH_UP_LIMIT_MS,
      CATCH_UP_LOOK_MS,
    );
    catchUpSeconds = (performance.now() - began) / 1000;
  });
  say(`caught up in ${catchUpSeconds.toFixed(2)} s`);
  await cluster.equalHashes();
  return { catchUp: catchUpSeconds, rss: memoryMb(follower.server.pid, "VmHWM") };
}

/** The list of members is a linearizable read: who answers has applied the last change. */
async function knowsMembers(cluster: Cluster, member: ClusterMember): Promise<void> {
  await until(
    async () => (await cluster.etcdctlAt(member, ["member", "list"])).code === 0,
    "a list of members",
  );
}

/** As the metrics say: asked over plain HTTP, because a gRPC client backs off for a second when nobody listens yet. */
async function newestRevision({ server }: ClusterMember): Promise<number> {
  const found = /^etcd_debugging_mvcc_current_revision ([\d.e+]+)$/m.exec(await server.httpText("/metrics"));
  return Number(found?.[1] ?? 0);
}

/** The leader is killed, several times: the median time without an acknowledged write. */
export async function failover({ cluster, quick, say }: Session): Promise<Measures> {
  const load = await ClusterLoad.start(cluster, ["--clients", "12", "--think", "2ms", "--attempt", "300ms"]);
  const gaps: number[] = [];
  try {
    for (let round = 0; round < (quick ? 3 : 11); round++) {
      const leader = await cluster.leader();
      await load.mark();
      const { puts } = await load.report();
      await leader.server.kill();
      await until(async () => (await load.report()).puts > puts + 20, "writes after the leader's end");
      gaps.push((await load.report()).longestGapMillis);
      await leader.server.restart();
      await settled(cluster);
    }
    await load.finish();
  } finally {
    load.kill();
  }
  say(`no writes for ${gaps.join(", ")} ms`);
  return { failover: [...gaps].sort((a, b) => a - b)[Math.floor(gaps.length / 2)]! };
}

/** All members know the leader, and have been together for a moment. */
async function settled(cluster: Cluster): Promise<void> {
  for (const member of cluster.members)
    await until(async () => ((await cluster.status(member))?.leader ?? "0") !== "0", "a leader everywhere");
  await delay(500);
}
