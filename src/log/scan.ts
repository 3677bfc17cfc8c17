// Reads a segment from its head, record by record, at start: every checksum is verified, every record handed to a visitor. Also the
// judgement on what stands behind the last good record: nothing, a torn flush, or corruption.
import { assert } from "../base/assert.ts";
import type { Digest } from "../ports/digest.ts";
import type { DiskFile } from "../ports/disk.ts";
import { CorruptionError } from "./errors.ts";
import {
  FRAME_BYTES,
  frameLength,
  getU32,
  HEADER_BYTES,
  placeSeed,
  RecordKind,
  SECTOR_BYTES,
} from "./format.ts";
import { PAGE_BYTES } from "./log-file.ts";

/** Read at once; the next stretch is on its way while this one is looked at. */
const WINDOW_BYTES = 1 << 20;

/** `bytes[start, end)` is the body without the end byte; `offset` is the record's place in the file. A view, for the call only. */
export type RecordVisitor = (
  kind: RecordKind,
  bytes: Uint8Array,
  start: number,
  end: number,
  offset: number,
) => void;

export type ScanResult = {
  /** Where the last good record ends. */
  readonly end: number;
  /** Offset of the seal record, or -1. */
  readonly sealOffset: number;
};

/** A window that moves over a file, with one read ahead. */
class Window {
  bytes: Uint8Array = new Uint8Array(2 * WINDOW_BYTES);
  /** File offset of bytes[0]. */
  base: number;
  length = 0;
  readonly #file: DiskFile;
  readonly #onChunk: (chunk: Uint8Array, offset: number) => void;
  #spare = new Uint8Array(WINDOW_BYTES);
  #ahead: Promise<number> | undefined;
  #ended = false;

  constructor(file: DiskFile, from: number, onChunk: (chunk: Uint8Array, offset: number) => void) {
    this.#file = file;
    this.base = from;
    this.#onChunk = onChunk;
  }

  /** Waits for a read that is still on its way, so that the file may be closed. */
  async settle(): Promise<void> {
    await this.#ahead?.catch(() => 0);
  }

  /** Moves on so that `count` bytes from file offset `from` are there; false when the file ends before. */
  async ensure(from: number, count: number): Promise<boolean> {
    while (from + count > this.base + this.length) {
      if (this.#ended) return false;
      await this.#fill(from);
    }
    return true;
  }

  async #fill(from: number): Promise<void> {
    const next = this.base + this.length;
    this.#ahead ??= this.#file.read(this.#spare, next);
    const read = await this.#ahead;
    const chunk = this.#spare.subarray(0, read);
    this.#onChunk(chunk, next);
    const keep = this.base + this.length - from;
    assert(keep >= 0, "the window moves without gaps");
    if (keep + read > this.bytes.length) {
      const larger = new Uint8Array((keep + read) * 2);
      larger.set(this.bytes.subarray(this.length - keep, this.length));
      this.bytes = larger;
    } else {
      this.bytes.copyWithin(0, this.length - keep, this.length);
    }
    this.bytes.set(chunk, keep);
    this.base = from;
    this.length = keep + read;
    if (read < WINDOW_BYTES) this.#ended = true;
    this.#ahead = this.#ended ? undefined : this.#file.read(this.#spare, this.base + this.length);
  }
}

/** Visits all good records from the head on, and takes the page checksums of what it reads when `pageCrcs` is given. */
export async function scanRecords(
  file: DiskFile,
  number: number,
  digest: Digest,
  visit: RecordVisitor,
  pageCrcs: Uint32Array | undefined,
): Promise<ScanResult> {
  const onChunk = (chunk: Uint8Array, offset: number): void => {
    if (pageCrcs === undefined) return;
    for (let at = 0; at < chunk.length; at += PAGE_BYTES) {
      const page = (offset + at) / PAGE_BYTES;
      if (page < pageCrcs.length) pageCrcs[page] = digest.crc32(chunk.subarray(at, at + PAGE_BYTES));
    }
  };
  const window = new Window(file, 0, onChunk);
  try {
    return await scanWindow(window, number, digest, visit);
  } finally {
    await window.settle();
  }
}

async function scanWindow(
  window: Window,
  number: number,
  digest: Digest,
  visit: RecordVisitor,
): Promise<ScanResult> {
  let offset = HEADER_BYTES;
  await window.ensure(0, offset);
  for (;;) {
    if (offset + FRAME_BYTES > window.base + window.length && !(await window.ensure(offset, FRAME_BYTES)))
      break;
    let at = offset - window.base;
    const seed = placeSeed(number, offset);
    const length = frameLength(window.bytes, at, seed);
    if (length < 1) break;
    const size = FRAME_BYTES + length;
    if (offset + size > window.base + window.length) {
      if (!(await window.ensure(offset, size))) break;
      at = offset - window.base;
    }
    const { bytes } = window;
    if (digest.crc32(bytes.subarray(at + 4, at + size), seed) !== getU32(bytes, at)) break;
    const kind = bytes[at + 16] as RecordKind;
    visit(kind, bytes, at + FRAME_BYTES, at + size - 1, offset);
    offset += size;
    if (kind === RecordKind.Seal) return { end: offset, sealOffset: offset - size };
  }
  return { end: offset, sealOffset: -1 };
}

/**
 * Judges what stands behind the last good record of the newest segment. Returns where the bytes that are not zero end (= `end`
 * when there are none): a torn flush, whose records nobody was told of. Throws when the bytes cannot come from one.
 */
export async function judgeTail(
  file: DiskFile,
  number: number,
  digest: Digest,
  end: number,
): Promise<number> {
  const size = file.sizeSync();
  const tail = new Uint8Array(Math.max(0, (await lastNonZero(file, end, size)) - end));
  if (tail.length === 0) return end;
  await file.read(tail, end);
  rejectFlushedLoss(file.path, tail, number, end, digest);
  if (!looksTorn(tail, number, end, size)) {
    throw new CorruptionError(
      file.path,
      end,
      "a record does not match its checksum, and no part of it is missing as a torn write would leave it",
    );
  }
  return end + tail.length;
}

/** The offset behind the last byte that is not zero in [from, size), or `from`. */
async function lastNonZero(file: DiskFile, from: number, size: number): Promise<number> {
  const chunk = new Uint8Array(WINDOW_BYTES);
  const words = new Int32Array(chunk.buffer);
  let last = from;
  for (let at = from; at < size; at += WINDOW_BYTES) {
    const read = await file.read(chunk.subarray(0, Math.min(WINDOW_BYTES, size - at)), at);
    chunk.fill(0, read);
    let word = words.length - 1;
    while (word >= 0 && words[word] === 0) word--;
    for (let i = word * 4 + 3; i >= 0; i--) {
      if (chunk[i] !== 0) {
        last = at + i + 1;
        break;
      }
    }
  }
  return last;
}

/** A good record whose flush began behind the bad one proves that the bad one had been safe on disk. */
function rejectFlushedLoss(
  path: string,
  tail: Uint8Array,
  number: number,
  end: number,
  digest: Digest,
): void {
  for (let at = 0; at + FRAME_BYTES < tail.length; ) {
    const seed = placeSeed(number, end + at);
    const length = frameLength(tail, at, seed);
    const size = FRAME_BYTES + length;
    const good =
      length >= 1 &&
      at + size <= tail.length &&
      digest.crc32(tail.subarray(at + 4, at + size), seed) === getU32(tail, at);
    if (!good) {
      at++;
      continue;
    }
    if (getU32(tail, at + 12) > end) {
      throw new CorruptionError(
        path,
        end,
        `a record is bad, but a later flush is whole at offset ${end + at}`,
      );
    }
    at += size;
  }
}

/** True when at least one sector's part of the record at `end` is all zeros, as a write that never reached the disk leaves it. */
function looksTorn(tail: Uint8Array, number: number, end: number, size: number): boolean {
  const at = (i: number): number => (i < tail.length ? tail[i]! : 0);
  const frame = new Uint8Array(FRAME_BYTES);
  for (let i = 0; i < FRAME_BYTES; i++) frame[i] = at(i);
  const length = frameLength(frame, 0, placeSeed(number, end));
  const extent = length < 1 ? FRAME_BYTES : FRAME_BYTES + length;
  if (end + extent > size) return true;
  for (let from = 0; from < extent; ) {
    const to = Math.min(extent, from + SECTOR_BYTES - ((end + from) % SECTOR_BYTES));
    let zero = true;
    for (let i = from; i < to && zero; i++) zero = at(i) === 0;
    if (zero) return true;
    from = to;
  }
  return false;
}
