// One kind of messages from one member: dials its stream, decodes what comes, and dials again when it ends, as long as the member is a
// peer. Knows nothing of raft: messages go to `deliver`. Silence for longer than the I/O timeout ends a stream, or for longer than a
// writer that tells how often it is heard may be silent.
import type { IncomingMessage } from "node:http";
import type { MemberId } from "../base/brand.ts";
import { hexId } from "../cluster/ids.ts";
import type { Logger } from "../ports/logger.ts";
import type { Message } from "../raft/message.ts";
import {
  CAIRN_HEARTBEAT_HEADER,
  CLUSTER_ID_MISMATCH,
  compareVersions,
  headerText,
  INCOMPATIBLE_VERSION,
  type Introduction,
  introductionHeaders,
  MEMBER_REMOVED,
} from "./compatibility.ts";
import { type Call, type Dialer, readBody } from "./dialer.ts";
import { StreamError } from "./frame-buffer.ts";
import { HEARTBEATS_MISSED_MAX, type PeerTimings, SMALL_BODY_BYTES_MAX } from "./limits.ts";
import { isLinkHeartbeat, MessageDecoder, type StreamDecoder } from "./message-codec.ts";
import { MsgAppDecoder } from "./msgapp-codec.ts";
import type { PeerMetrics } from "./peer-metrics.ts";
import type { PeerStatus } from "./peer-status.ts";
import { type StreamKind, streamName, streamPath } from "./stream-writer.ts";
import type { UrlPicker } from "./url-picker.ts";

export type StreamReaderOptions = {
  readonly kind: StreamKind;
  readonly remote: MemberId;
  readonly introduction: Introduction;
  readonly dialer: Dialer;
  readonly picker: UrlPicker;
  readonly status: PeerStatus;
  readonly metrics: PeerMetrics;
  readonly logger: Logger;
  readonly timings: PeerTimings;
  readonly deliver: (message: Message) => void;
  /** The other member says that this one was removed for good. */
  readonly onRemoved: () => void;
};

/** Since then the streams have been as they are. */
const STREAMS_SINCE = "2.1.0";

export class StreamReader {
  readonly #options: StreamReaderOptions;
  readonly #name: string;
  #call: Call | undefined = undefined;
  #redial: NodeJS.Timeout | undefined = undefined;
  #dialledAt = Number.NEGATIVE_INFINITY;
  #stopped = false;

  constructor(options: StreamReaderOptions) {
    this.#options = options;
    this.#name = streamName(options.kind);
  }

  start(): void {
    this.#options.logger.info("started stream reader with remote peer", this.#fields());
    this.#dial();
  }

  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    clearTimeout(this.#redial);
    this.#call?.destroy();
    this.#options.logger.info("stopped stream reader with remote peer", this.#fields());
  }

  #dial(): void {
    const { kind, remote, introduction, dialer, picker, timings } = this.#options;
    this.#dialledAt = performance.now();
    const url = picker.pick();
    if (this.#options.logger.debugEnabled) {
      this.#options.logger.debug("dial stream reader", {
        from: hexId(introduction.localId),
        to: hexId(remote),
        address: `${url}${streamPath(kind)}/${hexId(introduction.localId)}`,
      });
    }
    let over = false;
    const once = (end: () => void): void => {
      if (over || this.#stopped) return;
      over = true;
      end();
    };
    const call = dialer.call(
      {
        method: "GET",
        url,
        path: `${streamPath(kind)}/${hexId(introduction.localId)}`,
        headers: { ...introductionHeaders(introduction), "X-Raft-To": hexId(remote) },
        stream: true,
      },
      (response) => once(() => this.#answered(url, call, response)),
      (error) => once(() => this.#failed(url, error.message)),
    );
    this.#call = call;
    call.setTimeout(timings.readTimeoutMillis, () => call.destroy(new Error("i/o timeout")));
    call.end();
  }

  #answered(url: string, call: Call, response: IncomingMessage): void {
    if (compareVersions(headerText(response.headers, "x-server-version"), STREAMS_SINCE) < 0) {
      call.destroy();
      this.#options.picker.unreachable(url);
      this.#again();
      return;
    }
    switch (response.statusCode) {
      case 200:
        this.#read(response);
        return;
      case 410:
        this.#refused(url, call, MEMBER_REMOVED);
        this.#options.onRemoved();
        return;
      case 404: {
        const { remote, introduction } = this.#options;
        const text = `peer ${hexId(remote)} failed to find local node ${hexId(introduction.localId)}`;
        this.#refused(url, call, text);
        return;
      }
      case 412:
        readBody(response, SMALL_BODY_BYTES_MAX).then(
          (body) => this.#refused(url, call, this.#precondition(body, response)),
          (error: Error) => this.#refused(url, call, error.message),
        );
        return;
      default:
        this.#refused(url, call, `unhandled http status ${response.statusCode}`);
    }
  }

  #precondition(body: Buffer, response: IncomingMessage): string {
    const { introduction, remote, logger } = this.#options;
    const text = body.toString().replace(/\n$/, "");
    const ids = { "local-member-id": hexId(introduction.localId), "remote-peer-id": hexId(remote) };
    if (text === INCOMPATIBLE_VERSION) {
      const line = "request sent was ignored by remote peer due to server version incompatibility";
      logger.warn(line, { ...ids, error: text });
      return text;
    }
    if (text !== CLUSTER_ID_MISMATCH) {
      return `unhandled error ${JSON.stringify(body.toString())} when precondition failed`;
    }
    logger.warn("request sent was ignored by remote peer due to cluster ID mismatch", {
      ...ids,
      "remote-peer-cluster-id": headerText(response.headers, "x-etcd-cluster-id"),
      "local-member-cluster-id": hexId(introduction.clusterId),
      error: text,
    });
    return text;
  }

  #refused(url: string, call: Call, reason: string): void {
    call.destroy();
    if (!this.#stopped) this.#failed(url, reason);
  }

  #failed(url: string, reason: string): void {
    this.#options.picker.unreachable(url);
    this.#options.status.deactivate(this.#name, "dial", reason);
    this.#again();
  }

  #read(response: IncomingMessage): void {
    const { status, logger } = this.#options;
    status.activate();
    logger.info("established TCP streaming connection with remote peer", this.#fields());
    const decoder = this.#decoder();
    const deliver = (message: Message, bytes: number): void => this.#deliver(message, bytes);
    let over = false;
    let missed = 0;
    // Counted turn by turn: what came while this process stood still was not read yet, but is no silence.
    const beat = (): void => {
      if (++missed > HEARTBEATS_MISSED_MAX) end(new Error("i/o timeout"));
    };
    const heartbeatMillis = Number.parseInt(headerText(response.headers, CAIRN_HEARTBEAT_HEADER), 10);
    const beats = heartbeatMillis > 0 ? setInterval(beat, heartbeatMillis).unref() : undefined;
    const end = (error: Error | undefined): void => {
      clearInterval(beats);
      if (over || this.#stopped) return;
      over = true;
      response.destroy();
      const reason = error === undefined ? "EOF" : error.message;
      logger.warn("lost TCP streaming connection with remote peer", { ...this.#fields(), error: reason });
      // A response that was ended in order says nothing about the network.
      if (error !== undefined) status.deactivate(this.#name, "read", reason);
      this.#again();
    };
    response.on("data", (chunk: Buffer) => {
      if (over) return;
      missed = 0;
      try {
        decoder.push(chunk, deliver);
      } catch (error) {
        if (!(error instanceof StreamError)) throw error;
        end(error);
      }
    });
    response.once("end", () => end(undefined));
    response.once("error", (error) => {
      end(error.message === "aborted" ? new Error("unexpected EOF") : error);
    });
    response.once("close", () => end(new Error("unexpected EOF")));
  }

  #decoder(): StreamDecoder {
    const { kind, introduction, remote } = this.#options;
    return kind === "message" ? new MessageDecoder() : new MsgAppDecoder(introduction.localId, remote);
  }

  #deliver(message: Message, bytes: number): void {
    this.#options.metrics.received(message.from, bytes);
    if (!this.#stopped && !isLinkHeartbeat(message)) this.#options.deliver(message);
  }

  /** At once when the last attempt is long ago, else when it is long enough ago. */
  #again(): void {
    this.#call = undefined;
    const wait = this.#dialledAt + this.#options.timings.redialIntervalMillis - performance.now();
    this.#redial = setTimeout(() => this.#dial(), Math.max(0, wait)).unref();
  }

  #fields(): Record<string, unknown> {
    return {
      "stream-reader-type": this.#name,
      "local-member-id": hexId(this.#options.introduction.localId),
      "remote-peer-id": hexId(this.#options.remote),
    };
  }
}
