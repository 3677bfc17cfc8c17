// Rotation of a log file as lumberjack does it, which etcd embeds: size limit, backups named by time, old ones removed or
// compressed. Called by the sink between two writes; what fails here is skipped, logging goes on.
import {
  createReadStream,
  createWriteStream,
  openSync,
  readdirSync,
  renameSync,
  statSync,
  unlinkSync,
} from "node:fs";
import { basename, dirname, extname, join } from "node:path";
import { pipeline } from "node:stream";
import { createGzip } from "node:zlib";

export type RotationConfig = {
  readonly sizeBytesMax: number;
  /** 0 = keep however old. */
  readonly ageDaysMax: number;
  /** 0 = keep however many. */
  readonly backupsMax: number;
  readonly localTime: boolean;
  readonly compress: boolean;
};

const DAY_MILLIS = 24 * 3600 * 1000;

/** `etcd.log` → `etcd-2026-01-02T03-04-05.678.log` in the same directory. */
export function backupName(path: string, at: Date, localTime: boolean): string {
  const extension = extname(path);
  const shown = localTime ? new Date(at.getTime() - at.getTimezoneOffset() * 60_000) : at;
  const time = shown.toISOString().slice(0, 23).replaceAll(":", "-");
  return join(dirname(path), `${basename(path, extension)}-${time}${extension}`);
}

/** Moves the full file aside, opens a new one with the same mode, and clears old backups. Returns the new descriptor. */
export function rotateFile(path: string, backup: string, config: RotationConfig): number {
  let mode = 0o600;
  try {
    mode = statSync(path).mode & 0o777;
    renameSync(path, backup);
  } catch {
    // Somebody removed the file: there is nothing to keep.
  }
  const fd = openSync(path, "a", mode);
  clearBackups(path, config);
  return fd;
}

function clearBackups(path: string, config: RotationConfig): void {
  const directory = dirname(path);
  const backups = listBackups(path);
  const oldest = Date.now() - config.ageDaysMax * DAY_MILLIS;
  backups.forEach((backup, newer) => {
    const tooMany = config.backupsMax > 0 && newer >= config.backupsMax;
    const tooOld = config.ageDaysMax > 0 && backup.time < oldest;
    if (tooMany || tooOld) removeQuietly(join(directory, backup.name));
    else if (config.compress && !backup.name.endsWith(".gz")) compressFile(join(directory, backup.name));
  });
}

/** Newest first. */
export function listBackups(path: string): { name: string; time: number }[] {
  const extension = extname(path);
  const prefix = `${basename(path, extension)}-`;
  const backups: { name: string; time: number }[] = [];
  for (const name of readdirSync(dirname(path))) {
    const plain = name.endsWith(".gz") ? name.slice(0, -3) : name;
    if (!plain.startsWith(prefix) || !plain.endsWith(extension)) continue;
    const stamp = plain.slice(prefix.length, plain.length - extension.length);
    const match = /^(\d{4}-\d\d-\d\d)T(\d\d)-(\d\d)-(\d\d\.\d{3})$/.exec(stamp);
    if (match === null) continue;
    backups.push({ name, time: Date.parse(`${match[1]}T${match[2]}:${match[3]}:${match[4]}Z`) });
  }
  return backups.sort((a, b) => b.time - a.time);
}

function compressFile(path: string): void {
  const output = createWriteStream(`${path}.gz`, { mode: 0o600 });
  pipeline(createReadStream(path), createGzip(), output, (error) => {
    removeQuietly(error === null || error === undefined ? path : `${path}.gz`);
  });
}

function removeQuietly(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // Already gone, or not ours: the next rotation tries again.
  }
}
