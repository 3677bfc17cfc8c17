// The Random port on the real machine: the system's own generator.
import { randomBytes, randomInt } from "node:crypto";
import type { Random } from "../ports/random.ts";

/** randomInt's own limit. */
const BOUND_MAX = 2 ** 48 - 1;

export function nodeRandom(): Random {
  return {
    below(bound: number): number {
      return bound <= 1 ? 0 : randomInt(Math.min(bound, BOUND_MAX));
    },
    bytes(size: number): Uint8Array {
      return randomBytes(size);
    },
  };
}
