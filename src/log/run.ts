// Runs: immutable files of values, in key order, written by reclaim (and by imports), read like segments. A run counts only once a
// manifest names it. The keys are not in it: the index image names them, and one place for a fact is enough.
import { must } from "../base/assert.ts";
import type { FileNumber } from "../mvcc/contract.ts";
import type { Digest } from "../ports/digest.ts";
import type { Disk, DiskFile } from "../ports/disk.ts";
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

export type RunOptions = {
  readonly directory: string;
  readonly disk: Disk;
  readonly digest: Digest;
  readonly runBytesMax: number;
  readonly nextNumber: () => FileNumber;
};

/** Writes values one after the other into as many runs as they need. `add` never waits; call `drain` when `full`. */
export class RunWriter {
  readonly #options: RunOptions;
  readonly #finished: LogFile[] = [];
  /** Filled buffers of the current run, not yet written; each begins at a page. */
  #filled: Uint8Array[] = [];
  /** Written buffers, used again: fresh ones would hasten the collector. */
  readonly #spare: Uint8Array[] = [];
  #buffer: Uint8Array = new Uint8Array(WRITE_BYTES);
  #used = 0;
  #number: FileNumber | undefined;
  #file: LogFile | undefined;
  /** Bytes of the current run that are written, and the end of what was added. */
  #written = 0;
  #end = 0;

  constructor(options: RunOptions) {
    this.#options = options;
  }

  get full(): boolean {
    return this.#filled.length > 0 || this.#end >= this.#options.runBytesMax;
  }

  /** Copies the value and says where it will stand. */
  add(value: Uint8Array): EntryPlace {
    if (this.#number === undefined) this.#begin();
    const place = { file: must(this.#number, "a run is begun"), offset: this.#end };
    this.#put(value);
    return place;
  }

  /** Writes what is full, and closes the run when it has its size. */
  async drain(): Promise<void> {
    await this.#writeFilled();
    if (this.#end >= this.#options.runBytesMax) await this.#close();
  }

  /** Closes the last run. All runs are flushed, and their names too, when it returns. */
  async finish(): Promise<LogFile[]> {
    if (this.#number !== undefined) await this.#close();
    if (this.#finished.length > 0) await this.#options.disk.syncDirectory(this.#options.directory);
    return this.#finished;
  }

  /** Removes what was written: after a failure. */
  async discard(): Promise<void> {
    const files = this.#file === undefined ? this.#finished : [...this.#finished, this.#file];
    for (const { disk } of files) {
      await disk.close();
      await this.#options.disk.remove(disk.path);
    }
  }

  #begin(): void {
    const number = this.#options.nextNumber();
    this.#number = number;
    this.#file = undefined;
    this.#written = 0;
    this.#end = 0;
    this.#used = 0;
    this.#put(
      encodeHeader({ magic: RUN_MAGIC, file: number, allocatedBytes: 0 }, this.#options.digest.crc32),
    );
  }

  #put(bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length; ) {
      const count = Math.min(bytes.length - done, WRITE_BYTES - this.#used);
      this.#buffer.set(bytes.subarray(done, done + count), this.#used);
      this.#used += count;
      done += count;
      if (this.#used === WRITE_BYTES) {
        this.#filled.push(this.#buffer);
        this.#buffer = this.#spare.pop() ?? new Uint8Array(WRITE_BYTES);
        this.#used = 0;
      }
    }
    this.#end += bytes.length;
  }

  async #open(): Promise<LogFile> {
    const number = must(this.#number, "a run is begun");
    const { directory, disk } = this.#options;
    const handle: DiskFile = await disk.open(filePath(directory, number, "run"), "create");
    this.#file = new LogFile(number, "run", handle, 0, this.#options.runBytesMax);
    return this.#file;
  }

  async #writeFilled(): Promise<void> {
    for (const bytes of this.#filled.splice(0)) {
      await this.#write(bytes);
      this.#spare.push(bytes);
    }
  }

  /** Writes values and takes their page checksums. */
  async #write(bytes: Uint8Array): Promise<void> {
    const file = this.#file ?? (await this.#open());
    file.ensureBlock((this.#written + bytes.length) >>> BLOCK_SHIFT);
    for (let at = 0; at < bytes.length; at += PAGE_BYTES) {
      const page = bytes.subarray(at, at + PAGE_BYTES);
      file.pageCrcs[(this.#written + at) / PAGE_BYTES] = this.#options.digest.crc32(page);
    }
    await file.disk.write([bytes], this.#written);
    this.#written += bytes.length;
  }

  async #close(): Promise<void> {
    await this.#writeFilled();
    if (this.#used > 0) await this.#write(this.#buffer.subarray(0, this.#used));
    const file = must(this.#file, "a run that is closed has bytes");
    file.dataEnd = this.#end;
    file.sealed = true;
    const { digest } = this.#options;
    const seal = encodeSeal({
      firstIndex: 0,
      lastIndex: 0,
      next: 0,
      pageCrcs: file.pageCrcs.subarray(0, file.pageCount()),
    });
    const seed = placeSeed(file.number, this.#end);
    putFrame(seal, 0, seed, seal.length - FRAME_BYTES + 1, HEADER_BYTES, RecordKind.Seal);
    const end = Uint8Array.of(END_BYTE);
    putU32(seal, 0, digest.crc32(end, digest.crc32(seal.subarray(4), seed)));
    const trailer = encodeTrailer(RUN_MAGIC, file.number, this.#end, digest.crc32);
    await file.disk.write([seal, end, trailer], this.#end);
    await file.disk.sync();
    file.diskBytes = this.#end + seal.length + 1 + TRAILER_BYTES;
    file.sealedBytes = file.diskBytes;
    this.#finished.push(file);
    this.#number = undefined;
    this.#file = undefined;
    this.#end = 0;
  }
}
