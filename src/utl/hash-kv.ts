// `etcdutl hashkv`: etcd's HashKV of a database file at a revision, the same number that a running member answers. Unlike etcdutl
// it does not open the file for writing: a snapshot keeps the checksum it was saved with.
import { statSync } from "node:fs";
import { latin1FromBytes, utf8ToBytes } from "../base/bytes.ts";
import { crc32c } from "../base/crc32c.ts";
import { errors } from "../base/errors.ts";
import type { BoltFile } from "../bbolt/reader.ts";
import { ExitError, type Invocation } from "../cli/command.ts";
import { BucketName, readTables } from "../etcdfile/backend.ts";
import { KeyCursor } from "../etcdfile/key-cursor.ts";
import { openDatabase, withDatabase } from "./database.ts";
import { ExitCode, fileCall } from "./exit.ts";
import { type HashKv, printerOf } from "./printer.ts";

/** etcd says -1 for a store that was never compacted. */
const NEVER_COMPACTED = -1;
const FIRST_REVISION = 1;
/** In the map of newest rows: the key's newest row is no longer kept. */
const NOT_KEPT = -1;

/** What a store says of itself after it has been restored from the file. */
export function revisionsOf(file: BoltFile): { current: number; compacted: number } {
  const tables = readTables(file);
  const keys = new KeyCursor(file);
  let current = FIRST_REVISION;
  while (keys.next()) current = keys.revision.main;
  // A restored store goes on with a compaction that was not finished, before it is asked anything.
  const compacted = Math.max(
    tables.finishedCompactRevision ?? NEVER_COMPACTED,
    tables.scheduledCompactRevision ?? NEVER_COMPACTED,
  );
  return { current: Math.max(current, compacted), compacted };
}

/**
 * The ordinals of the rows that a compaction at `revision` keeps: of each key its newest row, unless that is a tombstone. A key that
 * is deleted at `revision` itself keeps none, even when the same transaction put it again: etcd looks at the generation that ended.
 */
function keptRows(file: BoltFile, revision: number): Set<number> {
  const newest = new Map<string, number>();
  const ended = new Set<string>();
  const keys = new KeyCursor(file);
  for (let ordinal = 0; keys.next() && keys.revision.main <= revision; ordinal++) {
    const { main, tombstone } = keys.revision;
    const name = latin1FromBytes(keys.fields.key);
    if (tombstone && main === revision) ended.add(name);
    newest.set(name, tombstone ? NOT_KEPT : ordinal);
  }
  for (const name of ended) newest.delete(name);
  const kept = new Set(newest.values());
  kept.delete(NOT_KEPT);
  return kept;
}

/** `revision` 0: the newest. */
export function hashKvOf(file: BoltFile, revision: number): HashKv {
  const { current, compacted } = revisionsOf(file);
  if (revision > 0 && revision < compacted)
    throw new ExitError(ExitCode.Error, mvccText(errors.compacted.message));
  if (revision > 0 && revision > current)
    throw new ExitError(ExitCode.Error, mvccText(errors.futureRevision.message));
  const at = revision === 0 ? current : revision;
  const kept = compacted > 0 ? keptRows(file, at) : new Set<number>();
  let hash = crc32c(utf8ToBytes(BucketName.Key));
  const keys = new KeyCursor(file);
  for (let ordinal = 0; keys.next(); ordinal++) {
    const { main, tombstone } = keys.revision;
    if (main > at) break;
    if (main <= compacted && kept.size > 0 && !kept.has(ordinal)) continue;
    if (main === compacted && tombstone) continue;
    hash = keys.checksum(hash);
  }
  return { hash, hashRevision: at, compactRevision: compacted };
}

/** The store's own text: without the prefix that the server puts before it. */
function mvccText(text: string): string {
  return text.replace(/^etcdserver: /, "");
}

export async function hashKv({ args, flags, output }: Invocation): Promise<void> {
  const path = args[0]!;
  const printer = printerOf(flags.string("write-out"), output);
  fileCall("stat", path, () => statSync(path));
  const database = await openDatabase(path, "exclusive", flags.durationMillis("timeout"), ExitCode.Panic);
  printer.hashKv(await withDatabase(database, ({ file }) => hashKvOf(file, flags.number("rev"))));
}
