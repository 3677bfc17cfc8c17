// One kind of messages to one member: an endless HTTP response that the member asked for. Messages are encoded when they are given and
// leave with `flush`, all of a turn in one write. What does not fit into the queue is dropped: raft sends it again.
import type { Socket } from "node:net";
import type { MemberId } from "../base/brand.ts";
import { hexId } from "../cluster/ids.ts";
import type { Logger } from "../ports/logger.ts";
import type { Message } from "../raft/message.ts";
import { ChunkBlocks } from "./chunk-blocks.ts";
import { type PeerTimings, STREAM_QUEUE_BYTES_MAX, STREAM_QUEUE_MESSAGES_MAX } from "./limits.ts";
import { LINK_HEARTBEAT, MessageEncoder, type StreamEncoder } from "./message-codec.ts";
import { MsgAppEncoder } from "./msgapp-codec.ts";
import type { PeerCells } from "./peer-metrics.ts";
import type { PeerStatus } from "./peer-status.ts";

export type StreamKind = "msgappv2" | "message";

const LAST_CHUNK = "0\r\n\r\n";

/** As etcd names them in its log. */
export function streamName(kind: StreamKind): string {
  return kind === "msgappv2" ? "stream MsgApp v2" : "stream Message";
}

/** Where the stream is asked for. */
export function streamPath(kind: StreamKind): string {
  return kind === "msgappv2" ? "/raft/stream/msgapp" : "/raft/stream/message";
}

export type StreamWriterOptions = {
  readonly kind: StreamKind;
  readonly local: MemberId;
  readonly remote: MemberId;
  readonly status: PeerStatus;
  readonly cells: PeerCells;
  readonly logger: Logger;
  readonly timings: PeerTimings;
  /** A connection was lost, and with it perhaps messages. */
  readonly onLost: () => void;
};

/** What belongs to one connection, and ends with it. */
type Attached = {
  readonly socket: Socket;
  readonly encoder: StreamEncoder;
  readonly blocks: ChunkBlocks;
  readonly heartbeat: NodeJS.Timeout;
  /** Messages and bytes encoded and not yet flushed. */
  messages: number;
  bytes: number;
  /** Messages and bytes of each flush that the socket has not taken yet, oldest first. */
  readonly flushes: { readonly messages: number; readonly bytes: number }[];
  waitingMessages: number;
  waitingBytes: number;
};

export class StreamWriter {
  readonly #options: StreamWriterOptions;
  readonly #name: string;
  #attached: Attached | undefined = undefined;

  constructor(options: StreamWriterOptions) {
    this.#options = options;
    this.#name = streamName(options.kind);
  }

  get working(): boolean {
    return this.#attached !== undefined;
  }

  /** The head of the response has been written to the socket; from here on it is ours. Takes the place of an older connection. */
  attach(socket: Socket): void {
    const { kind, logger, status, timings, local, remote } = this.#options;
    if (this.#detach()) logger.warn("closed TCP streaming connection with remote peer", this.#fields());
    logger.info("set message encoder", {
      from: hexId(local),
      to: hexId(remote),
      "stream-type": this.#name,
    });
    const attached: Attached = {
      socket,
      encoder: kind === "msgappv2" ? new MsgAppEncoder() : new MessageEncoder(),
      blocks: new ChunkBlocks(),
      heartbeat: setInterval(() => this.#beat(), timings.heartbeatIntervalMillis).unref(),
      messages: 0,
      bytes: 0,
      flushes: [],
      waitingMessages: 0,
      waitingBytes: 0,
    };
    this.#attached = attached;
    socket.setNoDelay(true);
    // Heartbeats are written all the time: only a socket that takes nothing is idle for so long.
    socket.setTimeout(timings.writeTimeoutMillis, () => this.#lost(attached, "write", "i/o timeout"));
    socket.on("error", (error) => this.#lost(attached, "write", error.message));
    socket.on("close", () => this.#lost(attached, "write", "connection closed"));
    status.activate();
    logger.info("established TCP streaming connection with remote peer", this.#fields());
  }

  /** False: there is no connection, or no room; nothing was taken. */
  enqueue(message: Message): boolean {
    const attached = this.#attached;
    if (attached === undefined) return false;
    if (attached.messages + attached.waitingMessages >= STREAM_QUEUE_MESSAGES_MAX) return false;
    if (attached.bytes + attached.waitingBytes >= STREAM_QUEUE_BYTES_MAX) return false;
    this.#encode(attached, message);
    return true;
  }

  /** Gives everything enqueued to the socket, in one write. */
  flush(): void {
    const attached = this.#attached;
    if (attached === undefined || attached.messages === 0) return;
    const { socket, messages, bytes } = attached;
    attached.flushes.push({ messages, bytes });
    attached.waitingMessages += messages;
    attached.waitingBytes += bytes;
    attached.messages = 0;
    attached.bytes = 0;
    const chunks = attached.blocks.take();
    const last = chunks.length - 1;
    if (last > 0) socket.cork();
    for (let i = 0; i < last; i++) socket.write(chunks[i]!);
    socket.write(chunks[last]!, () => written(attached));
    if (last > 0) socket.uncork();
    this.#options.cells.sentBytes.add(bytes);
  }

  close(): void {
    if (this.#detach()) {
      this.#options.logger.warn("closed TCP streaming connection with remote peer", this.#fields());
    }
  }

  #encode(attached: Attached, message: Message): void {
    const { encoder, blocks } = attached;
    const size = encoder.size(message);
    blocks.reserve(size);
    blocks.at = encoder.write(message, blocks.bytes, blocks.at);
    attached.messages++;
    attached.bytes += size;
  }

  #beat(): void {
    const attached = this.#attached;
    // A socket that does not take what it has needs no heartbeat behind it.
    if (attached === undefined || attached.waitingMessages > 0) return;
    this.#encode(attached, LINK_HEARTBEAT);
    this.flush();
  }

  #lost(attached: Attached, action: string, reason: string): void {
    if (this.#attached !== attached) return;
    const { status, logger, cells, onLost } = this.#options;
    status.deactivate(this.#name, action, reason);
    this.#detach();
    logger.warn("lost TCP streaming connection with remote peer", this.#fields());
    cells.sentFailures.add(1);
    onLost();
  }

  #detach(): boolean {
    const attached = this.#attached;
    if (attached === undefined) return false;
    this.#attached = undefined;
    clearInterval(attached.heartbeat);
    const { socket, waitingMessages } = attached;
    if (waitingMessages > 0 || !socket.writable) {
      socket.destroy();
    } else {
      // The reader learns that the response is whole: for it that is no failure of the network.
      socket.end(LAST_CHUNK);
      socket.destroySoon();
    }
    return true;
  }

  #fields(): Record<string, unknown> {
    return {
      "stream-writer-type": this.#name,
      "local-member-id": hexId(this.#options.local),
      "remote-peer-id": hexId(this.#options.remote),
    };
  }
}

function written(attached: Attached): void {
  const flush = attached.flushes.shift()!;
  attached.waitingMessages -= flush.messages;
  attached.waitingBytes -= flush.bytes;
}
