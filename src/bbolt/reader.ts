// Reads a bbolt file: its buckets and their rows in key order. Pure over a ByteSource. Every page id, flag, size and the order of
// keys is checked as it is read, so a damaged or hostile file ends in a FormatError that names page and offset: never in a crash, a
// loop, or rows that are not there.
import { compareBytes } from "../base/bytes.ts";
import { malformed } from "../base/format-error.ts";
import { type Meta, newestMeta } from "./meta.ts";
import {
  BUCKET_ELEMENT,
  BUCKET_HEADER_BYTES,
  ELEMENT_BYTES,
  FIRST_DATA_PAGE,
  PAGE_HEADER_BYTES,
  PageFlag,
  readU16,
  readU32,
  readU64,
} from "./page.ts";

/** A tree deeper than this is a loop: 2 children per page and 2^40 pages would stay below. */
const DEPTH_MAX = 48;

export interface ByteSource {
  readonly size: number;
  /** The bytes [offset, offset + length), which lie inside the file. They must not change as long as the reader is used. */
  read(offset: number, length: number): Uint8Array;
}

export function bytesSource(bytes: Uint8Array): ByteSource {
  return { size: bytes.length, read: (offset, length) => bytes.subarray(offset, offset + length) };
}

/** A page run, header included, checked: its id, its kind, and that its element table lies inside. */
export type Page = {
  readonly id: number;
  /** Offset in the file, for what is said of it. */
  readonly offset: number;
  readonly bytes: Uint8Array;
  readonly leaf: boolean;
  readonly count: number;
  readonly overflow: number;
};

export type Bucket = {
  readonly name: Uint8Array;
  /** 0 for an inline bucket. */
  readonly root: number;
  readonly sequence: bigint;
  /** The page of an inline bucket. */
  readonly inline: Page | undefined;
};

/** Which pages a walk has met: a page that is met twice would mean a loop, or rows that are there twice. */
export class PageSet {
  readonly #bits: Uint8Array;
  constructor(pageCount: number) {
    this.#bits = new Uint8Array(Math.ceil(pageCount / 8));
  }
  has(id: number): boolean {
    return (this.#bits[id >>> 3]! & (1 << (id & 7))) !== 0;
  }
  add(id: number): void {
    this.#bits[id >>> 3]! |= 1 << (id & 7);
  }
}

function pageHead(
  bytes: Uint8Array,
  at: number,
  offset: number,
  what: string,
): { leaf: boolean; count: number } {
  const flags = readU16(bytes, at + 8);
  if (flags !== PageFlag.Leaf && flags !== PageFlag.Branch) {
    malformed(offset, `${what} is neither branch nor leaf (flags ${flags.toString(16)})`);
  }
  const count = readU16(bytes, at + 10);
  if (PAGE_HEADER_BYTES + count * ELEMENT_BYTES > bytes.length - at) {
    malformed(offset, `${what} says it has ${count} elements, more than fit`);
  }
  return { leaf: flags === PageFlag.Leaf, count };
}

export class BoltFile {
  readonly meta: Meta;
  readonly #source: ByteSource;

  /** Throws a FormatError when it is no bbolt file or its metas are broken. */
  constructor(source: ByteSource) {
    this.#source = source;
    const read = (offset: number, length: number): Uint8Array =>
      source.read(Math.min(offset, source.size), Math.max(0, Math.min(length, source.size - offset)));
    this.meta = newestMeta(read, source.size);
    const { pageSize, pageCount } = this.meta;
    if (pageCount < FIRST_DATA_PAGE || pageCount * pageSize > source.size) {
      malformed(
        source.size,
        `the file has ${source.size} bytes, but its meta page says ${pageCount} pages of ${pageSize}`,
      );
    }
  }

  /** Bytes of all pages in use; the file may be longer. */
  get size(): number {
    return this.meta.pageCount * this.meta.pageSize;
  }

  /** A branch or leaf page, checked. */
  page(id: number): Page {
    const { pageSize, pageCount } = this.meta;
    const offset = id * pageSize;
    if (!(id >= FIRST_DATA_PAGE && id < pageCount)) {
      malformed(0, `page ${id} is referred to, but pages go from ${FIRST_DATA_PAGE} to ${pageCount - 1}`);
    }
    let bytes = this.#source.read(offset, pageSize);
    const self = readU64(bytes, 0);
    if (self !== id) malformed(offset, `page ${id} says that it is page ${self}`);
    const overflow = readU32(bytes, 12);
    if (id + overflow >= pageCount)
      malformed(offset, `page ${id} has ${overflow} overflow pages, beyond the last page`);
    if (overflow > 0) bytes = this.#source.read(offset, (overflow + 1) * pageSize);
    const { leaf, count } = pageHead(bytes, 0, offset, `page ${id}`);
    return { id, offset, bytes, leaf, count, overflow };
  }

  /** All top-level buckets, in order of their names. */
  buckets(visited: PageSet = new PageSet(this.meta.pageCount)): Bucket[] {
    const rows = new BucketCursor(this, this.page(this.meta.root), visited);
    const found: Bucket[] = [];
    while (rows.next()) {
      if (!rows.isBucket) malformed(rows.offset, `page ${rows.pageId} holds a row outside of any bucket`);
      found.push(this.#bucketOf(rows));
    }
    return found;
  }

  #bucketOf(rows: BucketCursor): Bucket {
    const value = rows.value();
    const offset = rows.offset;
    if (value.length < BUCKET_HEADER_BYTES)
      malformed(offset, `page ${rows.pageId} holds a bucket without a header`);
    const root = readU64(value, 0);
    const sequence = (BigInt(readU32(value, 12)) << 32n) | BigInt(readU32(value, 8));
    if (root !== 0) return { name: rows.key(), root, sequence, inline: undefined };
    if (value.length < BUCKET_HEADER_BYTES + PAGE_HEADER_BYTES) {
      malformed(offset, `page ${rows.pageId} holds an inline bucket without a page`);
    }
    const bytes = value.subarray(BUCKET_HEADER_BYTES);
    const { leaf, count } = pageHead(bytes, 0, offset, `an inline bucket in page ${rows.pageId}`);
    if (!leaf) malformed(offset, `an inline bucket in page ${rows.pageId} is a branch`);
    return {
      name: rows.key(),
      root,
      sequence,
      inline: { id: rows.pageId, offset, bytes, leaf, count, overflow: 0 },
    };
  }

  /** A walk over the rows of a bucket, in key order. */
  rows(bucket: Bucket, visited: PageSet = new PageSet(this.meta.pageCount)): BucketCursor {
    return new BucketCursor(
      this,
      bucket.inline ?? this.page(bucket.root),
      bucket.inline === undefined ? visited : undefined,
    );
  }
}

export function bucketName(bucket: Bucket): string {
  let text = "";
  for (const byte of bucket.name) text += String.fromCharCode(byte);
  return text;
}

type Frame = { readonly page: Page; index: number };

const NO_BYTES = new Uint8Array(0);

/**
 * The rows of one tree, in order. After next() returned true, `page` with keyAt/keyLength/valueAt/valueLength, or key() and value(),
 * tell the row: views into the source's bytes.
 */
export class BucketCursor {
  page: Uint8Array = NO_BYTES;
  keyAt = 0;
  keyLength = 0;
  valueAt = 0;
  valueLength = 0;
  /** The row is a bucket: its value is a bucket header, and perhaps a page. */
  isBucket = false;
  pageId = 0;
  readonly #file: BoltFile;
  readonly #visited: PageSet | undefined;
  readonly #frames: Frame[] = [];
  #leaf: Page;
  #index: number;
  /** What the next row must be above: the last row, or (`#atLeast`) the key that the branch gives for the page. */
  #floor: Uint8Array = NO_BYTES;
  #atLeast = true;

  constructor(file: BoltFile, root: Page, visited: PageSet | undefined) {
    this.#file = file;
    this.#visited = visited;
    this.#leaf = root;
    this.#index = 0;
    this.#mark(root);
    if (!root.leaf) this.#frames.push({ page: root, index: 0 });
  }

  key(): Uint8Array {
    return this.page.subarray(this.keyAt, this.keyAt + this.keyLength);
  }

  value(): Uint8Array {
    return this.page.subarray(this.valueAt, this.valueAt + this.valueLength);
  }

  /** Offset of the row's page in the file. */
  get offset(): number {
    return this.#leaf.offset;
  }

  next(): boolean {
    while (!this.#leaf.leaf || this.#index >= this.#leaf.count) {
      if (!this.#nextLeaf()) return false;
    }
    this.#readElement(this.#leaf, this.#index++);
    return true;
  }

  #readElement(leaf: Page, index: number): void {
    const bytes = leaf.bytes;
    const element = PAGE_HEADER_BYTES + index * ELEMENT_BYTES;
    const keyLength = readU32(bytes, element + 8);
    const valueLength = readU32(bytes, element + 12);
    const keyAt = element + readU32(bytes, element + 4);
    const dataStart = PAGE_HEADER_BYTES + leaf.count * ELEMENT_BYTES;
    if (keyAt < dataStart || keyAt + keyLength + valueLength > bytes.length) {
      malformed(leaf.offset, `page ${leaf.id}, element ${index}: key and value lie outside of the page`);
    }
    const floor = this.#floor;
    const order = compareAt(bytes, keyAt, keyLength, floor);
    if (order < 0 || (order === 0 && !this.#atLeast)) {
      malformed(leaf.offset, `page ${leaf.id}, element ${index}: keys are out of order`);
    }
    this.page = bytes;
    this.pageId = leaf.id;
    this.keyAt = keyAt;
    this.keyLength = keyLength;
    this.valueAt = keyAt + keyLength;
    this.valueLength = valueLength;
    this.isBucket = (readU32(bytes, element) & BUCKET_ELEMENT) !== 0;
    this.#floor = bytes.subarray(keyAt, keyAt + keyLength);
    this.#atLeast = false;
  }

  /** Goes to the next leaf page through the branches above; false at the end of the tree. */
  #nextLeaf(): boolean {
    for (;;) {
      const frame = this.#frames.at(-1);
      if (frame === undefined) return false;
      if (frame.index >= frame.page.count) {
        this.#frames.pop();
        continue;
      }
      const child = this.#child(frame.page, frame.index++);
      if (!child.leaf) {
        if (this.#frames.length >= DEPTH_MAX)
          malformed(child.offset, `page ${child.id}: the tree is too deep`);
        this.#frames.push({ page: child, index: 0 });
        continue;
      }
      this.#leaf = child;
      this.#index = 0;
      return true;
    }
  }

  #child(branch: Page, index: number): Page {
    const bytes = branch.bytes;
    const element = PAGE_HEADER_BYTES + index * ELEMENT_BYTES;
    const keyAt = element + readU32(bytes, element);
    const keyLength = readU32(bytes, element + 4);
    if (keyAt + keyLength > bytes.length) {
      malformed(branch.offset, `page ${branch.id}, element ${index}: the key lies outside of the page`);
    }
    const order = compareAt(bytes, keyAt, keyLength, this.#floor);
    if (order < 0 || (order === 0 && !this.#atLeast)) {
      malformed(branch.offset, `page ${branch.id}, element ${index}: keys are out of order`);
    }
    this.#floor = bytes.subarray(keyAt, keyAt + keyLength);
    this.#atLeast = true;
    const child = this.#file.page(readU64(bytes, element + 8));
    this.#mark(child);
    return child;
  }

  #mark(page: Page): void {
    const visited = this.#visited;
    if (visited === undefined) return;
    for (let id = page.id; id <= page.id + page.overflow; id++) {
      if (visited.has(id)) malformed(page.offset, `page ${id} is referred to twice`);
      visited.add(id);
    }
  }
}

/** Compares bytes[at, at + length) with `other`, in byte order. */
function compareAt(bytes: Uint8Array, at: number, length: number, other: Uint8Array): number {
  if (length > 64 && other.length > 64) return compareBytes(bytes.subarray(at, at + length), other);
  const shared = Math.min(length, other.length);
  for (let i = 0; i < shared; i++) {
    const difference = bytes[at + i]! - other[i]!;
    if (difference !== 0) return difference;
  }
  return length - other.length;
}
