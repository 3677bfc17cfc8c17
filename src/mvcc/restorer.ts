// Rebuilds a store from the blocks of a checkpoint: rows are copied chunk by chunk, keys come in order, so the tree is built
// without descending and the hash without comparing. The input comes from a disk: whatever is wrong with it is a problem told,
// never an assertion. The file's checksum is the log's business.
import type { LeaseId } from "../base/brand.ts";
import {
  BLOCK_BYTES_MAX,
  BLOCK_HEAD_BYTES,
  BlockKind,
  float64s,
  HEAD_NUMBERS,
  IMAGE_FILE,
  IMAGE_LENGTH,
  IMAGE_OFFSET,
  IMAGE_ROW_WORDS,
  MAGIC,
  VERSION,
  WIDE_WORDS,
} from "./checkpoint-format.ts";
import type { FileNumber, Slot } from "./contract.ts";
import type { TreeBuild } from "./key-tree.ts";
import {
  CHUNK_BITS,
  CHUNK_MASK,
  CHUNK_ROWS,
  CREATE,
  FILE,
  KEY,
  LEASE,
  LENGTH,
  MAIN,
  NEXT,
  OFFSET,
  PREVIOUS,
  VERSION as ROW_VERSION,
  ROW_WORDS,
  SUB,
} from "./row-table.ts";
import { Store, type StoreOptions } from "./store.ts";
import { Tables } from "./tables.ts";

export type Restored =
  | { readonly ok: true; readonly store: Store }
  /** What is wrong with the image, for the one who has to mend the data directory. */
  | { readonly ok: false; readonly problem: string };

const HEAD_WORDS = BLOCK_HEAD_BYTES / 4;
/** Keys that the hash gets at a time: the work of one or two milliseconds. */
const KEYS_TOGETHER = 1 << 16;

type Head = {
  readonly current: number;
  readonly finished: number;
  readonly scheduled: number;
  readonly rows: number;
  readonly keys: number;
  readonly chunks: number;
};

export class Restorer {
  readonly #options: StoreOptions;
  #tables: Tables;
  #head: Head | undefined = undefined;
  readonly #files: FileNumber[] = [];
  readonly #leases: LeaseId[] = [];
  readonly #build: TreeBuild = { nodes: [], firsts: [], alive: [] };
  #previousKey = 0;
  /** Keys that the hash does not know yet. */
  readonly #hashes = new Int32Array(KEYS_TOGETHER);
  readonly #ids = new Int32Array(KEYS_TOGETHER);
  #waiting = 0;
  #claimed = 0;
  #ended = false;
  #problem: string | undefined = undefined;
  /** A block that came in parts. */
  #partial = new Uint8Array(0);
  #partialBytes = 0;

  constructor(options: StoreOptions) {
    this.#options = options;
    this.#tables = new Tables(options.seed);
  }

  /** The last block was there. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Takes the next bytes, cut anywhere; fastest when cut as the checkpoint was. False: a problem was found, stop. */
  push(bytes: Uint8Array): boolean {
    let at = 0;
    while (this.#problem === undefined && at < bytes.length) {
      if (this.#partialBytes > 0) {
        at += this.#complete(bytes, at);
        continue;
      }
      const size = blockSize(bytes, at);
      if (size > 0 && at + size <= bytes.length && ((bytes.byteOffset + at) & 7) === 0) {
        this.#take(new Int32Array(bytes.buffer, bytes.byteOffset + at, size >>> 2));
        at += size;
      } else at += this.#complete(bytes, at);
    }
    return this.#problem === undefined;
  }

  finish(): Restored {
    const problem = this.#problem ?? this.#incomplete();
    if (problem !== undefined) return { ok: false, problem: `checkpoint: ${problem}` };
    const tables = this.#tables;
    const head = this.#head!;
    this.#addWaiting();
    tables.tree.seal(this.#build);
    tables.files.seal();
    tables.leases.seal();
    tables.current = head.current;
    tables.tip = head.current;
    return { ok: true, store: new Store(this.#options, tables, head) };
  }

  #incomplete(): string | undefined {
    const head = this.#head;
    if (head === undefined) return "it is empty";
    if (!this.#ended || this.#partialBytes > 0) return "it ends early";
    if (this.#tables.tree.size !== head.keys) return `${this.#tables.tree.size} keys instead of ${head.keys}`;
    if (this.#tables.rows.rows !== head.rows) return `${this.#tables.rows.rows} rows instead of ${head.rows}`;
    return this.#claimed === head.rows ? undefined : "a row belongs to no key";
  }

  /** Adds bytes to the block that came in parts, takes it once complete, and returns how many were used. */
  #complete(bytes: Uint8Array, from: number): number {
    const need = this.#partialBytes < BLOCK_HEAD_BYTES ? BLOCK_HEAD_BYTES : blockSize(this.#partial, 0);
    if (need === 0) return this.#fail("a block has no valid head");
    if (need > this.#partial.length) {
      const grown = new Uint8Array(need);
      grown.set(this.#partial.subarray(0, this.#partialBytes));
      this.#partial = grown;
    }
    const count = Math.min(need - this.#partialBytes, bytes.length - from);
    this.#partial.set(bytes.subarray(from, from + count), this.#partialBytes);
    this.#partialBytes += count;
    if (this.#partialBytes >= BLOCK_HEAD_BYTES) {
      const size = blockSize(this.#partial, 0);
      if (size === 0) return this.#fail("a block has no valid head");
      if (this.#partialBytes === size) {
        this.#partialBytes = 0;
        this.#take(new Int32Array(this.#partial.buffer, 0, size >>> 2));
        this.#partial = new Uint8Array(0);
      }
    }
    return count;
  }

  #fail(problem: string): number {
    this.#problem ??= problem;
    return Number.POSITIVE_INFINITY;
  }

  #take(block: Int32Array): void {
    const kind = block[0]! & 0xff;
    if (this.#ended) this.#fail("there are blocks behind its end");
    else if (kind === BlockKind.Head) this.#takeHead(block);
    else if (this.#head === undefined) this.#fail("it does not begin with its head");
    else if (kind === BlockKind.Files) this.#takeFiles(block);
    else if (kind === BlockKind.Leases) this.#takeLeases(block);
    else if (kind === BlockKind.Rows) this.#takeRows(block);
    else if (kind === BlockKind.Keys) this.#takeKeys(block);
    else if (kind === BlockKind.End) this.#ended = true;
    else this.#fail(`a block is of unknown kind ${kind}`);
  }

  #takeHead(block: Int32Array): void {
    if (this.#head !== undefined || block.length !== HEAD_WORDS + HEAD_NUMBERS * 2)
      return void this.#fail("bad head");
    if (block[2] !== VERSION) return void this.#fail(`version ${block[2]} is not known, ${VERSION} is`);
    const [current, finished, scheduled, rows, keys, chunks] = float64s(block, HEAD_WORDS, HEAD_NUMBERS);
    const head: Head = {
      current: current!,
      finished: finished!,
      scheduled: scheduled!,
      rows: rows!,
      keys: keys!,
      chunks: chunks!,
    };
    const sound =
      Object.values(head).every(Number.isSafeInteger) &&
      head.current >= 1 &&
      head.finished >= -1 &&
      Math.max(head.finished, head.scheduled) <= head.current &&
      head.keys <= head.rows &&
      head.rows <= head.chunks * CHUNK_ROWS &&
      head.chunks < 1 << (31 - CHUNK_BITS);
    if (!sound) return void this.#fail("bad numbers in its head");
    this.#head = head;
    this.#tables = new Tables(this.#options.seed, head.keys);
  }

  #takeFiles(block: Int32Array): void {
    const count = this.#tableCount(block, this.#files.length);
    if (count === -1) return;
    for (const number of float64s(block, HEAD_WORDS, count)) {
      if (!Number.isSafeInteger(number) || number < 0) return void this.#fail("bad file number");
      this.#files.push(number as FileNumber);
    }
  }

  #takeLeases(block: Int32Array): void {
    const count = this.#tableCount(block, this.#leases.length);
    if (count === -1) return;
    const ids = new BigInt64Array(block.buffer, block.byteOffset + BLOCK_HEAD_BYTES, count);
    for (const id of ids) this.#leases.push(id as LeaseId);
  }

  #tableCount(block: Int32Array, have: number): number {
    const count = block[3]!;
    const sound = block[2] === have && count >= 0 && block.length === HEAD_WORDS + count * 2;
    if (!sound || this.#tables.rows.order.length > 0) this.#fail("bad table");
    return sound ? count : -1;
  }

  #takeRows(block: Int32Array): void {
    const { rows, leases, files } = this.#tables;
    const count = block[2]!;
    const wide = block[3]!;
    const end = HEAD_WORDS + 2 + count * IMAGE_ROW_WORDS;
    const wideStart = end + (end & 1);
    const length = wideStart + wide * WIDE_WORDS;
    const sized = count >= 0 && count <= CHUNK_ROWS && wide >= 0 && wide <= count;
    if (!sized || block.length !== length + (length & 1) || rows.order.length >= this.#head!.chunks) {
      return void this.#fail("bad block of rows");
    }
    if (rows.order.length === 0) {
      leases.restore(this.#leases);
      files.restore(this.#files);
    }
    const base = float64s(block, HEAD_WORDS, 1)[0]!;
    if (!(Number.isSafeInteger(base) && base >= 0)) return void this.#fail("bad block of rows");
    const chunk = rows.addChunk(base);
    if (!this.#copyRows(block, chunk, count))
      return void this.#fail("a row is out of order or points nowhere");
    rows.adoptRows(chunk, count);
    for (let at = wideStart; at < length; at += WIDE_WORDS) {
      const slot = block[at]! as Slot;
      if (slot >>> CHUNK_BITS !== chunk || (slot & CHUNK_MASK) >= count)
        return void this.#fail("bad wide row");
      const [create, version] = float64s(block, at + 2, 2);
      rows.setWide(slot, create!, version!);
    }
  }

  #copyRows(block: Int32Array, chunk: number, count: number): boolean {
    const { rows, leases, files } = this.#tables;
    const words = rows.words[chunk]!;
    const base = rows.bases[chunk]!;
    const fileCount = files.numbers.length;
    const leaseCount = this.#leases.length;
    let from = HEAD_WORDS + 2;
    let before = -1;
    for (let row = 0, at = 0; row < count; row++, at += ROW_WORDS, from += IMAGE_ROW_WORDS) {
      const main = block[from]! >>> 0;
      const lease = block[from + 4]!;
      const file = block[from + IMAGE_FILE]! & 0xffff;
      const previous = block[from + 8]!;
      const slot = (chunk << CHUNK_BITS) | row;
      if (main < before || base + main > this.#head!.current) return false;
      if (lease < 0 || lease >= leaseCount || file >= fileCount || previous < -1 || previous >= slot)
        return false;
      before = main;
      words[at + MAIN] = main;
      words[at + SUB] = block[from + 1]!;
      words[at + CREATE] = block[from + 2]!;
      words[at + ROW_VERSION] = block[from + 3]!;
      words[at + LEASE] = lease;
      words[at + KEY] = 0;
      words[at + PREVIOUS] = previous;
      words[at + NEXT] = -1;
      words[at + FILE] = block[from + IMAGE_FILE]!;
      words[at + OFFSET] = block[from + IMAGE_OFFSET]!;
      words[at + LENGTH] = block[from + IMAGE_LENGTH]!;
      leases.adopt(lease);
      files.adopt(file, block[from + IMAGE_LENGTH]! >>> 0);
      if (previous === -1) continue;
      const there = previous & CHUNK_MASK;
      const place = there * ROW_WORDS + NEXT;
      const older = rows.words[previous >>> CHUNK_BITS]!;
      const used = previous >>> CHUNK_BITS === chunk ? row : rows.used[previous >>> CHUNK_BITS]!;
      if (there >= used || older[place] !== -1) return false;
      older[place] = slot;
    }
    return true;
  }

  #takeKeys(block: Int32Array): void {
    const { arena, rows, tree } = this.#tables;
    if (rows.order.length !== this.#head!.chunks)
      return void this.#fail("keys come before all rows are there");
    const count = block[2]!;
    let at = HEAD_WORDS;
    for (let i = 0; i < count; i++) {
      if (at + 2 > block.length) return void this.#fail("bad block of keys");
      const newest = block[at]!;
      const length = block[at + 1]!;
      const end = at + 2 + ((length + 3) >>> 2);
      if (length < 0 || end > block.length) return void this.#fail("bad block of keys");
      const id = arena.addWords(block, at + 2, length);
      if (this.#waiting === KEYS_TOGETHER) this.#addWaiting();
      this.#hashes[this.#waiting] = arena.addedHash;
      this.#ids[this.#waiting++] = id;
      if (this.#previousKey !== 0 && arena.compare(id, this.#previousKey) <= 0)
        return void this.#fail("keys are out of order");
      const rowCount = this.#claim(id, newest, length);
      if (rowCount === 0) return void this.#fail("a key's rows are not its own");
      const alive = !rows.isTombstone(newest as Slot);
      arena.setAlive(id, alive);
      tree.append(this.#build, id, alive);
      this.#previousKey = id;
      at = end;
    }
    if (at + (at & 1) !== block.length) this.#fail("bad block of keys");
  }

  #addWaiting(): void {
    const count = this.#waiting;
    this.#tables.hash.addAll(this.#hashes.subarray(0, count), this.#ids.subarray(0, count));
    this.#waiting = 0;
  }

  /** Makes the rows from `newest` on the key's; returns their number, 0 when they cannot be. */
  #claim(id: number, newest: number, keyLength: number): number {
    const { arena, rows } = this.#tables;
    const chunks = rows.order.length;
    const chunkOfNewest = newest >>> CHUNK_BITS;
    if (newest < 0 || chunkOfNewest >= chunks || (newest & CHUNK_MASK) >= rows.used[chunkOfNewest]!) return 0;
    if (rows.word(newest as Slot, NEXT) !== -1) return 0;
    arena.setNewest(id, newest);
    let count = 0;
    for (let slot = newest; slot !== -1; count++) {
      const words = rows.words[slot >>> CHUNK_BITS]!;
      const at = (slot & CHUNK_MASK) * ROW_WORDS;
      if (words[at + KEY] !== 0) return 0;
      words[at + KEY] = id;
      this.#tables.liveBytes += keyLength + (words[at + LENGTH]! >>> 0);
      slot = words[at + PREVIOUS]!;
    }
    this.#claimed += count;
    return count;
  }
}

/** The bytes of the block that begins at `at`, or 0 when its head is incomplete or wrong. */
function blockSize(bytes: Uint8Array, at: number): number {
  if (at + BLOCK_HEAD_BYTES > bytes.length) return 0;
  const magic = bytes[at + 1]! | (bytes[at + 2]! << 8) | (bytes[at + 3]! << 16);
  if (magic !== MAGIC >>> 8) return 0;
  const size =
    (bytes[at + 4]! | (bytes[at + 5]! << 8) | (bytes[at + 6]! << 16)) + bytes[at + 7]! * 0x100_0000;
  return size <= BLOCK_BYTES_MAX && (size & 7) === 0 ? BLOCK_HEAD_BYTES + size : 0;
}
