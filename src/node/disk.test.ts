// Goal: the real disk keeps the promises of the port: modes, whole writes, named errors, and a lock that neither goes stale nor lies.
// Method: real files in a temporary directory; the lock and kill -9 are tried with a real second process.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, test } from "node:test";
import { nodeDisk } from "./disk.ts";

const directories: string[] = [];

function newDirectory(): string {
  const path = mkdtempSync(join(tmpdir(), "cairn-disk-"));
  directories.push(path);
  return path;
}

afterEach(() => {
  for (const path of directories.splice(0)) rmSync(path, { recursive: true, force: true });
});

test("many chunks are written whole, whether inline or through the pool, and read back up to the end", async () => {
  const path = join(newDirectory(), "file");
  const file = await nodeDisk().open(path, "create");
  const chunks = Array.from({ length: 3000 }, (_, i) => new Uint8Array(1 + (i % 90)).fill(i));
  const whole = Buffer.concat(chunks);
  file.writeSync(chunks, 10);
  await file.write(chunks, 10 + whole.length);
  await file.sync();
  file.syncSync();
  assert.deepEqual(readFileSync(path).subarray(10), Buffer.concat([whole, whole]));
  const into = new Uint8Array(whole.length + 50);
  assert.equal(await file.read(into, 10 + whole.length), whole.length);
  assert.equal(file.readSync(into, 10 + whole.length), whole.length);
  assert.deepEqual(Buffer.from(into.subarray(0, whole.length)), whole);
  await file.close();
  assert.equal(statSync(path).mode & 0o777, 0o600);
});

test("allocated space is zeros, and what was there stays", async () => {
  const file = await nodeDisk().open(join(newDirectory(), "file"), "write");
  await file.write([Uint8Array.of(1, 2, 3)], 0);
  await file.allocate(3_000_000);
  assert.equal(file.sizeSync(), 3_000_000);
  const bytes = new Uint8Array(3_000_000);
  await file.read(bytes, 0);
  assert.deepEqual([...bytes.subarray(0, 4)], [1, 2, 3, 0]);
  assert.ok(bytes.subarray(3).every((byte) => byte === 0));
  await file.truncate(2);
  assert.equal(file.sizeSync(), 2);
  await file.close();
});

test("a closed file refuses to be used: its descriptor may be another file's by then", async () => {
  const file = await nodeDisk().open(join(newDirectory(), "file"), "write");
  const late = file.truncate(100);
  await file.close();
  await late;
  await assert.rejects(file.truncate(5), { name: "DiskError", code: "EBADF" });
  assert.throws(() => file.writeSync([Uint8Array.of(1)], 0), { name: "DiskError", code: "EBADF" });
});

test("errors carry the errno name and the path", async () => {
  const disk = nodeDisk();
  const directory = newDirectory();
  const path = join(directory, "file");
  await assert.rejects(disk.open(path, "read"), { name: "DiskError", code: "ENOENT", path });
  await (await disk.open(path, "create")).close();
  await assert.rejects(disk.open(path, "create"), { name: "DiskError", code: "EEXIST", path });
  await assert.rejects(disk.list(join(directory, "none")), { name: "DiskError", code: "ENOENT" });
  assert.equal(await disk.exists(join(path, "below-a-file")), false);
});

test("directories are made private, with their parents; names can be listed, changed and removed", async () => {
  const disk = nodeDisk();
  const directory = join(newDirectory(), "member", "cairn");
  await disk.makeDirectory(directory);
  await disk.makeDirectory(directory);
  assert.equal(statSync(directory).mode & 0o777, 0o700);
  await (await disk.open(join(directory, "b"), "create")).close();
  await (await disk.open(join(directory, "a"), "create")).close();
  await disk.rename(join(directory, "b"), join(directory, "c"));
  await disk.syncDirectory(directory);
  assert.deepEqual(await disk.list(directory), ["a", "c"]);
  await disk.remove(join(directory, "c"));
  assert.deepEqual(await disk.list(directory), ["a"]);
  assert.ok((await disk.freeBytes(directory)) > 0);
});

const holder = `
const { nodeDisk } = await import(process.argv[1]);
await nodeDisk().lock(process.argv[2]);
console.log("locked");
setInterval(() => {}, 1000);
`;

test("a lock excludes a second process, and kill -9 of its holder frees it", async () => {
  const path = join(newDirectory(), "LOCK");
  const module = new URL("./disk.js", import.meta.url).href;
  const child = spawn(process.execPath, ["--input-type=module", "-e", holder, module, path], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await once(child.stdout, "data");
  await assert.rejects(nodeDisk().lock(path), { name: "DiskError", code: "EAGAIN", path });
  child.kill("SIGKILL");
  await once(child, "exit");
  const lock = await nodeDisk().lock(path);
  await assert.rejects(nodeDisk().lock(path), { code: "EAGAIN" });
  await lock.unlock();
  await (await nodeDisk().lock(path)).unlock();
});
