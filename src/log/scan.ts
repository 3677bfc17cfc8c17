// Reads a segment from its head, record by record, at start: every checksum is verified, every record handed to a visitor. It
// stops at the first record that is not good; what stands there is for tail.ts to judge.
import { assert } from "../base/assert.ts";
import type { Digest } from "../ports/digest.ts";
import type { DiskFile } from "../ports/disk.ts";
import { FRAME_BYTES, frameLength, getU32, HEADER_BYTES, placeSeed, RecordKind } from "./format.ts";
import { PAGE_BYTES } from "./log-file.ts";

/** Read at once, unless the file is smaller; the next stretch is on its way while this one is looked at. */
const WINDOW_BYTES_MAX = 1 << 20;

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
  bytes: Uint8Array;
  /** File offset of bytes[0]. */
  base: number;
  length = 0;
  readonly #file: DiskFile;
  readonly #onChunk: (chunk: Uint8Array, offset: number) => void;
  readonly #spare: Uint8Array;
  #ahead: Promise<number> | undefined;
  #ended = false;

  constructor(file: DiskFile, from: number, onChunk: (chunk: Uint8Array, offset: number) => void) {
    this.#file = file;
    this.base = from;
    this.#onChunk = onChunk;
    // Whole pages, as their checksums are taken of each chunk.
    const pages = Math.ceil(Math.max(1, file.sizeSync() - from) / PAGE_BYTES);
    this.#spare = new Uint8Array(Math.min(WINDOW_BYTES_MAX, pages * PAGE_BYTES));
    this.bytes = new Uint8Array(2 * this.#spare.length);
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
    if (read < this.#spare.length) this.#ended = true;
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
