// The meta pages 0 and 1 of a bbolt file: which tree is the newest, sealed with FNV-1a. The writer makes both; the reader takes the
// valid one with the higher transaction id, as bbolt does, so a torn write of one costs nothing.
import { malformed } from "../base/format-error.ts";
import {
  PAGE_HEADER_BYTES,
  PageFlag,
  readU16,
  readU32,
  readU64,
  writePageHeader,
  writeU32,
  writeU64,
} from "./page.ts";

const MAGIC = 0xed0cdaed;
const VERSION = 2;
/** Bytes of the meta that the checksum covers; it follows them. */
const SEALED_BYTES = 56;
export const META_BYTES: number = PAGE_HEADER_BYTES + SEALED_BYTES + 8;

const PAGE_SIZE_MIN = 1024;
const PAGE_SIZE_MAX = 1024 << 14;

export type Meta = {
  readonly pageSize: number;
  /** Root page of the bucket of buckets. */
  readonly root: number;
  /** Undefined: the free list is not in the file (etcd's NoFreelistSync), it is what no tree reaches. */
  readonly freelist: number | undefined;
  /** One past the last page in use ("high water mark"). */
  readonly pageCount: number;
  readonly transaction: number;
};

/** FNV-1a, 64 bits. */
export function fnv64a(bytes: Uint8Array): bigint {
  let hash = 0xcbf29ce484222325n;
  for (const byte of bytes) hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n);
  return hash;
}

export function encodeMetaPage(meta: Meta, id: 0 | 1): Uint8Array {
  const page = new Uint8Array(meta.pageSize);
  writePageHeader(page, 0, id, PageFlag.Meta, 0, 0);
  const at = PAGE_HEADER_BYTES;
  writeU32(page, at, MAGIC);
  writeU32(page, at + 4, VERSION);
  writeU32(page, at + 8, meta.pageSize);
  writeU64(page, at + 16, meta.root);
  if (meta.freelist === undefined) page.fill(0xff, at + 32, at + 40);
  else writeU64(page, at + 32, meta.freelist);
  writeU64(page, at + 40, meta.pageCount);
  writeU64(page, at + 48, meta.transaction);
  const sum = fnv64a(page.subarray(at, at + SEALED_BYTES));
  new DataView(page.buffer).setBigUint64(at + SEALED_BYTES, sum, true);
  return page;
}

/** The meta in the first bytes of a page, or bbolt's word for what is wrong with it. */
export function decodeMeta(page: Uint8Array): Meta | string {
  if (page.length < META_BYTES) return "file is too short";
  const at = PAGE_HEADER_BYTES;
  if (readU16(page, 8) !== PageFlag.Meta || readU32(page, at) !== MAGIC) return "invalid database";
  if (readU32(page, at + 4) !== VERSION) return "version mismatch";
  const sum = fnv64a(page.subarray(at, at + SEALED_BYTES));
  const view = new DataView(page.buffer, page.byteOffset, page.byteLength);
  if (view.getBigUint64(at + SEALED_BYTES, true) !== sum) return "checksum error";
  const pageSize = readU32(page, at + 8);
  const sane = pageSize >= PAGE_SIZE_MIN && pageSize <= PAGE_SIZE_MAX && (pageSize & (pageSize - 1)) === 0;
  if (!sane)
    return `page size ${pageSize} is not a power of two between ${PAGE_SIZE_MIN} and ${PAGE_SIZE_MAX}`;
  const persisted = view.getBigUint64(at + 32, true) !== 0xffff_ffff_ffff_ffffn;
  return {
    pageSize,
    root: readU64(page, at + 16),
    freelist: persisted ? readU64(page, at + 32) : undefined,
    pageCount: readU64(page, at + 40),
    transaction: readU64(page, at + 48),
  };
}

/** Reads `length` bytes at `offset`, fewer at the end of the file. */
export type ReadAt = (offset: number, length: number) => Uint8Array;

/**
 * The meta that counts. Where the first page is broken the page size is unknown: the second meta is looked for at every page size
 * that there may be.
 */
export function newestMeta(read: ReadAt, size: number): Meta {
  const first = decodeMeta(read(0, META_BYTES));
  if (typeof first !== "string") {
    const second = decodeMeta(read(first.pageSize, META_BYTES));
    return typeof second !== "string" && second.transaction > first.transaction ? second : first;
  }
  for (let at = PAGE_SIZE_MIN; at <= PAGE_SIZE_MAX && at + META_BYTES <= size; at *= 2) {
    const second = decodeMeta(read(at, META_BYTES));
    if (typeof second !== "string" && second.pageSize === at) return second;
  }
  return malformed(0, `neither meta page is valid: ${first}`);
}
