// `npm run bench`: Cairn and a real etcd 3.7.1 in turn, same workload, same machine, fresh data on the same disk, in pairs.
//   npm run bench -- [--only NAME,…] [--pairs N] [--quick] [--json FILE] [--ours CMD] [--list]
// A ratio is the median over the pairs; above 1 it always means that Cairn is better. It ends by itself and leaves nothing behind.
import { writeFileSync } from "node:fs";
import { availableParallelism, cpus } from "node:os";
import { parseArgs } from "node:util";
import { type Certificates, makeCertificates } from "../interop/lib/certificates.ts";
import { killAll } from "../interop/lib/children.ts";
import { makeRunDir, removeRunDirs } from "../interop/lib/paths.ts";
import { realEtcd, type ServerCommand, subject } from "../interop/lib/server.ts";
import { type Measures, withSession } from "./session.ts";
import { metrics, type Workload, workloads } from "./workloads.ts";

interface Row {
  readonly name: string;
  readonly metric: string;
  readonly unit: string;
  readonly ours: number;
  readonly peer: number | null;
  readonly ratio: number | null;
  readonly ratioMin: number | null;
  readonly ratioMax: number | null;
  readonly pairs: number;
}

const USAGE = `npm run bench -- [options]   Cairn and the real etcd, workload by workload; a ratio above 1 says that Cairn is better

  --list         names the workloads
  --only WORDS   those whose names hold one of the words, separated by commas
  --pairs N      runs of each side; the ratio is the median (3)
  --quick        a short form, for a look
  --json FILE    writes the figures for machines too
  --ours COMMAND another program in place of bin/etcd`;

const { values } = parseArgs({
  options: {
    only: { type: "string" },
    pairs: { type: "string" },
    quick: { type: "boolean", default: false },
    json: { type: "string" },
    ours: { type: "string" },
    list: { type: "boolean", default: false },
    help: { type: "boolean", short: "h", default: false },
  },
});

function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

function rowsOf(workload: Workload, ours: readonly Measures[], peer: readonly Measures[]): Row[] {
  const main = workload.main ?? "rate";
  const names = Object.keys(ours[0]!).sort((a, b) => Number(b === main) - Number(a === main));
  return names.map((metric) => {
    const { unit, lessIsBetter } = metrics[metric]!;
    const left = ours.map((one) => one[metric]!);
    const right = peer.map((one) => one[metric]);
    const known = right.every((one) => one !== undefined);
    const ratios = known ? left.map((one, i) => (lessIsBetter ? right[i]! / one : one / right[i]!)) : [];
    return {
      name: metric === main ? workload.name : `${workload.name} ${metric}`,
      metric,
      unit,
      ours: median(left),
      peer: known ? median(right as number[]) : null,
      ratio: known ? median(ratios) : null,
      ratioMin: known ? Math.min(...ratios) : null,
      ratioMax: known ? Math.max(...ratios) : null,
      pairs: left.length,
    };
  });
}

function format(value: number | null): string {
  if (value === null) return "-";
  if (value >= 1000) return value.toFixed(0);
  return value >= 10 ? value.toFixed(1) : value.toFixed(3);
}

function printRow({ name, unit, ours, peer, ratio, ratioMin, ratioMax }: Row): void {
  const spread =
    ratio === null ? "" : `× ${ratio.toFixed(2)}  (${ratioMin!.toFixed(2)}–${ratioMax!.toFixed(2)})`;
  console.log(
    `${name.padEnd(40)}${format(ours).padStart(12)}${format(peer).padStart(12)}  ${unit.padEnd(20)} ${spread}`,
  );
}

async function runWorkload(
  workload: Workload,
  ours: ServerCommand,
  peer: ServerCommand,
  tls: Certificates,
  pairs: number,
): Promise<Row[]> {
  const sides: [ServerCommand, Measures[]][] = [
    [ours, []],
    [peer, []],
  ];
  for (let pair = 0; pair < pairs; pair++) {
    for (const [command, measured] of sides) {
      const who = `${workload.name}, pair ${pair + 1} of ${pairs}, ${command === ours ? "ours" : "peer"}`;
      const say = (text: string): void => console.error(`  ${who}: ${text}`);
      const { members = 1 } = workload;
      const options = { quick: values.quick, members, say, ...(workload.tls === true ? { tls } : {}) };
      measured.push(await withSession(command, options, (session) => workload.run(session)));
    }
  }
  return rowsOf(workload, sides[0]![1], sides[1]![1]);
}

async function main(): Promise<void> {
  if (values.help) {
    console.log(USAGE);
    return;
  }
  const only = values.only?.split(",");
  const chosen = workloads.filter(
    ({ name }) => only === undefined || only.some((word) => name === word || name.includes(word)),
  );
  if (values.list) {
    for (const { name } of chosen) console.log(name);
    return;
  }
  if (chosen.length === 0) throw new Error(`no workload is called like ${values.only}; --list shows all`);
  if (process.platform !== "linux")
    throw new Error("the bench reads CPU and memory from /proc, so it runs on Linux only");
  const ours = await subject(values.ours);
  const peer = { ...(await realEtcd()), label: "peer" };
  const tls = await makeCertificates(makeRunDir("bench-tls"));
  const pairs = Number(values.pairs ?? (values.quick ? 1 : 3));
  console.log(
    `ours: ${ours.argv.join(" ")}\npeer: etcd 3.7.1\n${availableParallelism()} × ${cpus()[0]?.model ?? "?"}, ${pairs} pairs`,
  );
  console.log(`${"workload".padEnd(40)}${"ours".padStart(12)}${"peer".padStart(12)}`);
  const rows: Row[] = [];
  const failed: string[] = [];
  for (const workload of chosen) {
    try {
      const found = await runWorkload(workload, ours, peer, tls, pairs);
      for (const row of found) printRow(row);
      rows.push(...found);
    } catch (error) {
      failed.push(workload.name);
      console.log(`${workload.name} FAILED: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  const machine = {
    cores: availableParallelism(),
    model: cpus()[0]?.model ?? "unknown",
    node: process.version,
  };
  if (values.json !== undefined)
    writeFileSync(values.json, `${JSON.stringify({ machine, workloads: rows, failed }, null, 2)}\n`);
  if (failed.length > 0) process.exitCode = 1;
}

process.on("exit", () => {
  killAll();
  removeRunDirs();
});
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => process.exit(130));
await main();
process.exit();
