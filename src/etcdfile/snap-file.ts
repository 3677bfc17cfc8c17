// etcd's .snap files: a raft snapshot under a checksum. Read by the importer, written by etcdutl's restore.
import { crc32c } from "../base/crc32c.ts";
import { malformed } from "../base/format-error.ts";
import { DecodeError } from "../wire/decode-error.ts";
import { decodeSnapshot, encodeSnapshot, type Snapshot } from "../wire/generated/raftpb.ts";
import { decodeSnapshot as decodeFile, encodeSnapshot as encodeFile } from "../wire/generated/snappb.ts";

export function snapName(term: number, index: number): string {
  return `${term.toString(16).padStart(16, "0")}-${index.toString(16).padStart(16, "0")}.snap`;
}

/** Where a leader's database of the snapshot at `index` was received. */
export function snapDatabaseName(index: number): string {
  return `${index.toString(16).padStart(16, "0")}.snap.db`;
}

export function encodeSnapFile(snapshot: Snapshot): Uint8Array {
  const data = encodeSnapshot(snapshot);
  return encodeFile({ crc: crc32c(data), data });
}

/** Throws a FormatError with etcd's text. */
export function decodeSnapFile(bytes: Uint8Array): Snapshot {
  if (bytes.length === 0) malformed(0, "snap: empty snapshot");
  try {
    const file = decodeFile(bytes);
    if (file.data.length === 0 || file.crc === 0) malformed(0, "snap: empty snapshot");
    if (crc32c(file.data) !== file.crc) malformed(0, "snap: crc mismatch");
    return decodeSnapshot(file.data);
  } catch (error) {
    if (error instanceof DecodeError) malformed(0, error.message);
    throw error;
  }
}
