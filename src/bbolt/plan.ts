// The writer's first pass: walks the rows for their sizes and decides how many rows go on each leaf page, where every page stands,
// and which buckets are small enough to live inside their entry, as bbolt keeps them. In slices, so that a million rows do not
// block the loop. Two bytes per leaf page are kept.
import { assert } from "../base/assert.ts";
import { BUCKET_HEADER_BYTES, ELEMENT_BYTES, KEY_BYTES_MAX, PAGE_HEADER_BYTES, roundUp } from "./page.ts";
import type { BucketSource, RowCursor } from "./rows.ts";
import { TreeBuilder } from "./tree-builder.ts";

/** bbolt keeps a bucket inline up to this part of a page. */
const INLINE_PART = 4;

export type BucketPlan = {
  readonly source: BucketSource;
  /** Where its first page stands. */
  readonly firstPage: number;
  /** 0: inline. */
  root: number;
  rows: number;
  /** Rows of each leaf page, in file order; the first `leaves` count. */
  leafRows: Uint16Array;
  leaves: number;
  /** Header, elements, keys and values of all rows, were they on one page. */
  bytes: number;
};

/** Stands for a key of which only the length counts. */
const BLANK_KEY = new Uint8Array(KEY_BYTES_MAX);

/** How many bytes a page run has that begins with a row of these sizes: what fits behind it may follow. */
export function runCapacity(keyLength: number, valueLength: number, pageSize: number): number {
  return roundUp(PAGE_HEADER_BYTES + ELEMENT_BYTES + keyLength + valueLength, pageSize);
}

/** Plans one bucket from `firstPage` on. */
export class BucketPlanner {
  readonly plan: BucketPlan;
  nextPage: number;
  readonly #cursor: RowCursor;
  readonly #pageSize: number;
  readonly #inlineMax: number;
  readonly #tree: TreeBuilder;
  #used = 0;
  #capacity = 0;
  #rowsOnPage = 0;
  #firstKeyLength = 0;

  constructor(source: BucketSource, firstPage: number, pageSize: number, mayBeInline: boolean) {
    this.plan = {
      source,
      firstPage,
      root: 0,
      rows: 0,
      leafRows: new Uint16Array(16),
      leaves: 0,
      bytes: PAGE_HEADER_BYTES,
    };
    this.nextPage = firstPage;
    this.#cursor = source.rows();
    this.#pageSize = pageSize;
    this.#inlineMax = mayBeInline ? pageSize / INLINE_PART : 0;
    this.#tree = new TreeBuilder(pageSize, (_keys, _pages, bytes) => this.#take(bytes));
  }

  /** Looks at up to `rowsMax` further rows; true when the bucket is planned. */
  step(rowsMax: number): boolean {
    const cursor = this.#cursor;
    for (let i = 0; i < rowsMax; i++) {
      if (!cursor.next()) {
        this.#finish();
        return true;
      }
      this.#addRow(cursor.keyLength, cursor.valueLength);
    }
    return false;
  }

  #addRow(keyLength: number, valueLength: number): void {
    assert(keyLength <= KEY_BYTES_MAX, "a key is at most 32768 bytes");
    const size = ELEMENT_BYTES + keyLength + valueLength;
    if (this.#rowsOnPage > 0 && this.#used + size > this.#capacity) this.#closeLeaf();
    if (this.#rowsOnPage === 0) {
      this.#used = PAGE_HEADER_BYTES;
      this.#capacity = runCapacity(keyLength, valueLength, this.#pageSize);
      this.#firstKeyLength = keyLength;
    }
    this.#used += size;
    this.#rowsOnPage++;
    this.plan.rows++;
    this.plan.bytes += size;
  }

  #closeLeaf(): void {
    const { plan } = this;
    if (plan.leaves === plan.leafRows.length) {
      const wider = new Uint16Array(2 * plan.leafRows.length);
      wider.set(plan.leafRows);
      plan.leafRows = wider;
    }
    plan.leafRows[plan.leaves++] = this.#rowsOnPage;
    this.#tree.add(BLANK_KEY.subarray(0, this.#firstKeyLength), this.#take(this.#used));
    this.#rowsOnPage = 0;
  }

  #take(bytes: number): number {
    const id = this.nextPage;
    this.nextPage += Math.ceil(bytes / this.#pageSize);
    return id;
  }

  #finish(): void {
    const { plan } = this;
    if (plan.leaves === 0 && plan.bytes <= this.#inlineMax) return;
    if (this.#rowsOnPage > 0 || plan.leaves === 0) {
      if (this.#rowsOnPage === 0) this.#used = PAGE_HEADER_BYTES;
      this.#closeLeaf();
    }
    plan.root = this.#tree.finish();
  }
}

/** How long the value of a bucket's entry is. */
export function entryValueLength(plan: BucketPlan): number {
  return BUCKET_HEADER_BYTES + (plan.root === 0 ? plan.bytes : 0);
}
