// What the member relies on from the log, as types. The log is the database: entries are written once, and values are served
// from where they stand in it. It offers raft's storage view, group commit, value reads, checkpoints and reclaim.
import type { ClusterId, Index, MemberId, Revision, Term } from "../base/brand.ts";
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
  /**
   * Writes and flushes what is staged, on this thread, before it returns. For an idle member on a fast disk. While an asynchronous
   * flush is under way that one's bytes are made safe as well (and its `done` still runs later).
   */
  flushSync(): void;
  /** Writes and flushes what is staged; one such flush at a time. `done` runs when the bytes are safe. */
  flush(done: () => void): void;
  readonly flushing: boolean;
  /** A flush has failed, and whoever ends the process was told: nothing is written any more. */
  readonly failed: boolean;
  /** Bytes of records appended since the start. */
  readonly appendedBytes: number;
  /** How long the writes of the newest flush took, without the waiting for the device. */
  readonly writtenMillis: number;
  /** True when nothing is being flushed, little is staged, and flushSync was quick of late: then it beats a hop through the thread pool. */
  readonly prefersSync: boolean;
}

/** raft's view of what is stored (etcd/raft's Storage). Errors: compacted = below firstIndex, unavailable = above lastIndex. */
export interface RaftStorage {
  firstIndex(): Index;
  lastIndex(): Index;
  term(index: Index): Term | "compacted" | "unavailable";
  entries(low: Index, high: Index, bytesMax: number): Entry[] | "compacted" | "unavailable";
}

/** What a restart begins from: the state as of one applied entry. */
export type CheckpointMeta = {
  readonly appliedIndex: Index;
  readonly appliedTerm: Term;
  /** raftpb.ConfState as of appliedIndex; opaque here. */
  readonly confState: Uint8Array;
  /** The small tables (leases, auth, members, alarms, versions …) as of appliedIndex; opaque here. */
  readonly tables: Uint8Array;
};

/**
 * The image of the key index as of appliedIndex, however long it takes to be drained and whatever is written meanwhile: mvcc's
 * Checkpoint. It is always drained or cancelled.
 */
export interface ImageSource {
  /** The next chunk, made in well under 2 ms, or undefined at the end. It may be reused once the next one is asked for. */
  next(): Uint8Array | undefined;
  cancel(): void;
}

/** An image that is on the disk already, under its number, flushed; see ImageDraft. */
export type WrittenImage = { readonly number: number; readonly bytes: number };

export type CheckpointInput = CheckpointMeta & { readonly image: ImageSource | WrittenImage };

/** What reclaim needs of the store. */
export interface ReclaimStore {
  /** Bytes of the values in this file that some kept revision still shows. */
  liveBytesOf(file: FileNumber): number;
  /** The rows whose values stand in `files`, in key order, in bites; survives writes and compaction between bites. */
  rowsInFiles(files: ReadonlySet<FileNumber>): ReclaimCursor;
  /** False while a checkpoint is under way: relocate() must wait. */
  readonly relocatable: boolean;
  /** A value stands elsewhere now. Does nothing when its revision was compacted, or moved, meanwhile. */
  relocate(relocation: Relocation): void;
}

/** The revision (main, sub), where its value stood, and where its copy stands. */
export type Relocation = {
  readonly main: Revision;
  readonly sub: number;
  readonly fromFile: FileNumber;
  readonly fromOffset: number;
  readonly toFile: FileNumber;
  readonly toOffset: number;
};

export interface ReclaimCursor {
  /** Looks at up to `max` rows and tells `visit` of those in the files; false = at the end. */
  next(
    max: number,
    visit: (main: Revision, sub: number, file: FileNumber, offset: number, length: number) => void,
  ): boolean;
}

/** What the background jobs of the log ask of the member. */
export interface LogSource {
  readonly store: ReclaimStore;
  readonly appliedIndex: Index;
  /** The state now. Called at the moment the image begins. */
  checkpoint(): CheckpointInput;
}
