// `etcdutl snapshot status`: checks a snapshot file whole, then counts and hashes it. Reads only.

import { statSync } from "node:fs";
import { hexFromBytes, latin1FromBytes, utf8FromBytes } from "../base/bytes.ts";
import { crc32c, crc32cRange } from "../base/crc32c.ts";
import { FormatError } from "../base/format-error.ts";
import { checkFile } from "../bbolt/check.ts";
import { type BoltFile, type Bucket, type BucketCursor, bucketName } from "../bbolt/reader.ts";
import { ExitError, type Invocation } from "../cli/command.ts";
import { BucketName, MetaKey } from "../etcdfile/backend.ts";
import { decodeRevision, KeyValueFields } from "../etcdfile/key-row.ts";
import { DecodeError } from "../wire/decode-error.ts";
import { openDatabase, withDatabase } from "./database.ts";
import { ExitCode, fileCall } from "./exit.ts";
import { printerOf, type SnapshotStatus } from "./printer.ts";

type Counted = { hash: number; revision: number; readonly alive: Set<string>; version: string };

function refuse(error: unknown, what: string): never {
  if (error instanceof FormatError || error instanceof DecodeError)
    throw new ExitError(ExitCode.Error, `${what}: ${error.message}`);
  throw error;
}

/** Counts one row of the key bucket. */
function countKey(rows: BucketCursor, fields: KeyValueFields, counted: Counted): void {
  try {
    const revision = decodeRevision(rows.key());
    counted.revision = revision.main;
    fields.read(rows.page, rows.valueAt, rows.valueAt + rows.valueLength);
    const name = latin1FromBytes(fields.key);
    if (revision.tombstone) counted.alive.delete(name);
    else counted.alive.add(name);
  } catch (error) {
    const where = `error during bucket key iteration, name: "${BucketName.Key}" err`;
    refuse(error, `${where}: cannot parse the row ${hexFromBytes(rows.key())}`);
  }
}

function countBucket(file: BoltFile, bucket: Bucket, counted: Counted): void {
  const name = bucketName(bucket);
  const fields = new KeyValueFields();
  counted.hash = crc32c(bucket.name, counted.hash);
  const rows = file.rows(bucket);
  while (rows.next()) {
    // The value follows the key in the page: one walk over both.
    counted.hash = crc32cRange(rows.page, rows.keyAt, rows.valueAt + rows.valueLength, counted.hash);
    if (name === BucketName.Key) countKey(rows, fields, counted);
    if (name === BucketName.Meta && latin1FromBytes(rows.key()) === MetaKey.StorageVersion) {
      counted.version = utf8FromBytes(rows.value());
    }
  }
}

export function statusOf(file: BoltFile): SnapshotStatus {
  const counted: Counted = { hash: 0, revision: 0, alive: new Set(), version: "" };
  for (const bucket of file.buckets()) countBucket(file, bucket, counted);
  const { hash, revision, alive, version } = counted;
  return { hash, revision, totalKey: alive.size, totalSize: file.size, version };
}

export async function snapshotStatus({ args, flags, output }: Invocation): Promise<void> {
  const path = args[0];
  if (path === undefined || args.length !== 1) {
    throw new ExitError(ExitCode.BadArgs, "snapshot status requires exactly one argument");
  }
  fileCall("stat", path, () => statSync(path));
  const printer = printerOf(flags.string("write-out"), output);
  const database = await openDatabase(path, "shared", flags.durationMillis("timeout"));
  const status = await withDatabase(database, ({ file, source }) => {
    const findings = checkFile(file, source);
    if (findings.length > 0) {
      const text = `snapshot file integrity check failed. ${findings.length} errors found.\n${findings.join("\n")}`;
      throw new ExitError(ExitCode.Error, text);
    }
    return statusOf(file);
  });
  printer.status(status);
}
