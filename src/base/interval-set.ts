// A set of key intervals that only answers "is this key inside one of you?": the deletes of a txn. Few intervals, one question for
// each put, so a list is enough; a txn holds at most max-txn-ops of them per level.

type Interval = { readonly start: string; readonly end: string | undefined };

export class IntervalSet {
  readonly #intervals: Interval[] = [];

  /**
   * `end` undefined: the one key. Otherwise [start, end) as plain strings: etcd inserts the end of an open range ("\0") as it is, so
   * that such an interval holds nothing, and neither does one whose end is not behind its start.
   */
  add(start: string, end: string | undefined): void {
    this.#intervals.push({ start, end });
  }

  addAll(other: IntervalSet): void {
    this.#intervals.push(...other.#intervals);
  }

  holds(key: string): boolean {
    return this.#intervals.some(({ start, end }) =>
      end === undefined ? key === start : start <= key && key < end,
    );
  }
}
