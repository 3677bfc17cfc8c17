// Puts together one gRPC message that does not lie in one DATA frame. Made by a call when the first such message begins; the
// body grows with what has really come, not with what the prefix promises. Never holds more than one message.

export const PREFIX_BYTES = 5;
const FIRST_BODY_BYTES = 16 << 10;

export class MessageReader {
  readonly #prefix = new Uint8Array(PREFIX_BYTES);
  #prefixLength = 0;
  #body: Buffer | undefined = undefined;
  #bodyLength = 0;
  #length = 0;

  /** Something of a message is here and the rest is missing. */
  get pending(): boolean {
    return this.#prefixLength > 0;
  }

  /** First byte of the prefix. */
  get flag(): number {
    return this.#prefix[0]!;
  }

  /** The announced length once the prefix is whole, else -1. */
  get length(): number {
    return this.#prefixLength === PREFIX_BYTES ? this.#length : -1;
  }

  /** Bytes of memory held. */
  get held(): number {
    return this.#body === undefined ? 0 : this.#body.length;
  }

  /** Takes prefix bytes from buffer[at, end); returns where it stopped. Look at `length` before feeding on. */
  feedPrefix(buffer: Buffer, at: number, end: number): number {
    let from = at;
    while (this.#prefixLength < PREFIX_BYTES && from < end)
      this.#prefix[this.#prefixLength++] = buffer[from++]!;
    const p = this.#prefix;
    this.#length = p[1]! * 0x1000000 + ((p[2]! << 16) | (p[3]! << 8) | p[4]!);
    return from;
  }

  /** Takes body bytes from buffer[at, end); returns where it stopped. */
  feedBody(buffer: Buffer, at: number, end: number): number {
    const count = Math.min(this.#length - this.#bodyLength, end - at);
    if (count === 0) return at;
    this.#room(this.#bodyLength + count);
    buffer.copy(this.#body!, this.#bodyLength, at, at + count);
    this.#bodyLength += count;
    return at + count;
  }

  #room(size: number): void {
    const body = this.#body;
    if (body !== undefined && body.length >= size) return;
    const wanted = Math.max(size, FIRST_BODY_BYTES, body === undefined ? 0 : 2 * body.length);
    const grown = Buffer.allocUnsafeSlow(Math.min(this.#length, wanted));
    body?.copy(grown, 0, 0, this.#bodyLength);
    this.#body = grown;
  }

  get complete(): boolean {
    return this.#prefixLength === PREFIX_BYTES && this.#bodyLength === this.#length;
  }

  /** The finished message, which the caller owns; the reader is empty again. */
  take(): Uint8Array {
    const message = this.#body === undefined ? new Uint8Array(0) : this.#body.subarray(0, this.#bodyLength);
    this.#prefixLength = 0;
    this.#body = undefined;
    this.#bodyLength = 0;
    this.#length = 0;
    return message;
  }
}
