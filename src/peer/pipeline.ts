// Messages to one member as single requests, POST /raft: for the time in which no stream is there, and for members that have called us but
// are not known yet. Four at a time; what does not fit into the queue is dropped, and reported by whoever gave it.
import type { MemberId } from "../base/brand.ts";
import { hexId } from "../cluster/ids.ts";
import type { Logger } from "../ports/logger.ts";
import type { Message } from "../raft/message.ts";
import { messageToWire } from "../raft/wire-message.ts";
import { encodeMessage } from "../wire/generated/raftpb.ts";
import { type Introduction, introductionHeaders, MEMBER_REMOVED, postFailure } from "./compatibility.ts";
import { type Call, type Dialer, readBody } from "./dialer.ts";
import {
  type PeerTimings,
  PIPELINE_CONNECTIONS,
  PIPELINE_QUEUE_BYTES_MAX,
  PIPELINE_QUEUE_MAX,
  SMALL_BODY_BYTES_MAX,
} from "./limits.ts";
import type { PeerCells } from "./peer-metrics.ts";
import type { PeerStatus } from "./peer-status.ts";
import type { UrlPicker } from "./url-picker.ts";

export type PipelineOptions = {
  readonly remote: MemberId;
  readonly introduction: Introduction;
  readonly dialer: Dialer;
  readonly picker: UrlPicker;
  readonly status: PeerStatus;
  readonly cells: PeerCells;
  readonly logger: Logger;
  readonly timings: PeerTimings;
  readonly onUnreachable: () => void;
  readonly onRemoved: () => void;
};

const PATH = "/raft";

export class Pipeline {
  readonly #options: PipelineOptions;
  readonly #queue: Uint8Array[] = [];
  #queuedBytes = 0;
  readonly #underWay = new Set<Call>();
  #busy = 0;
  #stopped = false;

  constructor(options: PipelineOptions) {
    this.#options = options;
  }

  start(): void {
    this.#options.logger.info("started HTTP pipelining with remote peer", this.#fields());
  }

  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#queue.length = 0;
    for (const call of this.#underWay) call.destroy();
    this.#options.logger.info("stopped HTTP pipelining with remote peer", this.#fields());
  }

  /** False: no room; nothing was taken. */
  enqueue(message: Message): boolean {
    if (this.#stopped || this.#queue.length >= PIPELINE_QUEUE_MAX) return false;
    if (this.#queuedBytes >= PIPELINE_QUEUE_BYTES_MAX) return false;
    const body = encodeMessage(messageToWire(message));
    this.#queue.push(body);
    this.#queuedBytes += body.length;
    this.#next();
    return true;
  }

  #next(): void {
    while (this.#busy < PIPELINE_CONNECTIONS && this.#queue.length > 0) {
      const body = this.#queue.shift()!;
      this.#queuedBytes -= body.length;
      this.#busy++;
      this.#post(body, false);
    }
  }

  #post(body: Uint8Array, again: boolean): void {
    const { introduction, dialer, picker, remote, logger, timings } = this.#options;
    const url = picker.pick();
    let over = false;
    const end = (failure: string | undefined): void => {
      if (over) return;
      over = true;
      this.#underWay.delete(call);
      this.#ended(url, body, failure);
    };
    const call = dialer.call(
      {
        method: "POST",
        url,
        path: PATH,
        headers: {
          ...introductionHeaders(introduction),
          "Content-Type": "application/protobuf",
          "Content-Length": body.length,
        },
        stream: false,
      },
      (response) => {
        const to = { url: url + PATH, to: remote, local: introduction, logger };
        readBody(response, SMALL_BODY_BYTES_MAX).then(
          (text) =>
            end(
              postFailure(response.statusCode ?? 0, response.statusMessage ?? "", response.headers, text, to),
            ),
          (error: Error) => end(error.message),
        );
      },
      (error) => {
        // The other side has closed a kept connection as idle just when we took it: that says nothing about the member.
        if (call.reusedSocket && !again && !over && !this.#stopped) {
          over = true;
          this.#underWay.delete(call);
          this.#post(body, true);
        } else {
          end(error.message);
        }
      },
    );
    this.#underWay.add(call);
    call.setTimeout(timings.readTimeoutMillis, () => call.destroy(new Error("i/o timeout")));
    call.end(body);
  }

  #ended(url: string, body: Uint8Array, failure: string | undefined): void {
    const { picker, status, cells, onUnreachable, onRemoved } = this.#options;
    this.#busy--;
    if (this.#stopped) return;
    if (failure === undefined) {
      status.activate();
      cells.sentBytes.add(body.length);
    } else {
      picker.unreachable(url);
      status.deactivate("pipeline", "write", failure);
      cells.sentFailures.add(1);
      onUnreachable();
      if (failure === MEMBER_REMOVED) onRemoved();
    }
    this.#next();
  }

  #fields(): Record<string, unknown> {
    return {
      "local-member-id": hexId(this.#options.introduction.localId),
      "remote-peer-id": hexId(this.#options.remote),
    };
  }
}
