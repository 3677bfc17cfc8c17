// Runs: immutable files of values, in key order, written by reclaim (and by imports), read like segments. A run counts only once a
// manifest names it. The keys are not in it: the index image names them, and one place for a fact is enough.
import { must } from "../base/assert.ts";
import type { FileNumber } from "../mvcc/contract.ts";
import type { Digest } from "../ports/digest.ts";
import type { Disk, DiskFile } from "../ports/disk.ts";
import { Behind } from "./behind.ts";
import type { EntryPlace } from "./contract.ts";
import {
  END_BYTE,
  encodeHeader,
  encodeSeal,
  encodeTrailer,
  FRAME_BYTES,
  HEADER_BYTES,
  placeSeed,
  putFrame,
  putU32,
  RecordKind,
  RUN_MAGIC,
  TRAILER_BYTES,
} from "./format.ts";
import { BLOCK_SHIFT, LogFile, PAGE_BYTES } from "./log-file.ts";
import { filePath } from "./paths.ts";

/** Written at once; a multiple of the page. */
const WRITE_BYTES = 256 << 10;
/** Writes, and flushes of finished runs, that may wait for the disk: four megabytes and two runs. */
const WRITES_MAX = 16;
const FLUSHES_MAX = 2;

export type RunOptions = {
  readonly directory: string;
  readonly disk: Disk;
  readonly digest: Digest;
  readonly runBytesMax: number;
  readonly nextNumber: () => FileNumber;
};

/** A run that values are added to, or that is being closed. */
type OpenRun = {
  readonly number: FileNumber;
  /** Undefined until the first write. */
  file: LogFile | undefined;
  /** Bytes that are written, and the end of what was added. */
  written: number;
  end: number;
};

/**
 * Writes values one after the other into as many runs as they need. `add` never waits; call `drain` when `full`. The disk works beside the
 * caller, writes in their order and flushes beside them; whoever drains waits when too many are behind.
 */
export class RunWriter {
  readonly #options: RunOptions;
  readonly #finished: LogFile[] = [];
  /** Of all runs, finished or not. */
  readonly #files: LogFile[] = [];
  /** Filled buffers of the current run, not yet written; each begins at a page. */
  #filled: Uint8Array[] = [];
  /** Written buffers, used again: fresh ones would hasten the collector. */
  readonly #spare: Uint8Array[] = [];
  #buffer: Uint8Array = new Uint8Array(WRITE_BYTES);
  #used = 0;
  #run: OpenRun | undefined;
  readonly #writes = new Behind(WRITES_MAX);
  readonly #flushes = new Behind(FLUSHES_MAX);

  constructor(options: RunOptions) {
    this.#options = options;
  }

  get full(): boolean {
    return this.#filled.length > 0 || (this.#run !== undefined && this.#isWhole(this.#run));
  }

  /** Copies the value and says where it will stand. */
  add(value: Uint8Array): EntryPlace {
    this.#run ??= this.#begin();
    const place = { file: this.#run.number, offset: this.#run.end };
    this.#put(this.#run, value);
    return place;
  }

  /** Begins to write what is full, and to close the run when it has its size. */
  async drain(): Promise<void> {
    const run = this.#run;
    if (run === undefined) return;
    if (this.#isWhole(run)) this.#close(run);
    else {
      const buffers = this.#filled.splice(0);
      this.#writes.add(() => this.#write(run, buffers));
    }
    await this.#writes.room();
    await this.#flushes.room();
    this.#check();
  }

  /** Closes the last run. All runs are flushed, and their names too, when it returns. */
  async finish(): Promise<LogFile[]> {
    if (this.#run !== undefined) this.#close(this.#run);
    await this.#writes.settled();
    await this.#flushes.settled();
    this.#check();
    if (this.#finished.length > 0) await this.#options.disk.syncDirectory(this.#options.directory);
    return this.#finished;
  }

  /** Removes what was written: after a failure. */
  async discard(): Promise<void> {
    await this.#writes.settled();
    await this.#flushes.settled();
    for (const { disk } of this.#files) {
      await disk.close();
      await this.#options.disk.remove(disk.path);
    }
  }

  #check(): void {
    const failure = this.#writes.failure ?? this.#flushes.failure;
    if (failure !== undefined) throw failure.error;
  }

  #isWhole(run: OpenRun): boolean {
    return run.end >= this.#options.runBytesMax;
  }

  #begin(): OpenRun {
    const run: OpenRun = { number: this.#options.nextNumber(), file: undefined, written: 0, end: 0 };
    this.#put(run, runHeader(run.number, this.#options.digest));
    return run;
  }

  #put(run: OpenRun, bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length; ) {
      const count = Math.min(bytes.length - done, WRITE_BYTES - this.#used);
      this.#buffer.set(count === bytes.length ? bytes : bytes.subarray(done, done + count), this.#used);
      this.#used += count;
      done += count;
      if (this.#used === WRITE_BYTES) this.#turnOver();
    }
    run.end += bytes.length;
  }

  /** What the buffer holds is to be written; the next values go to another one. */
  #turnOver(): void {
    this.#filled.push(this.#buffer.subarray(0, this.#used));
    this.#buffer = this.#spare.pop() ?? new Uint8Array(WRITE_BYTES);
    this.#used = 0;
  }

  async #open(number: FileNumber): Promise<LogFile> {
    const { directory, disk } = this.#options;
    const handle: DiskFile = await disk.open(filePath(directory, number, "run"), "create");
    const file = new LogFile(number, "run", handle, 0, this.#options.runBytesMax);
    this.#files.push(file);
    return file;
  }

  /** Writes values and takes their page checksums. */
  async #write(run: OpenRun, buffers: readonly Uint8Array[]): Promise<void> {
    run.file ??= await this.#open(run.number);
    const { file } = run;
    for (const bytes of buffers) {
      file.ensureBlock((run.written + bytes.length) >>> BLOCK_SHIFT);
      for (let at = 0; at < bytes.length; at += PAGE_BYTES) {
        const page = bytes.subarray(at, at + PAGE_BYTES);
        file.pageCrcs[(run.written + at) / PAGE_BYTES] = this.#options.digest.crc32(page);
      }
      await file.disk.write([bytes], run.written);
      run.written += bytes.length;
      if (bytes.length === WRITE_BYTES) this.#spare.push(bytes);
    }
  }

  /** Values that are added from now on go to the next run. */
  #close(run: OpenRun): void {
    if (this.#used > 0) this.#turnOver();
    this.#run = undefined;
    const buffers = this.#filled.splice(0);
    this.#writes.add(async () => {
      await this.#write(run, buffers);
      const file = must(run.file, "a run that is closed has bytes");
      await sealRun(file, run.end, this.#options.digest);
      this.#flushes.add(async () => {
        await file.disk.sync();
        this.#finished.push(file);
      });
    });
  }
}

/** Closes a run that ends at `end`, with the checksums of its pages; what it writes is not flushed yet. */
export async function sealRun(file: LogFile, end: number, digest: Digest): Promise<void> {
  file.dataEnd = end;
  file.sealed = true;
  const seal = encodeSeal({
    firstIndex: 0,
    lastIndex: 0,
    next: 0,
    pageCrcs: file.pageCrcs.subarray(0, file.pageCount()),
  });
  const seed = placeSeed(file.number, end);
  putFrame(seal, 0, seed, seal.length - FRAME_BYTES + 1, HEADER_BYTES, RecordKind.Seal);
  const last = Uint8Array.of(END_BYTE);
  putU32(seal, 0, digest.crc32(last, digest.crc32(seal.subarray(4), seed)));
  const trailer = encodeTrailer(RUN_MAGIC, file.number, end, digest.crc32);
  await file.disk.write([seal, last, trailer], end);
  file.diskBytes = end + seal.length + 1 + TRAILER_BYTES;
  file.sealedBytes = file.diskBytes;
}

/** The header of a run. */
export function runHeader(number: FileNumber, digest: Digest): Uint8Array {
  return encodeHeader({ magic: RUN_MAGIC, file: number, allocatedBytes: 0 }, digest.crc32);
}
