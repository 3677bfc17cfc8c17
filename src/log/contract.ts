// What the member relies on from the log, as types. The log is the database: entries are written once, and values are served
// from where they stand in it. It offers raft's storage view, group commit, value reads, checkpoints and reclaim.
import type { ClusterId, Index, MemberId, Term } from "../base/brand.ts";
import type { FileNumber } from "../mvcc/contract.ts";

/** raftpb.EntryType. */
export const EntryType = { Normal: 0, ConfChange: 1, ConfChangeV2: 2 } as const;
export type EntryType = (typeof EntryType)[keyof typeof EntryType];

export type Entry = {
  readonly term: Term;
  readonly index: Index;
  readonly type: EntryType;
  readonly data: Uint8Array;
};

export type HardState = { readonly term: Term; readonly vote: bigint; readonly commit: Index };

/** Whose log it is; written at the head of every segment. */
export type Identity = { readonly memberId: MemberId; readonly clusterId: ClusterId };

/** Where the `data` of an entry begins. */
export type EntryPlace = { readonly file: FileNumber; readonly offset: number };

export interface LogWriter {
  /**
   * Stages entries (and a hard state) for the next flush and says at once where each entry's data will stand. Entries that
   * overlap the log's end replace it (raft's truncation). Bytes must not change until the flush is done.
   */
  append(entries: readonly Entry[], hardState: HardState | undefined): void;
  /** The place of a staged or written entry's data. */
  placeOf(index: Index): EntryPlace;
  /** Writes and flushes what is staged, on this thread, before it returns. For an idle member on a fast disk. */
  flushSync(): void;
  /** Writes and flushes what is staged; one such flush at a time. `done` runs when the bytes are safe. */
  flush(done: () => void): void;
  readonly flushing: boolean;
  /** True when the recent flushes were fast enough that flushSync beats a hop through the thread pool. */
  readonly prefersSync: boolean;
}

/** raft's view of what is stored (etcd/raft's Storage). Errors: compacted = below firstIndex, unavailable = above lastIndex. */
export interface RaftStorage {
  firstIndex(): Index;
  lastIndex(): Index;
  term(index: Index): Term | "compacted" | "unavailable";
  entries(low: Index, high: Index, bytesMax: number): Entry[] | "compacted" | "unavailable";
}
