// Puts each program into one file (dist/bin), which starts in half the time of the five hundred that tsc writes: a process that a client
// waits for, a member after a crash or an etcdctl in a script, has nothing to look up. Run by `npm run build`; tests and the package's
// exports use tsc's files.
import { readdirSync, rmSync } from "node:fs";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const OUT = `${ROOT}dist/bin`;

const { metafile } = await build({
  absWorkingDir: ROOT,
  entryPoints: {
    etcd: "dist/src/main.js",
    etcdctl: "dist/src/ctl/main.js",
    etcdutl: "dist/src/utl/main.js",
    heal: "dist/src/ctl/heal.js",
    // Found by its name beside the program that starts it: see node/hash-thread.ts.
    "hash-worker": "dist/src/node/hash-worker.js",
  },
  outdir: OUT,
  bundle: true,
  splitting: true,
  format: "esm",
  platform: "node",
  target: "node20",
  // Constants become numbers where they are used; names stay, for whoever reads a stack.
  minifySyntax: true,
  sourcemap: "linked",
  logLevel: "warning",
  metafile: true,
});
// Only now: a program that runs may still load a part of itself, and parts that have not changed keep their names.
const made = new Set(Object.keys(metafile.outputs).map((path) => basename(path)));
for (const name of readdirSync(OUT)) if (!made.has(name)) rmSync(`${OUT}/${name}`);
