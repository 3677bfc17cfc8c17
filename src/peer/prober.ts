// Asks one member every few seconds whether it lives, GET /raft/probing: over the connections of the pipeline, which that keeps open, or
// over one of its own, as a stream would be dialled. Only measures and logs; nothing is decided by it (probing_status.go).
import type { MemberId } from "../base/brand.ts";
import { goDuration } from "../base/go-duration.ts";
import { hexId } from "../cluster/ids.ts";
import type { Logger } from "../ports/logger.ts";
import type { Histogram } from "../ports/metrics.ts";
import { type Call, type Dialer, readBody } from "./dialer.ts";
import { type PeerTimings, SMALL_BODY_BYTES_MAX } from "./limits.ts";

export type ProberOptions = {
  readonly remote: MemberId;
  readonly urls: readonly string[];
  /** "ROUND_TRIPPER_RAFT_MESSAGE" dials anew, "ROUND_TRIPPER_SNAPSHOT" uses kept connections. */
  readonly name: "ROUND_TRIPPER_RAFT_MESSAGE" | "ROUND_TRIPPER_SNAPSHOT";
  readonly dialer: Dialer;
  readonly roundTripSeconds: Histogram;
  readonly logger: Logger;
  readonly timings: PeerTimings;
};

const PATH = "/raft/probing";
/** How much one probe counts in the smoothed round trip. */
const WEIGHT = 0.125;
const REPORT_MILLIS = 30_000;
const REPORT_UNHEALTHY_MILLIS = 5_000;
const CLOCK_DRIFT_MAX_MILLIS = 1000;

export class Prober {
  readonly #options: ProberOptions;
  #pinned = 0;
  #healthy = false;
  #error = "";
  #smoothedMillis = 0;
  #clockDriftMillis = 0;
  #call: Call | undefined = undefined;
  readonly #probes: NodeJS.Timeout;
  #reports: NodeJS.Timeout;
  #stopped = false;

  constructor(options: ProberOptions) {
    this.#options = options;
    this.#probes = setInterval(() => this.#probe(), options.timings.probeIntervalMillis).unref();
    // Soon at first, to log an error early.
    this.#reports = setTimeout(() => this.#report(), REPORT_UNHEALTHY_MILLIS).unref();
  }

  stop(): void {
    this.#stopped = true;
    clearInterval(this.#probes);
    clearTimeout(this.#reports);
    this.#call?.destroy();
  }

  #probe(): void {
    if (this.#call !== undefined) return; // the one before is still under way
    const { urls, dialer, name, timings } = this.#options;
    const url = urls[this.#pinned]!;
    const started = performance.now();
    const end = (failure: string | undefined, now: number): void => {
      if (this.#call !== call) return;
      this.#call = undefined;
      if (failure === undefined) this.#succeeded(performance.now() - started, now);
      else this.#failed(failure);
    };
    const call = dialer.call(
      { method: "GET", url, path: PATH, headers: {}, stream: name === "ROUND_TRIPPER_RAFT_MESSAGE" },
      (response) => {
        readBody(response, SMALL_BODY_BYTES_MAX).then(
          (body) => {
            if (response.statusCode === 200) {
              const health = parseHealth(body.toString());
              end(health.ok ? undefined : "unhealthy", health.now);
            } else {
              const status = `${response.statusCode} ${response.statusMessage}`;
              end(`got unexpected HTTP status code ${status} from ${url}${PATH}`, 0);
            }
          },
          (error: Error) => end(error.message, 0),
        );
      },
      (error) => end(error.message, 0),
    );
    this.#call = call;
    call.setTimeout(timings.readTimeoutMillis, () => call.destroy(new Error("i/o timeout")));
    call.end();
  }

  #succeeded(millis: number, now: number): void {
    this.#healthy = true;
    this.#error = "";
    this.#smoothedMillis = (1 - WEIGHT) * this.#smoothedMillis + WEIGHT * millis;
    this.#clockDriftMillis = Date.now() - now - this.#smoothedMillis / 2;
  }

  #failed(error: string): void {
    this.#healthy = false;
    this.#error = error;
    this.#pinned = (this.#pinned + 1) % this.#options.urls.length;
  }

  #report(): void {
    if (this.#stopped) return;
    const { logger, name, remote, roundTripSeconds } = this.#options;
    const fields = {
      "round-tripper-name": name,
      "remote-peer-id": hexId(remote),
      rtt: goDuration(this.#smoothedMillis),
      error: this.#error,
    };
    if (!this.#healthy) logger.warn("prober detected unhealthy status", fields);
    if (this.#clockDriftMillis > CLOCK_DRIFT_MAX_MILLIS) {
      const drift = { "clock-drift": goDuration(this.#clockDriftMillis) };
      logger.warn("prober found high clock drift", { ...fields, ...drift });
    }
    roundTripSeconds.observe(this.#smoothedMillis / 1000);
    const next = this.#healthy ? REPORT_MILLIS : REPORT_UNHEALTHY_MILLIS;
    this.#reports = setTimeout(() => this.#report(), next).unref();
  }
}

/** Go's probing.Health. */
function parseHealth(text: string): { readonly ok: boolean; readonly now: number } {
  try {
    const health: unknown = JSON.parse(text);
    if (typeof health !== "object" || health === null) return { ok: false, now: 0 };
    const now = "Now" in health ? Date.parse(String(health.Now)) : Number.NaN;
    return { ok: "OK" in health && health.OK === true && !Number.isNaN(now), now };
  } catch {
    return { ok: false, now: 0 };
  }
}
