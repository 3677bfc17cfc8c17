// Header blocks on their way in: puts CONTINUATION frames together, decodes, remembers. Gives the finished RequestHead. One per
// connection, called by connection; bounds what a block may cost (limits.ts).
import { HeaderMemo } from "./header-memo.ts";
import { HpackDecoder } from "./hpack-decoder.ts";
import { CONTINUATION_FRAMES_MAX, HEADER_BLOCK_BYTES_MAX, HEADER_LIST_BYTES_MAX } from "./limits.ts";
import { RequestHead } from "./request-head.ts";

export class HeaderIntake {
  readonly #hpack = new HpackDecoder();
  readonly #memo = new HeaderMemo();
  #parts: Buffer[] = [];
  #bytes = 0;
  /** The stream whose block goes on in CONTINUATION frames; 0: none. */
  openStreamId = 0;
  /** END_STREAM stood on the HEADERS frame of that block. */
  endsStream = false;
  /** The list last decoded passed its limit. */
  tooLarge = false;

  /** A HEADERS frame without END_HEADERS. */
  begin(streamId: number, endsStream: boolean, buffer: Buffer, start: number, end: number): void {
    this.openStreamId = streamId;
    this.endsStream = endsStream;
    this.#parts = [Buffer.from(buffer.subarray(start, end))];
    this.#bytes = end - start;
  }

  /** A CONTINUATION frame. False: the block costs too much. */
  add(buffer: Buffer, start: number, end: number): boolean {
    this.#parts.push(Buffer.from(buffer.subarray(start, end)));
    this.#bytes += end - start;
    return this.#bytes <= HEADER_BLOCK_BYTES_MAX && this.#parts.length <= CONTINUATION_FRAMES_MAX;
  }

  /** The whole block, after END_HEADERS. */
  take(): Buffer {
    const block = Buffer.concat(this.#parts);
    this.openStreamId = 0;
    this.#parts = [];
    return block;
  }

  /** Undefined: a compression error, the connection cannot go on. */
  decode(buffer: Buffer, start: number, end: number): RequestHead | undefined {
    const hpack = this.#hpack;
    this.tooLarge = false;
    const before = hpack.generation;
    const known = this.#memo.find(buffer, start, end, before);
    if (known !== undefined) return known;
    const fields = hpack.decode(buffer, start, end, HEADER_LIST_BYTES_MAX);
    if (fields === undefined) return undefined;
    const head = new RequestHead(fields);
    this.tooLarge = hpack.listTooLarge;
    if (!this.tooLarge) this.#memo.remember(buffer, start, end, before, hpack.generation, head);
    return head;
  }
}
