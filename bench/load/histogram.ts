// Latencies in buckets 2.2 % wide, so that a million of them cost no memory and no sorting. The load loops record into one of these.
const perDoubling = 32;
const buckets = 40 * perDoubling;

export class Histogram {
  readonly #counts = new Float64Array(buckets);
  #total = 0;
  #max = 0;

  get total(): number {
    return this.#total;
  }

  get maxMs(): number {
    return this.#max;
  }

  record(ms: number): void {
    const micros = Math.max(1, ms * 1000);
    const bucket = Math.min(buckets - 1, Math.floor(Math.log2(micros) * perDoubling));
    this.#counts[bucket]!++;
    this.#total++;
    if (ms > this.#max) this.#max = ms;
  }

  /** The latency in milliseconds that the share (0..1) of all calls stayed below. */
  quantile(share: number): number {
    let rest = share * this.#total;
    for (let bucket = 0; bucket < buckets; bucket++) {
      rest -= this.#counts[bucket]!;
      if (rest <= 0) return 2 ** ((bucket + 0.5) / perDoubling) / 1000;
    }
    return this.#max;
  }
}
