// Whether the peer still lives: after an interval of silence it is pinged, and without any sign of life within the timeout it is
// taken for dead. Hearing something costs an assignment; the clock is looked at only by the sweep. One per connection.
export class Keepalive {
  heard = true;
  #heardAt: number;
  #pingSentAt = 0;

  constructor(now: number) {
    this.#heardAt = now;
  }

  /** Silent since so many milliseconds, as far as the sweeps have seen. */
  silence(now: number): number {
    return now - this.#heardAt;
  }

  /** Called about once a second. `intervalMs` 0: no pings. */
  sweep(now: number, intervalMs: number, timeoutMs: number): "alive" | "ping" | "dead" {
    if (this.heard) {
      this.heard = false;
      this.#heardAt = now;
      this.#pingSentAt = 0;
      return "alive";
    }
    if (this.#pingSentAt > 0) return now - this.#pingSentAt >= timeoutMs ? "dead" : "alive";
    if (intervalMs === 0 || now - this.#heardAt < intervalMs) return "alive";
    this.#pingSentAt = now;
    return "ping";
  }
}
