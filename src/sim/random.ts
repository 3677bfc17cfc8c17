// The simulator's dice: everything that happens by chance in a simulated history is drawn here, so that one seed is one history.
// sfc32, seeded by splitmix32. Never Math.random.
import { assert } from "../base/assert.ts";
import type { Random } from "../ports/random.ts";

export class SeededRandom implements Random {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  constructor(seed: number) {
    let state = seed >>> 0;
    const split = (): number => {
      state = (state + 0x9e3779b9) >>> 0;
      let mixed = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
      mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
      return (mixed ^ (mixed >>> 15)) >>> 0;
    };
    this.#a = split();
    this.#b = split();
    this.#c = split();
    for (let i = 0; i < 12; i++) this.#next();
  }

  below(bound: number): number {
    assert(bound > 0, "there is something to choose from");
    return Math.floor((this.#next() / 2 ** 32) * bound);
  }

  bytes(size: number): Uint8Array {
    return Uint8Array.from({ length: size }, () => this.#next() & 0xff);
  }

  /** From `low` to `high`, both included. */
  between(low: number, high: number): number {
    return low + this.below(high - low + 1);
  }

  /** True once in `times`. */
  once(times: number): boolean {
    return this.below(times) === 0;
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!;
  }

  /** Dice of its own, so that one part's appetite does not shift the luck of another. */
  fork(): SeededRandom {
    return new SeededRandom(this.#next());
  }

  #next(): number {
    const sum = (this.#a + this.#b + this.#counter) >>> 0;
    this.#counter = (this.#counter + 1) >>> 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) >>> 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) >>> 0;
    return sum;
  }
}
