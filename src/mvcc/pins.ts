// Revisions that slow readers stand at. Compaction keeps the rows visible at a pinned revision until the pin is released; it
// never waits for one, and the compacted revision moves on regardless.
import { assert } from "../base/assert.ts";

/** See Store.pin. */
export interface Pin {
  release(): void;
}

export class Pins {
  /** Ascending; one entry per pin. */
  readonly #revisions: number[] = [];
  /** Counts releases, so that compaction sees when rows it had to keep may have become free. */
  releases = 0;

  get size(): number {
    return this.#revisions.length;
  }

  add(at: number): Pin {
    this.#revisions.splice(this.#firstFrom(at), 0, at);
    let held = true;
    return {
      release: () => {
        assert(held, "a pin is released once");
        held = false;
        this.#revisions.splice(this.#firstFrom(at), 1);
        this.releases++;
      },
    };
  }

  /** Whether a pin stands at or behind `main` and before `next`: where a row made at `main` and replaced at `next` is visible. */
  covers(main: number, next: number): boolean {
    if (this.#revisions.length === 0) return false;
    const first = this.#revisions[this.#firstFrom(main)];
    return first !== undefined && first < next;
  }

  #firstFrom(at: number): number {
    let low = 0;
    let high = this.#revisions.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#revisions[middle]! < at) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
