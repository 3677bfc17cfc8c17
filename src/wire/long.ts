// 64-bit integers as pairs of 32-bit halves, and the two forms they take in TypeScript: a number (nearest double, so order is
// kept) or a bigint. Called by the reader and the writer; the scratch words are written and read within one call, never across.

const scratch = new ArrayBuffer(8);
const words = new Uint32Array(scratch);
const signed = new BigInt64Array(scratch);
const unsigned = new BigUint64Array(scratch);

words[0] = 1;
/** Where the low half stands in `words`: a question of the machine's byte order. */
const LOW = unsigned[0] === 1n ? 0 : 1;
const HIGH = 1 - LOW;

const TWO_32 = 2 ** 32;
const TWO_63 = 2 ** 63;
const TWO_64 = 2 ** 64;

/** Two's complement halves → signed number, rounded once. */
export function signedNumber(low: number, high: number): number {
  return (high | 0) * TWO_32 + (low >>> 0);
}

export function unsignedNumber(low: number, high: number): number {
  return (high >>> 0) * TWO_32 + (low >>> 0);
}

export function signedBigint(low: number, high: number): bigint {
  words[LOW] = low;
  words[HIGH] = high;
  return signed[0]!;
}

export function unsignedBigint(low: number, high: number): bigint {
  words[LOW] = low;
  words[HIGH] = high;
  return unsigned[0]!;
}

/** Loads a bigint (modulo 2^64) so that lowHalf and highHalf can be asked for. */
export function loadBigint(value: bigint): void {
  signed[0] = value;
}

/** Loads an integer number; what lies outside int64 is held at its ends, and outside uint64 when it is above. */
export function loadSignedNumber(value: number): void {
  if (value >= TWO_63) {
    words[LOW] = 0xffffffff;
    words[HIGH] = 0x7fffffff;
  } else if (value < -TWO_63) {
    words[LOW] = 0;
    words[HIGH] = 0x80000000;
  } else {
    const high = Math.floor(value / TWO_32);
    words[LOW] = value - high * TWO_32;
    words[HIGH] = high;
  }
}

export function loadUnsignedNumber(value: number): void {
  if (value >= TWO_64) {
    words[LOW] = 0xffffffff;
    words[HIGH] = 0xffffffff;
  } else if (value >= TWO_63) {
    words[LOW] = value % TWO_32;
    words[HIGH] = Math.floor(value / TWO_32);
  } else {
    loadSignedNumber(value);
  }
}

export function lowHalf(): number {
  return words[LOW]!;
}

export function highHalf(): number {
  return words[HIGH]!;
}
