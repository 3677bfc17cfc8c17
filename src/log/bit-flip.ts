// Says whether one flipped bit explains a bad record, however long the record is. Recovery asks it about the end of the log. crc32 is
// linear: two bodies that differ in one bit have checksums that differ by a value which depends on the bit's distance from the
// end alone. So the difference is walked back byte by byte until it is that of a single bit, instead of trying every bit.
import { assert } from "../base/assert.ts";
import type { Digest } from "../ports/digest.ts";
import { FRAME_BYTES, frameLength, getU32 } from "./format.ts";

const POLYNOMIAL = 0xedb88320;
const CRC_BYTES = 4;

/** What a zero byte does to the low byte of a checksum, and the low byte that leads to a given high one. */
type StepTables = { readonly forward: Uint32Array; readonly indexOfHigh: Uint8Array };

function makeTables(): StepTables {
  const forward = new Uint32Array(256);
  const indexOfHigh = new Uint8Array(256);
  for (let index = 0; index < 256; index++) {
    let value = index;
    for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ POLYNOMIAL : value >>> 1;
    forward[index] = value;
    indexOfHigh[forward[index]! >>> 24] = index;
  }
  return { forward, indexOfHigh };
}

/** True when checksums of `length` bytes that differ by `difference` may come from bytes that differ in one bit. */
function isOneBitApart(difference: number, length: number): boolean {
  const { forward, indexOfHigh } = makeTables();
  let state = difference >>> 0;
  for (let done = 0; done < length; done++) {
    const index = indexOfHigh[state >>> 24]!;
    state = (((state ^ forward[index]!) << 8) | index) >>> 0;
    if (state < 256 && state !== 0 && (state & (state - 1)) === 0) return true;
  }
  return false;
}

/** The length of the record at `at` when it is good but for one bit, else 0. The record at `at` is not good. */
export function sizeWithOneFlip(bytes: Uint8Array, at: number, seed: number, digest: Digest): number {
  if (at + FRAME_BYTES >= bytes.length) return 0;
  const whole = frameLength(bytes, at, seed);
  if (whole >= 1) {
    const size = FRAME_BYTES + whole;
    if (at + size > bytes.length) return 0;
    const body = bytes.subarray(at + CRC_BYTES, at + size);
    const difference = (digest.crc32(body, seed) ^ getU32(bytes, at)) >>> 0;
    assert(difference !== 0, "the record is bad");
    // One bit of the checksum itself, or one bit of what it covers.
    const one = (difference & (difference - 1)) === 0 || isOneBitApart(difference, body.length);
    return one ? size : 0;
  }
  return sizeWithFrameFlip(bytes, at, seed, digest);
}

/** The frame has a check of its own: at most one of its bits, put right, passes that. */
function sizeWithFrameFlip(bytes: Uint8Array, at: number, seed: number, digest: Digest): number {
  for (let bit = CRC_BYTES * 8; bit < FRAME_BYTES * 8; bit++) {
    const byte = at + (bit >>> 3);
    const before = bytes[byte]!;
    bytes[byte] = before ^ (1 << (bit & 7));
    const length = frameLength(bytes, at, seed);
    const size = FRAME_BYTES + length;
    const good =
      length >= 1 &&
      at + size <= bytes.length &&
      digest.crc32(bytes.subarray(at + CRC_BYTES, at + size), seed) === getU32(bytes, at);
    bytes[byte] = before;
    if (good) return size;
  }
  return 0;
}
