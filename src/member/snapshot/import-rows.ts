// Brings the rows of an etcd database file into a store of our own: values into runs of the log that nothing names yet, keys into a
// new index. For a directory of etcd's at start, and for a leader's snapshot beside running traffic, hence in short slices. It never
// touches the member's present state; what is wrong with a row ends it with a FormatError, and the runs are gone.
import type { LeaseId } from "../../base/brand.ts";
import { FormatError } from "../../base/format-error.ts";
import type { BackendTables } from "../../etcdfile/backend.ts";
import type { KeyCursor } from "../../etcdfile/key-cursor.ts";
import type { Log } from "../../log/log.ts";
import type { LogFile } from "../../log/log-file.ts";
import type { RunWriter } from "../../log/run.ts";
import type { FileNumber } from "../../mvcc/contract.ts";
import { Importer } from "../../mvcc/importer.ts";
import type { Store } from "../../mvcc/store.ts";
import type { Clock } from "../../ports/clock.ts";
import type { Logger } from "../../ports/logger.ts";

/** Rows between two looks at the clock, and how long a slice may take of a turn. */
const ROWS_PER_LOOK = 32;
const SLICE_MILLIS_MAX = 2;
/** Progress is told this often. */
const ROWS_PER_REPORT = 500_000;

/** etcd's "never compacted". */
const NEVER = -1;
/** So many bytes of the file for a key: room for a million of them at most is made ahead, eight megabytes. */
const BYTES_PER_KEY = 512;
const KEYS_EXPECTED_MAX = 1 << 20;
const NO_PLACE = { file: 0 as FileNumber, offset: 0 };

export type ImportOptions = {
  readonly log: Log;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Of the new store's hash. */
  readonly seed: number;
  /** Called now and then: rejects when the import is to end, because nobody wants it any more or the device runs full. */
  readonly goOn?: () => Promise<void>;
};

/** `files` are for Log.adoptRuns, or to be thrown away by discard(). */
export type ImportedRows = {
  readonly store: Store;
  readonly files: readonly LogFile[];
  discard(): Promise<void>;
};

export async function importRows(
  cursor: KeyCursor,
  tables: BackendTables,
  options: ImportOptions,
): Promise<ImportedRows> {
  const runs = options.log.newRuns();
  try {
    const importer = new Importer(
      { seed: options.seed },
      Math.min(KEYS_EXPECTED_MAX, Math.floor(cursor.fileBytes / BYTES_PER_KEY)),
    );
    await addRows(cursor, importer, runs, options);
    const files = await runs.finish();
    const store = importer.finish({
      finished: tables.finishedCompactRevision ?? NEVER,
      scheduled: tables.scheduledCompactRevision ?? NEVER,
    });
    return { store, files, discard: () => runs.discard() };
  } catch (error) {
    await runs.discard();
    throw error;
  }
}

async function addRows(
  cursor: KeyCursor,
  importer: Importer,
  runs: RunWriter,
  { clock, logger, goOn }: ImportOptions,
): Promise<void> {
  let rows = 0;
  let sliceBegan = clock.now();
  while (cursor.next()) {
    addRow(cursor, importer, runs);
    if (runs.full) {
      await runs.drain();
      await goOn?.();
      sliceBegan = clock.now();
    }
    rows++;
    if (rows % ROWS_PER_LOOK === 0 && clock.now() - sliceBegan >= SLICE_MILLIS_MAX) {
      await clock.yield();
      sliceBegan = clock.now();
    }
    if (rows % ROWS_PER_REPORT === 0) logger.info("importing", { revisions: rows });
  }
}

function addRow({ revision, fields }: KeyCursor, importer: Importer, runs: RunWriter): void {
  const { value } = fields;
  const place = value.length === 0 ? NO_PLACE : runs.add(value);
  const problem = importer.add({
    main: revision.main,
    sub: revision.sub,
    tombstone: revision.tombstone,
    key: fields.key,
    create: fields.createRevision,
    version: fields.version,
    lease: fields.lease as LeaseId,
    file: place.file,
    offset: place.offset,
    length: value.length,
  });
  if (problem !== undefined) throw new FormatError(0, problem);
}
