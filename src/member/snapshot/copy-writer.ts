// The state as of now in Cairn's own form (copy-format.ts), chunk by chunk while writes go on. Compaction, and reclaim's last step, wait for
// the checkpoint at its beginning; the files that it names stay until all is sent.
import { concatBytes } from "../../base/bytes.ts";
import type { BlockCache } from "../../log/block-cache.ts";
import { putU64 } from "../../log/format.ts";
import { LivePages } from "../../log/live-pages.ts";
import { PAGE_BYTES } from "../../log/log-file.ts";
import type { Checkpoint } from "../../mvcc/checkpoint.ts";
import { CheckpointPlaces } from "../../mvcc/checkpoint-places.ts";
import type { FileNumber } from "../../mvcc/contract.ts";
import type { Digest } from "../../ports/digest.ts";
import type { Member } from "../member.ts";
import { encodeTables } from "../tables.ts";
import {
  FILE_BYTES,
  INDEX_BYTES,
  MAGIC,
  PAGES_MAX,
  pagesAt,
  RECORD_HEAD_BYTES,
  RecordKind,
  sealRecord,
} from "./copy-format.ts";

/** Of pages; a block makes a longer chunk. Room for one record of pages at least. */
const CHUNK_BYTES = 320 << 10;
const PAGES_RECORD_BYTES: number = RECORD_HEAD_BYTES + pagesAt(PAGES_MAX) + PAGES_MAX * PAGE_BYTES;
/** Two, used in turns: the one before may still be on its way. */
const CHUNKS = 2;

export class CopyWriter {
  readonly form = "copy";
  /** Not known before all is sent. */
  readonly bytesTotal = undefined;
  readonly #digest: Digest;
  readonly #values: BlockCache;
  readonly #checkpoint: Checkpoint;
  readonly #unpin: () => void;
  readonly #places = new CheckpointPlaces();
  readonly #pages = new LivePages();
  readonly #sums = new Uint32Array(PAGES_MAX);
  readonly #chunks: Uint8Array[] = Array.from({ length: CHUNKS }, () => new Uint8Array(CHUNK_BYTES));
  #turn = 0;
  /** Undefined once they are sent. */
  #tables: Uint8Array | undefined;
  /** Files whose pages are to be sent; undefined as long as blocks are. */
  #files: FileNumber[] | undefined;
  /** The file whose pages are being sent, the next of its pages, and where it ends here. */
  #file: FileNumber | undefined;
  #page = 0;
  #end = 0;
  #released = false;

  constructor({ store, log, raft, lessor, membership, applyContext }: Member, digest: Digest) {
    this.#digest = digest;
    const index = new Uint8Array(INDEX_BYTES);
    putU64(index, 0, raft.appliedIndex);
    this.#tables = concatBytes([index, encodeTables(lessor, membership, applyContext.alarms)]);
    this.#checkpoint = store.checkpoint();
    this.#unpin = log.pin();
    this.#values = log.values;
  }

  /** Nothing is to be done ahead of the first chunk. */
  plan(): boolean {
    return true;
  }

  /** The next chunk, a view until the call after the next; undefined at the end. */
  next(): Uint8Array | undefined {
    this.#turn = (this.#turn + 1) % CHUNKS;
    if (this.#tables !== undefined) return this.#first(this.#tables);
    if (this.#files === undefined) {
      const block = this.#checkpoint.next();
      if (block !== undefined) return this.#blockChunk(block);
      this.#files = this.#pages.files;
    }
    const used = this.#fill(this.#files, this.#chunks[this.#turn]!);
    return used === 0 ? undefined : this.#chunks[this.#turn]!.subarray(0, used);
  }

  release(): void {
    if (this.#released) return;
    this.#released = true;
    this.#checkpoint.cancel();
    this.#unpin();
  }

  #first(tables: Uint8Array): Uint8Array {
    this.#tables = undefined;
    const chunk = new Uint8Array(MAGIC.length + RECORD_HEAD_BYTES + tables.length);
    chunk.set(MAGIC);
    chunk.set(tables, MAGIC.length + RECORD_HEAD_BYTES);
    sealRecord(this.#digest, chunk.subarray(MAGIC.length), RecordKind.Tables, tables.length);
    return chunk;
  }

  #blockChunk(block: Uint8Array): Uint8Array {
    this.#places.visit(block, (file, offset, length) => this.#pages.add(file, offset, length));
    const size = RECORD_HEAD_BYTES + block.length;
    let chunk = this.#chunks[this.#turn]!;
    if (chunk.length < size) {
      chunk = new Uint8Array(size);
      this.#chunks[this.#turn] = chunk;
    }
    chunk.set(block, RECORD_HEAD_BYTES);
    sealRecord(this.#digest, chunk, RecordKind.Block, block.length);
    return chunk.subarray(0, size);
  }

  /** As many records as there is room for; returns their bytes, 0 at the end. */
  #fill(files: FileNumber[], chunk: Uint8Array): number {
    let used = 0;
    while (used + PAGES_RECORD_BYTES <= chunk.length) {
      if (this.#file === undefined) {
        const file = files.shift();
        if (file === undefined) break;
        used += this.#beginFile(file, chunk.subarray(used));
        // Room for a record was looked for: pages follow in it, or in the next chunk.
        continue;
      }
      used += this.#pagesRecord(this.#file, chunk.subarray(used));
    }
    return used;
  }

  #beginFile(file: FileNumber, into: Uint8Array): number {
    this.#file = file;
    this.#page = this.#pages.next(file, 0);
    this.#end = Math.min(this.#pages.bytesOf(file), this.#values.endOf(file));
    putU64(into, RECORD_HEAD_BYTES, file);
    putU64(into, RECORD_HEAD_BYTES + 8, this.#end);
    sealRecord(this.#digest, into, RecordKind.File, FILE_BYTES);
    return RECORD_HEAD_BYTES + FILE_BYTES;
  }

  #pagesRecord(file: FileNumber, into: Uint8Array): number {
    const position = this.#page * PAGE_BYTES;
    const stop = this.#pages.endOf(file, this.#page, PAGES_MAX);
    const at = pagesAt(stop - this.#page);
    const wanted = Math.min(stop * PAGE_BYTES, this.#end) - position;
    const bodyAt = RECORD_HEAD_BYTES + at;
    const bytes = this.#values.readPages(file, position, into.subarray(bodyAt, bodyAt + wanted), this.#sums);
    const count = Math.ceil(bytes / PAGE_BYTES);
    // Fewer than wanted where the part begins that is not safe on disk: the rest comes in a record of its own.
    const shift = at - pagesAt(count);
    if (shift > 0) into.copyWithin(bodyAt - shift, bodyAt, bodyAt + bytes);
    const length = pagesAt(count) + bytes;
    const head = new DataView(into.buffer, into.byteOffset + RECORD_HEAD_BYTES, pagesAt(count));
    putU64(into, RECORD_HEAD_BYTES, position);
    head.setUint32(pagesAt(count) - 4, 0, true);
    for (let i = 0; i < count; i++) head.setUint32(8 + i * 4, this.#sums[i]!, true);
    sealRecord(this.#digest, into, RecordKind.Pages, length);
    const next = this.#pages.next(file, this.#page + count);
    if (next === -1) this.#file = undefined;
    this.#page = next;
    return RECORD_HEAD_BYTES + length;
  }
}
