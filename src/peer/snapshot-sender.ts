// Snapshots to one member: POST /raft/snapshot with the MsgSnap in front and the state behind it, read from the body only as fast as
// the member takes it. Ends in exactly one reportSnapshot, and closes the body whatever happens (snapshot_sender.go).
import type { MemberId } from "../base/brand.ts";
import { humanBytes } from "../base/human-bytes.ts";
import { hexId } from "../cluster/ids.ts";
import type { SnapshotBody } from "../member/network/transport.ts";
import type { Logger } from "../ports/logger.ts";
import type { Message } from "../raft/message.ts";
import { type Introduction, introductionHeaders, MEMBER_REMOVED, postFailure } from "./compatibility.ts";
import { type Call, type Dialer, readBody } from "./dialer.ts";
import { type PeerTimings, SMALL_BODY_BYTES_MAX, SNAPSHOTS_PER_PEER_MAX } from "./limits.ts";
import { MessageEncoder } from "./message-codec.ts";
import type { PeerCells, SnapshotCells } from "./peer-metrics.ts";
import type { PeerStatus } from "./peer-status.ts";
import type { UrlPicker } from "./url-picker.ts";

export type SnapshotSenderOptions = {
  readonly remote: MemberId;
  readonly introduction: Introduction;
  readonly dialer: Dialer;
  readonly picker: UrlPicker;
  readonly status: PeerStatus;
  readonly cells: PeerCells;
  readonly snapshots: SnapshotCells;
  readonly logger: Logger;
  readonly timings: PeerTimings;
  readonly onUnreachable: () => void;
  readonly onReport: (failed: boolean) => void;
  readonly onRemoved: () => void;
};

const PATH = "/raft/snapshot";

export class SnapshotSender {
  readonly #options: SnapshotSenderOptions;
  readonly #underWay = new Set<Call>();
  #inflight = 0;
  #stopped = false;

  constructor(options: SnapshotSenderOptions) {
    this.#options = options;
  }

  stop(): void {
    this.#stopped = true;
    for (const call of this.#underWay) call.destroy();
  }

  send(message: Message, body: SnapshotBody): void {
    if (this.#stopped) {
      body.close();
      return;
    }
    if (this.#inflight >= SNAPSHOTS_PER_PEER_MAX) {
      body.close();
      this.#options.cells.sentFailures.add(1);
      this.#options.onReport(true);
      return;
    }
    const { logger, snapshots, picker } = this.#options;
    const head = encodeHead(message);
    const fields = {
      "snapshot-index": message.snapshot?.metadata.index ?? 0,
      "remote-peer-id": hexId(message.to),
    };
    const announced = body.bytesTotal === undefined ? {} : sizeFields(head.length + body.bytesTotal);
    const sent = { bytes: 0 };
    const started = performance.now();
    const url = picker.pick();
    logger.info("sending database snapshot", { ...fields, ...announced });
    snapshots.inflight.set(++this.#inflight);
    void this.#post(url, head, body, sent).then((failure) => {
      snapshots.inflight.set(--this.#inflight);
      body.close();
      if (this.#stopped) return;
      if (failure === undefined) this.#succeeded({ ...fields, ...sizeFields(sent.bytes) }, started);
      else this.#failed(url, failure, { ...fields, ...announced });
    });
  }

  #succeeded(fields: { readonly bytes: number }, started: number): void {
    const { status, logger, snapshots, cells, onReport } = this.#options;
    status.activate();
    onReport(false);
    logger.info("sent database snapshot", fields);
    cells.sentBytes.add(fields.bytes);
    snapshots.succeeded.add(1);
    snapshots.seconds.observe((performance.now() - started) / 1000);
  }

  #failed(url: string, failure: string, fields: Record<string, unknown>): void {
    const { picker, status, logger, snapshots, cells, onReport, onUnreachable, onRemoved } = this.#options;
    logger.warn("failed to send database snapshot", { ...fields, error: failure });
    picker.unreachable(url);
    status.deactivate("sendMsgSnap", "post", failure);
    onUnreachable();
    // Raft waits a while and then begins again, with a newer snapshot.
    onReport(true);
    cells.sentFailures.add(1);
    snapshots.failed.add(1);
    if (failure === MEMBER_REMOVED) onRemoved();
  }

  /** Undefined, or why it failed. Never rejects. Counts in `sent` what left. */
  #post(
    url: string,
    head: Uint8Array,
    body: SnapshotBody,
    sent: { bytes: number },
  ): Promise<string | undefined> {
    const { dialer, introduction, remote, logger, timings } = this.#options;
    return new Promise((resolve) => {
      let answered = false;
      const call = dialer.call(
        {
          method: "POST",
          url,
          path: PATH,
          headers: { ...introductionHeaders(introduction), "Content-Type": "application/octet-stream" },
          stream: false,
        },
        (response) => {
          answered = true;
          const timer = setTimeout(() => response.destroy(), timings.snapshotAnswerTimeoutMillis).unref();
          const to = { url: url + PATH, to: remote, local: introduction, logger };
          const { statusCode = 0, statusMessage = "", headers } = response;
          readBody(response, SMALL_BODY_BYTES_MAX)
            .then(
              (text) => resolve(postFailure(statusCode, statusMessage, headers, text, to)),
              (error: Error) => resolve(error.message),
            )
            .finally(() => {
              clearTimeout(timer);
              // Refused before it was whole: the rest is not sent.
              if (!call.writableEnded) call.destroy();
            });
        },
        (error) => resolve(error.message),
      );
      this.#underWay.add(call);
      call.once("close", () => {
        this.#underWay.delete(call);
        if (!answered) resolve("stopped");
      });
      writeBody(call, head, body, sent, timings.snapshotStallMillis).catch((error: unknown) => {
        call.destroy(error instanceof Error ? error : new Error(String(error)));
      });
    });
  }
}

function sizeFields(bytes: number): { readonly bytes: number; readonly size: string } {
  return { bytes, size: humanBytes(bytes) };
}

function encodeHead(message: Message): Uint8Array {
  const encoder = new MessageEncoder();
  const head = new Uint8Array(encoder.size(message));
  encoder.write(message, head, 0);
  return head;
}

/** Asks the body for a chunk only when the socket has taken the one before the last: chunks are valid no longer. */
async function writeBody(
  call: Call,
  head: Uint8Array,
  body: SnapshotBody,
  sent: { bytes: number },
  stallMillis: number,
): Promise<void> {
  let before = written(call, head, stallMillis);
  sent.bytes = head.length;
  for await (const chunk of body.chunks()) {
    if (call.destroyed || call.writableEnded) return;
    if (chunk.length === 0) continue;
    const now = written(call, chunk, stallMillis);
    await before;
    before = now;
    sent.bytes += chunk.length;
  }
  await before;
  const size = sent.bytes - head.length;
  if (body.bytesTotal !== undefined && size !== body.bytesTotal)
    throw new Error(`snapshot has ${size} bytes instead of ${body.bytesTotal}`);
  call.end();
}

/** May be waited for later: a failure that nobody waits for yet is no uncaught one. */
function written(call: Call, chunk: Uint8Array, stallMillis: number): Promise<void> {
  const taken = new Promise<void>((resolve, reject) => {
    const stalled = setTimeout(() => reject(new Error("i/o timeout")), stallMillis).unref();
    const gone = (): void => {
      clearTimeout(stalled);
      reject(new Error("connection closed"));
    };
    call.once("close", gone);
    call.write(chunk, (error) => {
      call.off("close", gone);
      clearTimeout(stalled);
      if (error === null || error === undefined) resolve();
      else reject(error);
    });
  });
  taken.catch(() => undefined);
  return taken;
}
