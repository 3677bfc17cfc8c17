// The blocks of a checkpoint, which checkpoint.ts writes and restorer.ts reads. Little-endian words, so that whole chunks are
// copied and not parsed. Each block: [magic and kind][bytes of payload][a][b], then the payload, padded to eight bytes.
//
//   HEAD    a = version; float64: current, finished and scheduled compaction (−1: none), rows, keys, row chunks
//   FILES   a = first index; file numbers as float64, by index
//   LEASES  a = first index; lease ids as int64, by index
//   ROWS    one chunk: a = rows, b = wide rows; float64 base; rows of nine words; wide rows of [row, 0, float64 create, version]
//   KEYS    a = keys, in byte order; each [its newest row][length][bytes, padded to words]
//   END     a, b = 0: everything was there
// A row is named by chunk of the image × CHUNK_ROWS + place, which is its slot in the restored store.

export const VERSION = 1;
export const MAGIC = 0x436b_7000; // "\0pkC": the low byte is the kind
export const BLOCK_HEAD_BYTES = 16;
export const BlockKind = { Head: 1, Files: 2, Leases: 3, Rows: 4, Keys: 5, End: 6 } as const;
export type BlockKind = (typeof BlockKind)[keyof typeof BlockKind];

export const HEAD_NUMBERS = 6;
/** Entries of one FILES or LEASES block. */
export const TABLE_ENTRIES_MAX = 65_536;
/** A KEYS block closes at this many bytes or keys: what a slice of the event loop bears. */
export const KEYS_BYTES_MAX = 512 * 1024;
export const KEYS_MAX = 4096;
/** No block is larger: a key may be, but not by more than this. */
export const BLOCK_BYTES_MAX = 1 << 28;

export const IMAGE_ROW_WORDS = 9;
/** Of a row's words those that say where its value stands. */
export const IMAGE_FILE = 5;
export const IMAGE_OFFSET = 6;
export const IMAGE_LENGTH = 7;
export const WIDE_WORDS = 6;

/**
 * The one block of a checkpoint, filled again and again: a fresh half mebibyte for each slice would have the collector run beside
 * every checkpoint. What `next` gave out last is overwritten.
 */
export class BlockBuffer {
  #words = new Int32Array(0);

  /** A block with its head; all of the payload is the caller's to fill, but for the padding at its end. */
  next(kind: BlockKind, payloadBytes: number, a: number, b: number): Int32Array {
    const length = (BLOCK_HEAD_BYTES + ((payloadBytes + 7) & ~7)) / 4;
    if (this.#words.length < length) this.#words = new Int32Array(Math.max(length, 2 * this.#words.length));
    const words = this.#words.subarray(0, length);
    words[length - 1] = 0;
    words[0] = MAGIC | kind;
    words[1] = words.byteLength - BLOCK_HEAD_BYTES;
    words[2] = a;
    words[3] = b;
    return words;
  }
}

/** Of whole blocks, as a checkpoint gives them out. */
export function blockKindOf(block: Uint8Array): number {
  return block.length < BLOCK_HEAD_BYTES ? 0 : block[0]!;
}

export function blockBytes(block: Int32Array): Uint8Array {
  return new Uint8Array(block.buffer, block.byteOffset, block.byteLength);
}

/** The payload (or its rest from word `from` on) as float64. Blocks begin at multiples of eight bytes. */
export function float64s(block: Int32Array, from: number, count: number): Float64Array {
  return new Float64Array(block.buffer, block.byteOffset + from * 4, count);
}
