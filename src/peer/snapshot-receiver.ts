// POST /raft/snapshot: a MsgSnap and the database behind it, given to the member piece by piece as it arrives. Answers 204 when raft has
// been told. One at a time per sender; nothing is kept of one that does not arrive whole (rafthttp's snapshotHandler).

import type { IncomingMessage, ServerResponse } from "node:http";
import { errorText } from "../base/error-text.ts";
import { goDuration } from "../base/go-duration.ts";
import { humanBytes } from "../base/human-bytes.ts";
import { hexId } from "../cluster/ids.ts";
import { sendError } from "../node/http-reply.ts";
import { type Message, MessageType } from "../raft/message.ts";
import { StreamError } from "./frame-buffer.ts";
import { SNAPSHOT_MESSAGE_BYTES_MAX, SNAPSHOTS_RECEIVED_MAX } from "./limits.ts";
import { MessageDecoder } from "./message-codec.ts";
import { MISMATCHED_MEMBER, messageTypeName, REMOVED_SENDER } from "./peer.ts";
import type { PeerHost } from "./peer-host.ts";
import { admits, allows, learnRemote, remoteAddress, sendNoContent } from "./raft-handlers.ts";
import { BodyError, bodyChunks } from "./request-body.ts";

/** In front of the message. */
const LENGTH_BYTES = 8;
const UNKNOWN_SENDER = "UNKNOWN_SNAPSHOT_SENDER";

type Head = { readonly message: Message; readonly bytes: number; readonly rest: Uint8Array };

export class SnapshotReceiver {
  readonly #host: PeerHost;
  readonly #senders = new Set<string>();

  constructor(host: PeerHost) {
    this.#host = host;
  }

  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const host = this.#host;
    if (!allows("POST", request, response) || !admits(host, request, response)) {
      host.metrics.snapshotsFrom(UNKNOWN_SENDER).failed.add(1);
      return;
    }
    learnRemote(host, request);
    const chunks = bodyChunks(request, host.timings.readTimeoutMillis);
    const head = await this.#readHead(chunks, request, response);
    if (head === undefined) return;
    const { message } = head;
    const from = hexId(message.from);
    host.metrics.received(message.from, head.bytes);
    if (this.#refused(message, from, response)) {
      host.metrics.snapshotsFrom(from).failed.add(1);
      return;
    }
    const inflight = host.metrics.snapshotsFrom(from).inflight;
    this.#senders.add(from);
    inflight.set(1);
    try {
      await this.#receive(head, from, chunks, response);
    } finally {
      this.#senders.delete(from);
      inflight.set(0);
    }
  }

  async #readHead(
    chunks: AsyncGenerator<Uint8Array>,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<Head | undefined> {
    const { metrics, logger, introduction } = this.#host;
    const decoder = new MessageDecoder(SNAPSHOT_MESSAGE_BYTES_MAX);
    let problem = "";
    let bytes = 0;
    try {
      for (let next = await chunks.next(); next.done !== true; next = await chunks.next()) {
        const head = decoder.first(next.value);
        if (head !== undefined) return head;
        bytes += next.value.length;
      }
      // As Go names an end before the first byte of what is read: of the length, or of the message.
      problem = bytes === 0 || bytes === LENGTH_BYTES ? "EOF" : "unexpected EOF";
    } catch (error) {
      if (!(error instanceof BodyError) && !(error instanceof StreamError)) throw error;
      problem = error.message;
    }
    logger.warn("failed to decode Raft message", {
      "local-member-id": hexId(introduction.localId),
      "remote-snapshot-sender-id": "0",
      error: problem,
    });
    metrics.receivedFailures(remoteAddress(request)).add(1);
    metrics.snapshotsFrom("0").failed.add(1);
    sendError(response, 400, `failed to decode raft message (${problem})`);
    return undefined;
  }

  /** Everything that can be said before the body is read. */
  #refused(message: Message, from: string, response: ServerResponse): boolean {
    const { logger, introduction, receiver } = this.#host;
    const local = hexId(introduction.localId);
    if (message.type !== MessageType.MsgSnap || message.snapshot === undefined) {
      logger.warn("unexpected Raft message type", {
        "local-member-id": local,
        "remote-snapshot-sender-id": from,
        "message-type": messageTypeName(message.type),
      });
      sendError(response, 400, "wrong raft message type");
    } else if (receiver.isRemoved(message.from)) {
      const fields = { "local-member-id": local, "removed-member-id": from };
      logger.warn("rejected Raft message from removed member", fields);
      sendError(response, 500, `failed to process raft message (${REMOVED_SENDER})`);
    } else if (message.to !== introduction.localId) {
      const fields = { "local-member-id": local, "mismatch-member-id": hexId(message.to) };
      logger.warn("rejected Raft message to mismatch member", fields);
      sendError(response, 500, `failed to process raft message (${MISMATCHED_MEMBER})`);
    } else if (this.#senders.has(from) || this.#senders.size >= SNAPSHOTS_RECEIVED_MAX) {
      sendError(response, 500, "failed to save KV snapshot (another snapshot is being received)");
    } else {
      return false;
    }
    return true;
  }

  async #receive(
    head: Head,
    from: string,
    chunks: AsyncGenerator<Uint8Array>,
    response: ServerResponse,
  ): Promise<void> {
    const { logger, metrics, receiver, introduction } = this.#host;
    const cells = metrics.snapshotsFrom(from);
    const started = performance.now();
    const fields = {
      "local-member-id": hexId(introduction.localId),
      "remote-snapshot-sender-id": from,
      "incoming-snapshot-index": head.message.snapshot!.metadata.index,
    };
    logger.info("receiving database snapshot", {
      ...fields,
      "incoming-snapshot-message-size-bytes": head.bytes,
      "incoming-snapshot-message-size": humanBytes(head.bytes),
    });
    const counted = { bytes: 0 };
    try {
      await receiver.receiveSnapshot(head.message, counting(head.rest, chunks, counted));
    } catch (error) {
      const text = errorText(error);
      logger.warn("failed to save incoming database snapshot", { ...fields, error: text });
      sendError(response, 500, `failed to save KV snapshot (${text})`);
      cells.failed.add(1);
      return;
    }
    const millis = performance.now() - started;
    metrics.received(head.message.from, counted.bytes);
    logger.info("received and saved database snapshot", {
      ...fields,
      "incoming-snapshot-size-bytes": counted.bytes,
      "incoming-snapshot-size": humanBytes(counted.bytes),
      "download-took": goDuration(millis),
    });
    sendNoContent(response);
    cells.succeeded.add(1);
    cells.seconds.observe(millis / 1000);
  }
}

/** The database: what came with the message, and what follows. */
async function* counting(
  rest: Uint8Array,
  chunks: AsyncGenerator<Uint8Array>,
  counted: { bytes: number },
): AsyncGenerator<Uint8Array> {
  if (rest.length > 0) {
    counted.bytes += rest.length;
    yield rest;
  }
  // By hand: a consumer that stops early must not end the request before it is answered.
  for (let next = await chunks.next(); next.done !== true; next = await chunks.next()) {
    counted.bytes += next.value.length;
    yield next.value;
  }
}
