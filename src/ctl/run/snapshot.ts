// snapshot save: a member's database as a file. Written under another name first, so that an unfinished one is never taken for
// a backup.
import { type FileHandle, open, rename, rm } from "node:fs/promises";
import { RpcError } from "../../client/errors.ts";
import { type Context, connect, openContext } from "../context.ts";
import { Exit, fail } from "../environment.ts";
import { humanBytes } from "../format.ts";
import { type LogField, logLine } from "../log.ts";
import type { Run } from "../specs.ts";
import { took } from "./endpoint.ts";

/** A database is a multiple of 512 bytes; the checksum that follows it is 32. */
const SECTOR_BYTES = 512;
const CHECKSUM_BYTES = 32;

const info = (line: number, message: string, fields: Record<string, LogField> = {}): void =>
  logLine("info", "", `snapshot/v3_snapshot.go:${line}`, message, fields);

const ERRNO: Record<string, string> = {
  ENOENT: "no such file or directory",
  EACCES: "permission denied",
  EISDIR: "is a directory",
  ENOSPC: "no space left on device",
  EROFS: "read-only file system",
};

function errnoText(error: unknown): string {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  return ERRNO[code] ?? String(error);
}

async function createPart(path: string): Promise<FileHandle> {
  try {
    return await open(path, "w", 0o600);
  } catch (error) {
    return fail(Exit.Interrupted, `could not open ${path} (open ${path}: ${errnoText(error)})`);
  }
}

function failedDownload(error: RpcError, opened: boolean, begun: boolean): never {
  const fields = { error: error.status };
  if (!opened) {
    const text = "streamer failed to create ClientStream";
    logLine("error", "client", "v3@v3.7.1/retry_interceptor.go:134", text, fields);
    return fail(Exit.Interrupted, error.message);
  }
  const text = "failed to receive from snapshot stream; closing";
  logLine("warn", "client", "v3@v3.7.1/maintenance.go:304", text, fields);
  return fail(Exit.Interrupted, begun ? `could not write snapshot: ${error.message}` : error.status);
}

async function download(context: Context, file: FileHandle): Promise<{ size: number; version: string }> {
  const endpoint = context.options.endpoints[0]!;
  const client = await connect(context, endpoint, "client");
  const limit = context.flags.changed("command-timeout") ? { timeoutMillis: context.timeoutMillis } : {};
  let size = 0;
  let version: string | undefined;
  let open = false;
  const opened = (): void => {
    open = true;
    logLine("info", "client", "v3@v3.7.1/maintenance.go:236", "opened snapshot stream; downloading");
  };
  try {
    for await (const piece of client.maintenance.snapshot({ ...limit, opened })) {
      if (version === undefined) {
        version = piece.version;
        info(96, "fetching snapshot", { endpoint });
      }
      await file.write(piece.blob);
      size += piece.blob.length;
    }
    logLine("info", "client", "v3@v3.7.1/maintenance.go:302", "completed snapshot read; closing");
  } catch (error) {
    if (!(error instanceof RpcError))
      return fail(Exit.Interrupted, `could not write snapshot: ${errnoText(error)}`);
    failedDownload(error, open, version !== undefined);
  } finally {
    client.close();
  }
  return { size, version: version ?? "" };
}

export const run: Run = async (invocation) => {
  const { args, output } = invocation;
  if (args.length !== 1) fail(Exit.BadArgs, "snapshot save expects one argument <filename>");
  const path = args[0]!;
  const part = `${path}.part`;
  const context = await openContext(invocation);
  const { endpoints } = context.options;
  if (endpoints.length !== 1) {
    fail(
      Exit.Interrupted,
      `snapshot must be requested to one selected node, not multiple [${endpoints.join(" ")}]`,
    );
  }
  const file = await createPart(part);
  let version: string;
  try {
    info(83, "created temporary db file", { path: part });
    const start = process.hrtime.bigint();
    const saved = await download(context, file);
    version = saved.version;
    if (saved.size % SECTOR_BYTES !== CHECKSUM_BYTES) {
      fail(Exit.Interrupted, `sha256 checksum not found [bytes: ${saved.size}]`);
    }
    await file.sync();
    info(111, "fetched snapshot", {
      endpoint: endpoints[0]!,
      size: humanBytes(saved.size),
      took: took(start),
      "etcd-version": version,
    });
    await rename(part, path).catch((error: unknown) =>
      fail(
        Exit.Interrupted,
        `could not rename ${part} to ${path} (rename ${part} ${path}: ${errnoText(error)})`,
      ),
    );
    info(121, "saved", { path });
  } finally {
    await file.close();
    await rm(part, { force: true });
  }
  output.out(`Snapshot saved at ${path}\n`);
  if (version !== "") output.out(`Server version ${version}\n`);
};
