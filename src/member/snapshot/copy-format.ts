// A member's state in Cairn's own form, as one member of Cairn gives it to another instead of an etcd database file: a checkpoint, which
// the receiver keeps as it is, and the pages of the log's files in which values stand that it names. A value keeps its place, only the files
// get other numbers, so nothing is looked up and nothing is moved. A body begins with MAGIC, then come records: [checksum of the
// rest][bytes of the payload][kind][0] as little-endian words, and the payload.
//
//   Tables  once, first: the applied index (uint64), and the small tables, as a checkpoint's
//   Block   a block of mvcc's checkpoint, from the first to the last
//   File    behind the blocks: number (uint64) of a file that they name, and where its last page here ends (uint64)
//   Pages   of that file: position (uint64), a checksum (uint32) for each page, 0 to make it a multiple of eight bytes, and the pages;
//           all are whole but the file's last one
//
// Pages without a value are left out, so what comes is complete when every value that the blocks name has come.
import { latin1ToBytes } from "../../base/bytes.ts";
import { FormatError } from "../../base/format-error.ts";
import type { Digest } from "../../ports/digest.ts";

/** In front of the small tables. */
export const INDEX_BYTES = 8;
/** What a member that reads this form tells the others (CairnTraits): the version of the form. */
export const COPY_FORMAT = 2;
/** No database file begins so: those begin with the number of their first page, zero. */
export const MAGIC = latin1ToBytes("cairn copy 00002");
export const RecordKind = { Tables: 1, Block: 2, File: 3, Pages: 4 } as const;
export const RECORD_HEAD_BYTES = 16;
export const FILE_BYTES = 16;
/** The pages of one record. */
export const PAGES_MAX = 64;
/** No block is longer. */
const PAYLOAD_BYTES_MAX = 1 << 28;
const FIRST_BYTES = 1 << 20;

/** Where the pages of a record begin in its payload. */
export function pagesAt(count: number): number {
  return 8 + ((count * 4 + 7) & ~7);
}

/** Fills in the head of a record that has `length` bytes of payload behind it. */
export function sealRecord({ crc32 }: Digest, bytes: Uint8Array, kind: number, length: number): void {
  const head = new DataView(bytes.buffer, bytes.byteOffset, RECORD_HEAD_BYTES);
  head.setUint32(4, length, true);
  head.setUint32(8, kind, true);
  head.setUint32(12, 0, true);
  head.setUint32(0, crc32(bytes.subarray(4, RECORD_HEAD_BYTES + length)), true);
}

/** Cuts what arrives into records. Takes as much memory as the longest record that has come so far. */
export class RecordReader {
  readonly #digest: Digest;
  /** Begins with the record that is not complete yet. */
  #bytes = new Uint8Array(FIRST_BYTES);
  #view = new DataView(this.#bytes.buffer);
  #used = 0;
  /** Of the first byte in hand, within the body. */
  #offset = MAGIC.length;

  constructor(digest: Digest) {
    this.#digest = digest;
  }

  /** Where the record at hand begins in the body. */
  get offset(): number {
    return this.#offset;
  }

  /** Bytes of a record that is not complete. */
  get rest(): number {
    return this.#used;
  }

  /**
   * Takes bytes from `chunk` at `from` up to the end of a record, and says how many. `take` is called with the record once it is complete;
   * the payload is a view for the call only, and begins at a multiple of eight bytes.
   */
  push(chunk: Uint8Array, from: number, take: (kind: number, payload: Uint8Array) => void): number {
    const need = this.#used < RECORD_HEAD_BYTES ? RECORD_HEAD_BYTES : this.#size();
    const count = Math.min(need - this.#used, chunk.length - from);
    this.#reserve(this.#used + count);
    this.#bytes.set(chunk.subarray(from, from + count), this.#used);
    this.#used += count;
    if (this.#used >= RECORD_HEAD_BYTES && this.#used === this.#size()) this.#give(take);
    return count;
  }

  #size(): number {
    const length = this.#view.getUint32(4, true);
    if (length > PAYLOAD_BYTES_MAX) throw new FormatError(this.#offset, "a record is too long");
    return RECORD_HEAD_BYTES + length;
  }

  #give(take: (kind: number, payload: Uint8Array) => void): void {
    const size = this.#used;
    if (this.#digest.crc32(this.#bytes.subarray(4, size)) !== this.#view.getUint32(0, true))
      throw new FormatError(this.#offset, "the checksum of a record does not match");
    take(this.#view.getUint32(8, true), this.#bytes.subarray(RECORD_HEAD_BYTES, size));
    this.#used = 0;
    this.#offset += size;
  }

  #reserve(bytes: number): void {
    if (bytes <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(bytes, 2 * this.#bytes.length));
    grown.set(this.#bytes.subarray(0, this.#used));
    this.#bytes = grown;
    this.#view = new DataView(grown.buffer);
  }
}
