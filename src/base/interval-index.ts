// Half-open intervals of strings that answer "which of you hold this point?": the range watchers of one group. A sorted array with
// an implicit tree of largest ends; new intervals wait in a short list until there are enough of them to sort in again, so that a
// storm of new watchers does not rebuild the tree once each.

/** `end` undefined: everything from `start` on. */
export type Interval<T> = { readonly start: string; readonly end: string | undefined; readonly value: T };

const FRESH_MAX = 64;

export class IntervalIndex<T> {
  #sorted: Interval<T>[] = [];
  /** Largest end in the subtree of each node of #sorted (midpoint tree); undefined stands for infinity. */
  #largest: (string | undefined)[] = [];
  #fresh: Interval<T>[] = [];
  readonly #removed = new Set<Interval<T>>();

  get size(): number {
    return this.#sorted.length + this.#fresh.length - this.#removed.size;
  }

  add(interval: Interval<T>): void {
    this.#fresh.push(interval);
    if (this.#fresh.length > Math.max(FRESH_MAX, this.#sorted.length >> 3)) this.#rebuild();
  }

  /** Removes the very object that was added. */
  remove(interval: Interval<T>): void {
    const at = this.#fresh.indexOf(interval);
    if (at >= 0) {
      this.#fresh.splice(at, 1);
      return;
    }
    this.#removed.add(interval);
    if (this.#removed.size > FRESH_MAX && this.#removed.size > this.#sorted.length >> 1) this.#rebuild();
  }

  /** Appends to `out` the values of all intervals that hold `point`. */
  stab(point: string, out: T[]): void {
    for (const interval of this.#fresh) {
      if (interval.start <= point && (interval.end === undefined || point < interval.end))
        out.push(interval.value);
    }
    if (this.#sorted.length > 0) this.#stab(0, this.#sorted.length - 1, point, out);
  }

  #stab(low: number, high: number, point: string, out: T[]): void {
    if (low > high) return;
    const middle = (low + high) >> 1;
    const largest = this.#largest[middle];
    if (largest !== undefined && largest <= point) return;
    this.#stab(low, middle - 1, point, out);
    const interval = this.#sorted[middle]!;
    if (point < interval.start) return;
    if ((interval.end === undefined || point < interval.end) && !this.#removed.has(interval))
      out.push(interval.value);
    this.#stab(middle + 1, high, point, out);
  }

  #rebuild(): void {
    const kept =
      this.#removed.size === 0 ? this.#sorted : this.#sorted.filter((each) => !this.#removed.has(each));
    this.#removed.clear();
    this.#sorted = kept.concat(this.#fresh);
    this.#fresh = [];
    this.#sorted.sort((a, b) => (a.start < b.start ? -1 : a.start > b.start ? 1 : 0));
    this.#largest = new Array(this.#sorted.length);
    this.#measure(0, this.#sorted.length - 1);
  }

  #measure(low: number, high: number): string | undefined {
    const middle = (low + high) >> 1;
    let largest = this.#sorted[middle]!.end;
    if (low < middle) largest = later(largest, this.#measure(low, middle - 1));
    if (middle < high) largest = later(largest, this.#measure(middle + 1, high));
    this.#largest[middle] = largest;
    return largest;
  }
}

function later(a: string | undefined, b: string | undefined): string | undefined {
  if (a === undefined || b === undefined) return undefined;
  return a > b ? a : b;
}
