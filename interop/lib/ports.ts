// Hands out loopback ports from one range. A port is claimed by a file that names the process, so that runs at the same time, each
// starting and killing servers, never meet on one; and it must be free right now. CAIRN_PORTS names the first port of the range.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

const first = Number(process.env["CAIRN_PORTS"] ?? "24400");
const count = 200;
const claims = join(tmpdir(), "cairn-interop-ports");
const mine: string[] = [];
/** A process's own ports are used again only when it has come round: a killed server's connections may linger. */
let next = 0;

export async function freePort(): Promise<number> {
  mkdirSync(claims, { recursive: true });
  for (let tries = 0; tries < count; tries++) {
    const port = first + (next++ % count);
    if (claim(port) && (await isFree(port))) return port;
  }
  throw new Error(`no free port in ${first}..${first + count - 1}`);
}

function claim(port: number): boolean {
  const file = join(claims, `${port}`);
  try {
    const owner = Number(readFileSync(file, "utf8"));
    if (owner === process.pid) return true; // used before by a server that has ended, or not free
    if (!isAlive(owner)) rmSync(file, { force: true });
  } catch {
    // Nobody claims it.
  }
  try {
    writeFileSync(file, `${process.pid}`, { flag: "wx" });
  } catch {
    return false;
  }
  if (mine.length === 0) process.once("exit", releaseAll);
  mine.push(file);
  return true;
}

function releaseAll(): void {
  for (const file of mine) rmSync(file, { force: true });
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once("error", () => resolve(false));
    probe.listen(port, "127.0.0.1", () => probe.close(() => resolve(true)));
  });
}
