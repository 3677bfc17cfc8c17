// The sending half of a connection: flow control, the round-robin over streams with something queued, and the one write per
// turn. What fits goes straight into the output; what does not waits on its stream and is taken frame by frame as windows and
// socket allow, one frame per stream and round. Used by connection and by stream owners; never calls the socket but in flush.
import type { Socket } from "node:net";
import { assert } from "../base/assert.ts";
import type { MessageSource } from "../service/call.ts";
import { DRAIN_BYTES, OUTPUT_BYTES_HIGH, OUTPUT_BYTES_LOW, OUTPUT_BYTES_MAX } from "./limits.ts";
import { Output, type SlabPool } from "./output.ts";
import {
  type ErrorCode,
  Flag,
  FRAME_BYTES,
  FrameType,
  INITIAL_WINDOW_BYTES,
  WINDOW_BYTES_MAX,
} from "./protocol.ts";
import { QueuedSource, type QueueItem, type Stream } from "./stream.ts";

/** What the sender asks of its connection. */
export interface SenderHost {
  /** Something is to be flushed at the end of this turn. */
  wantsFlush(): void;
  /** A source failed in the midst of a message: the stream can only be reset. */
  sourceFailed(stream: Stream): void;
  countSent(bytes: number): void;
}

/** Asked of a source at once: several frames, so that preparing a piece pays. */
const PIECE_BYTES = 4 * FRAME_BYTES;

export class Sender {
  readonly output: Output;
  readonly #socket: Socket;
  readonly #host: SenderHost;
  /** The connection's window. */
  #window = INITIAL_WINDOW_BYTES;
  /** What new streams get. */
  initialWindow: number = INITIAL_WINDOW_BYTES;
  /** Bytes of messages held in queues (sources count only what they have handed over). */
  queuedBytes = 0;
  /** HEADERS or DATA went out since this was last set false: pings are then excused. */
  answered = false;
  #inSocket = 0;
  #roundFirst: Stream | undefined = undefined;
  #roundLast: Stream | undefined = undefined;
  #drained: Stream[] = [];
  /** Streams whose owners have ended them since the last flush. */
  #ending: Stream[] = [];
  /** Something besides acknowledgements of pings is to be flushed. */
  urgent = false;
  #paused = false;
  #dead = false;
  readonly #written: () => void;

  constructor(socket: Socket, host: SenderHost, pool: SlabPool) {
    this.#socket = socket;
    this.#host = host;
    this.output = new Output(pool);
    this.#written = () => this.#onWritten();
  }

  #touch(): void {
    if (this.urgent) return;
    this.urgent = true;
    this.#host.wantsFlush();
  }

  /** Bytes that wait for the socket to take them. */
  get backlog(): number {
    return this.#inSocket + this.output.length;
  }

  // ── frames without flow control ──

  control(length: number, type: number, flags: number, streamId: number): Output {
    this.#touch();
    this.output.frame(length, type, flags, streamId);
    return this.output;
  }

  resetStream(streamId: number, code: ErrorCode): void {
    this.control(4, FrameType.RstStream, 0, streamId).u32(code);
  }

  windowUpdate(streamId: number, bytes: number): void {
    this.control(4, FrameType.WindowUpdate, 0, streamId).u32(bytes);
  }

  /** Acknowledges a ping. Not urgent: where an answer is on its way the two may go in one write. */
  pong(bytes: Buffer, start: number, end: number): void {
    this.#host.wantsFlush();
    this.output.frame(end - start, FrameType.Ping, Flag.Ack, 0);
    this.output.copy(bytes, start, end);
  }

  /** A whole header block, at most one frame long. */
  headers(streamId: number, block: Uint8Array, endStream: boolean): void {
    assert(block.length <= FRAME_BYTES, "a header block of ours fits one frame");
    this.answered = true;
    this.control(
      block.length,
      FrameType.Headers,
      Flag.EndHeaders | (endStream ? Flag.EndStream : 0),
      streamId,
    ).copy(block, 0, block.length);
  }

  // ── DATA ──

  /**
   * Opens one DATA frame of `length` bytes when it can go at once; the caller then puts exactly that many bytes into `output`.
   * False: nothing happened, use enqueue.
   */
  openData(stream: Stream, length: number): boolean {
    if (stream.items !== undefined || length > FRAME_BYTES) return false;
    if (length > stream.sendWindow || length > this.#window || this.backlog >= OUTPUT_BYTES_HIGH)
      return false;
    stream.sendWindow -= length;
    this.#window -= length;
    this.answered = true;
    this.#touch();
    this.output.frame(length, FrameType.Data, 0, stream.id);
    return true;
  }

  /** Queues bytes that belong to us from now on. */
  enqueue(stream: Stream, bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.queuedBytes += bytes.length;
    this.#push(stream, bytes, bytes.length);
  }

  enqueueSource(stream: Stream, source: MessageSource): void {
    assert(source.totalBytes > 0, "an empty message needs no source");
    const queued = new QueuedSource(source, () => this.#enter(stream));
    this.#push(stream, queued, source.totalBytes);
  }

  /**
   * As endAfterQueue, with the next flush. A client that is content with one answer of a stream half-closes and resets it in one
   * write; then nothing is left to be said.
   */
  endWithFlush(stream: Stream): void {
    stream.ending = true;
    this.#ending.push(stream);
    this.#touch();
  }

  #endStreams(): void {
    const ending = this.#ending;
    for (let i = 0; i < ending.length; i++) this.endAfterQueue(ending[i]!);
    ending.length = 0;
  }

  /** Asks for writeEnd of the stream's owner after everything queued; at once when nothing is. */
  endAfterQueue(stream: Stream): void {
    if (stream.items === undefined) stream.owner?.writeEnd();
    else stream.endWhenSent = true;
  }

  #push(stream: Stream, item: QueueItem, bytes: number): void {
    if (stream.items === undefined) stream.items = [item];
    else stream.items.push(item);
    stream.queuedBytes += bytes;
    this.#enter(stream);
  }

  #enter(stream: Stream): void {
    if (stream.inRound || stream.items === undefined || this.#dead) return;
    stream.inRound = true;
    stream.nextInRound = undefined;
    if (this.#roundLast === undefined) this.#roundFirst = stream;
    else this.#roundLast.nextInRound = stream;
    this.#roundLast = stream;
    this.#touch();
  }

  #nextInRound(): Stream {
    const stream = this.#roundFirst!;
    this.#roundFirst = stream.nextInRound;
    if (this.#roundFirst === undefined) this.#roundLast = undefined;
    stream.nextInRound = undefined;
    stream.inRound = false;
    return stream;
  }

  #pump(): void {
    while (this.#roundFirst !== undefined && this.#window > 0 && this.backlog < OUTPUT_BYTES_HIGH) {
      const stream = this.#nextInRound();
      if (stream.items === undefined || stream.sendWindow <= 0) continue;
      if (!this.#sendFrame(stream)) continue;
      if (stream.items !== undefined) {
        if (stream.sendWindow > 0) this.#enter(stream);
      } else if (stream.endWhenSent) {
        stream.owner?.writeEnd();
      }
    }
    this.#callDrained();
  }

  #callDrained(): void {
    if (this.#drained.length === 0) return;
    const drained = this.#drained;
    this.#drained = [];
    for (const stream of drained) stream.owner?.drained();
  }

  /** One DATA frame of what is ready on the stream. False: nothing was (a source has to wake us). */
  #sendFrame(stream: Stream): boolean {
    const limit = Math.min(FRAME_BYTES, this.#window, stream.sendWindow);
    const size = this.#ready(stream, limit);
    if (size === 0) return false;
    stream.sendWindow -= size;
    this.#window -= size;
    this.answered = true;
    this.output.frame(size, FrameType.Data, 0, stream.id);
    const before = stream.queuedBytes;
    stream.queuedBytes -= size;
    this.queuedBytes -= size;
    this.#take(stream, size);
    if (before >= DRAIN_BYTES && stream.queuedBytes < DRAIN_BYTES) this.#drained.push(stream);
    return true;
  }

  /** How many bytes of the queue can go now, up to `limit`; asks the first source met for as many pieces as that takes. */
  #ready(stream: Stream, limit: number): number {
    const items = stream.items!;
    let size = -stream.itemOffset;
    for (let i = stream.itemAt; i < items.length && size < limit; i++) {
      const item = items[i]!;
      if (!(item instanceof QueuedSource)) {
        size += item.length;
        continue;
      }
      while (item.remaining > 0 && size + item.readyBytes < limit) {
        if (!this.#askSource(stream, item)) break;
      }
      if (stream.items === undefined) return 0;
      size += item.readyBytes;
      if (item.remaining > 0) break;
    }
    return Math.min(Math.max(size, 0), limit);
  }

  #askSource(stream: Stream, item: QueuedSource): boolean {
    const piece = item.source.next(Math.min(PIECE_BYTES, item.remaining), item.wake);
    if (piece === undefined) return false;
    if (!(piece instanceof Uint8Array)) {
      this.#host.sourceFailed(stream);
      return false;
    }
    assert(piece.length > 0, "a piece is not empty");
    assert(piece.length <= item.remaining, "a source keeps to its length");
    item.give(piece);
    this.queuedBytes += piece.length;
    return true;
  }

  /** Moves `size` ready bytes from the queue into the output. */
  #take(stream: Stream, size: number): void {
    const items = stream.items!;
    let left = size;
    while (left > 0) {
      const item = items[stream.itemAt]!;
      const bytes = item instanceof QueuedSource ? item.pieces[item.pieceAt]! : item;
      const from = stream.itemOffset;
      const to = Math.min(bytes.length, from + left);
      this.output.put(bytes, from, to);
      left -= to - from;
      stream.itemOffset = to;
      if (to < bytes.length) return;
      stream.itemOffset = 0;
      if (item instanceof QueuedSource) {
        item.shift();
        if (item.readyBytes > 0) continue;
        if (item.remaining > 0) return;
        item.source.release();
      }
      this.#itemDone(stream);
    }
  }

  #itemDone(stream: Stream): void {
    const items = stream.items!;
    stream.itemAt++;
    if (stream.itemAt === items.length) {
      stream.items = undefined;
      stream.itemAt = 0;
    } else if (stream.itemAt > 64 && stream.itemAt * 2 > items.length) {
      items.splice(0, stream.itemAt);
      stream.itemAt = 0;
    }
  }

  /** Forgets what is queued on a stream that is gone, and gives its sources back. */
  discard(stream: Stream): void {
    const items = stream.items;
    if (items === undefined) return;
    stream.items = undefined;
    for (let i = stream.itemAt; i < items.length; i++) {
      const item = items[i]!;
      const offset = i === stream.itemAt ? stream.itemOffset : 0;
      if (item instanceof QueuedSource) {
        this.queuedBytes -= item.readyBytes - offset;
        item.source.release();
      } else {
        this.queuedBytes -= item.length - offset;
      }
    }
    stream.itemAt = 0;
    stream.itemOffset = 0;
    stream.queuedBytes = 0;
  }

  // ── windows ──

  /** False: the window would pass its maximum. */
  credit(bytes: number): boolean {
    if (this.#window + bytes > WINDOW_BYTES_MAX) return false;
    this.#window += bytes;
    if (this.#roundFirst !== undefined) this.#touch();
    return true;
  }

  creditStream(stream: Stream, bytes: number): boolean {
    if (stream.sendWindow + bytes > WINDOW_BYTES_MAX) return false;
    stream.sendWindow += bytes;
    if (stream.sendWindow > 0) this.#enter(stream);
    return true;
  }

  // ── the socket ──

  /** Writes what this turn has collected. Called at the end of the turn, or earlier by the owner. */
  flush(): void {
    if (this.#dead) return;
    this.urgent = true; // what these put goes out below
    if (this.#ending.length > 0) this.#endStreams();
    if (this.#roundFirst !== undefined) this.#pump();
    this.urgent = false;
    const bytes = this.output.length;
    if (bytes === 0) return;
    this.#host.countSent(bytes);
    this.output.writeTo(this.#socket, this.#written);
    this.#inSocket = this.#socket.writableLength;
    if (this.#inSocket === 0) this.output.recycle();
    else if (this.#inSocket > OUTPUT_BYTES_MAX && !this.#paused) {
      this.#paused = true;
      this.#socket.pause();
    }
  }

  #onWritten(): void {
    if (this.#dead) return;
    this.#inSocket = this.#socket.writableLength;
    if (this.#inSocket === 0) this.output.recycle();
    if (this.#inSocket >= OUTPUT_BYTES_LOW) return;
    if (this.#paused) {
      this.#paused = false;
      this.#socket.resume();
    }
    if (this.#roundFirst !== undefined) this.#touch();
  }

  /** The connection is gone: nothing will be written any more. */
  stop(): void {
    this.#dead = true;
    this.#roundFirst = undefined;
    this.#roundLast = undefined;
    this.#ending = [];
    this.output.drop();
  }
}
