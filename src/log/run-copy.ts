// Files of another member's log on their way in, page by page. Each becomes a run of ours, under another number, in which what came stands
// where it stood there; what did not come is a hole that reads as zeros. Like all runs they count only once a manifest names them.
import { must } from "../base/assert.ts";
import type { FileNumber } from "../mvcc/contract.ts";
import { BLOCK_SHIFT, type LogFile, PAGE_BYTES } from "./log-file.ts";
import { type RunFileOptions, RunFiles, runHeader } from "./run-files.ts";
import { SpareBuffers } from "./spare-buffers.ts";

/** Pages that wait for the disk. */
type Piece = { readonly position: number; readonly bytes: Uint8Array };

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
  readonly #options: RunFileOptions;
  readonly #files: RunFiles;
  readonly #buffers = new SpareBuffers();
  readonly #emptyPageSum: number;
  #open: OpenCopy | undefined;

  constructor(options: RunFileOptions) {
    this.#options = options;
    this.#files = new RunFiles(options);
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
    this.#files.add(async () => {
      open.file = await this.#files.create(number, end);
    });
  }

  /** Copies the pages that begin at `position`; `sums` gives the checksum of each, and the caller answers for them. */
  add(position: number, pages: Uint8Array, sums: Uint32Array): void {
    const open = must(this.#open, "pages belong to a file");
    const bytes = this.#buffers.copyOf(pages);
    open.pageCrcs.set(sums, position / PAGE_BYTES);
    if (position === 0) this.#putHead(open, bytes.subarray(0, PAGE_BYTES));
    open.waiting.push({ position, bytes });
    this.#files.add(() => this.#write(open));
  }

  /** Waits while too much is behind. */
  drain(): Promise<void> {
    return this.#files.drain();
  }

  /** Closes the last run. All runs are flushed, and their names too, when it returns. */
  finish(): Promise<LogFile[]> {
    this.#close();
    return this.#files.finish();
  }

  /** Removes what was written: after a failure. */
  discard(): Promise<void> {
    return this.#files.discard();
  }

  #close(): void {
    const open = this.#open;
    if (open === undefined) return;
    this.#open = undefined;
    if (!open.hasFirst) {
      const page = new Uint8Array(Math.min(PAGE_BYTES, open.end));
      this.#putHead(open, page);
      open.waiting.push({ position: 0, bytes: page });
    }
    this.#files.add(async () => {
      await this.#write(open);
      const file = must(open.file, "the file was opened before");
      file.ensureBlock(open.end >>> BLOCK_SHIFT);
      file.pageCrcs.set(open.pageCrcs);
      await this.#files.seal(file, open.end);
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
    for (const { bytes } of pieces) this.#buffers.giveBack(bytes);
  }
}
