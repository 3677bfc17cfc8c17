// Counts events that a peer may cause seldom but not all the time (floods). Looks at the clock only when its tokens are used
// up, so that an event costs a subtraction. Used by connection.
export class TokenBucket {
  readonly #burst: number;
  readonly #perSecond: number;
  #tokens: number;
  #filledAt: number;

  constructor(burst: number, perSecond: number, now: number) {
    this.#burst = burst;
    this.#perSecond = perSecond;
    this.#tokens = burst;
    this.#filledAt = now;
  }

  /** False when the peer has passed its limit. */
  take(now: () => number): boolean {
    if (this.#tokens < 1) {
      const at = now();
      this.#tokens = Math.min(this.#burst, this.#tokens + ((at - this.#filledAt) * this.#perSecond) / 1000);
      this.#filledAt = at;
      if (this.#tokens < 1) return false;
    }
    this.#tokens--;
    return true;
  }

  /** Something useful came that excuses one such event. */
  give(): void {
    if (this.#tokens < this.#burst) this.#tokens++;
  }
}
