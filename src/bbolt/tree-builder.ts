// The branch pages over a row of leaf pages, built while the leaves go by: each level holds one open page, which is handed out when
// it is full and becomes an entry of the level above. The planner and the writer use the same builder, so both cut alike; the
// planner only counts. Memory is one page per level, however big the bucket.
import {
  ELEMENT_BYTES,
  PAGE_HEADER_BYTES,
  PageFlag,
  roundUp,
  writePageHeader,
  writeU32,
  writeU64,
} from "./page.ts";

/** A branch page must have two children, or the tree would not narrow. */
const CHILDREN_MIN = 2;

type Level = { keys: Uint8Array[]; pages: number[]; bytes: number; closed: number };

/** What becomes of a full branch page: gives it its id. */
export type PlaceBranch = (keys: readonly Uint8Array[], pages: readonly number[], bytes: number) => number;

export class TreeBuilder {
  readonly #levels: Level[] = [];
  readonly #place: PlaceBranch;
  readonly #pageSize: number;

  constructor(pageSize: number, place: PlaceBranch) {
    this.#pageSize = pageSize;
    this.#place = place;
  }

  /** A child page of the lowest branch level; `key` is its first key, kept until its branch is placed. */
  add(key: Uint8Array, page: number): void {
    this.#addTo(0, key, page);
  }

  /** Closes all levels and returns the root: the only child that is left. */
  finish(): number {
    for (let depth = 0; ; depth++) {
      const level = this.#levels[depth]!;
      if (level.closed === 0 && level.pages.length === 1) return level.pages[0]!;
      if (level.pages.length > 0) this.#close(depth);
    }
  }

  #addTo(depth: number, key: Uint8Array, page: number): void {
    if (depth === this.#levels.length)
      this.#levels.push({ keys: [], pages: [], bytes: PAGE_HEADER_BYTES, closed: 0 });
    const level = this.#levels[depth]!;
    const size = ELEMENT_BYTES + key.length;
    if (level.pages.length >= CHILDREN_MIN && level.bytes + size > this.#pageSize) this.#close(depth);
    level.keys.push(key);
    level.pages.push(page);
    level.bytes += size;
  }

  #close(depth: number): void {
    const level = this.#levels[depth]!;
    const id = this.#place(level.keys, level.pages, level.bytes);
    const first = level.keys[0]!;
    level.keys = [];
    level.pages = [];
    level.bytes = PAGE_HEADER_BYTES;
    level.closed++;
    this.#addTo(depth + 1, first, id);
  }
}

/** The bytes of a branch page run. */
export function branchPage(
  id: number,
  keys: readonly Uint8Array[],
  pages: readonly number[],
  bytes: number,
  pageSize: number,
): Uint8Array {
  const run = new Uint8Array(roundUp(bytes, pageSize));
  writePageHeader(run, 0, id, PageFlag.Branch, pages.length, run.length / pageSize - 1);
  let keyAt = PAGE_HEADER_BYTES + pages.length * ELEMENT_BYTES;
  for (let i = 0; i < pages.length; i++) {
    const element = PAGE_HEADER_BYTES + i * ELEMENT_BYTES;
    const key = keys[i]!;
    writeU32(run, element, keyAt - element);
    writeU32(run, element + 4, key.length);
    writeU64(run, element + 8, pages[i]!);
    run.set(key, keyAt);
    keyAt += key.length;
  }
  return run;
}
