// What the writer writes: buckets, whose rows can be walked twice (once for sizes, once for bytes). A big bucket brings its own
// cursor, so that no row becomes an object; a small one is a list.
import { assert } from "../base/assert.ts";
import type { ByteRoom } from "../base/byte-room.ts";
import { compareBytes } from "../base/bytes.ts";

/** A walk over rows in ascending key order. */
export interface RowCursor {
  /** Goes to the next row; false at the end. */
  next(): boolean;
  /** Of the row that next() went to. Must be the same in both walks. */
  readonly keyLength: number;
  readonly valueLength: number;
  /** Writes the key's keyLength bytes to `into` from `at` on. Asked for in the second walk only. */
  copyKey(into: ByteRoom, at: number): void;
  copyValue(into: ByteRoom, at: number): void;
}

export type BucketSource = {
  readonly name: Uint8Array;
  /** A new walk from the first row on. Called twice, and both walks must give the same rows: read from a pinned revision. */
  rows(): RowCursor;
};

export type Row = { readonly key: Uint8Array; readonly value: Uint8Array };

class ListCursor implements RowCursor {
  keyLength = 0;
  valueLength = 0;
  readonly #rows: readonly Row[];
  #index = -1;

  constructor(rows: readonly Row[]) {
    this.#rows = rows;
  }

  next(): boolean {
    const row = this.#rows[++this.#index];
    if (row === undefined) return false;
    this.keyLength = row.key.length;
    this.valueLength = row.value.length;
    return true;
  }

  copyKey(into: ByteRoom, at: number): void {
    into.bytes.set(this.#rows[this.#index]!.key, at);
  }

  copyValue(into: ByteRoom, at: number): void {
    into.bytes.set(this.#rows[this.#index]!.value, at);
  }
}

/** A small bucket from a list in any order; keys must differ. The bytes must not change until the file is written. */
export function bucketOfRows(name: Uint8Array, rows: readonly Row[]): BucketSource {
  const sorted = [...rows].sort((a, b) => compareBytes(a.key, b.key));
  for (let i = 1; i < sorted.length; i++) {
    assert(compareBytes(sorted[i - 1]!.key, sorted[i]!.key) < 0, "the keys of a bucket differ");
  }
  return { name, rows: () => new ListCursor(sorted) };
}
