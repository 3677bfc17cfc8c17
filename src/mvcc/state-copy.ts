// A store on its way to another one: the blocks of a checkpoint, and for each block of rows where their values stand now. Places are
// looked up when they are asked for, so values may be relocated while a copy is under way; rows are neither dropped nor moved. RowPlaces
// is the other end: it gives the rows of a block that arrived the places that their values got there.
import { RunningCheckpoint } from "./checkpoint.ts";
import {
  BLOCK_HEAD_BYTES,
  BlockKind,
  blockKindOf,
  IMAGE_FILE,
  IMAGE_LENGTH,
  IMAGE_OFFSET,
  IMAGE_ROW_WORDS,
} from "./checkpoint-format.ts";
import type { Compactor } from "./compactor.ts";
import type { FileNumber } from "./contract.ts";
import { FILE, KEY, LENGTH, OFFSET, ROW_WORDS } from "./row-table.ts";
import type { Tables } from "./tables.ts";

const TWO_32 = 2 ** 32;
const NO_WORDS = new Int32Array(0);

export class StateCopy {
  readonly #tables: Tables;
  readonly #checkpoint: RunningCheckpoint;
  #words: Int32Array = NO_WORDS;
  #at = 0;
  #end = 0;

  constructor(tables: Tables, compactor: Compactor) {
    this.#tables = tables;
    this.#checkpoint = new RunningCheckpoint(tables, compactor, false);
  }

  /** The next block, a view until the next call; undefined at the end. Files are left out: a place of ours means nothing elsewhere. */
  nextBlock(): Uint8Array | undefined {
    let block = this.#checkpoint.next();
    while (block !== undefined && blockKindOf(block) === BlockKind.Files) block = this.#checkpoint.next();
    this.#end = 0;
    if (block !== undefined && blockKindOf(block) === BlockKind.Rows) {
      const { chunk, used } = this.#checkpoint.lastRows;
      this.#words = this.#tables.rows.words[chunk]!;
      this.#at = -ROW_WORDS;
      this.#end = used * ROW_WORDS;
    }
    return block;
  }

  /** Goes to the next row of the last block that has a value; false when there is none. */
  nextValue(): boolean {
    const words = this.#words;
    do this.#at += ROW_WORDS;
    while (this.#at < this.#end && (words[this.#at + KEY] === 0 || words[this.#at + LENGTH] === 0));
    return this.#at < this.#end;
  }

  /** Of the row that nextValue() went to. */
  get length(): number {
    return this.#words[this.#at + LENGTH]! >>> 0;
  }

  get file(): FileNumber {
    return this.#tables.files.numbers[this.#words[this.#at + FILE]! & 0xffff]!;
  }

  get offset(): number {
    return (this.#words[this.#at + FILE]! >>> 16) * TWO_32 + (this.#words[this.#at + OFFSET]! >>> 0);
  }

  /** Gives up. Harmless after the end. */
  cancel(): void {
    this.#checkpoint.cancel();
  }
}

/** The rows of a ROWS block that came from elsewhere, on which all places are wiped at first. */
export class RowPlaces {
  /** With the places that its rows have so far. */
  readonly block: Uint8Array;
  readonly #words: Int32Array;
  readonly #end: number;
  #at: number;

  /** `block` is as nextBlock() gave it, at a multiple of eight bytes; a malformed one is treated as empty, and the Restorer refuses it. */
  constructor(block: Uint8Array) {
    this.block = block;
    const words = new Int32Array(block.buffer, block.byteOffset, block.length >>> 2);
    const first = BLOCK_HEAD_BYTES / 4 + 2;
    const end = first + (words[2] ?? 0) * IMAGE_ROW_WORDS;
    this.#words = words;
    this.#end = end >= first && end <= words.length ? end : first;
    for (let at = first; at < this.#end; at += IMAGE_ROW_WORDS) {
      words[at + IMAGE_FILE] = 0;
      words[at + IMAGE_OFFSET] = 0;
    }
    this.#at = first;
    this.#skipEmpty();
  }

  /** No row is left that waits for its value. */
  get done(): boolean {
    return this.#at >= this.#end;
  }

  /**
   * The next rows' values stand one behind the other, `length` bytes from `offset` on in the file of that index. False when they do not end
   * where a value ends.
   */
  place(fileIndex: number, offset: number, length: number): boolean {
    const words = this.#words;
    for (let used = 0; used < length; this.#skipEmpty()) {
      if (this.done) return false;
      const at = this.#at;
      const place = offset + used;
      words[at + IMAGE_FILE] = fileIndex | (Math.floor(place / TWO_32) << 16);
      words[at + IMAGE_OFFSET] = place | 0;
      used += words[at + IMAGE_LENGTH]! >>> 0;
      if (used > length) return false;
      this.#at += IMAGE_ROW_WORDS;
    }
    return true;
  }

  #skipEmpty(): void {
    while (this.#at < this.#end && this.#words[this.#at + IMAGE_LENGTH] === 0) this.#at += IMAGE_ROW_WORDS;
  }
}
