// Sorts as Go's sort.Sort does: pattern-defeating quicksort (Peters, 2021), step by step, so that elements that are equal come out in
// the order in which a Go program has them. That order is not stable, but it is always the same, and it reaches etcd's clients: in a
// range sorted by version, and in what a limit cuts off from it.

/** What is sorted: positions 0 and up, to be compared and exchanged. */
export interface Sortable {
  less(i: number, j: number): boolean;
  swap(i: number, j: number): void;
}

/** Up to so many elements insertion is fastest. */
const INSERTION_MAX = 12;
/** From so many on, the pivot is a median of medians and a few elements out of place are shifted home. */
const LONG = 50;
/** A range with more elements out of place than this is partitioned. */
const SHIFTS_MAX = 5;
/** Exchanges that choosing a pivot makes when everything descends. */
const PIVOT_SWAPS_MAX = 12;

/** Sorts positions 0 to `length` of `data`, ascending, not stable. At most O(n log n) comparisons. */
export function goSort(data: Sortable, length: number): void {
  if (length > 1) sortRange(data, 0, length, bitLength(length));
}

/** Sorts positions `from` up to `to`. After `badPivots` uneven partitions it turns to heapsort. */
function sortRange(data: Sortable, from: number, to: number, badPivots: number): void {
  let start = from;
  let end = to;
  let balanced = true;
  let partitioned = true;
  for (;;) {
    const length = end - start;
    if (length <= INSERTION_MAX) {
      insertionSort(data, start, end);
      return;
    }
    if (badPivots === 0) {
      heapSort(data, start, end);
      return;
    }
    if (!balanced) {
      breakPatterns(data, start, end);
      badPivots--;
    }
    const choice = choosePivot(data, start, end);
    if (balanced && partitioned && choice.ascending && shiftStrays(data, start, end)) return;
    // The element before this range is a pivot: if it equals the new one, so does everything here that is not greater.
    if (start > 0 && !data.less(start - 1, choice.pivot)) {
      start = passEqual(data, start, end, choice.pivot);
      continue;
    }
    const { middle, untouched } = partition(data, start, end, choice.pivot);
    partitioned = untouched;
    const left = middle - start;
    const right = end - middle;
    balanced = Math.min(left, right) >= Math.floor(length / 8);
    if (left < right) {
      sortRange(data, start, middle, badPivots);
      start = middle + 1;
    } else {
      sortRange(data, middle + 1, end, badPivots);
      end = middle;
    }
  }
}

function insertionSort(data: Sortable, start: number, end: number): void {
  for (let i = start + 1; i < end; i++) sinkLeft(data, i, start);
}

/** Exchanges the element at `i` with its left neighbours as long as it is less, not past `stop`. */
function sinkLeft(data: Sortable, i: number, stop: number): void {
  for (let j = i; j > stop && data.less(j, j - 1); j--) data.swap(j, j - 1);
}

function heapSort(data: Sortable, start: number, end: number): void {
  const length = end - start;
  for (let i = (length - 1) >> 1; i >= 0; i--) siftDown(data, start, i, length);
  for (let i = length - 1; i >= 0; i--) {
    data.swap(start, start + i);
    siftDown(data, start, 0, i);
  }
}

function siftDown(data: Sortable, start: number, top: number, length: number): void {
  let root = top;
  for (let child = 2 * root + 1; child < length; child = 2 * root + 1) {
    if (child + 1 < length && data.less(start + child, start + child + 1)) child++;
    if (!data.less(start + root, start + child)) return;
    data.swap(start + root, start + child);
    root = child;
  }
}

/** Brings what is less than the pivot before it. `untouched`: everything was on its side already. */
function partition(
  data: Sortable,
  start: number,
  end: number,
  pivot: number,
): { middle: number; untouched: boolean } {
  data.swap(start, pivot);
  let i = start + 1;
  let j = end - 1;
  let untouched = true;
  for (;;) {
    while (i <= j && data.less(i, start)) i++;
    while (i <= j && !data.less(j, start)) j--;
    if (i > j) break;
    data.swap(i++, j--);
    untouched = false;
  }
  data.swap(j, start);
  return { middle: j, untouched };
}

/** Brings what equals the pivot, the least here, to the front. Returns where the rest begins. */
function passEqual(data: Sortable, start: number, end: number, pivot: number): number {
  data.swap(start, pivot);
  let i = start + 1;
  let j = end - 1;
  for (;;) {
    while (i <= j && !data.less(start, i)) i++;
    while (i <= j && data.less(start, j)) j--;
    if (i > j) return i;
    data.swap(i++, j--);
  }
}

/** Shifts the few elements of a long range that are out of place. False: there are more, or the range is short. */
function shiftStrays(data: Sortable, start: number, end: number): boolean {
  let i = start + 1;
  for (let shifted = 0; shifted < SHIFTS_MAX; shifted++) {
    while (i < end && !data.less(i, i - 1)) i++;
    if (i === end) return true;
    if (end - start < LONG) return false;
    data.swap(i, i - 1);
    if (i - start >= 2) sinkLeft(data, i - 1, 0);
    for (let j = i + 1; j < end && data.less(j, j - 1); j++) data.swap(j, j - 1);
  }
  return false;
}

/** Exchanges three elements of the middle with others, chosen by the length alone. */
function breakPatterns(data: Sortable, start: number, end: number): void {
  const length = end - start;
  const middle = start + Math.floor(length / 4) * 2;
  const mask = BigInt(2 ** bitLength(length) - 1);
  let random = BigInt(length);
  for (let i = middle - 1; i <= middle + 1; i++) {
    random = xorshift(random);
    const other = Number(random & mask);
    data.swap(i, start + (other >= length ? other - length : other));
  }
}

/** Marsaglia's generator with the shifts 13, 7, 17. */
function xorshift(state: bigint): bigint {
  let x = BigInt.asUintN(64, state ^ (state << 13n));
  x ^= x >> 7n;
  return BigInt.asUintN(64, x ^ (x << 17n));
}

/** A median as pivot; a range that seems to descend is turned round first. `ascending`: it seems to be in order. */
function choosePivot(data: Sortable, start: number, end: number): { pivot: number; ascending: boolean } {
  const length = end - start;
  const quarter = Math.floor(length / 4);
  const medians = new Medians(data);
  const around = (i: number) => (length >= LONG ? medians.of(i - 1, i, i + 1) : i);
  const pivot = medians.of(around(start + quarter), around(start + quarter * 2), around(start + quarter * 3));
  if (medians.swaps < PIVOT_SWAPS_MAX) return { pivot, ascending: medians.swaps === 0 };
  for (let i = start, j = end - 1; i < j; i++, j--) data.swap(i, j);
  return { pivot: end - 1 - (pivot - start), ascending: true };
}

class Medians {
  /** Pairs that were not in order. */
  swaps = 0;
  readonly #data: Sortable;

  constructor(data: Sortable) {
    this.#data = data;
  }

  /** Of three positions the one with the middle element. */
  of(a: number, b: number, c: number): number {
    let low = a;
    let middle = b;
    if (this.#descend(low, middle)) [low, middle] = [middle, low];
    if (this.#descend(middle, c)) middle = c;
    return this.#descend(low, middle) ? low : middle;
  }

  #descend(first: number, second: number): boolean {
    const descend = this.#data.less(second, first);
    if (descend) this.swaps++;
    return descend;
  }
}

function bitLength(n: number): number {
  return 32 - Math.clz32(n);
}
