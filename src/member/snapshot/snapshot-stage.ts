// A leader's snapshot on its way in, as a store with its values in runs that nothing names yet: a copy becomes that as it arrives
// (copy-intake.ts), an etcd database file is written beside the log first and then checked. All beside running traffic, and without a
// change of the member's state: what fails here leaves nothing behind. The file ends in .tmp, so that a start after a crash removes it
// with the log's other leftovers.
import type { ClusterId, Index, MemberId, Term } from "../../base/brand.ts";
import { errors } from "../../base/errors.ts";
import { FormatError } from "../../base/format-error.ts";
import { BoltFile } from "../../bbolt/reader.ts";
import { readTables } from "../../etcdfile/backend.ts";
import { FileSource } from "../../etcdfile/file-source.ts";
import { KeyCursor } from "../../etcdfile/key-cursor.ts";
import { snapDatabaseName } from "../../etcdfile/snap-file.ts";
import type { LogSource, WrittenImage } from "../../log/contract.ts";
import type { Log } from "../../log/log.ts";
import { TEMPORARY_SUFFIX } from "../../log/paths.ts";
import type { Clock } from "../../ports/clock.ts";
import type { Digest } from "../../ports/digest.ts";
import type { Disk, DiskFile } from "../../ports/disk.ts";
import type { Logger } from "../../ports/logger.ts";
import type { ConfState, SnapshotMetadata } from "../../raft/message.ts";
import { confStateToBytes } from "../conf-state.ts";
import { encodeTables, restoreTables } from "../tables.ts";
import { reclaimStore } from "../upkeep/reclaim-store.ts";
import { takeCopy, tellForm } from "./copy-intake.ts";
import { type ImportedRows, importRows } from "./import-rows.ts";
import { attachLeases, newSmallTables, type SmallTables, smallTables } from "./small-tables.ts";

/** Written at once: small chunks from the network are gathered. */
const WRITE_BYTES = 1 << 20;
/** Room on the device is looked at this often, and so much of it is left to the log. */
const BYTES_PER_LOOK = 16 << 20;
const FREE_BYTES_MIN = 32 << 20;

export type StageOptions = {
  /** Where the log is: the staged file stands beside its files. */
  readonly directory: string;
  readonly disk: Disk;
  readonly digest: Digest;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly log: Log;
  readonly seed: number;
  readonly clusterId: ClusterId;
  readonly localId: MemberId;
  readonly learnersMax: number;
  readonly leaseSecondsMin: number;
  /** The member ends: nothing more is written. */
  readonly stopped: () => boolean;
};

/** Why nobody waits for the snapshot any more, once that is so. */
export type Wanted = { cancelled: Error | undefined };

/** A snapshot that could become the member's state at once. */
export type StagedState = SmallTables & {
  readonly index: Index;
  readonly term: Term;
  readonly confState: ConfState;
  readonly rows: ImportedRows;
  /** When it came with the rows; else it is made when the state is installed. */
  readonly image: WrittenImage | undefined;
};

/** Rejects with a text for the sender; nothing is left then. */
export async function stageSnapshot(
  metadata: SnapshotMetadata,
  body: AsyncIterable<Uint8Array>,
  wanted: Wanted,
  options: StageOptions,
): Promise<StagedState> {
  const room = new Room(options, wanted);
  const told = await tellForm(body);
  const staged = told.isCopy
    ? await stageCopy(told.body, metadata, room, options)
    : await stageDatabase(told.body, metadata.index, room, options);
  const { index, term, confState } = metadata;
  return { index, term, confState, ...staged };
}

type Staged = Pick<StagedState, keyof SmallTables | "rows" | "image">;

async function stageCopy(
  body: AsyncIterable<Uint8Array>,
  metadata: SnapshotMetadata,
  room: Room,
  options: StageOptions,
): Promise<Staged> {
  const small = newSmallTables(options);
  const goOn = (bytes: number): Promise<void> => room.take(bytes);
  const tables = (bytes: Uint8Array): void =>
    restoreTables(bytes, small.lessor, small.membership, small.alarms, options.clock.now());
  try {
    const snapshot = {
      appliedIndex: metadata.index,
      appliedTerm: metadata.term,
      confState: confStateToBytes(metadata.confState),
    };
    const rows = await takeCopy(body, { ...options, goOn, snapshot, tables });
    await attachLeases(small.lessor, rows.store, options.clock);
    return { ...small, rows, image: rows.image };
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    throw new Error(`the copy is corrupt at offset ${error.offset}: ${error.message}`);
  }
}

async function stageDatabase(
  body: AsyncIterable<Uint8Array>,
  index: Index,
  room: Room,
  options: StageOptions,
): Promise<Staged> {
  const path = `${options.directory}/${snapDatabaseName(index)}${TEMPORARY_SUFFIX}`;
  const file = await options.disk.open(path, "create");
  try {
    await writeBody(file, body, room);
    return await importBody(file, index, room, options);
  } finally {
    await file.close();
    await options.disk.remove(path);
  }
}

/** Rejects when the device runs full, or when nobody waits any more. */
class Room {
  readonly #options: StageOptions;
  readonly #wanted: Wanted;
  #left = 0;

  constructor(options: StageOptions, wanted: Wanted) {
    this.#options = options;
    this.#wanted = wanted;
  }

  /** Before `bytes` more are written. */
  async take(bytes: number): Promise<void> {
    if (this.#wanted.cancelled !== undefined) throw this.#wanted.cancelled;
    if (this.#options.stopped()) throw new Error(errors.stopped.message);
    this.#left -= bytes;
    if (this.#left >= 0) return;
    const { disk, directory } = this.#options;
    if ((await disk.freeBytes(directory)) < FREE_BYTES_MIN + BYTES_PER_LOOK)
      throw new Error(`no space left on the device of ${directory} for a snapshot`);
    this.#left = BYTES_PER_LOOK;
  }
}

/** The next piece is gathered while the one before is written. */
async function writeBody(file: DiskFile, body: AsyncIterable<Uint8Array>, room: Room): Promise<void> {
  let buffer = new Uint8Array(WRITE_BYTES);
  let other = new Uint8Array(WRITE_BYTES);
  let used = 0;
  let position = 0;
  let writing: Promise<unknown> = Promise.resolve();
  const write = async (): Promise<void> => {
    const failure = await writing;
    if (failure !== undefined) throw failure;
    await room.take(used);
    // Its error is a value until somebody waits: the body may take its time.
    writing = file.write([buffer.subarray(0, used)], position).catch((error: unknown) => error);
    [buffer, other] = [other, buffer];
    position += used;
    used = 0;
  };
  try {
    for await (const chunk of body) {
      for (let at = 0; at < chunk.length; ) {
        const count = Math.min(chunk.length - at, WRITE_BYTES - used);
        buffer.set(chunk.subarray(at, at + count), used);
        used += count;
        at += count;
        if (used === WRITE_BYTES) await write();
      }
    }
    if (used > 0) await write();
  } finally {
    await writing;
  }
  const failure = await writing;
  if (failure !== undefined) throw failure;
}

async function importBody(file: DiskFile, index: Index, room: Room, options: StageOptions): Promise<Staged> {
  try {
    const database = new BoltFile(new FileSource(file));
    const tables = readTables(database);
    if (tables.consistentIndex !== index)
      throw new Error(`the database ends at entry ${tables.consistentIndex}, its snapshot at entry ${index}`);
    if (tables.authEnabled)
      throw new Error(
        "authentication, which is enabled in this cluster, is not supported by this version of Cairn",
      );
    const small = await smallTables(tables, options);
    const goOn = (): Promise<void> => room.take(WRITE_BYTES);
    const rows = await importRows(new KeyCursor(database), tables, { ...options, goOn });
    await attachLeases(small.lessor, rows.store, options.clock);
    return { ...small, rows, image: undefined };
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    throw new Error(`the database is corrupt at offset ${error.offset}: ${error.message}`);
  }
}

/** The staged state as what a restart begins from. */
export function logSourceOf(staged: StagedState): LogSource {
  const { index, term, confState, rows, image, lessor, membership, alarms } = staged;
  return {
    store: reclaimStore(rows.store),
    appliedIndex: index,
    checkpoint: () => ({
      appliedIndex: index,
      appliedTerm: term,
      confState: confStateToBytes(confState),
      tables: encodeTables(lessor, membership, alarms),
      image: image ?? rows.store.checkpoint(),
    }),
  };
}
