// One other member: two streams to it, two from it, a pipeline, a sender of snapshots and two probers (peer.go). Decides which of them a
// message takes. A `Remote` is who has called us without being a member here yet: it is answered through a pipeline alone.
import type { MemberId, Millis } from "../base/brand.ts";
import { hexId } from "../cluster/ids.ts";
import type { SnapshotBody, TransportReceiver } from "../member/network/transport.ts";
import type { Clock } from "../ports/clock.ts";
import type { Logger } from "../ports/logger.ts";
import { type Message, MessageType } from "../raft/message.ts";
import type { Introduction } from "./compatibility.ts";
import type { Dialer } from "./dialer.ts";
import type { PeerTimings } from "./limits.ts";
import type { PeerCells, PeerMetrics } from "./peer-metrics.ts";
import { PeerStatus } from "./peer-status.ts";
import { Pipeline } from "./pipeline.ts";
import { Prober } from "./prober.ts";
import { SnapshotSender } from "./snapshot-sender.ts";
import { StreamReader } from "./stream-reader.ts";
import { type StreamKind, StreamWriter } from "./stream-writer.ts";
import { UrlPicker } from "./url-picker.ts";

/** What all peers of a member share. */
export type PeerContext = {
  readonly introduction: Introduction;
  readonly receiver: TransportReceiver;
  readonly dialer: Dialer;
  readonly metrics: PeerMetrics;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly timings: PeerTimings;
  readonly onRemoved: () => void;
};

export class Peer {
  readonly id: MemberId;
  readonly #context: PeerContext;
  readonly #cells: PeerCells;
  readonly #status: PeerStatus;
  readonly #picker: UrlPicker;
  readonly #msgAppWriter: StreamWriter;
  readonly #messageWriter: StreamWriter;
  readonly #readers: readonly StreamReader[];
  readonly #pipeline: Pipeline;
  readonly #snapshots: SnapshotSender;
  #probers: readonly Prober[];
  #reporting = false;
  #stopped = false;

  constructor(id: MemberId, urls: readonly string[], context: PeerContext) {
    this.id = id;
    this.#context = context;
    const { introduction, receiver, dialer, metrics, clock, logger, timings, onRemoved } = context;
    logger.info("starting remote peer", { "remote-peer-id": hexId(id) });
    const cells = metrics.peer(id);
    const status = new PeerStatus(id, clock, logger, cells);
    const picker = new UrlPicker(urls);
    this.#cells = cells;
    this.#status = status;
    this.#picker = picker;
    const onUnreachable = (): void => this.#unreachable();
    const common = { remote: id, introduction, dialer, picker, status, cells, metrics, logger, timings };
    const calling = { ...common, onUnreachable, onRemoved };
    this.#pipeline = new Pipeline(calling);
    this.#pipeline.start();
    const writer = (kind: StreamKind): StreamWriter =>
      new StreamWriter({ ...common, kind, local: introduction.localId, onLost: onUnreachable });
    this.#msgAppWriter = writer("msgappv2");
    this.#messageWriter = writer("message");
    this.#snapshots = new SnapshotSender({
      ...calling,
      snapshots: metrics.snapshotsTo(id),
      onReport: (failed) => queueMicrotask(() => receiver.reportSnapshot(id, failed)),
    });
    const deliver = (message: Message): void => this.#deliver(message);
    const reader = (kind: StreamKind): StreamReader =>
      new StreamReader({ ...common, kind, deliver, onRemoved });
    this.#readers = [reader("msgappv2"), reader("message")];
    for (const each of this.#readers) each.start();
    this.#probers = this.#probe(urls);
    logger.info("started remote peer", { "remote-peer-id": hexId(id) });
  }

  get activeSince(): Millis | undefined {
    return this.#status.activeSince;
  }

  /** Takes the message, or drops it and says so. `flush` sends what went to the streams. */
  send(message: Message): void {
    const { name, taken } = this.#give(message);
    if (taken) return;
    this.#unreachable();
    this.#context.logger.warn("dropped internal Raft message since sending buffer is full", {
      "message-type": messageTypeName(message.type),
      "local-member-id": hexId(this.#context.introduction.localId),
      from: hexId(message.from),
      "remote-peer-id": hexId(this.id),
      "remote-peer-name": name,
      "remote-peer-active": this.#status.activeSince !== undefined,
    });
    this.#cells.sentFailures.add(1);
  }

  flush(): void {
    this.#msgAppWriter.flush();
    this.#messageWriter.flush();
  }

  sendSnapshot(message: Message, body: SnapshotBody): void {
    this.#snapshots.send(message, body);
  }

  update(urls: readonly string[]): void {
    this.#picker.update(urls);
    for (const prober of this.#probers) prober.stop();
    this.#probers = this.#probe(urls);
  }

  attach(kind: StreamKind): StreamWriter {
    return kind === "msgappv2" ? this.#msgAppWriter : this.#messageWriter;
  }

  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    const { logger } = this.#context;
    logger.info("stopping remote peer", { "remote-peer-id": hexId(this.id) });
    this.#msgAppWriter.close();
    this.#messageWriter.close();
    this.#pipeline.stop();
    this.#snapshots.stop();
    for (const reader of this.#readers) reader.stop();
    for (const prober of this.#probers) prober.stop();
    this.#status.end();
    logger.info("stopped remote peer", { "remote-peer-id": hexId(this.id) });
  }

  /** Which way: appends by their own stream, the rest by the other, everything by the pipeline while there is none. */
  #give(message: Message): { readonly name: string; readonly taken: boolean } {
    if (message.type === MessageType.MsgApp && this.#msgAppWriter.working) {
      return { name: "streamMsgAppV2", taken: this.#msgAppWriter.enqueue(message) };
    }
    if (this.#messageWriter.working) {
      return { name: "streamMsg", taken: this.#messageWriter.enqueue(message) };
    }
    return { name: "pipeline", taken: this.#pipeline.enqueue(message) };
  }

  #deliver(message: Message): void {
    const { receiver, introduction, logger } = this.#context;
    const refused = receiveChecked(receiver, introduction, logger, message);
    if (refused === undefined) return;
    logger.warn("failed to process Raft message", { error: refused });
    this.#cells.receivedFailures.add(1);
  }

  /** Said after the call in which it was found, for that may be raft's own; and once for all that was dropped in it. */
  #unreachable(): void {
    if (this.#reporting) return;
    this.#reporting = true;
    queueMicrotask(() => {
      this.#reporting = false;
      if (!this.#stopped) this.#context.receiver.reportUnreachable(this.id);
    });
  }

  #probe(urls: readonly string[]): readonly Prober[] {
    const { dialer, logger, timings } = this.#context;
    const { roundTripSeconds } = this.#cells;
    const options = { remote: this.id, urls, dialer, logger, timings, roundTripSeconds };
    return [
      new Prober({ ...options, name: "ROUND_TRIPPER_SNAPSHOT" }),
      new Prober({ ...options, name: "ROUND_TRIPPER_RAFT_MESSAGE" }),
    ];
  }
}

export const REMOVED_SENDER = "cannot process message from removed member";
export const MISMATCHED_MEMBER = "cannot process message to mismatch member";

/** EtcdServer.Process: the message into raft, or why it is refused. */
export function receiveChecked(
  receiver: TransportReceiver,
  introduction: Introduction,
  logger: Logger,
  message: Message,
): string | undefined {
  const local = hexId(introduction.localId);
  if (message.to !== introduction.localId && !receiver.isRemoved(message.from)) {
    logger.warn("rejected Raft message to mismatch member", {
      "local-member-id": local,
      "mismatch-member-id": hexId(message.to),
    });
    return MISMATCHED_MEMBER;
  }
  if (!receiver.isRemoved(message.from) && receiver.receive(message) === undefined) return undefined;
  logger.warn("rejected Raft message from removed member", {
    "local-member-id": local,
    "removed-member-id": hexId(message.from),
  });
  return REMOVED_SENDER;
}

const TYPE_NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(MessageType).map(([name, type]) => [type, name]),
);

export function messageTypeName(type: MessageType): string {
  return TYPE_NAMES.get(type) ?? String(type);
}

export class Remote {
  readonly id: MemberId;
  readonly #context: PeerContext;
  readonly #cells: PeerCells;
  readonly #status: PeerStatus;
  readonly #pipeline: Pipeline;

  constructor(id: MemberId, urls: readonly string[], context: PeerContext) {
    this.id = id;
    this.#context = context;
    const { introduction, dialer, metrics, clock, logger, timings, receiver, onRemoved } = context;
    this.#cells = metrics.peer(id);
    this.#status = new PeerStatus(id, clock, logger, this.#cells);
    this.#pipeline = new Pipeline({
      remote: id,
      introduction,
      dialer,
      picker: new UrlPicker(urls),
      status: this.#status,
      cells: this.#cells,
      logger,
      timings,
      onUnreachable: () => receiver.reportUnreachable(id),
      onRemoved,
    });
    this.#pipeline.start();
  }

  send(message: Message): void {
    if (this.#pipeline.enqueue(message)) return;
    const active = this.#status.activeSince !== undefined;
    const kind = active ? "internal Raft message" : "Raft message";
    this.#context.logger.warn(`dropped ${kind} since sending buffer is full (overloaded network)`, {
      "message-type": messageTypeName(message.type),
      "local-member-id": hexId(this.#context.introduction.localId),
      from: hexId(message.from),
      "remote-peer-id": hexId(this.id),
      "remote-peer-active": active,
    });
    this.#cells.sentFailures.add(1);
  }

  stop(): void {
    this.#pipeline.stop();
    this.#status.end();
  }
}
