// Goal: the house rules of STYLE.md hold everywhere, and a violation says what to do about it. Method: read the project's own text
// files: import lines, words and first lines, no syntax tree. What the compiler and the linter already forbid is not repeated here.
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join, posix } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

/** Folders of src, lowest first. A file imports from lower rows and from its own folder; folders of one row do not see each other. */
const RANKS: readonly (readonly string[])[] = [
  ["base"],
  ["wire", "bbolt", "ports"],
  ["raft", "mvcc", "lease", "auth", "cluster"],
  ["watch", "etcdfile"],
  ["apply"],
  ["log", "node"],
  ["member"],
  ["service"],
  ["sim", "http2", "http", "peer", "client", "config", "cli"],
  ["grpc", "bootstrap"],
  ["ctl", "utl", "embed"],
  ["main.ts"],
];
const CORE: ReadonlySet<string> = new Set(
  "base wire bbolt raft mvcc watch lease auth cluster apply".split(" "),
);
const EDGE: ReadonlySet<string> = new Set(
  "node http2 grpc peer http client config bootstrap cli ctl utl embed main.ts".split(" "),
);

/** Words that core may not say, and what to do instead. */
const CORE_WORDS: readonly (readonly [RegExp, string])[] = [
  [/\b(async|await|Promise)\b/, "core is synchronous: return a value, and let src/member wait"],
  [/\bMath\.random\b/, "take a `random: (bound: number) => number` from the caller"],
  [/\bDate\b/, "take the time as an argument; Clock is a port of src/member"],
  [/\bconsole\b/, "return what there is to say, or take a logger from the caller"],
];

/** In no file of ours at all. Put together here, so that this file does not hold them. */
const BANNED: readonly (readonly [RegExp, string])[] = [
  [
    new RegExp(`\\b(FIX${"ME"}|TO${"DO"}|XX${"X"})\\b`),
    "do it now, or open an issue and leave the code whole",
  ],
  [/\/(home|Users)\/[a-z]/, "name no machine's folders: use a path relative to the project"],
  [
    new RegExp(`registry\\.(npmjs|yarn)|proxy\\.golang|sum\\.golang|artif${"actory"}`),
    "name no registry's host: clients know theirs",
  ],
];

/** Longer than they should be. Mend one and take it off; none may be added, none may grow. */
const LINES_MAX = 500;
const LONG_FILES: ReadonlyMap<string, number> = new Map([
  ["src/http2/connection.ts", 660],
  ["src/mvcc/key-tree.ts", 660],
  ["src/node/metrics-catalog.ts", 530],
]);

/** Where programs and users of the package come in; nothing in src imports these. */
const ENTRIES: ReadonlySet<string> = new Set([
  "src/main.ts",
  "src/client/index.ts",
  "src/embed/embed.ts",
  "src/ctl/heal.ts",
  "src/ctl/main.ts",
  "src/utl/main.ts",
  "src/base/globals.d.ts",
]);
/** Made and tested, and waiting for what will use it. The list may only shrink. */
const WAITING: ReadonlyMap<string, string> = new Map([]);

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const FOLDERS = ["src", "scripts", "bench", "interop", "bin", "docs", ".ci"];
const TEXT = /\.(ts|md|json|proto|go|mod|txt)$|^(bin|\.ci)\/[a-z]+$/;
const IMPORT = /(?:^(?:import|export|\})[^"]* from |^import |\bimport\()"([^"\n]+)"/gm;

type Source = { readonly path: string; readonly text: string };

function read(): Source[] {
  const nested = FOLDERS.flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" }).map((name) => `${folder}/${name}`),
  );
  return [...nested, ...readdirSync(ROOT)]
    .filter((path) => TEXT.test(path) && !path.includes("/testdata/") && !path.includes("/."))
    .sort()
    .map((path) => ({ path, text: readFileSync(join(ROOT, path), "utf8") }));
}

const files = read();
const code = files.filter(({ path }) => path.endsWith(".ts"));
const isTest = (path: string): boolean => path.endsWith(".test.ts") || path.includes("/testing/");
const product = code.filter(({ path }) => path.startsWith("src/") && !isTest(path));
const folderOf = (path: string): string => path.split("/")[1]!;
const rankOf = (folder: string): number => RANKS.findIndex((row) => row.includes(folder));

function importsOf({ path, text }: Source): string[] {
  return [...text.matchAll(IMPORT)].map((match) => {
    const name = match[1]!;
    return name.startsWith(".") ? posix.join(posix.dirname(path), name) : name;
  });
}

/** Code without comments and without what stands in quotes. */
function bare(text: string): string {
  return text
    .replace(/"(?:[^"\\\n]|\\.)*"/g, '""')
    .replace(/\/\*[\s\S]*?\*\//g, " ")
    .replace(/\/\/.*$/gm, " ");
}

function none(violations: readonly string[]): void {
  assert.equal(violations.length, 0, `\n  ${violations.join("\n  ")}\n`);
}

test("imports go down the ranks only", () => {
  const wrong: string[] = [];
  for (const source of product) {
    const from = folderOf(source.path);
    if (rankOf(from) < 0) wrong.push(`${source.path}: give src/${from} a rank in src/tidy.test.ts`);
    for (const target of importsOf(source)) {
      if (!target.startsWith("src/")) continue;
      const to = folderOf(target);
      if (to === from || rankOf(to) < rankOf(from)) continue;
      wrong.push(`${source.path} imports ${target}: move what it needs below src/${from}, or hand it in`);
    }
  }
  none(wrong);
});

test("the product imports nothing of its tests and nothing from outside src", () => {
  const wrong: string[] = [];
  for (const source of product) {
    for (const target of importsOf(source)) {
      if (/^(src\/|node:)/.test(target) ? !isTest(target) : !/^(\.|scripts|bench|interop)/.test(target))
        continue;
      wrong.push(`${source.path} imports ${target}: move the shared part into a file of its own in src`);
    }
  }
  none(wrong);
});

test("only the edge names node: modules and packages", () => {
  const wrong: string[] = [];
  for (const source of product) {
    if (EDGE.has(folderOf(source.path))) continue;
    for (const target of importsOf(source)) {
      if (target.startsWith("src/")) continue;
      wrong.push(`${source.path} imports ${target}: reach it through a port of src/ports`);
    }
  }
  none(wrong);
});

test("core waits for nothing, draws no lots, knows no time and prints nothing", () => {
  const wrong: string[] = [];
  for (const { path, text } of product) {
    if (!CORE.has(folderOf(path)) || path.endsWith(".d.ts")) continue;
    const lines = bare(text).split("\n");
    for (const [word, instead] of CORE_WORDS) {
      const found = lines.find((line) => word.test(line));
      if (found !== undefined) wrong.push(`${path}: "${found.trim()}": ${instead}`);
    }
  }
  none(wrong);
});

test("core throws only where bytes are read, and where an assertion fails", () => {
  const readers = new Set(["base", "wire", "bbolt"]);
  const wrong = product
    .filter(({ path }) => CORE.has(folderOf(path)) && !readers.has(folderOf(path)))
    .filter(({ text }) => /\bthrow\b/.test(bare(text)))
    .map(({ path }) => `${path}: return an EtcdError of base/errors.ts, or assert`);
  none(wrong);
});

test("what only Linux has is asked for in src/node alone", () => {
  const wrong = product
    .filter(
      ({ path, text }) =>
        folderOf(path) !== "node" && /"\/(proc|sys|dev)\//.test(text.replace('"/dev/null"', "")),
    )
    .map(({ path }) => `${path}: ask src/node for it, which knows what to do elsewhere`);
  none(wrong);
});

test("every file says at its head what it is", () => {
  const wrong: string[] = [];
  for (const { path, text } of files) {
    if (!/\.(ts|go)$|^bin\//.test(path)) continue;
    const head = text.replace(/^#!.*\n/, "").trimStart();
    if (/^(\/\/|\/\*)/.test(head)) continue;
    wrong.push(`${path}: open with a comment: what it is, who calls it, what it must never do`);
  }
  none(wrong);
});

test("nothing is left for later, and nothing tells where it was made", () => {
  const wrong: string[] = [];
  const folders = [ROOT, homedir()].filter((folder) => folder.length > "/root".length);
  for (const { path, text } of files) {
    if (path.startsWith("interop/") && path.endsWith(".sum")) continue;
    for (const [word, instead] of BANNED) {
      const match = word.exec(text);
      if (match !== null) wrong.push(`${path}: "${match[0]}": ${instead}`);
    }
    const folder = folders.find((name) => text.includes(`${name}/`));
    if (folder !== undefined) wrong.push(`${path}: "${folder}": use a path relative to the project`);
  }
  none(wrong);
});

test("files stay short enough to be read at once", () => {
  const wrong: string[] = [];
  for (const { path, text } of code) {
    if (isTest(path) || path.includes("/generated/")) continue;
    const lines = text.split("\n").length - 1;
    const allowed = LONG_FILES.get(path);
    if (allowed === undefined && lines > LINES_MAX)
      wrong.push(`${path} has ${lines} lines: take a part with a name of its own out of it`);
    if (allowed !== undefined && lines > allowed)
      wrong.push(`${path} has ${lines} lines, more than its ${allowed}: it may only shrink`);
    if (allowed !== undefined && lines <= LINES_MAX)
      wrong.push(`${path} is short enough now: take it off LONG_FILES in src/tidy.test.ts`);
  }
  for (const path of LONG_FILES.keys()) {
    if (!code.some((source) => source.path === path)) wrong.push(`${path} is gone: take it off LONG_FILES`);
  }
  none(wrong);
});

test("every file is of use to another", () => {
  const used = new Set(code.filter(({ path }) => !path.endsWith(".test.ts")).flatMap(importsOf));
  // The simulated world is the tests' own.
  const unused = product.filter(
    ({ path }) => !used.has(path) && !ENTRIES.has(path) && folderOf(path) !== "sim",
  );
  none([
    ...unused
      .filter(({ path }) => !WAITING.has(path))
      .map(({ path }) => `${path}: nothing imports it: wire it, remove it, or name it in ENTRIES`),
    ...[...WAITING.keys()]
      .filter((path) => !unused.some((source) => source.path === path))
      .map((path) => `${path} waits no longer: take it off WAITING in src/tidy.test.ts`),
  ]);
});

test("documents name files that are there", () => {
  const wrong: string[] = [];
  for (const { path, text } of files) {
    if (!path.endsWith(".md")) continue;
    const named = text.matchAll(/`((?:src|scripts|bench|interop|docs|bin)\/[\w./-]+\w)`|\]\(([\w./-]+)\)/g);
    for (const [, quoted, linked] of named) {
      const target = quoted ?? posix.join(posix.dirname(path), linked!);
      if (!existsSync(join(ROOT, target))) wrong.push(`${path} names ${target}: mend the name, or drop it`);
    }
  }
  none(wrong);
});

test("the lock file knows the packages of every platform", () => {
  type Packages = Record<string, { optionalDependencies?: Record<string, string>; resolved?: string }>;
  const text = readFileSync(join(ROOT, "package-lock.json"), "utf8");
  const { packages } = JSON.parse(text) as { packages: Packages };
  const wrong: string[] = [];
  for (const [path, { optionalDependencies, resolved }] of Object.entries(packages)) {
    if (resolved !== undefined)
      wrong.push(`${path} names a host: keep omit-lockfile-registry-resolved in .npmrc`);
    for (const name of Object.keys(optionalDependencies ?? {})) {
      if (packages[`node_modules/${name}`] !== undefined) continue;
      wrong.push(`${name} is missing: npm ci refuses the file; a registry that lacks it had a hand in this`);
    }
  }
  none(wrong);
});
