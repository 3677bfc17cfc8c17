// The lock on a bbolt file, which is the kernel's flock: etcd holds it exclusively as long as it runs. Node has none, so flock(1) is
// run once with our open file as its descriptor 3; the lock then belongs to our open file. Callers: etcdutl, and the import of a
// data directory of etcd's. It never writes to the file. Where flock(1) is missing nothing can be known: the lock is "unknown", and the
// user must see to it that no etcd runs.
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";

export type DatabaseLock = { readonly state: "locked" | "unknown"; unlock(): Promise<void> };

/** What flock(1) answers when somebody else holds the lock. */
const FLOCK_HELD = 1;
const RETRY_MILLIS = 50;

/** One try. Undefined: another process holds it. `shared` locks go together with other shared ones. */
export function tryLockDatabase(path: string, mode: "shared" | "exclusive"): DatabaseLock | undefined {
  const fd = fs.openSync(path, "r");
  const flags = mode === "shared" ? "-sn" : "-xn";
  const result = spawnSync("flock", [flags, "3"], { stdio: ["ignore", "ignore", "ignore", fd] });
  if (result.error === undefined && result.status === FLOCK_HELD) {
    fs.closeSync(fd);
    return undefined;
  }
  const state = result.error === undefined && result.status === 0 ? "locked" : "unknown";
  return { state, unlock: async () => fs.closeSync(fd) };
}

/** Tries for `timeoutMillis`, or forever when that is 0, as bbolt's Timeout option. */
export async function lockDatabase(
  path: string,
  mode: "shared" | "exclusive",
  timeoutMillis: number,
): Promise<DatabaseLock | undefined> {
  const started = performance.now();
  for (;;) {
    const lock = tryLockDatabase(path, mode);
    if (lock !== undefined) return lock;
    if (timeoutMillis > 0 && performance.now() - started > timeoutMillis) return undefined;
    await new Promise((resolve) => setTimeout(resolve, RETRY_MILLIS));
  }
}
