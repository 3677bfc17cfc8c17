// Is the simulation able to find what it is for? Plants one bug at a time (planted-bugs.ts) in a copy of the built program, runs seeds of
// clusters there, and prints the rows of the table in docs/reproductions.md. Options: --seeds N, --only WORDS OF A NAME. Fails when a bug
// was not found.
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { PLANTED_BUGS, type PlantedBug } from "./planted-bugs.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const SEEDS = 30;

function option(name: string): string | undefined {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? undefined : process.argv[at + 1];
}

function copyOfTheBuild(): string {
  const directory = mkdtempSync(join(tmpdir(), "planted-"));
  cpSync(join(ROOT, "dist"), join(directory, "dist"), { recursive: true });
  cpSync(join(ROOT, "package.json"), join(directory, "package.json"));
  symlinkSync(join(ROOT, "node_modules"), join(directory, "node_modules"));
  return directory;
}

/** Whether it was found. */
function plant(directory: string, bug: PlantedBug, seeds: number): boolean {
  const path = join(directory, "dist/src", bug.file);
  const original = readFileSync(path, "utf8");
  if (original.split(bug.from).length !== 2) throw new Error(`${bug.file} does not hold once: ${bug.from}`);
  writeFileSync(
    path,
    original.replace(bug.from, () => bug.to),
  );
  const arguments_ = [
    join(directory, "dist/scripts/sim.js"),
    "--members",
    "3",
    "--seed",
    "1",
    "--seeds",
    `${seeds}`,
  ];
  const { stdout } = spawnSync(process.execPath, arguments_, { encoding: "utf8", maxBuffer: 64 << 20 });
  writeFileSync(path, original);
  const failed = stdout.split("\n").filter((line) => line.startsWith("FAILED")).length;
  const first = /^FAILED: .*--seed (\d+)\n {2}(.*)$/m.exec(stdout);
  const ended = /^a simulation ended with (.*)$/m.exec(stdout);
  const said = (first?.[2] ?? ended?.[1] ?? "nothing").slice(0, 110).replaceAll("|", "/");
  const count = ended === null ? `${failed}` : "all: the process ended";
  console.log(
    `| ${bug.name} | \`src/${bug.file.replace(/js$/, "ts")}\` | ${count} | ${first?.[1] ?? "-"} | \`${said}\` |`,
  );
  return failed > 0 || ended !== null;
}

const seeds = Number(option("seeds") ?? SEEDS);
const only = option("only") ?? "";
const directory = copyOfTheBuild();
let missed = 0;
console.log(
  `| Planted | Where | Failed of ${seeds} | Seed | What it said |\n| --- | --- | --- | --- | --- |`,
);
for (const bug of PLANTED_BUGS.filter(({ name }) => name.includes(only)))
  if (!plant(directory, bug, seeds)) missed++;
rmSync(directory, { recursive: true });
console.log(`${missed} not found`);
process.exitCode = missed > 0 ? 1 : 0;
