// What the member asks of the replicated log beneath it: entries in, committed entries out, in order, and proof of what is newest.
// Raft with our own log is one engine (raft-engine.ts); another may keep the log elsewhere. The services know this page only.
import type { MemberId } from "../../base/brand.ts";
import type { EtcdError } from "../../base/errors.ts";
import type { Entry } from "../../log/contract.ts";
import type { Message, Snapshot } from "../../raft/message.ts";

export interface EngineEvents {
  /** Committed entries, in order, each once. When it returns they are applied, and events and replies are on their way. */
  committed(entries: readonly Entry[]): void;
  /** Leadership was won or lost, or the leader is another. */
  roleChanged(): void;
  /** This member leads, and has applied all that was committed before it led: it may act as the leader (expire leases). */
  leadershipProved(): void;
  /** A snapshot has become the state. */
  restored(): void;
  /** To whom leadership is best handed over; undefined = no voter is connected. */
  successor(): MemberId | undefined;
}

export interface Engine {
  /** Appends when the turn ends. An error means that it was not taken; otherwise the entry may or may not come out of `committed`. */
  propose(data: Uint8Array): EtcdError | undefined;
  /** The state is as new as any answer ever given: a linearizable read may be answered at once. */
  readonly canReadNow: boolean;
  /** Calls back when everything acknowledged before this call is applied here, or with the reason why that cannot be said. */
  barrier(ready: () => void, failed: (error: EtcdError) => void): void;
  readonly leader: MemberId;
  readonly isLeader: boolean;
  readonly term: number;
  readonly committedIndex: number;
  readonly appliedIndex: number;
  describe(): string;
}

/** What raft's snapshots are to the member. */
export interface SnapshotDoor {
  /**
   * For raft's Storage.snapshot(): metadata of the state as applied now (index, term, confState, data as etcd fills it), or word that
   * it takes a while. Cheap.
   */
  current(): Snapshot | "temporarilyUnavailable";
  /**
   * A MsgSnap of a Ready: completes the message from the state as applied now (as etcd's createMergedSnapshotMessage does) and gives it
   * with a body to the transport. Ends in one reportSnapshot.
   */
  send(message: Message): void;
  /**
   * The snapshot of a Ready: the staged state with this index becomes the member's state, and the log's new beginning, durably; then
   * `done`. Until then nothing is appended to the log and nothing is applied.
   * The hard state of the same Ready is appended in `done`, not before: its commit index lies behind the log's end as long as the
   * snapshot is not in its place, and after a crash in between nobody could open that log. `done` begins by taking the snapshot's index,
   * term and conf state as applied, and returns with that done: the next checkpoint may begin right behind it.
   */
  install(snapshot: Snapshot, done: () => void): void;
}
