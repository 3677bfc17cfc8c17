// Database files on the real disk, for the commands: opened read-only under bbolt's lock, and written fresh beside their place and
// then put there, so that a crash leaves the old file or the new one.
import * as fs from "node:fs";
import { dirname, join } from "node:path";
import { FormatError } from "../base/format-error.ts";
import { BoltFile, type ByteSource } from "../bbolt/reader.ts";
import type { BucketSource } from "../bbolt/rows.ts";
import { BoltWriter } from "../bbolt/writer.ts";
import { ExitError } from "../cli/command.ts";
import { FileSource } from "../etcdfile/file-source.ts";
import { lockDatabase } from "../node/database-lock.ts";
import type { DiskFile } from "../ports/disk.ts";
import { ExitCode, fileCall } from "./exit.ts";

const PLAN_ROWS = 1 << 20;
/** bbolt refuses to map less. */
const FILE_BYTES_MIN = 8192;
const FILE_MODE = 0o600;

export type OpenDatabase = {
  readonly path: string;
  readonly source: ByteSource;
  readonly file: BoltFile;
  close(): Promise<void>;
};

/** bbolt's words for a file that it would not open. */
function openError(size: number, error: FormatError): string {
  const text = error.message.replace(/^neither meta page is valid: /, "");
  return size < FILE_BYTES_MIN ? `file size too small ${size}` : text;
}

/** Just what FileSource asks of a file. */
function readOnlyFile(path: string, fd: number): DiskFile {
  const file: Pick<DiskFile, "path" | "readSync" | "sizeSync"> = {
    path,
    readSync: (into, position) => fs.readSync(fd, into, 0, into.length, position),
    sizeSync: () => fs.fstatSync(fd).size,
  };
  return file as DiskFile;
}

/**
 * `failure` is the exit code for a file that is no database: what etcdutl returns as an error exits 1, what its backend panics on
 * exits 2.
 */
export async function openDatabase(
  path: string,
  lock: "shared" | "exclusive",
  timeoutMillis: number,
  failure: number = ExitCode.Error,
): Promise<OpenDatabase> {
  const fd = fileCall("open", path, () => fs.openSync(path, "r"));
  const locked = await lockDatabase(path, lock, timeoutMillis);
  if (locked === undefined) {
    fs.closeSync(fd);
    throw new ExitError(
      failure,
      `failed to open database: timeout (${path} is locked by another process: stop the etcd that runs on it)`,
    );
  }
  const close = async (): Promise<void> => {
    fs.closeSync(fd);
    await locked.unlock();
  };
  try {
    const source = new FileSource(readOnlyFile(path, fd));
    return { path, source, file: new BoltFile(source), close };
  } catch (error) {
    const { size } = fs.fstatSync(fd);
    await close();
    if (!(error instanceof FormatError)) throw error;
    const text = openError(size, error);
    throw new ExitError(failure, failure === ExitCode.Panic ? `failed to open database: ${text}` : text);
  }
}

/** Runs `read` with the file; damage that it meets ends the command with page and offset. */
export async function withDatabase<T>(
  database: OpenDatabase,
  read: (database: OpenDatabase) => T | Promise<T>,
): Promise<T> {
  try {
    return await read(database);
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    throw new ExitError(
      ExitCode.Error,
      `${database.path} is corrupt at offset ${error.offset}: ${error.message}`,
    );
  } finally {
    await database.close();
  }
}

/** Writes a fresh file of these buckets, flushed, under its own name. */
export function writeDatabase(path: string, buckets: readonly BucketSource[]): void {
  const writer = new BoltWriter(buckets, { chunkBytes: 1 << 20 });
  while (!writer.plan(PLAN_ROWS));
  const fd = fileCall("open", path, () => fs.openSync(path, "wx", FILE_MODE));
  try {
    fileCall("write", path, () => {
      for (let chunk = writer.next(); chunk !== undefined; chunk = writer.next()) writeAll(fd, chunk);
      fs.fsyncSync(fd);
    });
  } finally {
    fs.closeSync(fd);
  }
}

function writeAll(fd: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; ) at += fs.writeSync(fd, bytes, at, bytes.length - at);
}

/** A new file with these bytes, flushed. */
export function writeFile(path: string, bytes: Uint8Array, mode: number, size: number = bytes.length): void {
  fileCall("write", path, () => {
    const fd = fs.openSync(path, "wx", mode);
    try {
      writeAll(fd, bytes);
      if (size > bytes.length) fs.ftruncateSync(fd, size);
      fs.fsyncSync(fd);
    } finally {
      fs.closeSync(fd);
    }
  });
}

export function syncDirectory(path: string): void {
  fileCall("fsync", path, () => {
    const fd = fs.openSync(path, "r");
    try {
      fs.fsyncSync(fd);
    } finally {
      fs.closeSync(fd);
    }
  });
}

/** Puts a fresh file of these buckets in the place of an old one. etcd removes a `db.tmp.*` that a crash leaves. */
export function replaceDatabase(path: string, buckets: readonly BucketSource[]): void {
  const directory = dirname(path);
  const fresh = join(directory, `db.tmp.${process.pid}`);
  fs.rmSync(fresh, { force: true });
  try {
    writeDatabase(fresh, buckets);
    fileCall("rename", fresh, () => fs.renameSync(fresh, path));
  } catch (error) {
    fs.rmSync(fresh, { force: true });
    throw error;
  }
  syncDirectory(directory);
}
