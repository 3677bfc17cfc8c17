// Whether a member is connected, and since when: what activeSince answers, with etcd's log lines and gauges (peer_status.go). Any
// success makes it active, any failure of a stream, the pipeline or a snapshot inactive.
import type { MemberId, Millis } from "../base/brand.ts";
import { hexId } from "../cluster/ids.ts";
import type { Clock } from "../ports/clock.ts";
import type { Logger } from "../ports/logger.ts";
import type { PeerCells } from "./peer-metrics.ts";

export class PeerStatus {
  readonly #id: MemberId;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #cells: PeerCells;
  #since: Millis | undefined = undefined;

  constructor(id: MemberId, clock: Clock, logger: Logger, cells: PeerCells) {
    this.#id = id;
    this.#clock = clock;
    this.#logger = logger;
    this.#cells = cells;
  }

  get activeSince(): Millis | undefined {
    return this.#since;
  }

  activate(): void {
    if (this.#since !== undefined) return;
    this.#logger.info("peer became active", { "peer-id": hexId(this.#id) });
    this.#since = this.#clock.now();
    this.#cells.active.set(1);
  }

  /** `source` and `action` as in etcd's lines: "stream MsgApp v2" and "dial". */
  deactivate(source: string, action: string, reason: string): void {
    const fields = {
      "peer-id": hexId(this.#id),
      error: `failed to ${action} ${hexId(this.#id)} on ${source} (${reason})`,
    };
    if (this.#since === undefined) {
      this.#logger.debug("peer deactivated again", fields);
      return;
    }
    this.#logger.warn("peer became inactive (message send to peer failed)", fields);
    this.end();
    this.#cells.disconnected.add(1);
  }

  /** The peer is no peer any more: without a word. */
  end(): void {
    if (this.#since === undefined) return;
    this.#since = undefined;
    this.#cells.active.set(0);
  }
}
