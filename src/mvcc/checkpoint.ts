// A consistent image of the store as of one moment, made in slices while writes go on: the rows of then (later ones are left
// out), then the keys in order. As long as it is under way nothing is dropped, moved or relocated, so the rows of then stand still;
// writes only add behind them. Whoever starts one takes all blocks or cancels it.

import type { LeaseId, Revision } from "../base/brand.ts";
import { copyBytes } from "../base/bytes.ts";
import {
  BLOCK_HEAD_BYTES,
  BlockBuffer,
  BlockKind,
  blockBytes,
  float64s,
  HEAD_NUMBERS,
  IMAGE_FILE,
  IMAGE_LENGTH,
  IMAGE_OFFSET,
  IMAGE_ROW_WORDS,
  KEYS_BYTES_MAX,
  KEYS_MAX,
  TABLE_ENTRIES_MAX,
  VERSION,
  WIDE_WORDS,
} from "./checkpoint-format.ts";
import type { Compactor } from "./compactor.ts";
import type { FileNumber, Slot } from "./contract.ts";
import type { KeyId } from "./key-arena.ts";
import { NO_LEAF } from "./key-tree.ts";
import {
  CHUNK_BITS,
  CHUNK_MASK,
  CHUNK_ROWS,
  CREATE,
  FILE,
  KEY,
  LEASE,
  LENGTH,
  MAIN,
  OFFSET,
  PREVIOUS,
  VERSION as ROW_VERSION,
  ROW_WORDS,
  SUB,
} from "./row-table.ts";
import type { Tables } from "./tables.ts";

export interface Checkpoint {
  /** The image shows the store as of this revision. */
  readonly revision: Revision;
  /**
   * The next block, of about half a mebibyte (a longer key makes a longer block), or undefined at the end. A view that is overwritten
   * by the next call.
   */
  next(): Uint8Array | undefined;
  /** Gives up. Harmless after the end. */
  cancel(): void;
}

type Phase = "head" | "files" | "leases" | "rows" | "keys" | "end" | "done";

export class RunningCheckpoint implements Checkpoint {
  readonly revision: Revision;
  readonly #tables: Tables;
  readonly #block = new BlockBuffer();
  readonly #compactor: Compactor;
  readonly #files: readonly FileNumber[];
  readonly #leases: readonly LeaseId[];
  readonly #rows: number;
  readonly #keys: number;
  readonly #finished: number;
  readonly #scheduled: number;
  readonly #chunks: number;
  /** Rows of the last chunk that were there. */
  readonly #lastUsed: number;
  /** By chunk number: its place in the image, and where its rows stand in it when it has holes. */
  readonly #places: number[] = [];
  readonly #ranks: (Uint16Array | undefined)[] = [];
  #phase: Phase = "head";
  #index = 0;
  #key: Uint8Array | undefined = undefined;
  #holding = true;

  constructor(tables: Tables, compactor: Compactor) {
    this.#tables = tables;
    this.#compactor = compactor;
    this.revision = tables.current as Revision;
    this.#files = [...tables.files.numbers];
    this.#leases = [...tables.leases.ids];
    const { rows } = tables;
    this.#rows = rows.rows;
    this.#keys = tables.tree.size;
    this.#finished = compactor.finished;
    this.#scheduled = compactor.scheduled;
    this.#chunks = rows.order.length;
    this.#lastUsed = this.#chunks === 0 ? 0 : rows.used[rows.order[this.#chunks - 1]!]!;
    compactor.holds++;
    compactor.checkpoints++;
  }

  next(): Uint8Array | undefined {
    switch (this.#phase) {
      case "head":
        this.#phase = "files";
        return blockBytes(this.#head());
      case "files":
        return blockBytes(this.#filesBlock());
      case "leases":
        return blockBytes(this.#leasesBlock());
      case "rows":
        if (this.#index < this.#chunks) return blockBytes(this.#rowsBlock(this.#index++));
        this.#phase = "keys";
        return blockBytes(this.#keysBlock());
      case "keys":
        return blockBytes(this.#keysBlock());
      case "end":
        this.#phase = "done";
        this.cancel();
        return blockBytes(this.#block.next(BlockKind.End, 0, 0, 0));
      case "done":
        return undefined;
    }
  }

  cancel(): void {
    this.#phase = "done";
    if (!this.#holding) return;
    this.#holding = false;
    this.#compactor.holds--;
    this.#compactor.checkpoints--;
  }

  #head(): Int32Array {
    const block = this.#block.next(BlockKind.Head, HEAD_NUMBERS * 8, VERSION, 0);
    const numbers = [this.revision, this.#finished, this.#scheduled, this.#rows, this.#keys, this.#chunks];
    float64s(block, BLOCK_HEAD_BYTES / 4, HEAD_NUMBERS).set(numbers);
    return block;
  }

  #filesBlock(): Int32Array {
    const first = this.#index;
    const part = this.#files.slice(first, first + TABLE_ENTRIES_MAX);
    const block = this.#block.next(BlockKind.Files, part.length * 8, first, part.length);
    float64s(block, BLOCK_HEAD_BYTES / 4, part.length).set(part);
    this.#advance(first + part.length, this.#files.length, "leases");
    return block;
  }

  #leasesBlock(): Int32Array {
    const first = this.#index;
    const part = this.#leases.slice(first, first + TABLE_ENTRIES_MAX);
    const block = this.#block.next(BlockKind.Leases, part.length * 8, first, part.length);
    const ids = new BigInt64Array(block.buffer, block.byteOffset + BLOCK_HEAD_BYTES, part.length);
    for (let i = 0; i < part.length; i++) ids[i] = part[i]!;
    this.#advance(first + part.length, this.#leases.length, "rows");
    return block;
  }

  #advance(index: number, end: number, next: Phase): void {
    this.#index = index;
    if (index < end) return;
    this.#index = 0;
    this.#phase = next;
  }

  #rowsBlock(index: number): Int32Array {
    const { rows } = this.#tables;
    const chunk = rows.order[index]!;
    const words = rows.words[chunk]!;
    const used = this.#usedOf(index, chunk);
    const ranks = this.#rank(index, chunk, words, used);
    const count = ranks.rows;
    const rowWords = count * IMAGE_ROW_WORDS;
    const payload = 8 + (rowWords + (rowWords & 1)) * 4 + ranks.wide.length * WIDE_WORDS * 4;
    const block = this.#block.next(BlockKind.Rows, payload, count, ranks.wide.length);
    const head = BLOCK_HEAD_BYTES / 4;
    float64s(block, head, 1)[0] = rows.bases[chunk]!;
    let to = head + 2;
    for (let row = 0; row < used; row++) {
      const at = row * ROW_WORDS;
      if (words[at + KEY] === 0) continue;
      block[to] = words[at + MAIN]!;
      block[to + 1] = words[at + SUB]!;
      block[to + 2] = words[at + CREATE]!;
      block[to + 3] = words[at + ROW_VERSION]!;
      block[to + 4] = words[at + LEASE]!;
      block[to + IMAGE_FILE] = words[at + FILE]!;
      block[to + IMAGE_OFFSET] = words[at + OFFSET]!;
      block[to + IMAGE_LENGTH] = words[at + LENGTH]!;
      block[to + 8] = this.#nameOf(words[at + PREVIOUS]!);
      to += IMAGE_ROW_WORDS;
    }
    if ((to & 1) !== 0) block[to++] = 0;
    for (const row of ranks.wide) {
      const slot = ((chunk << CHUNK_BITS) | row) as Slot;
      const wide = rows.wideOf(slot);
      block[to] = this.#nameOf(slot);
      float64s(block, to + 2, 2).set([wide.create, wide.version]);
      to += WIDE_WORDS;
    }
    return block;
  }

  #usedOf(index: number, chunk: number): number {
    return index === this.#chunks - 1 ? this.#lastUsed : this.#tables.rows.used[chunk]!;
  }

  /** Notes where the chunk's rows will stand in the image; gives their number, and the wide ones among them. */
  #rank(index: number, chunk: number, words: Int32Array, used: number): { rows: number; wide: number[] } {
    const ranks = new Uint16Array(used);
    const wide: number[] = [];
    let count = 0;
    for (let row = 0; row < used; row++) {
      if (words[row * ROW_WORDS + KEY] === 0) continue;
      if (words[row * ROW_WORDS + ROW_VERSION] === -1) wide.push(row);
      ranks[row] = count++;
    }
    this.#places[chunk] = index;
    this.#ranks[chunk] = count === used ? undefined : ranks;
    return { rows: count, wide };
  }

  #nameOf(slot: number): number {
    if (slot === -1) return -1;
    const chunk = slot >>> CHUNK_BITS;
    const row = slot & CHUNK_MASK;
    const ranks = this.#ranks[chunk];
    return this.#places[chunk]! * CHUNK_ROWS + (ranks === undefined ? row : ranks[row]!);
  }

  #keysBlock(): Int32Array {
    const { arena, rows, tree } = this.#tables;
    if (this.#key === undefined) tree.seekFirst();
    else {
      arena.probe(this.#key);
      tree.seek();
    }
    let { leaf, index } = tree;
    // The block begins with the key the last one ended before; sizes are known before the words are made.
    const ids: KeyId[] = [];
    const newest: number[] = [];
    let words = 0;
    let next: KeyId = 0;
    for (; leaf !== NO_LEAF; leaf = tree.nextLeaf(leaf), index = 0) {
      const start = tree.leafStart(leaf);
      const leafWords = tree.leafWords(leaf);
      const count = tree.leafCount(leaf);
      for (; index < count; index++) {
        const id = leafWords[start + index]!;
        let row = arena.newestOf(id) as Slot;
        while (row !== -1 && rows.mainOf(row) > this.revision) row = rows.word(row, PREVIOUS) as Slot;
        if (row === -1) continue;
        if (ids.length === KEYS_MAX || words * 4 > KEYS_BYTES_MAX) {
          next = id;
          break;
        }
        ids.push(id);
        newest.push(row);
        words += 2 + ((arena.lengthOf(id) + 3) >>> 2);
      }
      if (next !== 0) break;
    }
    if (next === 0) this.#phase = "end";
    else this.#key = copyBytes(arena.bytesOf(next));
    const block = this.#block.next(BlockKind.Keys, words * 4, ids.length, 0);
    let to = BLOCK_HEAD_BYTES / 4;
    for (let i = 0; i < ids.length; i++) {
      block[to] = this.#nameOf(newest[i]!);
      block[to + 1] = arena.lengthOf(ids[i]!);
      to += 2 + arena.copyWords(ids[i]!, block, to + 2);
    }
    return block;
  }
}
