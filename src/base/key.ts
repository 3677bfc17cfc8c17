// Keys and key ranges. On the wire and in the index a key is bytes; in the watch groups, where it is a Map key and compared,
// it is a Key: a latin1 string, one character per byte, so that `<` is byte order and any bytes are legal. Never UTF-8-decode a key.
import type { Brand } from "./brand.ts";
import { latin1FromBytes, latin1ToBytes } from "./bytes.ts";

export type Key = Brand<string, "Key">;

/**
 * End of a range in etcd's own encoding: empty = the single key; one zero byte = every key from the start on; else exclusive.
 */
export type RangeEnd = Uint8Array;

export function keyFromBytes(bytes: Uint8Array): Key {
  return latin1FromBytes(bytes) as Key;
}

export function keyToBytes(key: Key): Uint8Array {
  return latin1ToBytes(key);
}

export function isSingleKey(end: RangeEnd): boolean {
  return end.length === 0;
}

export function isOpenEnd(end: RangeEnd): boolean {
  return end.length === 1 && end[0] === 0;
}
