// A file of the Disk port as the byte source that the bbolt and WAL readers want: reads in blocks, and keeps the newest ones, so that
// a walk over pages of four kilobytes costs few system calls. Blocks are never used again for other bytes: views stay valid.
import { malformed } from "../base/format-error.ts";
import type { ByteSource } from "../bbolt/reader.ts";
import type { DiskFile } from "../ports/disk.ts";

const BLOCK_BYTES = 256 * 1024;
/** 16 MiB: a tree walk goes back only to the branches above. */
const BLOCKS_MAX = 64;

export class FileSource implements ByteSource {
  readonly size: number;
  readonly #file: DiskFile;
  readonly #blocks = new Map<number, Uint8Array>();

  constructor(file: DiskFile) {
    this.#file = file;
    this.size = file.sizeSync();
  }

  read(offset: number, length: number): Uint8Array {
    const number = Math.floor(offset / BLOCK_BYTES);
    const start = offset - number * BLOCK_BYTES;
    if (start + length > BLOCK_BYTES) return this.#readExactly(offset, length);
    return this.#block(number).subarray(start, start + length);
  }

  #block(number: number): Uint8Array {
    const known = this.#blocks.get(number);
    if (known !== undefined) return known;
    const offset = number * BLOCK_BYTES;
    const block = this.#readExactly(offset, Math.min(BLOCK_BYTES, this.size - offset));
    if (this.#blocks.size >= BLOCKS_MAX) this.#blocks.delete(this.#blocks.keys().next().value!);
    this.#blocks.set(number, block);
    return block;
  }

  #readExactly(offset: number, length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    const got = this.#file.readSync(bytes, offset);
    if (got !== length)
      malformed(offset, `the file became shorter while it was read (${got} of ${length} bytes)`);
    return bytes;
  }
}
