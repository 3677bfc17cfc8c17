// What raft reads back from stable storage. The member's log implements it on disk, MemoryStorage in memory. Raft never writes
// through it: what must be written is in Ready. All calls are synchronous.
import type { Index, Term } from "../base/brand.ts";
import type { ConfState, Entry, HardState, Snapshot } from "./message.ts";

/** Below firstIndex, or above lastIndex. */
export type StorageError = "compacted" | "unavailable";

export interface Storage {
  /** What the last run left behind; asked once, when the node starts. */
  initialState(): { readonly hardState: HardState | undefined; readonly confState: ConfState };
  /** The first index whose entry may still be read; 1 for a log never compacted. */
  firstIndex(): Index;
  /** The last stored index, or firstIndex - 1 when no entry is left. */
  lastIndex(): Index;
  /** The term at `index`, for [firstIndex - 1, lastIndex]: the term just below the first entry must be remembered. */
  term(index: Index): Term | StorageError;
  /**
   * Entries of [low, high) in order, as many as fit `bytesMax` (encoded size; may be Infinity), at least one. Raft does not change
   * the array or the entries, and keeps them only until the Ready that carries them is done.
   */
  entries(low: Index, high: Index, bytesMax: number): readonly Entry[] | StorageError;
  /** A snapshot for a member that is too far behind, or word that it takes a while: raft asks again at the next heartbeat. */
  snapshot(): Snapshot | "temporarilyUnavailable";
}
