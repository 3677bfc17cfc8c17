// The page layout of bbolt files (format version 2, little endian): header, element tables, and the few numbers of the format.
// Used by the reader and the writer; pure over bytes. Page = header (id u64, flags u16, count u16, overflow u32), elements, data;
// a page with overflow n is one run of n + 1 pages.

export const PAGE_SIZE = 4096;
export const PAGE_HEADER_BYTES = 16;
/** Leaf: flags u32, pos u32, key size u32, value size u32. Branch: pos u32, key size u32, page u64. */
export const ELEMENT_BYTES = 16;
/** root page u64, sequence u64: the value of a bucket's entry; an inline bucket's page follows it. */
export const BUCKET_HEADER_BYTES = 16;

export const PageFlag = { Branch: 0x01, Leaf: 0x02, Meta: 0x04, Freelist: 0x10 } as const;
/** The flag of a leaf element whose value is a bucket. */
export const BUCKET_ELEMENT = 0x01;

/** Pages 0 and 1 are the metas. */
export const FIRST_DATA_PAGE = 2;
/** A freelist count of this value means: the count stands in the first element. */
export const FREELIST_COUNT_LARGE = 0xffff;
/** bbolt's MaxKeySize. */
export const KEY_BYTES_MAX = 32768;

const TWO_32 = 0x1_0000_0000;

export function readU16(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8);
}

export function readU32(bytes: Uint8Array, at: number): number {
  return (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0;
}

/** A page id or count. Above 2^53 digits are lost, which no file can have: callers compare with the file's size. */
export function readU64(bytes: Uint8Array, at: number): number {
  return readU32(bytes, at + 4) * TWO_32 + readU32(bytes, at);
}

export function writeU16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
}

export function writeU32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
  bytes[at + 2] = value >>> 16;
  bytes[at + 3] = value >>> 24;
}

export function writeU64(bytes: Uint8Array, at: number, value: number): void {
  writeU32(bytes, at, value % TWO_32);
  writeU32(bytes, at + 4, Math.floor(value / TWO_32));
}

export function writePageHeader(
  bytes: Uint8Array,
  at: number,
  id: number,
  flags: number,
  count: number,
  overflow: number,
): void {
  writeU64(bytes, at, id);
  writeU16(bytes, at + 8, flags);
  writeU16(bytes, at + 10, count);
  writeU32(bytes, at + 12, overflow);
}

/** The smallest multiple of `unit` that holds `size`. */
export function roundUp(size: number, unit: number): number {
  return Math.ceil(size / unit) * unit;
}
