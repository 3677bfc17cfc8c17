// Values for who walks through all of them in the order in which they were written, a backup: read through a window of its own, a long
// stretch at a time, verified at once, and copied within one memory. What lies elsewhere comes from the block cache: the end of the log
// that is not safe on disk yet, and runs, which are in order of keys. Never hands out a byte that was not verified.
import type { CopyArea } from "../base/copy-area.ts";
import type { FileNumber, ValueReader } from "../mvcc/contract.ts";
import type { BlockCache } from "./block-cache.ts";
import { PAGE_BYTES } from "./log-file.ts";

/** A multiple of the page. Longer ones fall out of the processor's cache before they are copied. */
export const WINDOW_BYTES = 128 << 10;
/** In place of a place in the area: not in it. */
const OUTSIDE = -1;

export class ValueWindow implements ValueReader {
  readonly #cache: BlockCache;
  readonly #area: CopyArea;
  /** Where in the area the window's WINDOW_BYTES stand. */
  readonly #at: number;
  readonly #room: Uint8Array;
  readonly #memory: ArrayBufferLike;
  /** The file and its bytes [from, to) that the window holds. */
  #file = -1;
  #from = 0;
  #to = 0;
  /** Where values went last, and where in the area that stands: asking a view for its memory costs as much as the copy. */
  #into: Uint8Array | undefined;
  #intoAt = OUTSIDE;
  /** Where the value before stood that was not in the window. */
  #missedFile = -1;
  #missedAt = 0;

  constructor(cache: BlockCache, area: CopyArea, at: number) {
    this.#cache = cache;
    this.#area = area;
    this.#at = at;
    this.#memory = area.bytes.buffer;
    this.#room = area.bytes.subarray(at, at + WINDOW_BYTES);
  }

  readValue(file: FileNumber, offset: number, length: number): Uint8Array {
    return this.#cache.readValue(file, offset, length);
  }

  copyValue(file: FileNumber, offset: number, length: number, into: Uint8Array, at: number): void {
    if (into !== this.#into) this.#aimAt(into);
    const inside = file === this.#file && offset >= this.#from && offset + length <= this.#to;
    if ((!inside && !this.#moveTo(file, offset, length)) || this.#intoAt === OUTSIDE) {
      this.#cache.copyValue(file, offset, length, into, at);
      return;
    }
    this.#area.copy(this.#intoAt + at, this.#at + offset - this.#from, length);
  }

  #aimAt(into: Uint8Array): void {
    this.#into = into;
    this.#intoAt = into.buffer === this.#memory ? into.byteOffset : OUTSIDE;
  }

  /** Whether the value is in the window now. It moves only for who goes on in small steps: a lone value is not worth a stretch. */
  #moveTo(file: FileNumber, offset: number, length: number): boolean {
    const step = offset - this.#missedAt;
    const onward = file === this.#missedFile && step >= 0 && step <= WINDOW_BYTES;
    this.#missedFile = file;
    this.#missedAt = offset;
    if (!onward || length > WINDOW_BYTES / 2) return false;
    const from = offset - (offset % PAGE_BYTES);
    this.#file = -1;
    const read = this.#cache.readStretch(file, from, this.#room);
    if (read === 0) return false;
    this.#file = file;
    this.#from = from;
    this.#to = from + read;
    return offset + length <= this.#to;
  }
}
