// How often a client may ping: grpc-go's keepalive enforcement (http2_server.go, handlePing). More than two strikes end the
// connection with GOAWAY ENHANCE_YOUR_CALM "too_many_pings". One per connection, called by connection.
const STRIKES_MAX = 2;
/** Without a stream, and without permission, this is what a ping must keep from the one before. */
const IDLE_MIN_MS = 2 * 60 * 60 * 1000;

export type PingLimits = {
  /** etcd's grpc-keepalive-min-time. */
  readonly minTimeMs: number;
  readonly permitWithoutStream: boolean;
};

export class PingPolicy {
  readonly #limits: PingLimits;
  #lastPingAt = Number.NEGATIVE_INFINITY;
  #strikes = 0;

  constructor(limits: PingLimits) {
    this.#limits = limits;
  }

  /** `answered`: HEADERS or DATA went out since the last ping. False: the client has struck too often. */
  ping(now: number, answered: boolean, streams: number): boolean {
    const since = now - this.#lastPingAt;
    this.#lastPingAt = now;
    if (answered) {
      this.#strikes = 0;
      return true;
    }
    const idle = streams === 0 && !this.#limits.permitWithoutStream;
    if (since < (idle ? IDLE_MIN_MS : this.#limits.minTimeMs)) this.#strikes++;
    return this.#strikes <= STRIKES_MAX;
  }
}
