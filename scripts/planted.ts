// Is the simulation able to find what it is for? Plants one bug at a time (planted-bugs.ts) in a copy of the built program, runs seeds of
// clusters there until one fails, and prints the rows of the table in docs/reproductions.md. Options: --seeds N (at most so many of each),
// --only WORDS OF A NAME. Fails when a bug was not found.
import { type ChildProcess, execFile } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { PLANTED_BUGS, type PlantedBug } from "./planted-bugs.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
/** The rarest needs a follower that loses its power, and the leader with it, within one flush. */
const SEEDS_MAX = 600;
const SEEDS_AT_ONCE = 20;

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
async function plant(directory: string, bug: PlantedBug, seeds: number): Promise<boolean> {
  const path = join(directory, "dist/src", bug.file);
  const original = readFileSync(path, "utf8");
  if (original.split(bug.from).length !== 2) throw new Error(`${bug.file} does not hold once: ${bug.from}`);
  writeFileSync(
    path,
    original.replace(bug.from, () => bug.to),
  );
  let found: Found | undefined;
  let run = 0;
  for (; found === undefined && run < seeds; run += SEEDS_AT_ONCE) found = await search(directory, run + 1);
  writeFileSync(path, original);
  const columns = [
    bug.name,
    `\`src/${bug.file.replace(/js$/, "ts")}\``,
    `${found?.failed ?? 0} of ${run}`,
    found?.seed ?? "-",
    `\`${found?.said ?? "nothing"}\``,
  ];
  console.log(`| ${columns.join(" | ")} |`);
  return found !== undefined;
}

type Found = { readonly failed: string; readonly seed: string; readonly said: string };

/** The run of seeds under way. */
let child: ChildProcess | undefined;

/** The next seeds, from `from` on. */
async function search(directory: string, from: number): Promise<Found | undefined> {
  const options = { members: 3, seed: from, seeds: SEEDS_AT_ONCE };
  const arguments_ = Object.entries(options).flatMap(([name, value]) => [`--${name}`, `${value}`]);
  const command = [join(directory, "dist/scripts/sim.js"), ...arguments_];
  const stdout = await new Promise<string>((resolve) => {
    // It fails when a history does: what it says is read, not its exit code.
    child = execFile(process.execPath, command, { maxBuffer: 64 << 20 }, (_error, text) => resolve(text));
  });
  const [, seed, said] = /^FAILED: .*--seed (\d+)\n {2}(.*)$/m.exec(stdout) ?? [];
  if (seed === undefined || said === undefined) return undefined;
  const failed = /, (\d+) failed$/m.exec(stdout.slice(stdout.lastIndexOf("passed")))?.[1] ?? "some";
  return { failed, seed, said: said.slice(0, 110).replaceAll("|", "/") };
}

const seeds = Number(option("seeds") ?? SEEDS_MAX);
const only = option("only") ?? "";
const directory = copyOfTheBuild();
for (const signal of ["SIGINT", "SIGTERM"])
  process.once(signal, () => {
    child?.kill();
    rmSync(directory, { recursive: true });
    process.exit(1);
  });
let missed = 0;
console.log("| Planted | Where | Failed | Seed | What it said |\n| --- | --- | --- | --- | --- |");
for (const bug of PLANTED_BUGS.filter(({ name }) => name.includes(only)))
  if (!(await plant(directory, bug, seeds))) missed++;
rmSync(directory, { recursive: true });
console.log(`${missed} not found`);
process.exitCode = missed > 0 ? 1 : 0;
