// Where things are: the checkout, the cache of built peers, and fresh directories for one run.
// The interop suite and the bench both use it. It must never put data on a memory file system: durability is measured.
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const projectRoot = fileURLToPath(new URL("../../..", import.meta.url));
export const cacheDir = process.env["CAIRN_CACHE"] ?? join(projectRoot, ".cache");
export const binDir = join(cacheDir, "bin");

const made: string[] = [];

/** A new empty directory on the disk of the checkout's cache; `removeRunDirs` takes it away. */
export function makeRunDir(name: string): string {
  const parent = join(cacheDir, "run");
  mkdirSync(parent, { recursive: true });
  const path = mkdtempSync(join(parent, `${name}-`));
  made.push(path);
  return path;
}

export function removeRunDir(path: string): void {
  rmSync(path, { recursive: true, force: true });
}

export function removeRunDirs(): void {
  for (const path of made.splice(0)) removeRunDir(path);
}
