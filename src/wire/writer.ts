// What the generated encoders are made of: sizes and writes of single values. A write goes to a place the caller has made sure
// of by size first, and returns the end. Also called by whoever writes message headers by hand (range replies, proposals).
import { assert } from "../base/assert.ts";
import { highHalf, loadBigint, loadSignedNumber, loadUnsignedNumber, lowHalf } from "./long.ts";

const TWO_35 = 2 ** 35;
const TWO_42 = 2 ** 42;
const TWO_49 = 2 ** 49;
const TWO_56 = 2 ** 56;
const TWO_63 = 2 ** 63;

/** Below this a loop beats the call into the engine. */
const LOOP_BYTES_MAX = 24;

/** Size of a varint below 2^32: lengths, tags, 32-bit values. */
export function sizeVarint32(value: number): number {
  if (value < 0x80) return 1;
  if (value < 0x4000) return 2;
  if (value < 0x200000) return 3;
  if (value < 0x10000000) return 4;
  return 5;
}

export function writeVarint32(value: number, out: Uint8Array, at: number): number {
  while (value >= 0x80) {
    out[at++] = (value & 0x7f) | 0x80;
    value >>>= 7;
  }
  out[at++] = value;
  return at;
}

/** A length-delimited field's length prefix and body, without its tag. */
export function sizeDelimited(length: number): number {
  return sizeVarint32(length) + length;
}

export function sizeInt64Number(value: number): number {
  if (value < 0) return 10;
  if (value < TWO_35) return value < 0x100000000 ? sizeVarint32(value) : 5;
  if (value < TWO_42) return 6;
  if (value < TWO_49) return 7;
  if (value < TWO_56) return 8;
  return 9;
}

export function sizeUint64Number(value: number): number {
  return value >= TWO_63 ? 10 : sizeInt64Number(value);
}

export function writeInt64Number(value: number, out: Uint8Array, at: number): number {
  if (value >= 0 && value < 0x100000000) return writeVarint32(value, out, at);
  loadSignedNumber(value);
  return writeHalves(lowHalf(), highHalf(), out, at);
}

export function writeUint64Number(value: number, out: Uint8Array, at: number): number {
  if (value >= 0 && value < 0x100000000) return writeVarint32(value, out, at);
  loadUnsignedNumber(value);
  return writeHalves(lowHalf(), highHalf(), out, at);
}

/** The same for int64 and uint64: two's complement. */
export function sizeBigint(value: bigint): number {
  loadBigint(value);
  const low = lowHalf();
  const high = highHalf();
  if (high === 0) return sizeVarint32(low);
  if (high < 0x8) return 5;
  if (high < 0x400) return 6;
  if (high < 0x20000) return 7;
  if (high < 0x1000000) return 8;
  if (high < 0x80000000) return 9;
  return 10;
}

export function writeBigint(value: bigint, out: Uint8Array, at: number): number {
  loadBigint(value);
  return writeHalves(lowHalf(), highHalf(), out, at);
}

function writeHalves(low: number, high: number, out: Uint8Array, at: number): number {
  while (high !== 0) {
    out[at++] = (low & 0x7f) | 0x80;
    low = ((low >>> 7) | (high << 25)) >>> 0;
    high >>>= 7;
  }
  return writeVarint32(low, out, at);
}

/** int32 values go sign-extended: ten bytes below zero. */
export function sizeEnum(value: number): number {
  return value < 0 ? 10 : sizeVarint32(value);
}

export function writeEnum(value: number, out: Uint8Array, at: number): number {
  return value < 0 ? writeInt64Number(value, out, at) : writeVarint32(value, out, at);
}

/** Length prefix and bytes. */
export function writeBytes(bytes: Uint8Array, out: Uint8Array, at: number): number {
  const length = bytes.length;
  at = writeVarint32(length, out, at);
  if (length <= LOOP_BYTES_MAX) {
    for (let i = 0; i < length; i++) out[at + i] = bytes[i]!;
  } else {
    out.set(bytes, at);
  }
  return at + length;
}

/** After an encoder has filled its buffer: size and write must agree, or the message would be garbage. */
export function assertWritten(end: number, out: Uint8Array): void {
  assert(end === out.length, "an encoder writes as many bytes as it has counted");
}
