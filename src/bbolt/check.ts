// bbolt's whole-file check: every row readable and in order, every page met once, none both in use and free, none lost. Called by
// `etcdutl snapshot status` before it trusts a file. It reports; it never throws for what the file holds.
import { FormatError } from "../base/format-error.ts";
import {
  FIRST_DATA_PAGE,
  FREELIST_COUNT_LARGE,
  PAGE_HEADER_BYTES,
  PageFlag,
  readU16,
  readU32,
  readU64,
} from "./page.ts";
import { type BoltFile, type ByteSource, PageSet } from "./reader.ts";

/** More findings than this say nothing new. */
const FINDINGS_MAX = 1000;

/** What is wrong with the file, in bbolt's words where it has them; empty when nothing is. */
export function checkFile(file: BoltFile, source: ByteSource): string[] {
  const reachable = new PageSet(file.meta.pageCount);
  try {
    for (const bucket of file.buckets(reachable)) {
      const rows = file.rows(bucket, reachable);
      while (rows.next());
    }
    return freelistFindings(file, source, reachable);
  } catch (error) {
    if (error instanceof FormatError) return [`${error.message} (offset ${error.offset})`];
    throw error;
  }
}

function freelistFindings(file: BoltFile, source: ByteSource, reachable: PageSet): string[] {
  const { freelist, pageCount, pageSize } = file.meta;
  // Without a list in the file, free is by definition what no tree reaches.
  if (freelist === undefined) return [];
  const findings: string[] = [];
  const freed = new PageSet(pageCount);
  if (freelist < FIRST_DATA_PAGE || freelist >= pageCount)
    return [`freelist page ${freelist} does not exist`];
  const at = freelist * pageSize;
  let bytes = source.read(at, pageSize);
  if (readU16(bytes, 8) !== PageFlag.Freelist) return [`page ${freelist}: invalid type for a freelist`];
  const overflow = readU32(bytes, 12);
  if (freelist + overflow >= pageCount) return [`page ${freelist}: the freelist runs beyond the last page`];
  bytes = source.read(at, (overflow + 1) * pageSize);
  for (let id = freelist; id <= freelist + overflow; id++) reachable.add(id);
  const small = readU16(bytes, 10);
  const large = small === FREELIST_COUNT_LARGE;
  const count = large ? readU64(bytes, PAGE_HEADER_BYTES) : small;
  const first = PAGE_HEADER_BYTES + (large ? 8 : 0);
  if (first + 8 * count > bytes.length)
    return [`page ${freelist}: the freelist says ${count} pages, more than fit`];
  for (let i = 0; i < count && findings.length < FINDINGS_MAX; i++) {
    const id = readU64(bytes, first + 8 * i);
    if (id >= pageCount) findings.push(`page ${id}: out of bounds: ${pageCount}`);
    else if (freed.has(id)) findings.push(`page ${id}: already freed`);
    else {
      freed.add(id);
      if (reachable.has(id)) findings.push(`page ${id}: reachable freed`);
    }
  }
  for (let id = FIRST_DATA_PAGE; id < pageCount && findings.length < FINDINGS_MAX; id++) {
    if (!reachable.has(id) && !freed.has(id)) findings.push(`page ${id}: unreachable unfreed`);
  }
  return findings;
}
