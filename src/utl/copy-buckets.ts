// The buckets of an existing database as sources for a fresh one: rows go over as they are, byte for byte, but for the small buckets
// that a command changes. Used by defrag, migrate and restore.
import type { ByteRoom } from "../base/byte-room.ts";
import { copyBytes, latin1ToBytes } from "../base/bytes.ts";
import { type BoltFile, type Bucket, type BucketCursor, bucketName } from "../bbolt/reader.ts";
import { type BucketSource, bucketOfRows, type Row, type RowCursor } from "../bbolt/rows.ts";

/** The rows of a bucket that is read, as rows to write. */
class CopyCursor implements RowCursor {
  keyLength = 0;
  valueLength = 0;
  readonly #rows: BucketCursor;
  /** A row that comes after all others. */
  #last: Row | undefined;
  #onLast = false;

  constructor(rows: BucketCursor, last: Row | undefined) {
    this.#rows = rows;
    this.#last = last;
  }

  next(): boolean {
    if (this.#rows.next()) {
      this.keyLength = this.#rows.keyLength;
      this.valueLength = this.#rows.valueLength;
      return true;
    }
    if (this.#last === undefined || this.#onLast) return false;
    this.#onLast = true;
    this.keyLength = this.#last.key.length;
    this.valueLength = this.#last.value.length;
    return true;
  }

  copyKey({ bytes }: ByteRoom, at: number): void {
    bytes.set(this.#onLast ? this.#last!.key : this.#rows.key(), at);
  }

  copyValue({ bytes }: ByteRoom, at: number): void {
    bytes.set(this.#onLast ? this.#last!.value : this.#rows.value(), at);
  }
}

export function rowsOf(file: BoltFile, bucket: Bucket): Row[] {
  const cursor = file.rows(bucket);
  const rows: Row[] = [];
  while (cursor.next()) rows.push({ key: copyBytes(cursor.key()), value: copyBytes(cursor.value()) });
  return rows;
}

export type Changes = {
  /** New rows for a bucket, from its old ones (none when it is not there). */
  readonly edit?: ReadonlyMap<string, (rows: readonly Row[]) => readonly Row[]>;
  /** A row to come last in a bucket, whose key is above all others. */
  readonly append?: ReadonlyMap<string, Row>;
};

export function copyBuckets(file: BoltFile, changes: Changes = {}): BucketSource[] {
  const buckets = file.buckets();
  const sources = buckets.map((bucket): BucketSource => {
    const name = bucketName(bucket);
    const edit = changes.edit?.get(name);
    if (edit !== undefined) return bucketOfRows(bucket.name, edit(rowsOf(file, bucket)));
    const last = changes.append?.get(name);
    return { name: bucket.name, rows: () => new CopyCursor(file.rows(bucket), last) };
  });
  const present = new Set(buckets.map(bucketName));
  for (const [name, edit] of changes.edit ?? []) {
    if (!present.has(name)) sources.push(bucketOfRows(latin1ToBytes(name), edit([])));
  }
  for (const [name, row] of changes.append ?? []) {
    if (!present.has(name)) sources.push(bucketOfRows(latin1ToBytes(name), [row]));
  }
  return sources;
}
