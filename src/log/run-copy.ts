// Files of another member's log on their way in, page by page. Each becomes a run of ours, under another number, in which what came stands
// where it stood there; what did not come is a hole that reads as zeros. Like all runs they count only once a manifest names them.
import { must } from "../base/assert.ts";
import type { FileNumber } from "../mvcc/contract.ts";
import { Behind } from "./behind.ts";
import { BLOCK_SHIFT, LogFile, PAGE_BYTES } from "./log-file.ts";
import { filePath } from "./paths.ts";
import { type RunOptions, runHeader, sealRun } from "./run.ts";

/** Pieces, and flushes of finished files, that may wait for the disk. */
const PIECES_MAX = 16;
const FLUSHES_MAX = 2;

export type RunCopyOptions = Pick<RunOptions, "directory" | "disk" | "digest" | "nextNumber">;

/** Pages that wait for the disk, with their buffer, which may be longer. */
type Piece = { readonly position: number; readonly bytes: Uint8Array; readonly buffer: Uint8Array };

/** The run that pages are being added to. */
type OpenCopy = {
  readonly number: FileNumber;
  readonly end: number;
  readonly pageCrcs: Uint32Array;
  readonly waiting: Piece[];
  hasFirst: boolean;
  file: LogFile | undefined;
};

/**
 * Takes a file's pages in whatever order they come. `add` never waits; call `drain` now and then. The disk works beside the caller, who waits
 * when too much is behind, and what has gathered meanwhile is written at once.
 */
export class RunCopies {
  readonly #options: RunCopyOptions;
  readonly #finished: LogFile[] = [];
  /** Of all files, finished or not. */
  readonly #files: LogFile[] = [];
  /** Written buffers, used again: fresh ones would hasten the collector. */
  readonly #spare: Uint8Array[] = [];
  readonly #pieces = new Behind(PIECES_MAX);
  readonly #flushes = new Behind(FLUSHES_MAX);
  readonly #emptyPageSum: number;
  #open: OpenCopy | undefined;

  constructor(options: RunCopyOptions) {
    this.#options = options;
    this.#emptyPageSum = options.digest.crc32(new Uint8Array(PAGE_BYTES));
  }

  /** A number for a file that is to come. */
  nextNumber(): FileNumber {
    return this.#options.nextNumber();
  }

  /** From here on pages belong to the run of this number, which ends at `end`: behind its header, where its last page that comes ends. */
  begin(number: FileNumber, end: number): void {
    this.#close();
    const pageCrcs = new Uint32Array(Math.ceil(end / PAGE_BYTES)).fill(this.#emptyPageSum);
    const open: OpenCopy = { number, end, pageCrcs, waiting: [], hasFirst: false, file: undefined };
    this.#open = open;
    this.#pieces.add(async () => {
      const { directory, disk } = this.#options;
      const handle = await disk.open(filePath(directory, number, "run"), "create");
      open.file = new LogFile(number, "run", handle, 0, end);
      this.#files.push(open.file);
    });
  }

  /** Copies the pages that begin at `position`; `sums` gives the checksum of each, and the caller answers for them. */
  add(position: number, pages: Uint8Array, sums: Uint32Array): void {
    const open = must(this.#open, "pages belong to a file");
    const buffer = this.#buffer(pages.length);
    buffer.set(pages);
    open.pageCrcs.set(sums, position / PAGE_BYTES);
    if (position === 0) this.#putHead(open, buffer.subarray(0, Math.min(PAGE_BYTES, pages.length)));
    open.waiting.push({ position, bytes: buffer.subarray(0, pages.length), buffer });
    this.#pieces.add(() => this.#write(open));
  }

  /** Waits while too much is behind. */
  async drain(): Promise<void> {
    await this.#pieces.room();
    await this.#flushes.room();
    this.#check();
  }

  /** Closes the last run. All runs are flushed, and their names too, when it returns. */
  async finish(): Promise<LogFile[]> {
    this.#close();
    await this.#pieces.settled();
    await this.#flushes.settled();
    this.#check();
    if (this.#finished.length > 0) await this.#options.disk.syncDirectory(this.#options.directory);
    return this.#finished;
  }

  /** Removes what was written: after a failure. */
  async discard(): Promise<void> {
    await this.#pieces.settled();
    await this.#flushes.settled();
    for (const { disk } of this.#files) {
      await disk.close();
      await this.#options.disk.remove(disk.path);
    }
  }

  #check(): void {
    const failure = this.#pieces.failure ?? this.#flushes.failure;
    if (failure !== undefined) throw failure.error;
  }

  #close(): void {
    const open = this.#open;
    if (open === undefined) return;
    this.#open = undefined;
    if (!open.hasFirst) {
      const page = new Uint8Array(Math.min(PAGE_BYTES, open.end));
      this.#putHead(open, page);
      open.waiting.push({ position: 0, bytes: page, buffer: page });
    }
    this.#pieces.add(async () => {
      await this.#write(open);
      const file = must(open.file, "the file was opened before");
      file.ensureBlock(open.end >>> BLOCK_SHIFT);
      file.pageCrcs.set(open.pageCrcs);
      await sealRun(file, open.end, this.#options.digest);
      this.#flushes.add(async () => {
        await file.disk.sync();
        this.#finished.push(file);
      });
    });
  }

  /** The first page begins with our own header instead of the one that came. */
  #putHead(open: OpenCopy, page: Uint8Array): void {
    const { digest } = this.#options;
    page.set(runHeader(open.number, digest));
    open.pageCrcs[0] = digest.crc32(page);
    open.hasFirst = true;
  }

  /** All that waits, what stands side by side at once. */
  async #write({ file, waiting }: OpenCopy): Promise<void> {
    const pieces = waiting.splice(0);
    for (let from = 0; from < pieces.length; ) {
      const { position } = pieces[from]!;
      const chunks: Uint8Array[] = [];
      let end = position;
      let next = from;
      for (; next < pieces.length && pieces[next]!.position === end; next++) {
        chunks.push(pieces[next]!.bytes);
        end += pieces[next]!.bytes.length;
      }
      await must(file, "the file was opened before").disk.write(chunks, position);
      from = next;
    }
    for (const { buffer } of pieces) this.#spare.push(buffer);
  }

  #buffer(bytes: number): Uint8Array {
    const spare = this.#spare.pop();
    return spare !== undefined && spare.length >= bytes ? spare : new Uint8Array(bytes);
  }
}
