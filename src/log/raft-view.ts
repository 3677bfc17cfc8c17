// raft's view of the stored entries: terms from the table, data read back from the files through the cache, so verified. Entries
// handed out own their bytes. The raft core calls it synchronously.
import type { Index, Term } from "../base/brand.ts";
import type { FileNumber, ValueReader } from "../mvcc/contract.ts";
import type { Entry, EntryType, RaftStorage } from "./contract.ts";
import type { EntryTable } from "./entry-table.ts";

function varintBytes(n: number): number {
  let bytes = 1;
  for (let rest = n; rest >= 128; rest = Math.floor(rest / 128)) bytes++;
  return bytes;
}

/** Size of an entry as raftpb counts it; what a message's byte limit is about. */
function entryBytes(term: number, index: number, length: number): number {
  const data = length === 0 ? 0 : 1 + varintBytes(length) + length;
  return 4 + varintBytes(term) + varintBytes(index) + data;
}

export class RaftView implements RaftStorage {
  readonly #table: EntryTable;
  readonly #values: ValueReader;

  constructor(table: EntryTable, values: ValueReader) {
    this.#table = table;
    this.#values = values;
  }

  firstIndex(): Index {
    return (this.#table.startIndex + 1) as Index;
  }

  lastIndex(): Index {
    return this.#table.lastIndex;
  }

  term(index: Index): Term | "compacted" | "unavailable" {
    const table = this.#table;
    if (index < table.startIndex) return "compacted";
    if (index > table.lastIndex) return "unavailable";
    return table.termOf(index) as Term;
  }

  /** [low, high), at least one entry, then as many as fit into `bytesMax`. */
  entries(low: Index, high: Index, bytesMax: number): Entry[] | "compacted" | "unavailable" {
    const table = this.#table;
    if (low <= table.startIndex) return "compacted";
    if (high > table.lastIndex + 1) return "unavailable";
    let end: number = low;
    let dataBytes = 0;
    for (let size = 0; end < high; end++) {
      const length = table.lengthOf(end);
      size += entryBytes(table.termOf(end), end, length);
      if (size > bytesMax && end > low) break;
      dataBytes += length;
    }
    const bytes = new Uint8Array(dataBytes);
    const entries: Entry[] = [];
    for (let index: number = low, at = 0; index < end; index++) {
      const length = table.lengthOf(index);
      this.#values.copyValue(table.fileOf(index) as FileNumber, table.offsetOf(index), length, bytes, at);
      entries.push({
        term: table.termOf(index) as Term,
        index: index as Index,
        type: table.typeOf(index) as EntryType,
        data: bytes.subarray(at, at + length),
      });
      at += length;
    }
    return entries;
  }
}
