// Goal: the executables find the build, or say how to make it, and take their own words before they hand over to the server.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

const ROOT = new URL("../../../", import.meta.url).pathname;

/** A package of its own around copies of the executables; `main` is what would be dist/bin/etcd.js. */
function packageWith(main: string | undefined): string {
  const directory = mkdtempSync(join(tmpdir(), "cairn-bin-"));
  cpSync(join(ROOT, "bin"), join(directory, "bin"), { recursive: true });
  writeFileSync(join(directory, "package.json"), '{"type":"module"}');
  if (main !== undefined) {
    mkdirSync(join(directory, "dist/bin"), { recursive: true });
    writeFileSync(join(directory, "dist/bin/etcd.js"), main);
  }
  return directory;
}

function run(
  directory: string,
  name: string,
  args: readonly string[],
): { status: number | null; text: string } {
  const done = spawnSync(join(directory, "bin", name), args, { encoding: "utf8" });
  return { status: done.status, text: done.stdout + done.stderr };
}

test("without a build both say how to make one", () => {
  const directory = packageWith(undefined);
  for (const name of ["etcd", "cairn"]) {
    const { status, text } = run(directory, name, ["--version"]);
    assert.equal(status, 1);
    assert.match(text, /npm ci && npm run build/);
  }
});

test("the server gets etcd's command line, with or without serve", () => {
  const directory = packageWith("console.log(process.argv.slice(2).join(' '));");
  assert.ok(existsSync(join(directory, "bin/etcd")));
  assert.equal(run(directory, "etcd", ["--name", "x"]).text, "--name x\n");
  assert.equal(run(directory, "cairn", ["serve", "--name", "x"]).text, "--name x\n");
  assert.equal(run(directory, "cairn", ["--name", "x"]).text, "--name x\n");
});

test("cairn explains itself and refuses commands that it does not know", () => {
  const directory = packageWith("console.log('served');");
  assert.match(run(directory, "cairn", ["--help"]).text, /^Usage:/);
  const unknown = run(directory, "cairn", ["frobnicate"]);
  assert.equal(unknown.status, 2);
  assert.match(unknown.text, /^cairn: unknown command "frobnicate"/);
});
