// Remembers whole header blocks: a client sends the same bytes for the same method again and again. A hit gives the finished
// RequestHead without decoding. Exact, because a block is remembered only if it left the dynamic table as it was, and is
// answered only while the table's generation is still the same. One per connection, called by connection.
import { HEADER_MEMO_BLOCK_BYTES_MAX, HEADER_MEMO_ENTRIES } from "./limits.ts";
import type { RequestHead } from "./request-head.ts";

class Entry {
  readonly block: Uint8Array;
  readonly generation: number;
  readonly head: RequestHead;
  constructor(block: Uint8Array, generation: number, head: RequestHead) {
    this.block = block;
    this.generation = generation;
    this.head = head;
  }
}

export class HeaderMemo {
  readonly #entries: Entry[] = [];
  #next = 0;

  find(buffer: Uint8Array, start: number, end: number, generation: number): RequestHead | undefined {
    const length = end - start;
    for (let i = 0; i < this.#entries.length; i++) {
      const entry = this.#entries[i]!;
      if (entry.block.length !== length || entry.generation !== generation) continue;
      const block = entry.block;
      let at = 0;
      while (at < length && block[at] === buffer[start + at]) at++;
      if (at === length) return entry.head;
    }
    return undefined;
  }

  /** `before` and `generation`: the table's, before and after this block was decoded. */
  remember(
    buffer: Uint8Array,
    start: number,
    end: number,
    before: number,
    generation: number,
    head: RequestHead,
  ): void {
    if (before !== generation || end - start > HEADER_MEMO_BLOCK_BYTES_MAX) return;
    this.#entries[this.#next] = new Entry(
      Uint8Array.prototype.slice.call(buffer, start, end),
      generation,
      head,
    );
    this.#next = (this.#next + 1) % HEADER_MEMO_ENTRIES;
  }
}
