// The bytes of a segment: its header, the frame around every record, and the bodies. Written by the appender, read by the scan
// at start. Pure functions; nothing here touches a disk. A change of the layout raises FORMAT_VERSION.
//
//   segment = header (64 bytes) · records · zeros up to the allocated size      (sealed: … · seal record · trailer (16), cut there)
//   run     = header · values · seal record · trailer           image = header · head · tables · chunks · end, as records
//   record  = crc32 u32 · check u32 · length u32 · batch u32 · kind u8 · body · END u8          (little endian)
//
// `crc32` covers all that follows it and begins from a seed made of file and offset, so a record at a wrong place is a bad one.
// `check` covers the frame alone: a length can be trusted although the body is torn. `batch` is the offset at which the flush that
// carried this record began: everything before it was safe on disk. Kind and END are never zero, so in every 512-byte sector
// that a record touches at its ends at least one byte is not: an absent sector is told apart from a flipped bit.

export const FORMAT_VERSION = 1;
export const SEGMENT_MAGIC = 0x47534e43; // "CNSG"
export const RUN_MAGIC = 0x4e524e43; // "CNRN"
export const IMAGE_MAGIC = 0x4d494e43; // "CNIM"
export const HEADER_BYTES = 64;
export const TRAILER_BYTES = 16;

export const FRAME_BYTES = 17;
export const END_BYTE = 0xa5;
/** Frame, type, term, index: where an entry's data begins in its record. */
export const ENTRY_DATA_OFFSET: number = FRAME_BYTES + 17;
/** Everything of an entry's record that is not data. */
export const ENTRY_OVERHEAD_BYTES: number = ENTRY_DATA_OFFSET + 1;
export const SECTOR_BYTES = 512;

export const RecordKind = { Metadata: 1, Entry: 2, HardState: 3, Seal: 4 } as const;
export type RecordKind = (typeof RecordKind)[keyof typeof RecordKind];
export const RECORD_KIND_MAX = 4;

/** The records of an index image, in this order: head, tables, chunks, end. */
export const ImageKind = { Head: 1, Tables: 2, Chunk: 3, End: 4 } as const;
export type ImageKind = (typeof ImageKind)[keyof typeof ImageKind];

export function putU32(into: Uint8Array, at: number, value: number): void {
  into[at] = value;
  into[at + 1] = value >>> 8;
  into[at + 2] = value >>> 16;
  into[at + 3] = value >>> 24;
}

export function getU32(bytes: Uint8Array, at: number): number {
  return (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0;
}

const TWO_32 = 4294967296;

/** A safe integer in eight bytes. */
export function putU64(into: Uint8Array, at: number, value: number): void {
  putU32(into, at, value >>> 0);
  putU32(into, at + 4, (value / TWO_32) >>> 0);
}

export function getU64(bytes: Uint8Array, at: number): number {
  return getU32(bytes, at) + getU32(bytes, at + 4) * TWO_32;
}

export function putBig(into: Uint8Array, at: number, value: bigint): void {
  putU32(into, at, Number(BigInt.asUintN(32, value)));
  putU32(into, at + 4, Number(BigInt.asUintN(32, value >> 32n)));
}

export function getBig(bytes: Uint8Array, at: number): bigint {
  return (BigInt(getU32(bytes, at + 4)) << 32n) | BigInt(getU32(bytes, at));
}

/** Where a record stands, folded into the start of its checksum. */
export function placeSeed(file: number, offset: number): number {
  return (Math.imul(file, 0x9e3779b1) ^ offset) >>> 0;
}

/** Every step is a bijection of the field mixed in, so a change of one field alone is always seen. */
export function frameCheck(seed: number, length: number, batch: number, kind: number): number {
  let mix = Math.imul(seed ^ length, 0x85ebca6b);
  mix ^= mix >>> 15;
  mix = Math.imul(mix ^ batch, 0xc2b2ae35);
  mix ^= mix >>> 13;
  mix = Math.imul(mix ^ kind, 0x27d4eb2f);
  mix ^= mix >>> 16;
  return mix >>> 0;
}

/** Writes a frame without its crc32, which is put in when the body is known. */
export function putFrame(
  into: Uint8Array,
  at: number,
  seed: number,
  length: number,
  batch: number,
  kind: number,
): void {
  putU32(into, at + 4, frameCheck(seed, length, batch, kind));
  putU32(into, at + 8, length);
  putU32(into, at + 12, batch);
  into[at + 16] = kind;
}

/** The body's length (END included) when the frame at `at` is whole and belongs to this place, else -1. */
export function frameLength(bytes: Uint8Array, at: number, seed: number): number {
  const kind = bytes[at + 16]!;
  if (kind === 0 || kind > RECORD_KIND_MAX) return -1;
  const length = getU32(bytes, at + 8);
  const batch = getU32(bytes, at + 12);
  return frameCheck(seed, length, batch, kind) === getU32(bytes, at + 4) ? length : -1;
}

export type FileHeader = { readonly magic: number; readonly file: number; readonly allocatedBytes: number };

export function encodeHeader(header: FileHeader, crc32: (bytes: Uint8Array) => number): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES);
  putU32(bytes, 0, header.magic);
  putU32(bytes, 4, FORMAT_VERSION);
  putU64(bytes, 8, header.file);
  putU64(bytes, 16, header.allocatedBytes);
  putU32(bytes, 60, crc32(bytes.subarray(0, 60)));
  return bytes;
}

export const METADATA_BYTES = 32;
export const HARD_STATE_BYTES = 24;
/** First and last index, next file, page count; the page checksums follow. */
export const SEAL_HEAD_BYTES = 28;

export type Seal = {
  readonly firstIndex: number;
  readonly lastIndex: number;
  /** The segment that goes on after this one; 0 for a run. */
  readonly next: number;
  /** One per page of the data before the seal. */
  readonly pageCrcs: Uint32Array;
};

/** The body of a seal record, behind room for its frame. */
export function encodeSeal(seal: Seal): Uint8Array {
  const { pageCrcs } = seal;
  const bytes = new Uint8Array(FRAME_BYTES + SEAL_HEAD_BYTES + pageCrcs.length * 4);
  putU64(bytes, FRAME_BYTES, seal.firstIndex);
  putU64(bytes, FRAME_BYTES + 8, seal.lastIndex);
  putU64(bytes, FRAME_BYTES + 16, seal.next);
  putU32(bytes, FRAME_BYTES + 24, pageCrcs.length);
  for (let page = 0; page < pageCrcs.length; page++) {
    putU32(bytes, FRAME_BYTES + SEAL_HEAD_BYTES + page * 4, pageCrcs[page]!);
  }
  return bytes;
}

/** The last bytes of a sealed file: where its seal begins. */
export function encodeTrailer(
  magic: number,
  file: number,
  sealOffset: number,
  crc32: (bytes: Uint8Array) => number,
): Uint8Array {
  const bytes = new Uint8Array(TRAILER_BYTES);
  putU32(bytes, 0, sealOffset);
  putU32(bytes, 4, file);
  putU32(bytes, 8, magic);
  putU32(bytes, 12, crc32(bytes.subarray(0, 12)));
  return bytes;
}

/** Offset of the seal that a trailer names, or -1 when these bytes are no trailer of this file. */
export function decodeTrailer(
  bytes: Uint8Array,
  magic: number,
  file: number,
  crc32: (bytes: Uint8Array) => number,
): number {
  if (getU32(bytes, 8) !== magic || getU32(bytes, 4) !== file) return -1;
  return crc32(bytes.subarray(0, 12)) === getU32(bytes, 12) ? getU32(bytes, 0) : -1;
}
