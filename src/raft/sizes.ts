// Sizes that raft's limits are counted in: the encoded size of an entry (messages, committed entries per Ready) and the size of
// its payload (uncommitted entries). Pure arithmetic on the hot path: no bytes are encoded here.
import type { Entry } from "./message.ts";

/** Unlimited, where etcd uses the largest uint64. */
export const NO_LIMIT: number = Number.POSITIVE_INFINITY;

/** Bytes of a protobuf varint. Safe integers only. */
export function varintSize(n: number): number {
  if (n < 0x80) return 1;
  if (n < 0x4000) return 2;
  if (n < 0x20_0000) return 3;
  if (n < 0x1000_0000) return 4;
  let size = 4;
  for (let rest = Math.floor(n / 0x1000_0000); rest > 0; rest = Math.floor(rest / 0x80)) size++;
  return size;
}

/** As raftpb.Entry is written by raft v3.7: a normal entry leaves its type out, an empty one its data. */
export function entrySize(entry: Entry): number {
  const length = entry.data.length;
  return (
    2 +
    varintSize(entry.term) +
    varintSize(entry.index) +
    (entry.type === 0 ? 0 : 2) +
    (length === 0 ? 0 : 1 + varintSize(length) + length)
  );
}

export function entriesSize(entries: readonly Entry[]): number {
  let size = 0;
  for (let i = 0; i < entries.length; i++) size += entrySize(entries[i]!);
  return size;
}

export function payloadsSize(entries: readonly Entry[]): number {
  let size = 0;
  for (let i = 0; i < entries.length; i++) size += entries[i]!.data.length;
  return size;
}

/** How many of `count` entries from `from` on fit into `bytesMax`: at least one if there is any. */
export function countWithin(
  entries: readonly Entry[],
  from: number,
  count: number,
  bytesMax: number,
): number {
  if (count <= 1 || bytesMax === NO_LIMIT) return count;
  let size = entrySize(entries[from]!);
  for (let taken = 1; taken < count; taken++) {
    size += entrySize(entries[from + taken]!);
    if (size > bytesMax) return taken;
  }
  return count;
}
