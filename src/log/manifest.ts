// The manifest: one small text file that names what the log consists of. It is replaced as a whole (new file, flush, rename, flush of
// the directory), so it is either the old or the new one. The first line carries the checksum of the rest, which is JSON.
import { utf8FromBytes, utf8ToBytes } from "../base/bytes.ts";
import type { Digest } from "../ports/digest.ts";
import type { Disk } from "../ports/disk.ts";
import { CorruptionError, LogOpenError } from "./errors.ts";

export const MANIFEST_NAME = "MANIFEST";
const MANIFEST_VERSION = 1;
/** A manifest names files only; more than this is not one. */
const MANIFEST_BYTES_MAX = 16 << 20;

/** `bytes`: the size with which it was sealed, 0 while it is written. It may be longer on disk when a crash came before the cut. */
export type FileEntry = { readonly file: number; readonly bytes: number };

export type Manifest = {
  /** Counts manifests. */
  readonly sequence: number;
  /** Hexadecimal: JSON knows no 64-bit numbers. */
  readonly memberId: string;
  readonly clusterId: string;
  /** File numbers from here on have never been used. */
  readonly nextFile: number;
  /** The index image that goes with it; 0 = none yet. */
  readonly image: number;
  readonly appliedIndex: number;
  readonly appliedTerm: number;
  /** The entry before the first retained one. */
  readonly startIndex: number;
  readonly startTerm: number;
  /** Where the first retained entry stands; what comes before is there for its values only. */
  readonly replayFile: number;
  readonly replayOffset: number;
  readonly segments: readonly FileEntry[];
  readonly runs: readonly FileEntry[];
};

export function encodeManifest(manifest: Manifest, digest: Digest): Uint8Array {
  const body = utf8ToBytes(`${JSON.stringify(manifest)}\n`);
  const head = utf8ToBytes(`cairn-manifest ${MANIFEST_VERSION} ${hex8(digest.crc32(body))}\n`);
  const bytes = new Uint8Array(head.length + body.length);
  bytes.set(head);
  bytes.set(body, head.length);
  return bytes;
}

export function decodeManifest(path: string, bytes: Uint8Array, digest: Digest): Manifest {
  const newline = bytes.indexOf(10);
  const head = utf8FromBytes(bytes.subarray(0, Math.max(0, newline)));
  const match = /^cairn-manifest (\d+) ([0-9a-f]{8})$/.exec(head);
  if (newline < 0 || match === null) throw new CorruptionError(path, 0, "the first line is not a manifest's");
  const body = bytes.subarray(newline + 1);
  if (hex8(digest.crc32(body)) !== match[2]) {
    throw new CorruptionError(path, newline + 1, "the checksum does not match");
  }
  if (Number(match[1]) > MANIFEST_VERSION) {
    throw new LogOpenError(
      "newer-version",
      path,
      `${path} has format version ${match[1]}, newer than ${MANIFEST_VERSION}, which is the newest this binary knows; start a newer one`,
    );
  }
  return JSON.parse(utf8FromBytes(body)) as Manifest;
}

export async function readManifest(
  disk: Disk,
  directory: string,
  digest: Digest,
): Promise<Manifest | undefined> {
  const path = `${directory}/${MANIFEST_NAME}`;
  if (!(await disk.exists(path))) return undefined;
  const file = await disk.open(path, "read");
  try {
    const size = file.sizeSync();
    if (size > MANIFEST_BYTES_MAX)
      throw new CorruptionError(path, 0, `${size} bytes are too many for a manifest`);
    const bytes = new Uint8Array(size);
    const read = await file.read(bytes, 0);
    return decodeManifest(path, bytes.subarray(0, read), digest);
  } finally {
    await file.close();
  }
}

/** Durable when it returns; before that the old one counts. */
export async function writeManifest(
  disk: Disk,
  directory: string,
  manifest: Manifest,
  digest: Digest,
): Promise<void> {
  const path = `${directory}/${MANIFEST_NAME}`;
  const temporary = `${path}.tmp`;
  if (await disk.exists(temporary)) await disk.remove(temporary);
  const file = await disk.open(temporary, "create");
  try {
    await file.write([encodeManifest(manifest, digest)], 0);
    await file.sync();
  } finally {
    await file.close();
  }
  await disk.rename(temporary, path);
  await disk.syncDirectory(directory);
}

function hex8(value: number): string {
  return value.toString(16).padStart(8, "0");
}
