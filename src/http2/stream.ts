// One HTTP/2 stream: its windows, its two halves, and what waits to be sent on it. Connection and sender own its state; the
// layer above (a gRPC call, or a plain HTTP request) stands behind it as StreamOwner. Plain fields, always all of them.
import type { MessageSource } from "../service/call.ts";

/** Who answers a stream. Called by connection and sender, never after `reset`. */
export interface StreamOwner {
  /** buffer[start, end) came in, a view valid during the call; `last`: the client half-closed with it. May be empty. */
  data(buffer: Buffer, start: number, end: number, last: boolean): void;
  /** The stream is gone before we ended it: by the peer, by us for an error of the peer's, or with the connection. */
  reset(): void;
  /** The stream's queue fell below DRAIN_BYTES. */
  drained(): void;
  /** Everything queued is out and `endWhenSent` was asked for: write the trailers now. */
  writeEnd(): void;
}

/** A message whose bytes are asked for as they go. */
export class QueuedSource {
  readonly source: MessageSource;
  /** Not yet asked for. */
  remaining: number;
  /** Asked for and not yet out, from `pieceAt` on, and how many bytes they are (those of a piece half out included). */
  readonly pieces: Uint8Array[] = [];
  pieceAt = 0;
  readyBytes = 0;
  readonly wake: () => void;
  constructor(source: MessageSource, wake: () => void) {
    this.source = source;
    this.remaining = source.totalBytes;
    this.wake = wake;
  }

  give(piece: Uint8Array): void {
    this.pieces.push(piece);
    this.readyBytes += piece.length;
    this.remaining -= piece.length;
  }

  /** The first piece is out. */
  shift(): void {
    this.readyBytes -= this.pieces[this.pieceAt]!.length;
    this.pieceAt++;
    if (this.pieceAt < this.pieces.length) return;
    this.pieces.length = 0;
    this.pieceAt = 0;
  }
}

export type QueueItem = Uint8Array | QueuedSource;

export class Stream {
  readonly id: number;
  owner: StreamOwner | undefined = undefined;
  /** What the peer lets us send; negative after it lowered its initial window. */
  sendWindow: number;
  /** What the peer may still send. */
  receiveWindow: number;
  /** Received and not given back. */
  receivedUncredited = 0;
  remoteClosed = false;
  localClosed = false;
  headersSent = false;
  /** Announced by the client, or -1. */
  contentLength = -1;
  contentReceived = 0;

  /** Waiting items, from `itemAt` on; undefined when none. */
  items: QueueItem[] | undefined = undefined;
  itemAt = 0;
  /** Bytes of the first item (or of its piece) that are out. */
  itemOffset = 0;
  /** Bytes waiting, with those that sources have promised. */
  queuedBytes = 0;
  endWhenSent = false;
  /** Its owner has ended it; the trailers are written with the next flush. */
  ending = false;
  /** In the sender's round. */
  inRound = false;
  nextInRound: Stream | undefined = undefined;

  constructor(id: number, sendWindow: number, receiveWindow: number) {
    this.id = id;
    this.sendWindow = sendWindow;
    this.receiveWindow = receiveWindow;
  }
}
