// Builds the real programs that Cairn is held against, from their own Go modules: etcd 3.7.1 and its tools, etcd 3.6.14,
// kube-apiserver with kubectl, h2spec, and our own Go clients. `peer(name)` answers the path of a current build.
// It must never build twice what is unchanged: a stamp of the module's files lies beside each program.
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { binDir, projectRoot } from "./lib/paths.ts";

interface Peer {
  readonly module: string;
  readonly package: string;
  /** Other names for the same file. */
  readonly links?: readonly string[];
  /** What a cold build takes on two cores, said while it runs. */
  readonly coldSeconds: number;
}

const peers = {
  etcd: { module: "interop", package: "go.etcd.io/etcd/server/v3", coldSeconds: 60 },
  etcdctl: { module: "interop", package: "go.etcd.io/etcd/etcdctl/v3", coldSeconds: 10 },
  etcdutl: { module: "interop", package: "go.etcd.io/etcd/etcdutl/v3", coldSeconds: 10 },
  benchmark: { module: "interop", package: "go.etcd.io/etcd/v3/tools/benchmark", coldSeconds: 10 },
  "etcd-3.6": { module: "interop/etcd36", package: "go.etcd.io/etcd/server/v3", coldSeconds: 60 },
  "etcdutl-3.6": { module: "interop/etcd36", package: "go.etcd.io/etcd/etcdutl/v3", coldSeconds: 10 },
  h2spec: { module: "interop/h2spec", package: "github.com/summerwind/h2spec/cmd/h2spec", coldSeconds: 20 },
  certificates: { module: "interop", package: "./certificates", coldSeconds: 10 },
  "clientv3-suite": { module: "interop", package: "./clientv3", coldSeconds: 30 },
  differential: { module: "interop", package: "./differential", coldSeconds: 30 },
  clusterload: { module: "interop", package: "./clusterload", coldSeconds: 30 },
  "kube-apiserver": { module: "interop/apiserver", package: ".", links: ["kubectl"], coldSeconds: 600 },
} as const satisfies Record<string, Peer>;

export type PeerName = keyof typeof peers;
export const peerNames = Object.keys(peers) as PeerName[];

const buildFlags = ["-trimpath", "-buildvcs=false", "-ldflags", "-s -w"];
const built = new Map<PeerName, Promise<string>>();

/** The path of a current build of the program; builds it first when it is missing or its sources changed. */
export function peer(name: PeerName): Promise<string> {
  const known = built.get(name);
  if (known !== undefined) return known;
  const building = ensure(name);
  built.set(name, building);
  return building;
}

/** kubectl lives in the same file as kube-apiserver and answers to its own name. */
export async function kubectl(): Promise<string> {
  await peer("kube-apiserver");
  return join(binDir, "kubectl");
}

async function ensure(name: PeerName): Promise<string> {
  const { module, package: pkg, links, coldSeconds }: Peer = peers[name];
  const moduleDir = join(projectRoot, module);
  const target = join(binDir, name);
  const stampFile = `${target}.stamp`;
  const stamp = stampOf(moduleDir, pkg);
  if (!existsSync(target) || !existsSync(stampFile) || readFileSync(stampFile, "utf8") !== stamp) {
    mkdirSync(binDir, { recursive: true });
    await build(name, moduleDir, pkg, target, coldSeconds);
    writeFileSync(stampFile, stamp);
  }
  for (const link of links ?? []) {
    const path = join(binDir, link);
    if (existsSync(path)) continue;
    rmSync(path, { force: true });
    symlinkSync(name, path);
  }
  return target;
}

/** Names the build: the module's pinned versions and, for programs of our own, their source. */
function stampOf(moduleDir: string, pkg: string): string {
  const hash = createHash("sha256");
  for (const file of ["go.mod", "go.sum"]) hash.update(readFileSync(join(moduleDir, file)));
  if (pkg.startsWith(".")) {
    const dir = join(moduleDir, pkg);
    for (const file of readdirSync(dir).sort()) {
      if (file.endsWith(".go")) hash.update(readFileSync(join(dir, file)));
    }
  }
  return hash.update(pkg).update(buildFlags.join(" ")).digest("hex");
}

function build(name: string, cwd: string, pkg: string, target: string, coldSeconds: number): Promise<void> {
  const started = Date.now();
  const seconds = (): string => ((Date.now() - started) / 1000).toFixed(0);
  console.log(`building ${name} (about ${coldSeconds} s when nothing is cached)`);
  const progress = setInterval(() => console.log(`building ${name}: ${seconds()} s`), 30_000);
  const part = `${target}.${process.pid}.part`;
  return new Promise((resolve, reject) => {
    const child = spawn("go", ["build", ...buildFlags, "-o", part, pkg], {
      cwd,
      env: { ...process.env, CGO_ENABLED: "0", GOFLAGS: "-mod=readonly" },
      stdio: ["ignore", "inherit", "inherit"],
    });
    child.on("error", (error) => {
      clearInterval(progress);
      reject(new Error(`cannot run go, which builds the peers: ${error.message}`));
    });
    child.on("close", (code) => {
      clearInterval(progress);
      if (code !== 0) return reject(new Error(`building ${name} failed with exit code ${code}`));
      renameSync(part, target);
      console.log(`built ${name} in ${seconds()} s`);
      resolve();
    });
  });
}

async function main(): Promise<void> {
  const wanted = process.argv.slice(2);
  const unknown = wanted.filter((name) => !(name in peers));
  if (unknown.length > 0)
    throw new Error(`no such peer: ${unknown.join(", ")}; known: ${peerNames.join(", ")}`);
  for (const name of wanted.length > 0 ? (wanted as PeerName[]) : peerNames) console.log(await peer(name));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
