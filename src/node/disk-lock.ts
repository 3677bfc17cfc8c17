// The exclusive lock of a data directory. Node has no flock, and a lock file with a process id in it goes stale or lies across
// containers. So the lock is the kernel's own: flock(1) is run once with our open file as its descriptor 3. The lock belongs to the
// open file description, which we share with it, so it stays ours after flock(1) has ended, and the kernel drops it when
// this process dies in whatever way. Where flock(1) is missing, Linux locks the name of an abstract unix socket (also dropped by
// the kernel, but seen only within one network namespace); elsewhere a file with our process id, checked for life.

import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import { createServer } from "node:net";
import { errorText } from "../base/error-text.ts";
import { DiskError } from "../ports/disk.ts";

type Lock = { unlock(): Promise<void> };

const FILE_MODE = 0o600;
/** What flock(1) answers when somebody else holds the lock. */
const FLOCK_HELD = 1;

function held(path: string): DiskError {
  return new DiskError("EAGAIN", path, `${path} is locked by another process`);
}

function openLockFile(path: string): number {
  try {
    return fs.openSync(path, fs.constants.O_RDWR | fs.constants.O_CREAT, FILE_MODE);
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "EIO";
    throw new DiskError(code, path, errorText(error));
  }
}

/** "held", "locked", or "missing" when there is no flock(1) that understands a descriptor. */
function tryFlock(fd: number): "locked" | "held" | "missing" {
  const result = spawnSync("flock", ["-n", "3"], { stdio: ["ignore", "ignore", "ignore", fd] });
  if (result.error !== undefined || result.status === null) return "missing";
  if (result.status === 0) return "locked";
  return result.status === FLOCK_HELD ? "held" : "missing";
}

function lockAbstractSocket(path: string, fd: number): Promise<Lock> {
  const { dev, ino } = fs.fstatSync(fd, { bigint: true });
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy());
    server.unref();
    server.once("error", (error: Error & { code?: string }) => {
      fs.closeSync(fd);
      reject(
        error.code === "EADDRINUSE" ? held(path) : new DiskError(error.code ?? "EIO", path, error.message),
      );
    });
    server.listen(`\0cairn-lock-${dev}-${ino}`, () => {
      resolve({
        unlock: () =>
          new Promise((done) => {
            server.close(() => done());
            fs.closeSync(fd);
          }),
      });
    });
  });
}

function processLives(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}

function lockProcessId(path: string, fd: number): Lock {
  const owner = Number(fs.readFileSync(fd, "latin1").trim());
  if (Number.isSafeInteger(owner) && owner > 0 && owner !== process.pid && processLives(owner)) {
    fs.closeSync(fd);
    throw held(path);
  }
  fs.ftruncateSync(fd, 0);
  fs.writeSync(fd, `${process.pid}\n`, 0, "latin1");
  return {
    unlock: async () => {
      fs.ftruncateSync(fd, 0);
      fs.closeSync(fd);
    },
  };
}

export async function lockFile(path: string): Promise<Lock> {
  const fd = openLockFile(path);
  const outcome = tryFlock(fd);
  if (outcome === "held") {
    fs.closeSync(fd);
    throw held(path);
  }
  if (outcome === "locked") return { unlock: async () => fs.closeSync(fd) };
  return process.platform === "linux" ? await lockAbstractSocket(path, fd) : lockProcessId(path, fd);
}
