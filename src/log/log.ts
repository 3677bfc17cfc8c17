// The log of one member: opens the directory, and owns the files, the cache, the appender and the background jobs. The member opens
// it, replays it, starts it, and then appends through `writer`, reads values through `values`, and gives `raft` to the core.
// "The log is the database": nothing acknowledged stands anywhere else.
import { assert, must } from "../base/assert.ts";
import type { Index, Term } from "../base/brand.ts";
import type { FileNumber, ValueReader } from "../mvcc/contract.ts";
import type { Clock } from "../ports/clock.ts";
import type { Digest } from "../ports/digest.ts";
import type { Disk } from "../ports/disk.ts";
import type { Logger } from "../ports/logger.ts";
import { Appender } from "./appender.ts";
import { BlockCache } from "./block-cache.ts";
import type { EntryType, HardState, Identity, LogWriter, RaftStorage } from "./contract.ts";
import type { EntryTable } from "./entry-table.ts";
import { errorText, isDiskErrorCode, LogOpenError } from "./errors.ts";
import { SEGMENT_HEADER_BYTES } from "./format.ts";
import type { LogFile } from "./log-file.ts";
import { LOCK_NAME } from "./paths.ts";
import { RaftView } from "./raft-view.ts";
import { type Recovered, recover } from "./recover.ts";
import { SpareSegments } from "./spare-segments.ts";

/** Segment sizes, cache and reserve: named, so that tests make them small. */
export type LogLimits = {
  readonly segmentBytesFirst: number;
  readonly segmentBytesMax: number;
  readonly cacheBytesMax: number;
};

export const LOG_LIMITS: LogLimits = {
  segmentBytesFirst: 4 << 20,
  segmentBytesMax: 64 << 20,
  cacheBytesMax: 32 << 20,
};

export type LogOptions = {
  /** <data-dir>/member/cairn */
  readonly directory: string;
  readonly disk: Disk;
  readonly clock: Clock;
  readonly digest: Digest;
  readonly logger: Logger;
  /** Who we are, when the configuration says so: another cluster's directory is refused. */
  readonly expected: Identity | undefined;
  readonly limits: LogLimits;
  /** A flush failed: its outcome is unknown, the process must end. */
  readonly onFatal: (error: Error) => void;
};

/** Called for each entry in order; `data` is a view for the call only. */
export type EntryVisitor = (
  index: Index,
  term: Term,
  type: EntryType,
  data: Uint8Array,
  file: FileNumber,
  offset: number,
) => void;

/** Entries replayed before other work goes first. */
const REPLAY_SLICE_ENTRIES = 4096;

export async function openLog(options: LogOptions): Promise<Log> {
  const { directory, disk, digest } = options;
  const lock = await lockDirectory(disk, directory);
  try {
    const recovered = await recover({ directory, disk, digest, expected: options.expected });
    return new Log(options, lock, recovered);
  } catch (error) {
    await lock.unlock();
    throw asOpenError(error, directory);
  }
}

async function lockDirectory(disk: Disk, directory: string): Promise<{ unlock(): Promise<void> }> {
  try {
    await disk.makeDirectory(directory);
    return await disk.lock(`${directory}/${LOCK_NAME}`);
  } catch (error) {
    if (!isDiskErrorCode(error, "EAGAIN")) throw asOpenError(error, directory);
    throw new LogOpenError(
      "locked",
      directory,
      `${directory} is in use by another process; stop that one, or give this member a directory of its own`,
      error,
    );
  }
}

function asOpenError(error: unknown, directory: string): unknown {
  if (error instanceof LogOpenError) return error;
  if (error instanceof Error && error.name === "CorruptionError") {
    return new LogOpenError("corrupt", directory, error.message, error);
  }
  if (isDiskErrorCode(error, "EACCES") || isDiskErrorCode(error, "EPERM")) {
    const text = `${directory} cannot be read: ${errorText(error)}; check owner and mode (files 0600, directories 0700)`;
    return new LogOpenError("unreadable", directory, text, error);
  }
  if (isDiskErrorCode(error, "ENOSPC")) {
    return new LogOpenError(
      "no-space",
      directory,
      `no space left for ${directory}; free some and start again`,
      error,
    );
  }
  return error instanceof Error && error.name === "DiskError"
    ? new LogOpenError("failed", directory, `${directory} cannot be opened: ${errorText(error)}`, error)
    : error;
}

export class Log {
  readonly raft: RaftStorage;
  readonly #options: LogOptions;
  readonly #lock: { unlock(): Promise<void> };
  readonly #recovered: Recovered;
  readonly #cache: BlockCache;
  readonly #table: EntryTable;
  readonly #files: LogFile[];
  #nextFile: number;
  #appender: Appender | undefined;
  #spares: SpareSegments | undefined;

  constructor(options: LogOptions, lock: { unlock(): Promise<void> }, recovered: Recovered) {
    this.#options = options;
    this.#lock = lock;
    this.#recovered = recovered;
    this.#cache = new BlockCache(options.digest, options.limits.cacheBytesMax);
    this.#table = recovered.table;
    this.#files = recovered.files.slice();
    this.#nextFile = recovered.nextFile;
    if (recovered.active !== undefined) this.#files.push(recovered.active);
    for (const file of this.#files) this.#cache.addFile(file);
    this.raft = new RaftView(() => this.#table, this.#cache);
  }

  /** Whose log it is; undefined for an empty directory. */
  get identity(): Identity | undefined {
    return this.#appender?.identity ?? this.#recovered.identity;
  }

  /** The hard state written last. */
  get hardState(): HardState | undefined {
    return this.#appender?.hardState ?? this.#recovered.hardState;
  }

  get values(): ValueReader {
    return this.#cache;
  }

  /** Only after start(). */
  get writer(): LogWriter {
    return must(this.#appender, "the log is started before it is written");
  }

  /** Visits the entries [from, to] in order, in slices. */
  async replay(from: Index, to: Index, visit: EntryVisitor): Promise<void> {
    const table = this.#table;
    for (let index: number = from; index <= to; index++) {
      const file = table.fileOf(index) as FileNumber;
      const offset = table.offsetOf(index);
      const data = this.#cache.readValue(file, offset, table.lengthOf(index));
      visit(
        index as Index,
        table.termOf(index) as Term,
        table.typeOf(index) as EntryType,
        data,
        file,
        offset,
      );
      if ((index - from) % REPLAY_SLICE_ENTRIES === REPLAY_SLICE_ENTRIES - 1)
        await this.#options.clock.yield();
    }
  }

  /**
   * Makes the log writable: cuts a torn flush, removes leftovers, prepares segments. The first change of the directory.
   * `identity` names a new log and is ignored by one that has a name.
   */
  async start(identity: Identity): Promise<void> {
    assert(this.#appender === undefined, "a log is started once");
    const { directory, disk, limits, digest } = this.#options;
    const { active, spare, cut, untrimmed, leftovers } = this.#recovered;
    if (cut !== undefined) {
      await cut.file.disk.write([new Uint8Array(cut.to - cut.from)], cut.from);
      await cut.file.disk.sync();
    }
    for (const { file, size } of untrimmed) this.#trim(file, size);
    for (const path of leftovers) await disk.remove(path);
    const largest = Math.max(
      0,
      ...this.#files.map((file) => file.allocatedBytes),
      spare?.allocatedBytes ?? 0,
    );
    const spares = new SpareSegments(
      {
        directory,
        disk,
        digest,
        firstBytes: limits.segmentBytesFirst,
        bytesMax: limits.segmentBytesMax,
        nextNumber: () => this.#nextFile++ as FileNumber,
        onFailure: (error) => this.#onSpareFailure(error),
      },
      spare,
      largest,
    );
    this.#spares = spares;
    await this.#startAppender(active ?? (await this.#firstSegment(spares)), spares, identity);
    void spares.prepare();
  }

  async close(): Promise<void> {
    await this.#spares?.close();
    for (const file of this.#files) await file.disk.close();
    await this.#lock.unlock();
  }

  async #firstSegment(spares: SpareSegments): Promise<LogFile> {
    await spares.prepare();
    const file = spares.take();
    if (file !== undefined) return this.#addFile(file);
    throw new LogOpenError(
      "no-space",
      this.#options.directory,
      `no segment could be created in ${this.#options.directory}: see the log line before this`,
    );
  }

  async #startAppender(file: LogFile, spares: SpareSegments, identity: Identity): Promise<void> {
    const known = this.#recovered.identity;
    const fresh = file.dataEnd === 0;
    const appender = new Appender(
      {
        digest: this.#options.digest,
        clock: this.#options.clock,
        cache: this.#cache,
        table: this.#table,
        takeSpare: () => {
          const next = spares.take();
          return next === undefined ? undefined : this.#addFile(next);
        },
        onSealed: (sealed, size) => this.#trim(sealed, size),
        onNoSpace: async () => false,
        onFatal: this.#options.onFatal,
      },
      file,
      fresh ? undefined : known,
      this.#recovered.hardState,
    );
    this.#appender = appender;
    if (fresh) appender.begin(known ?? identity, this.#recovered.previous);
    assert(file.dataEnd > SEGMENT_HEADER_BYTES, "a started log knows whose it is");
  }

  #addFile(file: LogFile): LogFile {
    this.#files.push(file);
    this.#cache.addFile(file);
    return file;
  }

  /** Gives the unused end of a sealed segment back. Harmless when it fails: it is done at the next start. */
  #trim(file: LogFile, size: number): void {
    file.disk.truncate(size).then(
      () => {
        file.diskBytes = size;
      },
      (error) =>
        this.#options.logger.warn("could not shorten a segment", {
          path: file.disk.path,
          error: errorText(error),
        }),
    );
  }

  async #onSpareFailure(error: unknown): Promise<boolean> {
    this.#options.logger.error("could not prepare a segment", { error: errorText(error) });
    return false;
  }
}
