// `npm run interop`: real clients, tools and peers against the server under test. Closes with `N passed, N failed`.
//   npm run interop -- [WORD...] [--subject CMD] [--quick] [--seed N] [--ops N] [--rounds N] [--seconds N] [--list]
// Words narrow the run to cases whose name contains one of them. It must end by itself and leave no process behind.
import { parseArgs } from "node:util";
import { apiserverCases } from "./cases/apiserver.ts";
import { bodyCases } from "./cases/bodies.ts";
import { careCases } from "./cases/care.ts";
import { clientCases } from "./cases/clientv3.ts";
import { clusterCases } from "./cases/cluster.ts";
import { clusterTlsCases } from "./cases/cluster-tls.ts";
import { corruptionCases } from "./cases/corruption.ts";
import { crashCases } from "./cases/crash.ts";
import { differentialCases } from "./cases/differential.ts";
import { discoveryCases } from "./cases/discovery.ts";
import { etcdctlCases } from "./cases/etcdctl.ts";
import { etcdctlClusterCases } from "./cases/etcdctl-cluster.ts";
import { failoverCases } from "./cases/failover.ts";
import { framingCases } from "./cases/framing.ts";
import { garbageCases } from "./cases/garbage.ts";
import { importCases } from "./cases/import.ts";
import { memoryCases } from "./cases/memory.ts";
import { metricsCases } from "./cases/metrics.ts";
import { peerCases } from "./cases/peer.ts";
import { snapshotCases } from "./cases/snapshot.ts";
import type { Case, Settings } from "./lib/case.ts";
import { killAll } from "./lib/children.ts";
import { removeRunDirs } from "./lib/paths.ts";
import { subject } from "./lib/server.ts";

const defaultLimitMs = 180_000;

const all: readonly Case[] = [
  ...etcdctlCases,
  ...etcdctlClusterCases,
  ...snapshotCases,
  ...importCases,
  ...clientCases,
  ...metricsCases,
  ...framingCases,
  ...garbageCases,
  ...differentialCases,
  ...crashCases,
  ...clusterCases,
  ...clusterTlsCases,
  ...discoveryCases,
  ...failoverCases,
  ...careCases,
  ...corruptionCases,
  ...memoryCases,
  ...peerCases,
  ...bodyCases,
  ...apiserverCases,
];

const USAGE = `npm run interop -- [words] [options]   runs the cases whose names hold one of the words, or all

  --list            names the cases
  --quick           the short form of each, as CI runs it
  --seed S          of what is random (random itself)
  --ops N           operations of the differential run (100,000)
  --rounds N        of kills and failovers (50)
  --seconds N       of load (60)
  --subject COMMAND another program in place of bin/etcd`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    subject: { type: "string" },
    quick: { type: "boolean", default: false },
    seed: { type: "string" },
    ops: { type: "string" },
    rounds: { type: "string" },
    seconds: { type: "string" },
    list: { type: "boolean", default: false },
    help: { type: "boolean", short: "h", default: false },
  },
});

async function runCase(one: Case, settings: Settings): Promise<boolean> {
  const started = Date.now();
  const limitMs = one.limitMs ?? defaultLimitMs;
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`not done after ${limitMs / 1000} s`)), limitMs);
  });
  try {
    await Promise.race([one.run(settings), limit]);
    console.log(`ok      ${one.name} (${((Date.now() - started) / 1000).toFixed(1)} s)`);
    return true;
  } catch (error) {
    console.log(`FAILED  ${one.name} (${((Date.now() - started) / 1000).toFixed(1)} s)`);
    console.log(indent(error instanceof Error ? error.message : String(error)));
    killAll();
    return false;
  } finally {
    clearTimeout(timer);
  }
}

function indent(text: string): string {
  const lines = text.split("\n").map((line) => (line.length > 2_000 ? `${line.slice(0, 2_000)} …` : line));
  return lines.map((line) => `        ${line}`).join("\n");
}

async function main(): Promise<void> {
  if (values.help) {
    console.log(USAGE);
    return;
  }
  const chosen = all.filter(
    ({ name }) => positionals.length === 0 || positionals.some((word) => name.includes(word)),
  );
  if (values.list) {
    for (const { name } of chosen) console.log(name);
    return;
  }
  const settings: Settings = {
    subject: await subject(values.subject),
    quick: values.quick,
    seed: Number(values.seed ?? Math.floor(Math.random() * 1_000_000)),
    operations: Number(values.ops ?? (values.quick ? 3_000 : 100_000)),
    seconds: Number(values.seconds ?? (values.quick ? 10 : 60)),
    rounds: Number(values.rounds ?? (values.quick ? 5 : 50)),
  };
  console.log(`under test: ${settings.subject.argv.join(" ")}`);
  let passed = 0;
  for (const one of chosen) if (await runCase(one, settings)) passed++;
  const failed = chosen.length - passed;
  console.log(`${passed} passed, ${failed} failed`);
  process.exitCode = failed > 0 || passed === 0 ? 1 : 0;
}

process.on("exit", () => {
  killAll();
  removeRunDirs();
});
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => process.exit(130));
await main();
// A case that ran into its limit may still hold sockets; the verdict is printed, so nothing is waited for.
process.exit();
