// Where every retained entry of the raft log stands: index → term, type, file, offset and length of its data, in typed arrays of
// fixed chunks, so that the collector walks nothing. The appender and the scan fill it; raft's storage view reads it.
import { assert } from "../base/assert.ts";
import type { Index, Term } from "../base/brand.ts";

const CHUNK_ENTRIES = 4096;

class Chunk {
  readonly terms = new Float64Array(CHUNK_ENTRIES);
  readonly files = new Uint32Array(CHUNK_ENTRIES);
  readonly offsets = new Uint32Array(CHUNK_ENTRIES);
  readonly lengths = new Uint32Array(CHUNK_ENTRIES);
  readonly types = new Uint8Array(CHUNK_ENTRIES);
}

export class EntryTable {
  /** The entry before the first one: what was compacted away, or what a snapshot replaced. */
  #startIndex: number;
  #startTerm: number;
  #lastIndex: number;
  /** Chunk i holds the indices [(first + i) * CHUNK_ENTRIES, …). */
  #firstChunk: number;
  #chunks: Chunk[] = [];
  #bytes = 0;

  constructor(startIndex: number, startTerm: number) {
    this.#startIndex = startIndex;
    this.#startTerm = startTerm;
    this.#lastIndex = startIndex;
    this.#firstChunk = Math.floor((startIndex + 1) / CHUNK_ENTRIES);
  }

  get startIndex(): Index {
    return this.#startIndex as Index;
  }

  get startTerm(): Term {
    return this.#startTerm as Term;
  }

  get lastIndex(): Index {
    return this.#lastIndex as Index;
  }

  /** Data bytes of the retained entries. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Adds the entry at `index`; entries from there on, if any, are replaced. */
  put(index: number, term: number, type: number, file: number, offset: number, length: number): void {
    if (index <= this.#lastIndex) this.truncateFrom(index);
    assert(index === this.#lastIndex + 1, "entries are appended without a gap");
    const number = Math.floor(index / CHUNK_ENTRIES) - this.#firstChunk;
    if (number === this.#chunks.length) this.#chunks.push(new Chunk());
    const chunk = this.#chunks[number]!;
    const at = index % CHUNK_ENTRIES;
    chunk.terms[at] = term;
    chunk.files[at] = file;
    chunk.offsets[at] = offset;
    chunk.lengths[at] = length;
    chunk.types[at] = type;
    this.#lastIndex = index;
    this.#bytes += length;
  }

  /** Forgets `index` and everything after it. */
  truncateFrom(index: number): void {
    assert(index > this.#startIndex, "a compacted entry is never replaced");
    for (let i = index; i <= this.#lastIndex; i++) this.#bytes -= this.lengthOf(i);
    this.#lastIndex = index - 1;
    const needed = Math.floor(this.#lastIndex / CHUNK_ENTRIES) - this.#firstChunk + 1;
    if (this.#chunks.length > needed) this.#chunks.length = Math.max(0, needed);
  }

  /** Forgets `index` and everything before it; its term stays known. */
  compactTo(index: number): void {
    if (index <= this.#startIndex) return;
    assert(index <= this.#lastIndex, "only stored entries are compacted");
    const term = this.termOf(index);
    this.#bytes -= this.#bytesOf(this.#startIndex + 1, index + 1);
    this.#startIndex = index;
    this.#startTerm = term;
    const firstChunk = Math.floor((index + 1) / CHUNK_ENTRIES);
    this.#chunks.splice(0, firstChunk - this.#firstChunk);
    this.#firstChunk = firstChunk;
  }

  /** Data bytes of the entries [from, to). Column by column: a checkpoint may let go of a million of them in one turn. */
  #bytesOf(from: number, to: number): number {
    let bytes = 0;
    for (let index = from; index < to; ) {
      const { lengths } = this.#chunks[Math.floor(index / CHUNK_ENTRIES) - this.#firstChunk]!;
      const first = index % CHUNK_ENTRIES;
      const end = Math.min(CHUNK_ENTRIES, first + to - index);
      for (let at = first; at < end; at++) bytes += lengths[at]!;
      index += end - first;
    }
    return bytes;
  }

  /** Forgets everything: a snapshot that ends with this entry has taken its place. */
  reset(startIndex: number, startTerm: number): void {
    this.#startIndex = startIndex;
    this.#startTerm = startTerm;
    this.#lastIndex = startIndex;
    this.#firstChunk = Math.floor((startIndex + 1) / CHUNK_ENTRIES);
    this.#chunks = [];
    this.#bytes = 0;
  }

  has(index: number): boolean {
    return index > this.#startIndex && index <= this.#lastIndex;
  }

  termOf(index: number): number {
    return index === this.#startIndex ? this.#startTerm : this.#chunkOf(index).terms[index % CHUNK_ENTRIES]!;
  }

  fileOf(index: number): number {
    return this.#chunkOf(index).files[index % CHUNK_ENTRIES]!;
  }

  offsetOf(index: number): number {
    return this.#chunkOf(index).offsets[index % CHUNK_ENTRIES]!;
  }

  lengthOf(index: number): number {
    return this.#chunkOf(index).lengths[index % CHUNK_ENTRIES]!;
  }

  /** Data bytes of the retained entries behind `index`. */
  bytesBehind(index: number): number {
    let bytes = 0;
    for (let i = Math.max(index, this.#startIndex) + 1; i <= this.#lastIndex; i++) bytes += this.lengthOf(i);
    return bytes;
  }

  typeOf(index: number): number {
    return this.#chunkOf(index).types[index % CHUNK_ENTRIES]!;
  }

  #chunkOf(index: number): Chunk {
    assert(this.has(index), "the entry is stored");
    return this.#chunks[Math.floor(index / CHUNK_ENTRIES) - this.#firstChunk]!;
  }
}
