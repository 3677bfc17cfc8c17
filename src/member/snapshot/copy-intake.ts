// Takes in a state in Cairn's own form (copy-format.ts) as it arrives, beside running traffic: pages go to runs that no manifest names yet,
// blocks become a new store and the image that goes with it. It never touches the member's present state; a body that is damaged,
// incomplete or not what a member of Cairn sends ends it with a FormatError, and what was written is gone.
import { copyBytes } from "../../base/bytes.ts";
import { FormatError } from "../../base/format-error.ts";
import type { CheckpointMeta, WrittenImage } from "../../log/contract.ts";
import { getU64, HEADER_BYTES } from "../../log/format.ts";
import type { ImageDraft } from "../../log/image-draft.ts";
import { LivePages } from "../../log/live-pages.ts";
import type { Log } from "../../log/log.ts";
import { PAGE_BYTES } from "../../log/log-file.ts";
import type { RunCopies } from "../../log/run-copy.ts";
import { CheckpointPlaces } from "../../mvcc/checkpoint-places.ts";
import type { FileNumber } from "../../mvcc/contract.ts";
import { Restorer } from "../../mvcc/restorer.ts";
import type { Store } from "../../mvcc/store.ts";
import type { Clock } from "../../ports/clock.ts";
import type { Digest } from "../../ports/digest.ts";
import { FILE_BYTES, INDEX_BYTES, MAGIC, pagesAt, RecordKind, RecordReader } from "./copy-format.ts";
import type { ImportedRows } from "./import-rows.ts";

/** How long a slice may take of a turn. */
const SLICE_MILLIS_MAX = 2;
/** A log's file names its end in four bytes. */
const FILE_BYTES_MAX = 2 ** 32;

export type CopyOptions = {
  readonly log: Log;
  readonly clock: Clock;
  readonly digest: Digest;
  /** Of the new store's hash. */
  readonly seed: number;
  /** Called before so many bytes more are written: rejects when the intake is to end. */
  readonly goOn: (bytes: number) => Promise<void>;
  /** Of the snapshot that the copy came with. */
  readonly snapshot: Omit<CheckpointMeta, "tables">;
  /** Called first with the small tables, as a checkpoint's; what it throws ends the intake. */
  readonly tables: (bytes: Uint8Array) => void;
};

/** `image` shows the rows. */
export type CopiedRows = ImportedRows & { readonly image: WrittenImage };

/** `body` begins behind MAGIC. */
export async function takeCopy(body: AsyncIterable<Uint8Array>, options: CopyOptions): Promise<CopiedRows> {
  const { log, clock, digest, goOn } = options;
  const { runs, image } = log.newState();
  const discard = async (): Promise<void> => {
    await runs.discard();
    await image.discard();
  };
  try {
    const intake = new Intake(runs, image, options);
    const records = new RecordReader(digest);
    const take = (kind: number, payload: Uint8Array): void => intake.take(kind, payload, records.offset);
    let sliceBegan = clock.now();
    for await (const chunk of body) {
      await goOn(chunk.length);
      for (let at = 0; at < chunk.length; ) {
        at += records.push(chunk, at, take);
        if (clock.now() - sliceBegan < SLICE_MILLIS_MAX) continue;
        await clock.yield();
        sliceBegan = clock.now();
      }
      await runs.drain();
      await image.drain();
    }
    if (records.rest > 0) throw new FormatError(records.offset, "it ends early");
    const store = intake.finish(records.offset);
    const written = await image.finish();
    return { store, files: await runs.finish(), image: written, discard };
  } catch (error) {
    await discard();
    throw error;
  }
}

class Intake {
  readonly #runs: RunCopies;
  readonly #image: ImageDraft;
  readonly #options: CopyOptions;
  readonly #restorer: Restorer;
  readonly #places = new CheckpointPlaces();
  /** The pages that have not come yet, of files under our own numbers. */
  readonly #missing = new LivePages();
  /** What we call the sender's files. */
  readonly #numbers = new Map<FileNumber, FileNumber>();
  /** Of these pages may come; a file is taken away when its turn is over. */
  #file: FileNumber | undefined;
  #end = 0;
  #begun = false;

  constructor(runs: RunCopies, image: ImageDraft, options: CopyOptions) {
    this.#runs = runs;
    this.#image = image;
    this.#options = options;
    this.#restorer = new Restorer({ seed: options.seed });
  }

  take(kind: number, payload: Uint8Array, offset: number): void {
    if (!this.#begun) this.#begin(kind, payload, offset);
    else if (kind === RecordKind.Block) this.#takeBlock(payload, offset);
    else if (kind === RecordKind.File) this.#takeFile(payload, offset);
    else if (kind === RecordKind.Pages) this.#takePages(payload, offset);
    else throw new FormatError(offset, `a record of kind ${kind} is not expected`);
  }

  finish(offset: number): Store {
    const restored = this.#restorer.finish();
    if (!restored.ok) throw new FormatError(offset, restored.problem);
    for (const file of this.#missing.files)
      if (this.#missing.next(file, 0) !== -1) throw new FormatError(offset, "values are missing");
    return restored.store;
  }

  #begin(kind: number, payload: Uint8Array, offset: number): void {
    if (kind !== RecordKind.Tables || payload.length < INDEX_BYTES)
      throw new FormatError(offset, "it does not begin with the small tables");
    const { snapshot, tables } = this.#options;
    const found = getU64(payload, 0);
    if (found !== snapshot.appliedIndex)
      throw new Error(`the copy ends at entry ${found}, its snapshot at entry ${snapshot.appliedIndex}`);
    const bytes = copyBytes(payload.subarray(INDEX_BYTES));
    tables(bytes);
    this.#image.begin({ ...snapshot, tables: bytes });
    this.#begun = true;
  }

  #takeBlock(block: Uint8Array, offset: number): void {
    this.#places.rename(block, (file) => this.#numberOf(file));
    if (!this.#restorer.push(block)) {
      const restored = this.#restorer.finish();
      throw new FormatError(offset, restored.ok ? "a block is bad" : restored.problem);
    }
    this.#places.visit(block, (file, at, length) => {
      if (at + length >= FILE_BYTES_MAX) throw new FormatError(offset, "a value stands beyond any file");
      this.#missing.add(file, at, length);
    });
    this.#image.add(block);
  }

  #numberOf(file: FileNumber): FileNumber {
    let number = this.#numbers.get(file);
    if (number === undefined) {
      number = this.#runs.nextNumber();
      this.#numbers.set(file, number);
    }
    return number;
  }

  #takeFile(payload: Uint8Array, offset: number): void {
    if (!this.#restorer.ended) throw new FormatError(offset, "a file comes before the last block");
    if (payload.length !== FILE_BYTES) throw new FormatError(offset, "a file's record has a wrong length");
    const name = getU64(payload, 0) as FileNumber;
    const number = this.#numbers.get(name);
    if (number === undefined)
      throw new FormatError(offset, `no value stands in file ${name}, or it came before`);
    this.#numbers.delete(name);
    this.#file = number;
    this.#end = getU64(payload, 8);
    if (this.#end <= HEADER_BYTES || this.#end >= FILE_BYTES_MAX)
      throw new FormatError(offset, `a file of ${this.#end} bytes`);
    this.#runs.begin(number, this.#end);
  }

  #takePages(payload: Uint8Array, offset: number): void {
    const file = this.#file;
    if (file === undefined || payload.length < INDEX_BYTES) throw new FormatError(offset, "pages of no file");
    const position = getU64(payload, 0);
    const count = pageCount(payload.length);
    const pages = payload.subarray(pagesAt(count));
    const to = position + pages.length;
    const whole = pages.length === count * PAGE_BYTES || to === this.#end;
    if (count === 0 || position % PAGE_BYTES !== 0 || to > this.#end || !whole)
      throw new FormatError(offset, "pages that do not fit their file");
    const sums = new Uint32Array(payload.buffer, payload.byteOffset + INDEX_BYTES, count);
    this.#runs.add(position, pages, sums);
    const first = position / PAGE_BYTES;
    this.#missing.remove(file, first, first + count);
  }
}

/** How many pages, the last of which may be short, make a payload of so many bytes; 0 when no number does. */
function pageCount(bytes: number): number {
  let count = Math.max(0, Math.floor((bytes - 8) / (PAGE_BYTES + 4)));
  while (bytes - pagesAt(count) > count * PAGE_BYTES) count++;
  return bytes - pagesAt(count) > (count - 1) * PAGE_BYTES ? count : 0;
}

/**
 * Whether a body is of this form, and the body again: from its first byte, or behind MAGIC if it is. A body that ends within its first
 * bytes is not.
 */
export async function tellForm(
  body: AsyncIterable<Uint8Array>,
): Promise<{ readonly isCopy: boolean; readonly body: AsyncIterable<Uint8Array> }> {
  const chunks = body[Symbol.asyncIterator]();
  const first: Uint8Array[] = [];
  const head = new Uint8Array(MAGIC.length);
  let have = 0;
  while (have < MAGIC.length) {
    const next = await chunks.next();
    if (next.done === true) break;
    head.set(next.value.subarray(0, MAGIC.length - have), have);
    have += next.value.length;
    first.push(next.value);
  }
  const isCopy = have >= MAGIC.length && head.every((byte, at) => byte === MAGIC[at]);
  return { isCopy, body: rejoined(first, chunks, isCopy ? MAGIC.length : 0) };
}

/** `first` without its first `skip` bytes, then what follows. */
async function* rejoined(
  first: readonly Uint8Array[],
  chunks: AsyncIterator<Uint8Array>,
  skip: number,
): AsyncGenerator<Uint8Array> {
  let left = skip;
  for (const chunk of first) {
    const rest = chunk.subarray(Math.min(left, chunk.length));
    left -= chunk.length - rest.length;
    if (rest.length > 0) yield rest;
  }
  for (let next = await chunks.next(); next.done !== true; next = await chunks.next()) yield next.value;
}
