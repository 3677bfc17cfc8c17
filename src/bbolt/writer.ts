// Writes a fresh bbolt file front to back, to be pulled chunk by chunk: the Snapshot RPC, snapshot transfer and etcdutl's defrag
// send it as it is made. First plan() (sizes only), then the length of the file is known and next() gives its bytes in order: meta
// pages, each bucket's leaves with their branches behind them, and last the bucket of buckets. Always compact, no free list: etcd
// finds free pages itself when it opens the file. Memory: one chunk, one page per tree level, the small buckets.
import { assert } from "../base/assert.ts";
import { ByteRoom } from "../base/byte-room.ts";
import { compareBytes } from "../base/bytes.ts";
import { encodeMetaPage } from "./meta.ts";
import {
  BUCKET_ELEMENT,
  BUCKET_HEADER_BYTES,
  ELEMENT_BYTES,
  FIRST_DATA_PAGE,
  PAGE_HEADER_BYTES,
  PAGE_SIZE,
  PageFlag,
  writePageHeader,
  writeU64,
} from "./page.ts";
import { type BucketPlan, BucketPlanner, entryValueLength, runCapacity } from "./plan.ts";
import { type BucketSource, bucketOfRows, type RowCursor } from "./rows.ts";
import { branchPage, TreeBuilder } from "./tree-builder.ts";

export type BoltWriterOptions = {
  /** Of each chunk, a multiple of the page size; only a row that is longer makes a longer chunk. */
  readonly chunkBytes?: number;
};

const CHUNK_BYTES = 256 * 1024;
/** The newer meta's; bbolt writes the next one to page (transaction % 2). */
const TRANSACTION = 2;
const NO_KEY = new Uint8Array(0);

export class BoltWriter {
  readonly #chunkBytes: number;
  readonly #sources: readonly BucketSource[];
  readonly #plans: BucketPlan[] = [];
  #planner: BucketPlanner | undefined;
  #nextPage = FIRST_DATA_PAGE;
  #rootPlan: BucketPlan | undefined;
  /** Whole pages that stand next in the file: metas and branches. */
  readonly #ready: Uint8Array[] = [];
  readonly #inline: Uint8Array[] = [];
  #bucketWriter: BucketWriter | undefined;
  #bucketIndex = 0;
  #writtenPages = 0;
  #rootDone = false;

  /** Buckets in any order; their names must differ. */
  constructor(buckets: readonly BucketSource[], options: BoltWriterOptions = {}) {
    this.#chunkBytes = options.chunkBytes ?? CHUNK_BYTES;
    assert(this.#chunkBytes % PAGE_SIZE === 0, "a chunk is whole pages");
    this.#sources = [...buckets].sort((a, b) => compareBytes(a.name, b.name));
  }

  /** First pass, in slices of about `rowsMax` rows; true when the plan is made. */
  plan(rowsMax: number): boolean {
    while (this.#plans.length < this.#sources.length) {
      this.#planner ??= new BucketPlanner(
        this.#sources[this.#plans.length]!,
        this.#nextPage,
        PAGE_SIZE,
        true,
      );
      if (!this.#planner.step(rowsMax)) return false;
      this.#nextPage = this.#planner.nextPage;
      this.#plans.push(this.#planner.plan);
      this.#planner = undefined;
    }
    if (this.#rootPlan === undefined) this.#planRoot();
    return true;
  }

  /** Bytes of the whole file. Known when the plan is made. */
  get fileBytes(): number {
    assert(this.#rootPlan !== undefined, "the file is planned");
    return this.#nextPage * PAGE_SIZE;
  }

  /** The next bytes of the file (the caller's to keep), or undefined at its end. */
  next(): Uint8Array | undefined {
    const room = this.chunkRoom();
    if (room === 0) return undefined;
    const chunk = new Uint8Array(room);
    const used = this.fill(chunk);
    return used === room ? chunk : chunk.subarray(0, used);
  }

  /** How much room fill() asks for next: a chunk, or more where one row is longer; 0 at the end of the file. */
  chunkRoom(): number {
    assert(this.#rootPlan !== undefined, "the file is planned");
    const needed = this.#upcomingBytes();
    assert(needed > 0 || this.#writtenPages === this.#nextPage, "the file is as long as planned");
    return needed === 0 ? 0 : Math.max(needed, this.#chunkBytes);
  }

  /** Writes the next bytes of the file into a chunk of chunkRoom() bytes, whatever stands there, and returns how many. */
  fill(chunk: Uint8Array): number {
    const room = new ByteRoom(chunk);
    let used = 0;
    for (;;) {
      const needed = this.#upcomingBytes();
      if (needed === 0 || used + needed > chunk.length) break;
      used += this.#putRun(room, used);
    }
    this.#writtenPages += used / PAGE_SIZE;
    return used;
  }

  /** The bucket of buckets has known sizes now; its bytes are made when the inline buckets are. */
  #planRoot(): void {
    const rows = this.#plans.map((plan) => ({
      key: plan.source.name,
      value: new Uint8Array(entryValueLength(plan)),
    }));
    const planner = new BucketPlanner(bucketOfRows(NO_KEY, rows), this.#nextPage, PAGE_SIZE, false);
    planner.step(rows.length + 1);
    this.#nextPage = planner.nextPage;
    this.#rootPlan = planner.plan;
    const { root } = planner.plan;
    for (const id of [0, 1] as const) {
      const transaction = TRANSACTION - id;
      const meta = { pageSize: PAGE_SIZE, root, freelist: undefined, pageCount: this.#nextPage, transaction };
      this.#ready.push(encodeMetaPage(meta, id));
    }
  }

  /** The length of the page run that stands next in the file; 0 at its end. */
  #upcomingBytes(): number {
    for (;;) {
      if (this.#ready.length > 0) return this.#ready[0]!.length;
      const needed = this.#bucketWriter?.upcomingBytes() ?? 0;
      if (needed > 0) return needed;
      if (this.#ready.length > 0) continue;
      if (!this.#nextBucket()) return 0;
    }
  }

  #putRun(room: ByteRoom, at: number): number {
    const page = this.#ready.shift();
    if (page === undefined) return this.#bucketWriter!.writeLeaf(room, at);
    room.bytes.set(page, at);
    return page.length;
  }

  #nextBucket(): boolean {
    this.#bucketWriter = undefined;
    while (this.#bucketIndex < this.#plans.length) {
      const plan = this.#plans[this.#bucketIndex++]!;
      if (plan.root === 0) {
        this.#inline.push(inlinePage(plan));
        continue;
      }
      this.#inline.push(NO_KEY);
      this.#bucketWriter = new BucketWriter(plan, 0, (page) => this.#ready.push(page));
      return true;
    }
    if (this.#rootDone) return false;
    this.#rootDone = true;
    const rows = this.#plans.map((plan, i) => ({
      key: plan.source.name,
      value: entryValue(plan, this.#inline[i]!),
    }));
    const root = { ...this.#rootPlan!, source: bucketOfRows(NO_KEY, rows) };
    this.#bucketWriter = new BucketWriter(root, BUCKET_ELEMENT, (page) => this.#ready.push(page));
    return true;
  }
}

function entryValue(plan: BucketPlan, inline: Uint8Array): Uint8Array {
  const value = new Uint8Array(BUCKET_HEADER_BYTES + inline.length);
  writeU64(value, 0, plan.root);
  value.set(inline, BUCKET_HEADER_BYTES);
  return value;
}

/** The page of a bucket that lives in its entry: exactly as long as its rows. */
function inlinePage(plan: BucketPlan): Uint8Array {
  const page = new Uint8Array(plan.bytes);
  writePageHeader(page, 0, 0, PageFlag.Leaf, plan.rows, 0);
  const room = new ByteRoom(page);
  const cursor = plan.source.rows();
  let at = PAGE_HEADER_BYTES + plan.rows * ELEMENT_BYTES;
  for (let i = 0; i < plan.rows; i++) {
    assert(cursor.next(), "both walks give the same rows");
    at = writeRow(room, 0, i, at, cursor, 0);
  }
  assert(at === page.length, "both walks give the same sizes");
  assert(!cursor.next(), "both walks give the same rows");
  return page;
}

/** Writes the row's element, key and value; returns where the next row's data goes. */
function writeRow(
  page: ByteRoom,
  start: number,
  index: number,
  at: number,
  cursor: RowCursor,
  flags: number,
): number {
  const element = start + PAGE_HEADER_BYTES + index * ELEMENT_BYTES;
  const keyLength = cursor.keyLength;
  const valueLength = cursor.valueLength;
  const { view } = page;
  view.setUint32(element, flags, true);
  view.setUint32(element + 4, at - element, true);
  view.setUint32(element + 8, keyLength, true);
  view.setUint32(element + 12, valueLength, true);
  cursor.copyKey(page, at);
  cursor.copyValue(page, at + keyLength);
  return at + keyLength + valueLength;
}

/** True when the key at `a` is below the key at `b`, both in `room`. */
function ascending({ view }: ByteRoom, a: number, aLength: number, b: number, bLength: number): boolean {
  const shared = Math.min(aLength, bLength);
  let i = 0;
  // Words in order of their bytes: neighbours differ at their ends.
  for (; i + 4 <= shared; i += 4) {
    const left = view.getUint32(a + i);
    const right = view.getUint32(b + i);
    if (left !== right) return left < right;
  }
  for (; i < shared; i++) {
    const difference = view.getUint8(a + i) - view.getUint8(b + i);
    if (difference !== 0) return difference < 0;
  }
  return aLength < bLength;
}

/** The second pass over one bucket: leaf pages into the caller's chunk, branch pages handed out as they fill. */
class BucketWriter {
  readonly #plan: BucketPlan;
  readonly #cursor: RowCursor;
  readonly #flags: number;
  readonly #tree: TreeBuilder;
  readonly #emit: (page: Uint8Array) => void;
  #nextPage: number;
  #leaf = 0;
  /** The cursor stands on the first row of the next leaf. */
  #onRow = false;
  #finished = false;

  constructor(plan: BucketPlan, flags: number, emit: (page: Uint8Array) => void) {
    this.#plan = plan;
    this.#flags = flags;
    this.#emit = emit;
    this.#cursor = plan.source.rows();
    this.#nextPage = plan.firstPage;
    this.#tree = new TreeBuilder(PAGE_SIZE, (keys, pages, bytes) => this.#placeBranch(keys, pages, bytes));
  }

  /** The length of the next leaf's page run; 0 when the bucket has no further leaf (its last branches are handed out then). */
  upcomingBytes(): number {
    if (this.#leaf < this.#plan.leaves) {
      if (this.#plan.leafRows[this.#leaf] === 0) return PAGE_SIZE;
      if (!this.#onRow) assert(this.#cursor.next(), "both walks give the same rows");
      this.#onRow = true;
      return runCapacity(this.#cursor.keyLength, this.#cursor.valueLength, PAGE_SIZE);
    }
    if (!this.#finished) {
      this.#finished = true;
      assert(!this.#cursor.next(), "both walks give the same rows");
      assert(this.#tree.finish() === this.#plan.root, "the root stands where it was planned");
    }
    return 0;
  }

  /** Writes the next leaf at `start`, where upcomingBytes() bytes are free. Returns its length. */
  writeLeaf(room: ByteRoom, start: number): number {
    const chunk = room.bytes;
    const cursor = this.#cursor;
    const rows = this.#plan.leafRows[this.#leaf++]!;
    const length = rows === 0 ? PAGE_SIZE : runCapacity(cursor.keyLength, cursor.valueLength, PAGE_SIZE);
    const end = start + length;
    writePageHeader(chunk, start, this.#nextPage, PageFlag.Leaf, rows, length / PAGE_SIZE - 1);
    const first = start + PAGE_HEADER_BYTES + rows * ELEMENT_BYTES;
    const firstKey = first + cursor.keyLength;
    let at = first;
    let previous = first;
    let previousLength = 0;
    for (let i = 0; i < rows; i++) {
      if (i > 0) assert(cursor.next(), "both walks give the same rows");
      assert(at + cursor.keyLength + cursor.valueLength <= end, "both walks give the same sizes");
      const keyAt = at;
      at = writeRow(room, start, i, at, cursor, this.#flags);
      assert(i === 0 || ascending(room, previous, previousLength, keyAt, cursor.keyLength), "keys ascend");
      previous = keyAt;
      previousLength = cursor.keyLength;
    }
    // The rest of a page is short: a call into the engine would cost more than it does.
    while (at < end) chunk[at++] = 0;
    this.#onRow = false;
    const key = rows === 0 ? NO_KEY : chunk.slice(first, firstKey);
    this.#nextPage += length / PAGE_SIZE;
    this.#tree.add(key, this.#nextPage - length / PAGE_SIZE);
    return length;
  }

  #placeBranch(keys: readonly Uint8Array[], pages: readonly number[], bytes: number): number {
    const id = this.#nextPage;
    const run = branchPage(id, keys, pages, bytes, PAGE_SIZE);
    this.#nextPage += run.length / PAGE_SIZE;
    this.#emit(run);
    return id;
  }
}
