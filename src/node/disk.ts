// The Disk port on real files. The one place that turns Node's fs errors into DiskErrors. It never retries a failed flush.

import * as fs from "node:fs";
import { dirname } from "node:path";
import { errorText } from "../base/error-text.ts";
import { type Disk, DiskError, type DiskFile } from "../ports/disk.ts";
import { lockFile } from "./disk-lock.ts";

const FILE_MODE = 0o600;
const DIRECTORY_MODE = 0o700;
/** IOV_MAX on Linux and macOS. */
const CHUNKS_MAX = 1024;
/** Zero-fill writes this much at a time, so that a flush of the log never queues long behind it. */
const ALLOCATE_CHUNK_BYTES = 1 << 20;
const zeros: Uint8Array = new Uint8Array(ALLOCATE_CHUNK_BYTES);

type Errno = NodeJS.ErrnoException;
type Callback<T> = (error: Errno | null, value: T) => void;

function diskError(error: unknown, path: string): DiskError {
  const code = error instanceof Error && "code" in error ? String(error.code) : "EIO";
  return new DiskError(code, path, errorText(error));
}

/** Runs one fs call of the callback kind; its error becomes a DiskError that names `path`. */
function call<T>(path: string, start: (done: Callback<T>) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    start((error, value) => {
      if (error === null || error === undefined) resolve(value);
      else reject(diskError(error, path));
    });
  });
}

function callVoid(path: string, start: (done: (error: Errno | null) => void) => void): Promise<void> {
  return call<void>(path, (done) => start((error) => done(error, undefined)));
}

/** Chunks [from …] without their first `skip` bytes: what a short write has left over. */
function remaining(chunks: readonly Uint8Array[], written: number): Uint8Array[] {
  const rest: Uint8Array[] = [];
  let skip = written;
  for (const chunk of chunks) {
    if (skip >= chunk.length) skip -= chunk.length;
    else {
      rest.push(skip === 0 ? chunk : chunk.subarray(skip));
      skip = 0;
    }
  }
  return rest;
}

function totalBytes(chunks: readonly Uint8Array[]): number {
  let size = 0;
  for (const chunk of chunks) size += chunk.length;
  return size;
}

class NodeFile implements DiskFile {
  readonly path: string;
  readonly #fd: number;
  readonly #flushes: boolean;
  #closed = false;
  /** Asynchronous calls under way: the descriptor must not be closed (and its number reused) below them. */
  #running = 0;
  #onIdle: (() => void) | undefined;

  constructor(path: string, fd: number, flushes: boolean) {
    this.path = path;
    this.#fd = fd;
    this.#flushes = flushes;
  }

  async write(chunks: readonly Uint8Array[], position: number): Promise<void> {
    let at = position;
    let rest = chunks;
    while (rest.length > 0) {
      const part = rest.length > CHUNKS_MAX ? rest.slice(0, CHUNKS_MAX) : rest;
      const written = await this.#call<number>((done) => fs.writev(this.#fd, part, at, done));
      if (written === totalBytes(rest)) return;
      at += written;
      rest = remaining(rest, written);
    }
  }

  writeSync(chunks: readonly Uint8Array[], position: number): void {
    this.#check();
    try {
      if (chunks.length === 1) {
        const chunk = chunks[0]!;
        const written = fs.writeSync(this.#fd, chunk, 0, chunk.length, position);
        if (written < chunk.length) this.writeSync([chunk.subarray(written)], position + written);
        return;
      }
      let at = position;
      let rest = chunks;
      while (rest.length > 0) {
        const part = rest.length > CHUNKS_MAX ? rest.slice(0, CHUNKS_MAX) : rest;
        const written = fs.writevSync(this.#fd, part, at);
        if (written === totalBytes(rest)) return;
        at += written;
        rest = remaining(rest, written);
      }
    } catch (error) {
      throw error instanceof DiskError ? error : diskError(error, this.path);
    }
  }

  async sync(): Promise<void> {
    if (!this.#flushes) return;
    await this.#callVoid((done) => fs.fdatasync(this.#fd, done));
  }

  syncSync(): void {
    this.#check();
    if (!this.#flushes) return;
    try {
      fs.fdatasyncSync(this.#fd);
    } catch (error) {
      throw diskError(error, this.path);
    }
  }

  async read(into: Uint8Array, position: number): Promise<number> {
    let filled = 0;
    while (filled < into.length) {
      const from = filled;
      const count = await this.#call<number>((done) =>
        fs.read(this.#fd, into, from, into.length - from, position + from, done),
      );
      if (count === 0) break;
      filled += count;
    }
    return filled;
  }

  readSync(into: Uint8Array, position: number): number {
    let filled = 0;
    this.#check();
    try {
      while (filled < into.length) {
        const count = fs.readSync(this.#fd, into, filled, into.length - filled, position + filled);
        if (count === 0) break;
        filled += count;
      }
    } catch (error) {
      throw diskError(error, this.path);
    }
    return filled;
  }

  sizeSync(): number {
    this.#check();
    try {
      return fs.fstatSync(this.#fd).size;
    } catch (error) {
      throw diskError(error, this.path);
    }
  }

  truncate(size: number): Promise<void> {
    return this.#callVoid((done) => fs.ftruncate(this.#fd, size, done));
  }

  /** Node has no fallocate: zeros are written beyond what is there, then flushed, so that later flushes write no metadata. */
  async allocate(size: number): Promise<void> {
    for (let at = this.sizeSync(); at < size; ) {
      const chunk = zeros.subarray(0, Math.min(ALLOCATE_CHUNK_BYTES, size - at));
      await this.write([chunk], at);
      await this.sync();
      at += chunk.length;
    }
    await this.sync();
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#running > 0) {
      await new Promise<void>((resolve) => {
        this.#onIdle = resolve;
      });
    }
    await callVoid(this.path, (done) => fs.close(this.#fd, (error) => done(error ?? null)));
  }

  async #call<T>(start: (done: Callback<T>) => void): Promise<T> {
    this.#check();
    this.#running++;
    try {
      return await call<T>(this.path, start);
    } finally {
      if (--this.#running === 0) this.#onIdle?.();
    }
  }

  #callVoid(start: (done: (error: Errno | null) => void) => void): Promise<void> {
    return this.#call<void>((done) => start((error) => done(error, undefined)));
  }

  #check(): void {
    if (this.#closed) throw new DiskError("EBADF", this.path, `${this.path} is closed`);
  }
}

const openFlags = {
  read: fs.constants.O_RDONLY,
  write: fs.constants.O_RDWR | fs.constants.O_CREAT,
  create: fs.constants.O_RDWR | fs.constants.O_CREAT | fs.constants.O_EXCL,
} as const;

async function open(path: string, mode: "read" | "write" | "create", flushes: boolean): Promise<DiskFile> {
  const fd = await call<number>(path, (done) => fs.open(path, openFlags[mode], FILE_MODE, done));
  return new NodeFile(path, fd, flushes);
}

async function exists(path: string): Promise<boolean> {
  return await new Promise((resolve, reject) => {
    fs.stat(path, (error) => {
      if (error === null) resolve(true);
      else if (error.code === "ENOENT" || error.code === "ENOTDIR") resolve(false);
      else reject(diskError(error, path));
    });
  });
}

async function syncDirectory(directory: string): Promise<void> {
  const fd = await call<number>(directory, (done) => fs.open(directory, fs.constants.O_RDONLY, done));
  try {
    await callVoid(directory, (done) => fs.fsync(fd, done));
  } finally {
    fs.closeSync(fd);
  }
}

/** New directories are made durable in their parents at once. */
async function makeDirectory(directory: string): Promise<void> {
  const made = await call<string | undefined>(directory, (done) =>
    fs.mkdir(directory, { recursive: true, mode: DIRECTORY_MODE }, done),
  );
  if (made === undefined) return;
  for (let path = directory; ; path = dirname(path)) {
    await syncDirectory(dirname(path));
    if (path === made || path === dirname(path)) return;
  }
}

/** `flushes` false is --unsafe-no-fsync: nothing survives a power loss, a killed process loses nothing. */
export function nodeDisk(options: { readonly flushes: boolean } = { flushes: true }): Disk {
  return {
    open: (path, mode) => open(path, mode, options.flushes),
    exists,
    list: async (directory) => {
      const names = await call<string[]>(directory, (done) => fs.readdir(directory, done));
      return names.sort();
    },
    rename: (from, to) => callVoid(from, (done) => fs.rename(from, to, done)),
    remove: (path) => callVoid(path, (done) => fs.unlink(path, done)),
    makeDirectory,
    syncDirectory,
    lock: lockFile,
    freeBytes: async (path) => {
      const volume = await call<fs.StatsFs>(path, (done) => fs.statfs(path, done));
      return volume.bavail * volume.bsize;
    },
  };
}
