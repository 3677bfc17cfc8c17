// Our etcdctl against the real one: the same lines typed at the same fresh etcd, once with each, and stdout, stderr and exit code
// compared to the byte after what differs by nature (times, ports, leases, pointers) is taken out.
//   node dist/interop/ctl-compare.js [WORD...]    words narrow what is reported, not what is run; `offline`, `online`, `secure` and `clustered` narrow the run
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { clustered, offline, online, type Step, secure } from "./ctl-compare-steps.ts";
import { type Certificates, makeCertificates } from "./lib/certificates.ts";
import { binDir, makeRunDir, projectRoot, removeRunDirs } from "./lib/paths.ts";
import { type PeerName, peer } from "./peers.ts";

const PARTS = ["offline", "online", "secure", "clustered"];
const CLIENT = "127.0.0.1:24210";
const MEMBERS = ["127.0.0.1:24220", "127.0.0.1:24222", "127.0.0.1:24224"];
const PEER_URL = "http://127.0.0.1:24211";

type Result = { readonly code: number; readonly out: string; readonly err: string };

async function program(name: PeerName): Promise<string> {
  const built = join(binDir, name);
  return existsSync(built) ? built : await peer(name);
}

async function startEtcd(tls?: Certificates): Promise<ChildProcess> {
  const scheme = tls === undefined ? "http" : "https";
  const flags = {
    "data-dir": join(makeRunDir("ctl-compare"), "data"),
    "listen-client-urls": `${scheme}://${CLIENT}`,
    "advertise-client-urls": `${scheme}://${CLIENT}`,
    "listen-peer-urls": PEER_URL,
    "initial-advertise-peer-urls": PEER_URL,
    "initial-cluster": `default=${PEER_URL}`,
    "bcrypt-cost": "4",
    "log-level": "error",
    ...(tls === undefined
      ? {}
      : {
          "cert-file": tls.serverCert,
          "key-file": tls.serverKey,
          "trusted-ca-file": tls.ca,
          "client-cert-auth": "true",
        }),
  };
  const argv = Object.entries(flags).map(([name, value]) => `--${name}=${value}`);
  const child = spawn(await program("etcd"), argv, { stdio: "ignore" });
  for (let i = 0; i < 200; i++) {
    if (await listens()) break;
    await wait(50);
  }
  // The cluster's version is decided some time after the first answer; lines about it wait for that.
  await wait(5000);
  return child;
}

/** Three real members, on the same URLs in each run: ids are made of them. */
async function startThree(): Promise<ChildProcess[]> {
  const dir = makeRunDir("ctl-compare");
  const cluster = MEMBERS.map((client, i) => `m${i}=http://${peerOf(client)}`).join(",");
  const etcd = await program("etcd");
  const children = MEMBERS.map((client, i) => {
    const [url, peerUrl] = [`http://${client}`, `http://${peerOf(client)}`];
    const argv = ["--name", `m${i}`, "--data-dir", join(dir, `m${i}`), "--log-level", "error"];
    argv.push("--listen-client-urls", url, "--advertise-client-urls", url, "--listen-peer-urls", peerUrl);
    argv.push("--initial-advertise-peer-urls", peerUrl, "--initial-cluster", cluster);
    return spawn(etcd, argv, { stdio: "ignore" });
  });
  for (const client of MEMBERS) for (let i = 0; i < 200 && !(await listens(client)); i++) await wait(50);
  // Members that have not been connected for five seconds take no others in.
  await wait(7000);
  return children;
}

function peerOf(client: string): string {
  const [host, port] = client.split(":") as [string, string];
  return `${host}:${Number(port) + 1}`;
}

function listens(client = CLIENT): Promise<boolean> {
  const [host, port] = client.split(":") as [string, string];
  return new Promise((resolve) => {
    const socket = connect(Number(port), host);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}

async function stopEtcd(child: ChildProcess): Promise<void> {
  const gone = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGKILL");
  await gone;
}

function type(ctl: readonly string[], step: Step, captured: Map<string, string>): Promise<Result> {
  const words = step.args.map((word) =>
    word
      .replace(/\{(\w+)\}/g, (_, name: string) => captured.get(name) ?? `no-${name}`)
      .replace("|grep^", " | grep ^")
      .replace("|sort", " | sort"),
  );
  const argv = [
    ...ctl.slice(1),
    ...(step.bare === true ? [] : ["--endpoints", CLIENT]),
    ...words.filter((word, i) => word !== "" || i > 0),
  ];
  return new Promise((resolve, reject) => {
    const child = spawn(ctl[0]!, argv, {
      env: { PATH: process.env["PATH"] ?? "", HOME: "/tmp", ...step.env },
    });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    const limit = setTimeout(() => child.kill("SIGKILL"), 20_000);
    const kill =
      step.killAfterMs === undefined
        ? undefined
        : setTimeout(() => child.kill(step.signal ?? "SIGKILL"), step.killAfterMs);
    child.stdout.on("data", (chunk: Buffer) => out.push(chunk));
    child.stderr.on("data", (chunk: Buffer) => err.push(chunk));
    child.on("error", reject);
    child.on("close", (code) => {
      clearTimeout(limit);
      clearTimeout(kill);
      resolve({
        code: code ?? -1,
        out: Buffer.concat(out).toString("latin1"),
        err: Buffer.concat(err).toString("latin1"),
      });
    });
    child.stdin.on("error", () => {});
    if (step.killAfterMs === undefined || step.input === undefined) child.stdin.end(step.input ?? "");
    else child.stdin.write(step.input);
  });
}

async function typeAll(
  ctl: readonly string[],
  steps: readonly Step[],
  names: Readonly<Record<string, string>> = {},
): Promise<Result[]> {
  const captured = new Map<string, string>(Object.entries(names));
  const results: Result[] = [];
  for (const step of steps) {
    if (step.pauseMs !== undefined) await wait(step.pauseMs);
    const result = await type(ctl, step, captured);
    if (step.capture !== undefined) {
      captured.set(step.capture.name, step.capture.pattern.exec(result.out)?.[1] ?? "");
    }
    results.push(result);
  }
  return results;
}

/** Takes out what no two runs share. */
function normalised(text: string): string {
  return (
    text
      .replace(/"ts":"[^"]*"/g, '"ts":TIME')
      .replace(/0x[0-9a-f]{6,}/g, "POINTER")
      .replace(/LocalAddr: '[^']*'/g, "LocalAddr: PORT")
      // Which of several endpoints is asked is the balancer's choice.
      .replace(/Peer\{Addr: '127.0.0.1:2422\d'/g, "Peer{Addr: ENDPOINT")
      .replace(/(etcd-endpoints:\/\/\w+\/)127.0.0.1:2422\d/g, "$1ENDPOINT")
      .replace(/\b\d+(\.\d+)?(ms|µs|Âµs|ns|s)\b/g, "DURATION")
      .replace(/,"stacktrace":"[^"]*"/g, "")
      .replace(/│ +(DURATION|TOOK) │/g, "│ DURATION │")
      .replace(/ *\b[0-9a-f]{14,16}\b/g, "ID")
      .replace(/ETCD_LOCK_KEY=\S+/g, "KEY")
      .replace(/name\/[0-9a-f]+/g, "name/LEASE")
      .replace(/"(ID|id|Lease|lease)" ?: ?\d{15,}/g, '"$1":LEASE')
      .replace(/\d{15,}/g, "NUMBER")
      .replace(/"(raftIndex|raftAppliedIndex|dbSize|dbSizeInUse|hash|authRevision|TTL|ttl)":\d+/g, '"$1":N')
      .replace(/"(RaftIndex|RaftAppliedIndex|DBSize|DBSizeInUse|Hash|TTL)" : \d+/g, '"$1" : N')
      .replace(/remaining\(DURATION\)/g, "REMAINING")
      .replace(/"size":"[^"]*"/g, '"size":SIZE')
      .replace(/\d+(\.\d)? [kMG]B/g, "SIZE")
      .replace(/\d+%/g, "PERCENT")
      .replace(
        /^\d{4}\/\d\d\/\d\d .*\[(core|transport|balancer|roundrobin|pick-first-leaf-lb|endpointsharding).*\n/gm,
        "",
      )
  );
}

/** A table's rows keep their cells, whose widths follow from times and sizes. */
function comparable(step: Step, text: string): string {
  const plain = normalised(text);
  if (!step.args.includes("table")) return plain;
  return plain.replace(/[\u00e2][\u0094][\u0080]/g, "").replace(/ +/g, " ");
}

/** What is random by nature: indexes that timing decides, hashes over lease ids, the order of members and of a lease's keys. */
function sameEnough(step: Step, a: string, b: string): boolean {
  if (a === b) return true;
  const { args } = step;
  if (args.includes("--debug")) return settings(a) === settings(b);
  if (args.includes("protobuf")) return Math.abs(a.length - b.length) <= 2;
  if (args.includes("status") || args.includes("hashkv"))
    return a.replace(/\d+/g, "N") === b.replace(/\d+/g, "N");
  if (args.includes("member") || args.includes("--keys") || args.includes("--cluster"))
    return [...a].sort().join("") === [...b].sort().join("");
  return false;
}

/** The flags that --debug prints; the log of Go's gRPC library, which follows, is nobody's contract. */
function settings(text: string): string {
  return text
    .split("\n")
    .filter((each) => each.startsWith("ETCDCTL_"))
    .join("\n");
}

function differences(step: Step, real: Result, ours: Result): string[] {
  const found: string[] = [];
  if (real.code !== ours.code) found.push(`exit code: ${real.code}, ours ${ours.code}`);
  for (const stream of ["out", "err"] as const) {
    const [a, b] = [comparable(step, real[stream]), comparable(step, ours[stream])];
    if (!sameEnough(step, a, b)) found.push(`std${stream}:\n--- real\n${a}\n--- ours\n${b}`);
  }
  return found;
}

async function main(words: readonly string[]): Promise<void> {
  const real = [await program("etcdctl")];
  const ours = [process.execPath, join(projectRoot, "bin/etcdctl")];
  const parts = words.filter((word) => PARTS.includes(word));
  const wanted = (part: string): boolean => parts.length === 0 || parts.includes(part);
  const shown = words.filter((word) => !parts.includes(word));
  let passed = 0;
  let failed = 0;
  const judge = (steps: readonly Step[], a: readonly Result[], b: readonly Result[]): void => {
    steps.forEach((step, i) => {
      const command = step.args.join(" ");
      if (shown.length > 0 && !shown.some((word) => command.includes(word))) return;
      const found = differences(step, a[i]!, b[i]!);
      if (found.length === 0) passed++;
      else {
        failed++;
        console.log(
          `FAILED: etcdctl ${command} ${step.input === undefined ? "" : JSON.stringify(step.input)}`,
        );
        console.log(found.join("\n"));
      }
    });
  };
  if (wanted("offline")) judge(offline, await typeAll(real, offline), await typeAll(ours, offline));
  if (wanted("online")) {
    const results: Result[][] = [];
    for (const ctl of [real, ours]) {
      const etcd = await startEtcd();
      try {
        results.push(await typeAll(ctl, online));
      } finally {
        await stopEtcd(etcd);
        rmSync("/tmp/wire-compare.db", { force: true });
      }
    }
    judge(online, results[0]!, results[1]!);
  }
  if (wanted("secure")) {
    const tls = await makeCertificates(makeRunDir("ctl-compare-tls"));
    const names = { ca: tls.ca, cert: tls.clientCert, key: tls.clientKey, client: CLIENT };
    const etcd = await startEtcd(tls);
    try {
      judge(secure, await typeAll(real, secure, names), await typeAll(ours, secure, names));
    } finally {
      await stopEtcd(etcd);
    }
  }
  if (wanted("clustered")) {
    const results: Result[][] = [];
    for (const ctl of [real, ours]) {
      const members = await startThree();
      try {
        results.push(await typeAll(ctl, clustered, { members: MEMBERS.join(",") }));
      } finally {
        for (const member of members) await stopEtcd(member);
      }
    }
    judge(clustered, results[0]!, results[1]!);
  }
  removeRunDirs();
  console.log(`${passed} passed, ${failed} failed`);
  process.exitCode = failed > 0 || passed === 0 ? 1 : 0;
}

await main(process.argv.slice(2));
