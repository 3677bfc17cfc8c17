// Judges what stands behind the last good record of the newest segment: nothing, the torn end of a flush that nobody was told of (to
// be cut), or damage to what was acknowledged (refused, with file and offset). Called by recovery; it only reads. Each rule stands
// on what a crash can do and what rot can do; docs/decisions/013-torn-tail.md has the whole reasoning.
//
//   1. The bad record stands before the place that the flush mark names: it had been flushed and acknowledged. Damage. The mark is
//      exact for a log that was idle or closed, and lags a second or two for one that was busy.
//   2. A good record behind it carries a flush that began behind the bad one: that one had been safe. Damage.
//   3. A good record is the seal that closed the segment in the same flush, with its trailer torn. Only the seal is lost.
//   4. A sector of the bad record is all zeros, as a write that never reached the disk leaves it in a zero-filled segment. Torn.
//   5. No mark can be read: it is written before the first record and flushed then, so it is damaged too. Nothing more is assumed.
//   6. With one bit flipped back the record is good, and it is short, or all that follows it is good. Rot, since no crash leaves that.
//   7. Anything else (garbage, a half-written sector, a shorter file) stands where nothing acknowledged can be proved to be. Torn.
import type { Digest } from "../ports/digest.ts";
import type { DiskFile } from "../ports/disk.ts";
import { sizeWithOneFlip } from "./bit-flip.ts";
import { CorruptionError } from "./errors.ts";
import { FRAME_BYTES, frameLength, getU32, placeSeed, SECTOR_BYTES } from "./format.ts";

const WINDOW_BYTES = 1 << 20;
/** Other damage of a record this short looks like one flipped bit once in a hundred thousand times, so nothing else need be asked. */
const SHORT_RECORD_BYTES = 4096;

/** The end of a segment, as the scan and the flush mark see it. */
export type TailPlace = {
  readonly file: DiskFile;
  readonly number: number;
  /** Where the last good record ends, or where a seal without its trailer begins. */
  readonly end: number;
  /** Everything before this was flushed; undefined when no mark could be read. */
  readonly flushed: number | undefined;
  readonly allocatedBytes: number;
};

/**
 * Returns where the bytes that are not zero end (= `end` when there are none): what lies between belongs to a torn flush. Throws when
 * something acknowledged is damaged.
 */
export async function judgeTail(place: TailPlace, digest: Digest): Promise<number> {
  const { file, number, end, flushed, allocatedBytes } = place;
  if (flushed !== undefined && end < flushed) {
    throw new CorruptionError(
      file.path,
      end,
      `the record here is bad or missing, but everything before offset ${flushed} had been flushed`,
    );
  }
  const size = file.sizeSync();
  if (flushed === undefined && size < allocatedBytes) {
    throw new CorruptionError(file.path, size, `the file is shorter than the ${allocatedBytes} bytes it had`);
  }
  const tail = new Uint8Array(Math.max(0, (await lastNonZero(file, end, size)) - end));
  if (tail.length === 0) return end;
  await file.read(tail, end);
  rejectFlushedLoss(file.path, tail, number, end, digest);
  if (goodSize(tail, 0, number, end, digest) > 0) return end + tail.length;
  if (looksTorn(tail, number, end, size)) return end + tail.length;
  if (flushed === undefined) {
    throw new CorruptionError(
      file.path,
      end,
      "a record does not match its checksum, and no part of it is missing as a torn write would leave it",
    );
  }
  if (isOneFlip(tail, number, end, digest)) {
    throw new CorruptionError(
      file.path,
      end,
      "one bit of a record is wrong, as no torn write would leave it",
    );
  }
  return end + tail.length;
}

/**
 * True when the first record is whole but for one bit. What follows a short one may be anything (a flush that was torn beside the rot); a long
 * one has so many bits to choose from that all behind it must be good, too.
 */
function isOneFlip(tail: Uint8Array, number: number, end: number, digest: Digest): boolean {
  const first = sizeWithOneFlip(tail, 0, placeSeed(number, end), digest);
  if (first === 0) return false;
  if (first <= SHORT_RECORD_BYTES) return true;
  let at = first;
  while (at < tail.length) {
    const size = goodSize(tail, at, number, end, digest);
    if (size === 0) return false;
    at += size;
  }
  return true;
}

/** The size of the good record at `at`, or 0. */
function goodSize(tail: Uint8Array, at: number, number: number, end: number, digest: Digest): number {
  if (at + FRAME_BYTES >= tail.length) return 0;
  const seed = placeSeed(number, end + at);
  const length = frameLength(tail, at, seed);
  const size = FRAME_BYTES + length;
  if (length < 1 || at + size > tail.length) return 0;
  return digest.crc32(tail.subarray(at + 4, at + size), seed) === getU32(tail, at) ? size : 0;
}

/** The offset behind the last byte that is not zero in [from, size), or `from`. */
async function lastNonZero(file: DiskFile, from: number, size: number): Promise<number> {
  const chunk = new Uint8Array(Math.min(WINDOW_BYTES, 4 * Math.ceil(Math.max(1, size - from) / 4)));
  const words = new Int32Array(chunk.buffer);
  let last = from;
  for (let at = from; at < size; at += chunk.length) {
    const read = await file.read(chunk.subarray(0, Math.min(chunk.length, size - at)), at);
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
    const size = goodSize(tail, at, number, end, digest);
    if (size === 0) {
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
