// Rows of the key bucket: the revision as key, an mvccpb.KeyValue as value. Here revisions are read and written and KeyValues read;
// KeyValues are written by src/mvcc/key-value, straight from the store.

import { EMPTY } from "../base/bytes.ts";
import { malformed } from "../base/format-error.ts";
import { Reader } from "../wire/reader.ts";

export const REVISION_BYTES = 17;
export const TOMBSTONE_REVISION_BYTES = 18;
const SEPARATOR = 0x5f;
const TOMBSTONE = 0x74;
const TWO_32 = 0x1_0000_0000;

function readBig64(bytes: Uint8Array, at: number): number {
  const high = (bytes[at]! * 256 + bytes[at + 1]!) * 65536 + bytes[at + 2]! * 256 + bytes[at + 3]!;
  const low = (bytes[at + 4]! * 256 + bytes[at + 5]!) * 65536 + bytes[at + 6]! * 256 + bytes[at + 7]!;
  return high * TWO_32 + low;
}

/** Writes 17 bytes, or 18 for a tombstone. */
export function writeRevision(
  main: number,
  sub: number,
  tombstone: boolean,
  out: DataView,
  at: number,
): void {
  out.setUint32(at, main / TWO_32);
  out.setUint32(at + 4, main);
  out.setUint8(at + 8, SEPARATOR);
  out.setUint32(at + 9, sub / TWO_32);
  out.setUint32(at + 13, sub);
  if (tombstone) out.setUint8(at + REVISION_BYTES, TOMBSTONE);
}

export function encodeRevision(main: number, sub: number, tombstone = false): Uint8Array {
  const key = new Uint8Array(tombstone ? TOMBSTONE_REVISION_BYTES : REVISION_BYTES);
  writeRevision(main, sub, tombstone, new DataView(key.buffer), 0);
  return key;
}

export type RowRevision = { readonly main: number; readonly sub: number; readonly tombstone: boolean };

/** Throws a FormatError when the bytes are no revision, or one that no store can have counted to. */
export function decodeRevision(key: Uint8Array): RowRevision {
  const tombstone = key.length === TOMBSTONE_REVISION_BYTES;
  if (!tombstone && key.length !== REVISION_BYTES)
    malformed(0, `a revision has 17 or 18 bytes, not ${key.length}`);
  if (key[8] !== SEPARATOR || (tombstone && key[17] !== TOMBSTONE))
    malformed(0, "a revision lacks its marks");
  const main = readBig64(key, 0);
  const sub = readBig64(key, 9);
  if (!Number.isSafeInteger(main) || !Number.isSafeInteger(sub)) malformed(0, "a revision is above 2^53");
  return { main, sub, tombstone };
}

/** Numbers of the fields that a KeyValue has as varints, by their tags. */
const CREATE_REVISION_TAG = 0x10;
const MOD_REVISION_TAG = 0x18;
const VERSION_TAG = 0x20;

/** The fields of one KeyValue, used again for every row. Views of the bytes that were read. */
export class KeyValueFields {
  key: Uint8Array = EMPTY;
  createRevision = 0;
  modRevision = 0;
  version = 0;
  lease = 0n;
  value: Uint8Array = EMPTY;

  /** Throws a DecodeError when the bytes are no KeyValue. */
  read(bytes: Uint8Array, start: number, end: number): void {
    this.key = EMPTY;
    this.createRevision = 0;
    this.modRevision = 0;
    this.version = 0;
    this.lease = 0n;
    this.value = EMPTY;
    const at = end <= bytes.length ? this.#readPlain(bytes, start, end) : start;
    if (at === end) return;
    const reader = new Reader(bytes, at, end);
    while (reader.at < end) {
      const tag = reader.tag();
      if (tag === 0x0a) this.key = reader.bytesField();
      else if (tag === CREATE_REVISION_TAG) this.createRevision = reader.int64Number();
      else if (tag === MOD_REVISION_TAG) this.modRevision = reader.int64Number();
      else if (tag === VERSION_TAG) this.version = reader.int64Number();
      else if (tag === 0x2a) this.value = reader.bytesField();
      else if (tag === 0x30) this.lease = reader.int64Bigint();
      else reader.skip(tag);
    }
  }

  /**
   * Reads fields as nearly every row has them, numbers and lengths below 2^28, without an object per row, and returns where the first
   * one begins that is not so: the rest is the Reader's.
   */
  #readPlain(bytes: Uint8Array, start: number, end: number): number {
    for (let at = start; at < end; ) {
      const tag = bytes[at]!;
      let next = at + 1;
      let number = 0;
      let shift = 0;
      let byte = 0x80;
      while (byte >= 0x80) {
        if (shift === 28 || next === end) return at;
        byte = bytes[next++]!;
        number |= (byte & 0x7f) << shift;
        shift += 7;
      }
      if (tag === CREATE_REVISION_TAG) this.createRevision = number;
      else if (tag === MOD_REVISION_TAG) this.modRevision = number;
      else if (tag === VERSION_TAG) this.version = number;
      else {
        if ((tag !== 0x0a && tag !== 0x2a) || number > end - next) return at;
        const field = bytes.subarray(next, next + number);
        next += number;
        if (tag === 0x0a) this.key = field;
        else this.value = field;
      }
      at = next;
    }
    return end;
  }
}
