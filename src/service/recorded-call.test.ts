// A ServerCall that records what a method answers: the services' tests talk to them without a network.
import { concatBytes } from "../base/bytes.ts";
import { type EtcdError, isEtcdError } from "../base/errors.ts";
import type { MessageSource, ServerCall } from "./call.ts";

export class RecordedCall implements ServerCall {
  readonly messages: Uint8Array[] = [];
  error: EtcdError | undefined;
  readonly ended: Promise<void>;
  readonly remoteAddress = "127.0.0.1:1";
  readonly commonName = undefined;
  readonly deadline = Number.POSITIVE_INFINITY;
  done = false;
  /** Set by a test that plays a slow reader. */
  bufferedBytes = 0;
  onDrain: (() => void) | undefined;
  onCancel: ((reason: EtcdError) => void) | undefined;
  readonly #metadata: Readonly<Record<string, string>>;
  #resolve: () => void = () => {};

  constructor(metadata: Readonly<Record<string, string>> = {}) {
    this.#metadata = metadata;
    this.ended = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  metadata(name: string): string | undefined {
    return this.#metadata[name];
  }

  send(message: Uint8Array): void {
    this.messages.push(message);
  }

  sendCopy(message: Uint8Array): void {
    this.messages.push(new Uint8Array(message));
  }

  sendShared(head: Uint8Array, tail: Uint8Array): void {
    this.messages.push(concatBytes([head, tail]));
  }

  sendFrom(source: MessageSource): void {
    const pieces: Uint8Array[] = [];
    let size = 0;
    while (size < source.totalBytes) {
      const piece = source.next(1 << 16, () => {});
      if (piece === undefined || isEtcdError(piece))
        throw new Error("the source does not wait or fail in these tests");
      pieces.push(piece);
      size += piece.length;
    }
    source.release();
    this.messages.push(concatBytes(pieces));
  }

  end(): void {
    this.done = true;
    this.#resolve();
  }

  fail(error: EtcdError): void {
    this.error = error;
    this.end();
  }

  /** The caller goes away. */
  cancel(reason: EtcdError): void {
    this.done = true;
    this.onCancel?.(reason);
    this.#resolve();
  }
}
