// Headers and footers of numbered files, as they are read at start: who the file is, whether it was closed in order, and the checksums
// of its pages. Called by recovery only.
import type { FileNumber } from "../mvcc/contract.ts";
import type { Digest } from "../ports/digest.ts";
import type { DiskFile } from "../ports/disk.ts";
import { CorruptionError, LogOpenError } from "./errors.ts";
import {
  decodeTrailer,
  FORMAT_VERSION,
  FRAME_BYTES,
  frameLength,
  getU32,
  getU64,
  HEADER_BYTES,
  placeSeed,
  RecordKind,
  RUN_MAGIC,
  SEAL_HEAD_BYTES,
  SEGMENT_MAGIC,
  TRAILER_BYTES,
} from "./format.ts";
import { BLOCK_SHIFT, LogFile, type LogFileKind } from "./log-file.ts";

/** Checks a header and returns the allocated size it names. */
export async function readHeader(
  handle: DiskFile,
  magic: number,
  number: number,
  digest: Digest,
): Promise<number> {
  const bytes = new Uint8Array(HEADER_BYTES);
  const read = await handle.read(bytes, 0);
  const bad = (at: number, reason: string): CorruptionError => new CorruptionError(handle.path, at, reason);
  if (read < HEADER_BYTES) throw bad(read, "the header is cut off");
  if (digest.crc32(bytes.subarray(0, 60)) !== getU32(bytes, 60)) {
    throw bad(0, "the header's checksum does not match");
  }
  if (getU32(bytes, 0) !== magic) throw bad(0, "this is a file of another kind");
  if (getU32(bytes, 4) > FORMAT_VERSION) throw newerVersion(handle.path, getU32(bytes, 4));
  if (getU64(bytes, 8) !== number) throw bad(8, `the header says file ${getU64(bytes, 8)}`);
  return getU64(bytes, 16);
}

function newerVersion(path: string, version: number): LogOpenError {
  return new LogOpenError(
    "newer-version",
    path,
    `${path} has format version ${version}; this binary knows ${FORMAT_VERSION} and older: start a newer one`,
  );
}

export async function openFile(
  handle: DiskFile,
  kind: LogFileKind,
  number: number,
  digest: Digest,
): Promise<LogFile> {
  const magic = kind === "segment" ? SEGMENT_MAGIC : RUN_MAGIC;
  const allocated = await readHeader(handle, magic, number, digest);
  return new LogFile(number as FileNumber, kind, handle, allocated, handle.sizeSync());
}

export type SealPlace = { readonly offset: number; readonly next: number };

/**
 * The seal of a file that ends at `size`; fills the page checksums. Undefined when no trailer stands there, or when it is bad and nobody
 * `promised` it: a crash may keep the trailer of a flush and lose what stands before it.
 */
export async function readSeal(
  file: LogFile,
  digest: Digest,
  size: number,
  promised: boolean,
): Promise<SealPlace | undefined> {
  if (size < HEADER_BYTES + TRAILER_BYTES) return undefined;
  const magic = file.kind === "segment" ? SEGMENT_MAGIC : RUN_MAGIC;
  const trailer = new Uint8Array(TRAILER_BYTES);
  await file.disk.read(trailer, size - TRAILER_BYTES);
  const offset = decodeTrailer(trailer, magic, file.number, digest.crc32);
  if (offset < 0) return undefined;
  const bytes = new Uint8Array(Math.max(0, size - TRAILER_BYTES - offset));
  await file.disk.read(bytes, offset);
  const seed = placeSeed(file.number, offset);
  const good =
    bytes.length > FRAME_BYTES + SEAL_HEAD_BYTES &&
    frameLength(bytes, 0, seed) === bytes.length - FRAME_BYTES &&
    bytes[16] === RecordKind.Seal &&
    digest.crc32(bytes.subarray(4), seed) === getU32(bytes, 0);
  if (!good && !promised) return undefined;
  if (!good) throw new CorruptionError(file.disk.path, offset, "the footer is bad");
  file.firstIndex = getU64(bytes, FRAME_BYTES);
  file.lastIndex = getU64(bytes, FRAME_BYTES + 8);
  file.dataEnd = offset;
  file.sealed = true;
  file.sealedBytes = size;
  const pages = getU32(bytes, FRAME_BYTES + 24);
  file.ensureBlock(offset >>> BLOCK_SHIFT);
  for (let page = 0; page < pages; page++) {
    file.pageCrcs[page] = getU32(bytes, FRAME_BYTES + SEAL_HEAD_BYTES + page * 4);
  }
  return { offset, next: getU64(bytes, FRAME_BYTES + 16) };
}
