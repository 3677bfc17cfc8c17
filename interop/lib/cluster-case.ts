// What most cases of clusters need: a cluster for the length of a body, a load beside it, and waiting with a limit.
import { setTimeout as delay } from "node:timers/promises";
import { check } from "./case.ts";
import { Cluster, type ClusterOptions } from "./cluster.ts";
import { ClusterLoad } from "./cluster-load.ts";
import { makeRunDir, removeRunDir } from "./paths.ts";
import type { ServerCommand } from "./server.ts";

/** Runs the body on a new cluster and takes it away afterwards. */
export async function withCluster(
  commands: readonly ServerCommand[],
  body: (cluster: Cluster) => Promise<void>,
  options: ClusterOptions = {},
): Promise<void> {
  const dir = makeRunDir("cluster");
  const cluster = await Cluster.start(dir, commands, options);
  try {
    await body(cluster);
  } catch (error) {
    throw new Error(`${error instanceof Error ? error.message : String(error)}\n${cluster.logs()}`);
  } finally {
    await cluster.stop();
    removeRunDir(dir);
  }
}

/** Runs the body beside a load, which must find nothing wrong. */
export async function underLoad(
  cluster: Cluster,
  flags: readonly string[],
  body: (load: ClusterLoad) => Promise<void>,
): Promise<void> {
  const load = await ClusterLoad.start(cluster, flags);
  try {
    await body(load);
    const report = await load.finish();
    const { puts, gets, retries, events } = report;
    check(puts > 0 && gets > 0 && events > 0, "the load has done something");
    console.log(`        ${puts} puts, ${gets} gets, ${events} events, ${retries} retries, nothing wrong`);
  } finally {
    load.kill();
  }
}

export function times<T>(count: number, one: T): T[] {
  return Array.from({ length: count }, () => one);
}

/** All members hold the same, at a moment when nothing is written. */
export async function compareHashes(cluster: Cluster, load: ClusterLoad): Promise<void> {
  await load.pause();
  await cluster.equalHashes();
  await load.resume();
}

export async function until(
  condition: () => Promise<boolean>,
  what: string,
  limitMs = 30_000,
  everyMs = 20,
): Promise<void> {
  const end = Date.now() + limitMs;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`${what}: not within ${limitMs} ms`);
    await delay(everyMs);
  }
}
