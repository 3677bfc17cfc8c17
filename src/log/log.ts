// The log of one member: opens the directory, and owns the files, the cache, the appender and the background jobs. The member opens
// it, replays it, starts it, and then appends through `writer`, reads values through `values`, and gives `raft` to the core.
// "The log is the database": nothing acknowledged stands anywhere else.

import { assert, must } from "../base/assert.ts";
import type { Index, Term } from "../base/brand.ts";
import { errorText } from "../base/error-text.ts";
import type { FileNumber } from "../mvcc/contract.ts";
import type { Clock } from "../ports/clock.ts";
import type { Digest } from "../ports/digest.ts";
import type { Disk } from "../ports/disk.ts";
import type { Logger } from "../ports/logger.ts";
import { Appender } from "./appender.ts";
import { BlockCache } from "./block-cache.ts";
import { Checkpointer, type SnapshotPoint } from "./checkpointer.ts";
import type {
  CheckpointMeta,
  EntryType,
  HardState,
  Identity,
  LogSource,
  LogWriter,
  RaftStorage,
  ReclaimStore,
} from "./contract.ts";
import { describeLog } from "./describe.ts";
import { type DiskBudget, diskBudget, type LogLimits } from "./disk-budget.ts";
import type { EntryTable } from "./entry-table.ts";
import { isDiskErrorCode } from "./errors.ts";
import { FileSet } from "./file-set.ts";
import { FlushMark } from "./flush-mark.ts";
import { FlushPace } from "./flush-pace.ts";
import { readImageChunks } from "./image.ts";
import { ImageDraft } from "./image-draft.ts";
import { JobQueue } from "./job-queue.ts";
import type { LogFile } from "./log-file.ts";
import { asOpenError, lockDirectory } from "./open-error.ts";
import { RaftView } from "./raft-view.ts";
import { chooseVictims, copyLive, type ReclaimOptions, sharesOf } from "./reclaim.ts";
import { makeSafe, type Recovered, recover } from "./recover.ts";
import { RunWriter } from "./run.ts";
import { RunCopies } from "./run-copy.ts";
import { Space } from "./space.ts";
import { SpareSegments } from "./spare-segments.ts";
import { ValueCopier } from "./value-copier.ts";

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
  /** The device is full (true), or usable again (false): the member raises or lowers its NOSPACE alarm. */
  readonly onSpace: (full: boolean) => void;
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

type Running = {
  readonly appender: Appender;
  readonly spares: SpareSegments;
  readonly space: Space;
  readonly checkpointer: Checkpointer;
  readonly mark: FlushMark;
};

export class Log {
  readonly raft: RaftStorage;
  readonly #options: LogOptions;
  readonly #lock: { unlock(): Promise<void> };
  readonly #recovered: Recovered;
  readonly #cache: BlockCache;
  readonly #table: EntryTable;
  readonly #files: FileSet;
  #nextFile: number;
  #running: Running | undefined;
  readonly #jobs: JobQueue;
  #budget: DiskBudget;
  #failure: Error | undefined;
  #spareFailure: unknown;
  #onFailure: ((error: Error) => void) | undefined;

  constructor(options: LogOptions, lock: { unlock(): Promise<void> }, recovered: Recovered) {
    this.#options = options;
    this.#lock = lock;
    this.#recovered = recovered;
    this.#jobs = new JobQueue(options);
    this.#cache = new BlockCache(options.digest, options.limits.cacheBytesMax);
    this.#files = new FileSet(options.disk, this.#cache, options.logger);
    this.#table = recovered.table;
    this.#nextFile = recovered.nextFile;
    for (const file of recovered.files) this.#files.add(file);
    if (recovered.active !== undefined) this.#files.add(recovered.active);
    const recoveredBytes = recovered.files.reduce((sum, file) => sum + file.diskBytes, 0);
    this.#budget = diskBudget(options.limits, recoveredBytes / 2);
    this.raft = new RaftView(this.#table, this.#cache);
  }

  /** Whose log it is; undefined for an empty directory. */
  get identity(): Identity | undefined {
    return this.#running?.appender.identity ?? this.#recovered.identity;
  }

  /** Forgets entries without any hard state: the very first flush was torn, so nobody was told of them. Before start(). */
  forgetUnvoted(): void {
    const { table, hardState } = this.#recovered;
    assert(hardState === undefined, "a log with a hard state keeps its entries");
    table.reset(0, 0);
  }

  /** The hard state written last. */
  get hardState(): HardState | undefined {
    return this.#running?.appender.hardState ?? this.#recovered.hardState;
  }

  /** The checkpoint that this start begins from, or undefined: then all is replayed from entry 1. */
  get checkpointMeta(): CheckpointMeta | undefined {
    return this.#recovered.image;
  }

  /** The device has no room, as far as is known. */
  get full(): boolean {
    return this.#running?.space.full ?? false;
  }

  /** A ValueReader, and what a ValueWindow reads through. */
  get values(): BlockCache {
    return this.#cache;
  }

  /** Only after start(). */
  get writer(): LogWriter {
    return this.#run.appender;
  }

  /** The index image of checkpointMeta, each chunk a view until the next is asked for. Before the first new checkpoint only. */
  imageChunks(): AsyncGenerator<Uint8Array> {
    const image = must(this.#recovered.image, "there is a checkpoint");
    return readImageChunks(this.#options.disk, image, this.#options.digest);
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
    assert(this.#running === undefined, "a log is started once");
    const space = this.#makeSpace();
    try {
      await this.#start(identity, space);
    } catch (error) {
      await space.close();
      throw asOpenError(error, this.#options.directory);
    }
  }

  async #start(identity: Identity, space: Space): Promise<void> {
    const { disk } = this.#options;
    const { active, cut, untrimmed, leftovers } = this.#recovered;
    if (cut !== undefined) {
      if (cut.to > cut.from) await cut.file.disk.write([new Uint8Array(cut.to - cut.from)], cut.from);
      await cut.file.disk.allocate(cut.file.allocatedBytes);
      await cut.file.disk.sync();
      cut.file.diskBytes = Math.max(cut.file.diskBytes, cut.file.allocatedBytes);
    }
    await makeSafe(this.#recovered, disk, this.#options.directory);
    for (const { file, size } of untrimmed) this.#files.trim(file, size);
    for (const path of leftovers) await disk.remove(path);
    const spares = this.#makeSpares(space);
    const file = active ?? this.#files.add(await this.#firstSegment(spares));
    const mark = await FlushMark.open(this.#options, this.#recovered.flushMark, file.number);
    const appender = this.#makeAppender(file, spares, space, identity, mark);
    const checkpointer = this.#makeCheckpointer(appender, must(appender.identity, "the log has a name"));
    this.#running = { appender, spares, space, checkpointer, mark };
    space.start();
  }

  /** True when enough was written since the last checkpoint. The member asks now and then, and calls checkpoint(). */
  get checkpointDue(): boolean {
    return this.#jobs.idle && this.#run.checkpointer.due;
  }

  /** Writes a checkpoint and removes files in which nothing is alive. Also at a clean shutdown. */
  checkpoint(source: LogSource): Promise<void> {
    return this.#jobs.runUnlessFull(() => this.#checkpoint(source));
  }

  /** True when the dead bytes outweigh the live ones. Costs a walk over the files, not over the keys. */
  reclaimDue(source: LogSource): boolean {
    this.#renewBudget(source.store);
    return this.#jobs.idle && source.store.relocatable && this.#victims(source, false).length > 0;
  }

  /** Empties mostly dead files and removes them; `forced` (Defragment) takes all that are worth it. */
  reclaim(source: LogSource, forced: boolean): Promise<void> {
    return this.#jobs.runUnlessFull(async () => {
      const victims = this.#victims(source, forced);
      if (victims.length === 0 && !forced) return;
      await copyLive(victims, source.store, this.#reclaimOptions());
      await this.#checkpoint(source);
    });
  }

  /** Values from outside the log (a snapshot, an imported database) are written as runs; see adoptRuns. */
  newRuns(): RunWriter {
    return new RunWriter(this.#reclaimOptions());
  }

  /** The same for another member's state, whose files and image are written as they come. */
  newState(): { readonly runs: RunCopies; readonly image: ImageDraft } {
    const { directory, disk, digest } = this.#options;
    const files = { directory, disk, digest, nextNumber: () => this.#nextNumber() };
    return { runs: new RunCopies(files), image: new ImageDraft({ ...files, number: this.#nextNumber() }) };
  }

  /** From here on the values of finished runs can be read. They stay only if a checkpoint or installSnapshot follows. */
  adoptRuns(files: readonly LogFile[]): void {
    for (const file of files) this.#files.add(file).adopted = true;
  }

  /**
   * Replaces everything by a snapshot that ends with `point`: entries are forgotten, `input` becomes the state a restart begins
   * from, in one step. Nothing but hard states may be appended until `installed` is called: the new state is durable then, and the old
   * one's values can still be read until that call returns. An error with code ENOSPC left everything as it was; any other is the end.
   */
  installSnapshot(point: SnapshotPoint, source: LogSource, installed?: () => void): Promise<void> {
    return this.#jobs.run(async () => {
      const unneeded = this.#dead(source.store);
      await this.#run.checkpointer.write(source.checkpoint(), unneeded, { ...point, installed });
      for (const file of this.#files.files) file.adopted = false;
    });
  }

  /**
   * Until the returned function is called, checkpoints keep the entries behind `index`, for a member that is being sent a snapshot that
   * ends there; but not more bytes of them than sending it another one would cost.
   */
  keepEntriesBehind(index: Index): () => void {
    return this.#run.checkpointer.keepBehind(index);
  }

  /** Until the returned function is called, no file goes away: for those who keep places of values over a turn. */
  pin(): () => void {
    return this.#files.pin();
  }

  /** One line per file, then the sums: for doctor, debug logs and tests. */
  describe(store: ReclaimStore | undefined): string {
    return describeLog({
      files: this.#files.files,
      table: this.#table,
      store,
      cacheBytes: this.#cache.bytes,
      cacheMisses: this.#cache.misses,
      bytesSinceCheckpoint: this.#running?.checkpointer.bytesSince ?? 0,
      imageBytes: this.#running?.checkpointer.imageBytes ?? 0,
      full: this.#running?.space.full ?? false,
    });
  }

  /** Waits for a background job and a flush, then lets go of everything. What is staged and not flushed is lost. */
  async close(): Promise<void> {
    await this.#jobs.settled();
    await this.#running?.space.close();
    await this.#running?.spares.close();
    await this.#running?.mark.close();
    await this.#files.close();
    await this.#lock.unlock();
  }

  get #run(): Running {
    return must(this.#running, "the log is started before it is written");
  }

  async #checkpoint(source: LogSource): Promise<void> {
    // What is dead at the moment the image begins is not named by it.
    const unneeded = this.#dead(source.store);
    await this.#run.checkpointer.write(source.checkpoint(), unneeded);
  }

  #dead(store: ReclaimStore): LogFile[] {
    return this.#files.files.filter(
      (file) => file.sealed && !file.adopted && store.liveBytesOf(file.number) === 0,
    );
  }

  /** Sealed files whose entries a checkpoint would let go of. */
  #victims(source: LogSource, forced: boolean): LogFile[] {
    const retained = this.#run.checkpointer.startFor(source.appliedIndex);
    const files = this.#files.files.filter(
      (file) => file.sealed && !file.adopted && (file.kind === "run" || file.lastIndex <= retained),
    );
    return chooseVictims(files, source.store, this.#budget.slackBytes, forced);
  }

  /** What may be kept besides live values grows and shrinks with them. */
  #renewBudget(store: ReclaimStore): void {
    this.#budget = diskBudget(this.#options.limits, sharesOf(this.#files.files, store).liveBytes);
    this.#run.space.reserve(this.#budget.reserveBytes);
  }

  #reclaimOptions(): ReclaimOptions {
    const { directory, disk, digest, clock, limits } = this.#options;
    return {
      directory,
      disk,
      digest,
      clock,
      runBytesMax: limits.segmentBytesMax,
      nextNumber: () => this.#nextNumber(),
      values: new ValueCopier(this.#cache, digest),
      addFile: (file) => this.#files.add(file),
    };
  }

  #nextNumber(): FileNumber {
    return this.#nextFile++ as FileNumber;
  }

  #makeSpace(): Space {
    const { directory, disk, clock, logger } = this.#options;
    return new Space({
      directory,
      disk,
      clock,
      logger,
      reserveBytes: this.#budget.reserveBytes,
      wantedBytes: () => this.#budget.segmentBytes,
      onSpace: (full) => {
        if (!full) this.#running?.spares.retry();
        this.#options.onSpace(full);
      },
    });
  }

  #makeSpares(space: Space): SpareSegments {
    const { directory, disk, digest, limits } = this.#options;
    const { spare } = this.#recovered;
    const sizes = this.#files.files.map((file) => file.allocatedBytes);
    return new SpareSegments(
      {
        directory,
        disk,
        digest,
        clock: this.#options.clock,
        firstBytes: limits.segmentBytesFirst,
        bytesMax: () => this.#budget.segmentBytes,
        nextNumber: () => this.#nextNumber(),
        onFailure: async (error) => {
          this.#spareFailure = error;
          this.#options.logger.error("could not prepare a segment", { error: errorText(error) });
          return isDiskErrorCode(error, "ENOSPC") && (await space.release());
        },
      },
      spare,
      Math.max(0, ...sizes, spare?.allocatedBytes ?? 0),
    );
  }

  async #firstSegment(spares: SpareSegments): Promise<LogFile> {
    await spares.prepare();
    const file = spares.take();
    if (file === undefined) throw this.#spareFailure;
    return file;
  }

  #makeAppender(
    file: LogFile,
    spares: SpareSegments,
    space: Space,
    identity: Identity,
    mark: FlushMark,
  ): Appender {
    const known = this.#recovered.identity;
    const fresh = file.dataEnd === 0;
    const appender = new Appender(
      {
        digest: this.#options.digest,
        clock: this.#options.clock,
        cache: this.#cache,
        table: this.#table,
        mark,
        pace: new FlushPace(this.#options.limits.inlineFlushBytesMax),
        takeSpare: () => {
          const next = spares.take();
          return next === undefined ? undefined : this.#files.add(next);
        },
        isDeviceBusy: () => this.#jobs.busy || spares.busy,
        wantSpare: () => {
          if (!spares.ready) void spares.prepare();
        },
        onSealed: (sealed, size) => this.#files.trim(sealed, size),
        onNoSpace: async () => {
          if (!(await space.release())) await space.nextLook();
        },
        onFatal: (error) => {
          this.#failure = error;
          this.#onFailure?.(error);
          this.#options.onFatal(error);
        },
      },
      file,
      fresh ? undefined : known,
      this.#recovered.hardState,
    );
    if (fresh) appender.begin(known ?? identity, this.#recovered.previous);
    return appender;
  }

  #makeCheckpointer(appender: Appender, identity: Identity): Checkpointer {
    const { directory, disk, digest, clock, logger, limits } = this.#options;
    const applied = this.#recovered.image?.appliedIndex ?? 0;
    return new Checkpointer(
      {
        directory,
        disk,
        digest,
        clock,
        logger,
        table: this.#table,
        files: this.#files,
        identity,
        nextNumber: () => this.#nextNumber(),
        peekNumber: () => this.#nextFile,
        tail: () => ({ file: appender.file, position: appender.position }),
        flushed: () => this.#flushed(appender),
        appendedBytes: () => appender.appendedBytes,
        checkpointEntries: limits.checkpointEntries,
        catchUpEntries: limits.catchUpEntries,
        catchUpBytesMax: () => this.#budget.catchUpBytes,
        keptBytesMax: () => this.#budget.keptBytes,
      },
      this.#recovered.manifest,
      this.#table.bytesBehind(applied),
    );
  }

  /** A failed flush is never done: a job that waits for it must not wait for ever. */
  #flushed(appender: Appender): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      this.#onFailure = reject;
      appender.flush(resolve);
    });
  }
}
