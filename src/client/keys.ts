// Keys and ranges as callers write them.
import { utf8ToBytes } from "../base/bytes.ts";

/** Text is taken as UTF-8. */
export type Bytes = string | Uint8Array;

export function toBytes(value: Bytes): Uint8Array {
  return typeof value === "string" ? utf8ToBytes(value) : value;
}

/** The range end that means "every key from the start on", and the key that is smaller than every other. */
export const ZERO_BYTE: Uint8Array = Uint8Array.of(0);

/** The end of the range of all keys with this prefix: the prefix plus one; all keys from it on when it is all 0xff. */
export function prefixEnd(prefix: Uint8Array): Uint8Array {
  for (let i = prefix.length - 1; i >= 0; i--) {
    if (prefix[i]! < 0xff) {
      const end = prefix.slice(0, i + 1);
      end[i]!++;
      return end;
    }
  }
  return ZERO_BYTE;
}

/** Which keys beside the first: none (a single key), up to an end, with a prefix, or all from the key on. */
export type RangeOptions = {
  readonly rangeEnd?: Bytes;
  readonly prefix?: boolean;
  readonly fromKey?: boolean;
};

export function rangeOf(
  key: Bytes,
  options: RangeOptions | undefined,
): { key: Uint8Array; rangeEnd: Uint8Array } {
  const start = toBytes(key);
  if (options?.prefix === true) {
    // The empty prefix means every key.
    return start.length === 0
      ? { key: ZERO_BYTE, rangeEnd: ZERO_BYTE }
      : { key: start, rangeEnd: prefixEnd(start) };
  }
  if (options?.fromKey === true) return { key: start.length === 0 ? ZERO_BYTE : start, rangeEnd: ZERO_BYTE };
  return {
    key: start,
    rangeEnd: options?.rangeEnd === undefined ? new Uint8Array(0) : toBytes(options.rangeEnd),
  };
}
