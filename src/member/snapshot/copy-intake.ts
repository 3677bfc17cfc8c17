// Takes in a state in Cairn's own form (copy-format.ts) as it arrives, beside running traffic: values go to runs that no manifest names yet,
// rows get their new places and become a new store. It never touches the member's present state; a body that is damaged, incomplete or
// not what a member of Cairn sends ends it with a FormatError, and the runs are gone.
import type { Index } from "../../base/brand.ts";
import { copyBytes } from "../../base/bytes.ts";
import { FormatError } from "../../base/format-error.ts";
import { getU64 } from "../../log/format.ts";
import type { Log } from "../../log/log.ts";
import type { RunWriter } from "../../log/run.ts";
import { BlockKind, blockKindOf } from "../../mvcc/checkpoint-format.ts";
import { Restorer } from "../../mvcc/restorer.ts";
import { RowPlaces } from "../../mvcc/state-copy.ts";
import type { Store } from "../../mvcc/store.ts";
import type { Clock } from "../../ports/clock.ts";
import type { Digest } from "../../ports/digest.ts";
import { INDEX_BYTES, MAGIC, RecordKind, RecordReader } from "./copy-format.ts";
import type { ImportedRows } from "./import-rows.ts";

/** How long a slice may take of a turn. */
const SLICE_MILLIS_MAX = 2;

export type CopyOptions = {
  readonly log: Log;
  readonly clock: Clock;
  readonly digest: Digest;
  /** Of the new store's hash. */
  readonly seed: number;
  /** Called before so many bytes more are written: rejects when the intake is to end. */
  readonly goOn: (bytes: number) => Promise<void>;
  /** Of the snapshot that the copy came with. */
  readonly index: Index;
  /** Called first with the small tables, as a checkpoint's; what it throws ends the intake. */
  readonly tables: (bytes: Uint8Array) => void;
};

/** `body` begins behind MAGIC. */
export async function takeCopy(body: AsyncIterable<Uint8Array>, options: CopyOptions): Promise<ImportedRows> {
  const { log, clock, digest } = options;
  const runs = log.newRuns();
  try {
    const intake = new Intake(runs, options);
    const records = new RecordReader(digest);
    const take = (kind: number, payload: Uint8Array): void => intake.take(kind, payload, records.offset);
    let sliceBegan = clock.now();
    for await (const chunk of body) {
      await options.goOn(chunk.length);
      for (let at = 0; at < chunk.length; ) {
        at += records.push(chunk, at, take);
        if (runs.full) await runs.drain();
        if (clock.now() - sliceBegan < SLICE_MILLIS_MAX) continue;
        await clock.yield();
        sliceBegan = clock.now();
      }
    }
    if (records.rest > 0) throw new FormatError(records.offset, "it ends early");
    const files = await runs.finish();
    return { store: intake.finish(records.offset), files, discard: () => runs.discard() };
  } catch (error) {
    await runs.discard();
    throw error;
  }
}

class Intake {
  readonly #runs: RunWriter;
  readonly #options: CopyOptions;
  readonly #restorer: Restorer;
  #begun = false;
  /** A block of rows whose values have not all come. */
  #rows: RowPlaces | undefined;

  constructor(runs: RunWriter, options: CopyOptions) {
    this.#runs = runs;
    this.#options = options;
    this.#restorer = new Restorer({ seed: options.seed });
  }

  take(kind: number, payload: Uint8Array, offset: number): void {
    if (!this.#begun) this.#begin(kind, payload, offset);
    else if (kind === RecordKind.Block) this.#takeBlock(payload, offset);
    else if (kind === RecordKind.Values) this.#takeValues(payload, offset);
    else throw new FormatError(offset, `a record of kind ${kind} is not expected`);
  }

  finish(offset: number): Store {
    const restored = this.#restorer.finish();
    if (!restored.ok) throw new FormatError(offset, restored.problem);
    return restored.store;
  }

  #begin(kind: number, payload: Uint8Array, offset: number): void {
    if (kind !== RecordKind.Tables || payload.length < INDEX_BYTES)
      throw new FormatError(offset, "it does not begin with the small tables");
    const { index, tables } = this.#options;
    const found = getU64(payload, 0);
    if (found !== index) throw new Error(`the copy ends at entry ${found}, its snapshot at entry ${index}`);
    tables(payload.subarray(INDEX_BYTES));
    this.#begun = true;
  }

  #takeBlock(block: Uint8Array, offset: number): void {
    if (this.#rows !== undefined) throw new FormatError(offset, "values are missing");
    if (blockKindOf(block) !== BlockKind.Rows) {
      this.#push(block, offset);
      return;
    }
    this.#rows = new RowPlaces(copyBytes(block));
    this.#pushPlaced(this.#rows, offset);
  }

  #takeValues(values: Uint8Array, offset: number): void {
    const rows = this.#rows;
    if (rows === undefined || values.length === 0)
      throw new FormatError(offset, "values that belong to no row");
    const place = this.#runs.add(values);
    if (!rows.place(this.#restorer.indexOf(place.file), place.offset, values.length))
      throw new FormatError(offset, "values do not fit their rows");
    this.#pushPlaced(rows, offset);
  }

  /** Once all of its values have come. */
  #pushPlaced(rows: RowPlaces, offset: number): void {
    if (!rows.done) return;
    this.#rows = undefined;
    this.#push(rows.block, offset);
  }

  #push(block: Uint8Array, offset: number): void {
    if (this.#restorer.push(block)) return;
    const restored = this.#restorer.finish();
    throw new FormatError(offset, restored.ok ? "a block is bad" : restored.problem);
  }
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
