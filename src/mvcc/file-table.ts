// The log's files that rows point into: each file number once, with how many rows and bytes of values still live there. The log
// asks it which files are worth reclaiming. Index 0 is file 0: values without bytes.
import { assert } from "../base/assert.ts";
import type { FileNumber } from "./contract.ts";

/** Two bytes of a row. At 64 MB each that is 4 TB. */
const FILES_MAX = 1 << 16;
export const NO_FILE = 0 as FileNumber;

export class FileTable {
  /** By index. */
  readonly numbers: FileNumber[] = [NO_FILE];
  readonly #rows: number[] = [0];
  readonly #bytes: number[] = [0];
  readonly #free: number[] = [];
  readonly #indexes = new Map<FileNumber, number>();
  #last: FileNumber = NO_FILE;
  #lastIndex = 0;

  /** The index of `file`, with one more row of `length` bytes. */
  retain(file: FileNumber, length: number): number {
    const index = file === this.#last ? this.#lastIndex : this.indexOf(file);
    this.#rows[index]!++;
    this.#bytes[index]! += length;
    return index;
  }

  /** So many more rows without a value. */
  retainNone(rows: number): void {
    this.#rows[0]! += rows;
  }

  /** Takes over the files of a checkpoint by index; adopt() counts their rows, seal() frees those without any. */
  restore(numbers: readonly FileNumber[]): void {
    for (let index = 1; index < numbers.length; index++) {
      this.numbers[index] = numbers[index]!;
      this.#rows[index] = 0;
      this.#bytes[index] = 0;
      if (numbers[index] !== NO_FILE) this.#indexes.set(numbers[index]!, index);
    }
  }

  adopt(index: number, length: number): void {
    this.#rows[index]!++;
    this.#bytes[index]! += length;
  }

  seal(): void {
    for (let index = 1; index < this.numbers.length; index++) {
      if (this.#rows[index] !== 0) continue;
      this.#indexes.delete(this.numbers[index]!);
      this.numbers[index] = NO_FILE;
      this.#free.push(index);
    }
  }

  release(index: number, length: number): void {
    this.#bytes[index]! -= length;
    if (--this.#rows[index]! > 0 || index === 0) return;
    this.#indexes.delete(this.numbers[index]!);
    if (this.#lastIndex === index) {
      this.#last = NO_FILE;
      this.#lastIndex = 0;
    }
    this.numbers[index] = NO_FILE;
    this.#free.push(index);
  }

  rowsOf(file: FileNumber): number {
    const index = this.find(file);
    return index === undefined ? 0 : this.#rows[index]!;
  }

  bytesOf(file: FileNumber): number {
    const index = this.find(file);
    return index === undefined ? 0 : this.#bytes[index]!;
  }

  find(file: FileNumber): number | undefined {
    return file === NO_FILE ? 0 : this.#indexes.get(file);
  }

  /** The files that rows point into. */
  list(): FileNumber[] {
    return [...this.#indexes.keys()].sort((a, b) => a - b);
  }

  /** Finds the file or takes it in; one without rows goes with seal(). */
  indexOf(file: FileNumber): number {
    let index = this.find(file);
    if (index === undefined) {
      index = this.#free.pop() ?? this.numbers.length;
      assert(index < FILES_MAX, "rows point into fewer than 2^16 files");
      this.numbers[index] = file;
      this.#rows[index] = 0;
      this.#bytes[index] = 0;
      this.#indexes.set(file, index);
    }
    this.#last = file;
    this.#lastIndex = index;
    return index;
  }
}
