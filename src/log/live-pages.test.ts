// Goal: exactly the pages that values touch are named, in stretches that bridge short gaps and nothing else. Method: random values against
// a set of page numbers.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { FileNumber } from "../mvcc/contract.ts";
import { dice } from "../sim/log-model.ts";
import { LivePages } from "./live-pages.ts";
import { PAGE_BYTES } from "./log-file.ts";

const STRETCH_PAGES_MAX = 10;
const GAP_PAGES_MAX = 7;

function pagesOf(live: LivePages, file: FileNumber): number[] {
  const pages: number[] = [];
  for (let page = live.next(file, 0); page !== -1; page = live.next(file, page + 1)) pages.push(page);
  return pages;
}

test("pages that values touch are live until they are crossed out", () => {
  const random = dice(3);
  const live = new LivePages();
  const wanted = new Map<FileNumber, Set<number>>();
  const set = (file: FileNumber): Set<number> => {
    const pages = wanted.get(file) ?? new Set();
    wanted.set(file, pages);
    return pages;
  };
  for (let i = 0; i < 4000; i++) {
    const file = (1 + random.below(4)) as FileNumber;
    const offset = random.below(300 * file) * 1000;
    const length = 1 + random.below(random.below(50) === 0 ? 100_000 : 3000);
    live.add(file, offset, length);
    const last = Math.floor((offset + length - 1) / PAGE_BYTES);
    for (let page = Math.floor(offset / PAGE_BYTES); page <= last; page++) set(file).add(page);
    if (i % 3 !== 0) continue;
    const first = random.below(400);
    const end = first + random.below(40);
    live.remove(file, first, end);
    for (let page = first; page < end; page++) set(file).delete(page);
  }
  assert.deepEqual(new Set(live.files), new Set(wanted.keys()));
  for (const [file, pages] of wanted) {
    const sorted = [...pages].sort((a, b) => a - b);
    assert.ok(sorted.length > 20, "there is something to compare");
    assert.deepEqual(pagesOf(live, file), sorted);
    assert.equal(live.bytesOf(file), (sorted.at(-1)! + 1) * PAGE_BYTES);
  }
  live.remove(9 as FileNumber, 0, 10);
  assert.equal(live.next(9 as FileNumber, 0), -1);
  assert.equal(live.bytesOf(9 as FileNumber), 0);
});

test("stretches cover every live page, begin and end with one, and bridge short gaps alone", () => {
  const random = dice(4);
  const file = 1 as FileNumber;
  const live = new LivePages();
  for (let i = 0; i < 300; i++) live.add(file, random.below(2000) * PAGE_BYTES, 1);
  const pages = pagesOf(live, file);
  const covered = new Set<number>();
  let bridged = 0;
  for (let first = live.next(file, 0); first !== -1; ) {
    const end = live.endOf(file, first, STRETCH_PAGES_MAX);
    assert.ok(end - first <= STRETCH_PAGES_MAX);
    assert.ok(pages.includes(first) && pages.includes(end - 1));
    for (let page = first; page < end; page++) covered.add(page);
    bridged += end - first;
    first = live.next(file, end);
  }
  assert.ok(pages.every((page) => covered.has(page)));
  assert.ok(bridged > pages.length, "some gaps were bridged");
  for (const page of covered) {
    const near = pages.some((one) => one <= page && page - one <= GAP_PAGES_MAX);
    assert.ok(near, `page ${page} is far behind any live one`);
  }
});
