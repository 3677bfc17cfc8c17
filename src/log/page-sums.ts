// The checksum of many pages at once from the checksums of each: long stretches are verified with one native call instead of one for every
// page, which costs half as much. A wrong page is as sure to be seen as by itself, because adding a page never makes two sums equal.
import type { Digest } from "../ports/digest.ts";
import { PAGE_BYTES } from "./log-file.ts";

const WORD_BITS = 32;
const BYTE_VALUES = 256;

export class PageSums {
  /** What each byte of a checksum becomes when a page follows it, by byte and its place. */
  readonly #shifts = new Int32Array(4 * BYTE_VALUES);

  constructor(digest: Digest) {
    const page = new Uint8Array(PAGE_BYTES);
    const none = digest.crc32(page, 0);
    const shifted = new Int32Array(WORD_BITS);
    for (let bit = 0; bit < WORD_BITS; bit++) shifted[bit] = digest.crc32(page, (1 << bit) >>> 0) ^ none;
    for (let place = 0; place < 4; place++) {
      for (let byte = 0; byte < BYTE_VALUES; byte++) {
        let sum = 0;
        for (let bit = 0; bit < 8; bit++) if ((byte & (1 << bit)) !== 0) sum ^= shifted[8 * place + bit]!;
        this.#shifts[place * BYTE_VALUES + byte] = sum;
      }
    }
  }

  /** The crc32 of the whole pages [first, end), whose own are given. */
  combined(crcs: Uint32Array, first: number, end: number): number {
    const shifts = this.#shifts;
    let sum = 0;
    for (let page = first; page < end; page++) {
      sum =
        shifts[sum & 0xff]! ^
        shifts[BYTE_VALUES + ((sum >>> 8) & 0xff)]! ^
        shifts[2 * BYTE_VALUES + ((sum >>> 16) & 0xff)]! ^
        shifts[3 * BYTE_VALUES + (sum >>> 24)]! ^
        crcs[page]!;
    }
    return sum >>> 0;
  }
}
