// What the blocks of a checkpoint say about files: their names, and where the values of rows stand in them. For copies between members,
// in which the values keep their places and the files get other names. Blocks are whole, and begin at multiples of eight bytes.
import {
  BLOCK_HEAD_BYTES,
  BlockKind,
  blockKindOf,
  float64s,
  IMAGE_FILE,
  IMAGE_LENGTH,
  IMAGE_OFFSET,
  IMAGE_ROW_WORDS,
} from "./checkpoint-format.ts";
import type { FileNumber } from "./contract.ts";
import { NO_FILE } from "./file-table.ts";

const HEAD_WORDS = BLOCK_HEAD_BYTES / 4;
const TWO_32 = 2 ** 32;

export type PlaceVisitor = (file: FileNumber, offset: number, length: number) => void;

/** The files of a checkpoint by index, as its blocks go by. */
export class CheckpointPlaces {
  readonly #files: FileNumber[] = [];

  /** Gives the files of a FILES block other names, within the block, which may be malformed: then the Restorer will refuse it. */
  rename(block: Uint8Array, nameOf: (file: FileNumber) => FileNumber): void {
    if (blockKindOf(block) !== BlockKind.Files) return;
    const names = filesOf(block);
    for (let i = 0; i < names.length; i++)
      if (names[i] !== NO_FILE) names[i] = nameOf(names[i]! as FileNumber);
  }

  /** Tells `visit` of every value that a sound block names. */
  visit(block: Uint8Array, visit: PlaceVisitor): void {
    const kind = blockKindOf(block);
    if (kind === BlockKind.Files) for (const file of filesOf(block)) this.#files.push(file as FileNumber);
    if (kind !== BlockKind.Rows) return;
    const words = wordsOf(block);
    const first = HEAD_WORDS + 2;
    const end = first + words[2]! * IMAGE_ROW_WORDS;
    for (let at = first; at < end; at += IMAGE_ROW_WORDS) {
      const length = words[at + IMAGE_LENGTH]! >>> 0;
      if (length === 0) continue;
      const file = words[at + IMAGE_FILE]!;
      const offset = (file >>> 16) * TWO_32 + (words[at + IMAGE_OFFSET]! >>> 0);
      visit(this.#files[file & 0xffff]!, offset, length);
    }
  }
}

function wordsOf(block: Uint8Array): Int32Array {
  return new Int32Array(block.buffer, block.byteOffset, block.length >>> 2);
}

/** A view of the numbers in a FILES block, as many as are there. */
function filesOf(block: Uint8Array): Float64Array {
  const words = wordsOf(block);
  const room = (words.length - HEAD_WORDS) >>> 1;
  return float64s(words, HEAD_WORDS, Math.max(0, Math.min(words[3]!, room)));
}
