// The rows of a database file's key bucket, decoded one after the other in revision order. Callers: the importer, etcdutl's hashes.
import { crc32cRange } from "../base/crc32c.ts";
import { malformed } from "../base/format-error.ts";
import { type BoltFile, type BucketCursor, bucketName } from "../bbolt/reader.ts";
import { DecodeError } from "../wire/decode-error.ts";
import { BucketName } from "./backend.ts";
import { decodeRevision, KeyValueFields, type RowRevision } from "./key-row.ts";

const NO_REVISION: RowRevision = { main: 0, sub: 0, tombstone: false };

export class KeyCursor {
  readonly #rows: BucketCursor | undefined;
  revision: RowRevision = NO_REVISION;
  /** Of the row: views that hold until the file is closed. A put with an empty key is only a mark of `--bump-revision`. */
  readonly fields: KeyValueFields = new KeyValueFields();

  /** Of the whole file. */
  readonly fileBytes: number;

  constructor(file: BoltFile) {
    this.fileBytes = file.size;
    const bucket = file.buckets().find((each) => bucketName(each) === BucketName.Key);
    this.#rows = bucket === undefined ? undefined : file.rows(bucket);
  }

  /** Goes to the next row; false at the end. Throws a FormatError for a row that is no revision or no KeyValue. */
  next(): boolean {
    const rows = this.#rows;
    if (rows === undefined || !rows.next()) return false;
    this.revision = decodeRevision(rows.key());
    try {
      this.fields.read(rows.page, rows.valueAt, rows.valueAt + rows.valueLength);
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      const { main, sub } = this.revision;
      malformed(rows.offset, `the value of revision ${main}/${sub} is no KeyValue: ${error.message}`);
    }
    return true;
  }

  /** CRC-32C of the row's bytes as they stand in the file, key and then value: what HashKV is made of. */
  checksum(seed: number): number {
    const rows = this.#rows!;
    return crc32cRange(rows.page, rows.keyAt, rows.valueAt + rows.valueLength, seed);
  }
}
