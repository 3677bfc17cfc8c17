// A ServerCall without a network: it records what a method answers. Simulated clients and the services' tests talk to a member by it.
// Its reader is fast at first (all is read at once); one that stops reading makes the call's buffers grow, as a slow peer does.
import { concatBytes } from "../base/bytes.ts";
import { type EtcdError, errors, isEtcdError } from "../base/errors.ts";
import type { MessageSource, ServerCall } from "../service/call.ts";

/** Below so many unread bytes onDrain is called, as the contract of ServerCall says. */
const LOW_WATER_BYTES = 64 << 10;
/** What a source is asked for at a time. */
const PIECE_BYTES = 64 << 10;

export type RecordedCallOptions = {
  readonly metadata?: Readonly<Record<string, string>>;
  readonly deadline?: number;
  /** How many bytes each unread byte counts as: makes a small history fill big buffers. */
  readonly weight?: number;
  /** False: the peer has not begun to read. */
  readonly reading?: boolean;
};

export class RecordedCall implements ServerCall {
  /** Whole messages, as far as the reader has read. */
  readonly messages: Uint8Array[] = [];
  error: EtcdError | undefined;
  readonly ended: Promise<void>;
  readonly remoteAddress = "127.0.0.1:1";
  readonly commonName = undefined;
  readonly deadline: number;
  done = false;
  /** False plays a peer that does not read; read() takes what waits. */
  reading = true;
  onDrain: (() => void) | undefined;
  onCancel: ((reason: EtcdError) => void) | undefined;
  /** Told of each message as it is read. */
  onMessage: ((message: Uint8Array) => void) | undefined;
  /** Told once, when the call is over and everything is read. */
  onEnd: (() => void) | undefined;
  /** Pieces of sources that were asked for so far. */
  pieces = 0;
  readonly #metadata: Readonly<Record<string, string>>;
  readonly #weight: number;
  readonly #unread: (Uint8Array | MessageSource)[] = [];
  #unreadBytes = 0;
  #source: { readonly from: MessageSource; readonly parts: Uint8Array[]; bytes: number } | undefined;
  #closing = false;
  #resolve: () => void = () => {};

  constructor(options: RecordedCallOptions = {}) {
    this.#metadata = options.metadata ?? {};
    this.deadline = options.deadline ?? Number.POSITIVE_INFINITY;
    this.#weight = options.weight ?? 1;
    this.reading = options.reading ?? true;
    this.ended = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  get bufferedBytes(): number {
    return this.#unreadBytes * this.#weight;
  }

  get unsentBytes(): number {
    return this.bufferedBytes;
  }

  /** Messages and sources that wait for the reader. */
  get unread(): number {
    return this.#unread.length + (this.#source === undefined ? 0 : 1);
  }

  metadata(name: string): string | undefined {
    return this.#metadata[name];
  }

  send(message: Uint8Array): void {
    this.#put(message);
  }

  sendCopy(message: Uint8Array): void {
    this.#put(new Uint8Array(message));
  }

  sendShared(head: Uint8Array, tail: Uint8Array): void {
    this.#put(concatBytes([head, tail]));
  }

  sendFrom(source: MessageSource): void {
    if (this.done) source.release();
    else this.#put(source);
  }

  end(): void {
    if (this.done) return;
    this.#closing = true;
    if (this.reading) this.#readUpTo(Number.POSITIVE_INFINITY);
  }

  fail(error: EtcdError): void {
    if (this.done || this.#closing) return;
    this.error = error;
    this.end();
  }

  /** The caller goes away. */
  cancel(reason: EtcdError = errors.canceled): void {
    if (this.done) return;
    this.#releaseSources();
    this.#finish();
    this.onCancel?.(reason);
  }

  /** The reader takes up to `max` messages, or pieces of a long one. */
  read(max: number = Number.POSITIVE_INFINITY): void {
    const before = this.bufferedBytes;
    this.#readUpTo(max);
    if (!this.done && before >= LOW_WATER_BYTES && this.bufferedBytes < LOW_WATER_BYTES) this.onDrain?.();
  }

  #readUpTo(max: number): void {
    for (let taken = 0; taken < max && !this.done && this.unread > 0; taken++) if (!this.#readOne()) break;
    if (!this.done && this.#closing && this.unread === 0) this.#finish();
  }

  #put(next: Uint8Array | MessageSource): void {
    if (this.done || this.#closing) return;
    this.#unread.push(next);
    if (next instanceof Uint8Array) this.#unreadBytes += next.length;
    // Never calls onDrain: whoever sends is not called back by it.
    if (this.reading) this.#readUpTo(Number.POSITIVE_INFINITY);
  }

  /** False while a source has nothing ready. */
  #readOne(): boolean {
    if (this.#source !== undefined) return this.#readPiece();
    const next = this.#unread.shift()!;
    if (next instanceof Uint8Array) {
      this.#unreadBytes -= next.length;
      this.#take(next);
      return true;
    }
    this.#source = { from: next, parts: [], bytes: 0 };
    return this.#readPiece();
  }

  #readPiece(): boolean {
    const source = this.#source!;
    const piece = source.from.next(PIECE_BYTES, () => {
      if (this.reading) this.read();
    });
    if (piece === undefined) return false;
    if (isEtcdError(piece)) {
      this.error = piece;
      this.#releaseSources();
      this.#finish();
      return false;
    }
    this.pieces++;
    source.bytes += piece.length;
    source.parts.push(piece);
    if (source.bytes < source.from.totalBytes) return true;
    this.#source = undefined;
    source.from.release();
    this.#take(concatBytes(source.parts));
    return true;
  }

  #take(message: Uint8Array): void {
    this.messages.push(message);
    this.onMessage?.(message);
  }

  #releaseSources(): void {
    this.#source?.from.release();
    this.#source = undefined;
    for (const waiting of this.#unread) if (!(waiting instanceof Uint8Array)) waiting.release();
    this.#unread.length = 0;
    this.#unreadBytes = 0;
  }

  #finish(): void {
    this.done = true;
    this.onEnd?.();
    this.#resolve();
  }
}
