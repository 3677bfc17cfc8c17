// Decides how the next flush is best done: inline, on the thread that serves clients, or through the thread pool. The appender tells it
// how long flushes took and asks before each. It knows nothing of files.
//
// Inline wins when the device is fast and the batch small: 0.12 ms against 0.24 ms with the pool's two hops, and one client alone waits
// for nothing else. It loses when the batch is big (the thread could have decoded the next requests meanwhile) or the device slow (it
// would stand still for everybody). The two kinds have an average each, because they measure different things: an asynchronous
// flush also waits for its turn in the event loop, so under load it looks slow on any device. But it never takes less than
// the same flush inline would, so a quick small one proves that inline is quick again: that is the way back after a bad moment.

/** Inline flushes slower than this on average are given up. */
export const INLINE_MILLIS_MAX = 0.4;
/**
 * A batch as small as this is one client's, or a few: hardly anybody is kept waiting by an inline flush, and the pool's two hops would be
 * most of its latency. So it takes a slower device to give up.
 */
export const LONE_BYTES_MAX = 4096;
export const LONE_MILLIS_MAX = 2;
/** One flush that stood behind something else says little about the next: it counts as this at most. */
const SAMPLE_MILLIS_MAX = 4;
/** Weight of the newest flush in its average. */
const WEIGHT = 0.2;

export class FlushPace {
  readonly #inlineBytesMax: number;
  #inlineMillis = 0;
  #pooledMillis = 0;

  constructor(inlineBytesMax: number) {
    this.#inlineBytesMax = inlineBytesMax;
  }

  /** Recent averages, for tuning and describe. */
  get inlineMillis(): number {
    return this.#inlineMillis;
  }

  get pooledMillis(): number {
    return this.#pooledMillis;
  }

  prefersInline(bytes: number): boolean {
    if (bytes > this.#inlineBytesMax) return false;
    return this.#inlineMillis <= (bytes <= LONE_BYTES_MAX ? LONE_MILLIS_MAX : INLINE_MILLIS_MAX);
  }

  noteInline(millis: number): void {
    this.#inlineMillis += (Math.min(millis, SAMPLE_MILLIS_MAX) - this.#inlineMillis) * WEIGHT;
  }

  notePooled(millis: number, bytes: number): void {
    this.#pooledMillis += (millis - this.#pooledMillis) * WEIGHT;
    if (bytes <= this.#inlineBytesMax && millis < this.#inlineMillis) this.noteInline(millis);
  }
}
