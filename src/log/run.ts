// Runs: immutable files of values, in key order, written by reclaim (and by imports), read like segments. A run counts only once a
// manifest names it. The keys are not in it: the index image names them, and one place for a fact is enough.
import { must } from "../base/assert.ts";
import type { FileNumber } from "../mvcc/contract.ts";
import type { EntryPlace } from "./contract.ts";
import { BLOCK_SHIFT, type LogFile, PAGE_BYTES } from "./log-file.ts";
import { type RunFileOptions, RunFiles, runHeader } from "./run-files.ts";

/** Written at once; a multiple of the page. */
const WRITE_BYTES = 256 << 10;

export type RunOptions = RunFileOptions & { readonly runBytesMax: number };

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
  readonly #files: RunFiles;
  /** Filled buffers of the current run, not yet written; each begins at a page. */
  #filled: Uint8Array[] = [];
  /** Written buffers, used again: fresh ones would hasten the collector. */
  readonly #spare: Uint8Array[] = [];
  #buffer: Uint8Array = new Uint8Array(WRITE_BYTES);
  #used = 0;
  #run: OpenRun | undefined;

  constructor(options: RunOptions) {
    this.#options = options;
    this.#files = new RunFiles(options);
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
      this.#files.add(() => this.#write(run, buffers));
    }
    await this.#files.drain();
  }

  /** Closes the last run. All runs are flushed, and their names too, when it returns. */
  async finish(): Promise<LogFile[]> {
    if (this.#run !== undefined) this.#close(this.#run);
    return await this.#files.finish();
  }

  /** Removes what was written: after a failure. */
  discard(): Promise<void> {
    return this.#files.discard();
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

  /** Writes values and takes their page checksums. */
  async #write(run: OpenRun, buffers: readonly Uint8Array[]): Promise<void> {
    run.file ??= await this.#files.create(run.number, this.#options.runBytesMax);
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
    this.#files.add(async () => {
      await this.#write(run, buffers);
      await this.#files.seal(must(run.file, "a run that is closed has bytes"), run.end);
    });
  }
}
