// What the leader knows about one member's log, and how it may talk to it: probing for the place where the logs agree, sending
// optimistically, or waiting for a snapshot. Only the leader's handlers call it; it sends nothing itself.
import { assert } from "../../base/assert.ts";
import type { MemberId } from "../../base/brand.ts";
import type { Inflights } from "./inflights.ts";

export const ProgressState = { Probe: 0, Replicate: 1, Snapshot: 2 } as const;
export type ProgressState = (typeof ProgressState)[keyof typeof ProgressState];

const STATE_NAMES = ["StateProbe", "StateReplicate", "StateSnapshot"] as const;

export function describeProgressState(state: ProgressState): string {
  return STATE_NAMES[state];
}

export class Progress {
  readonly id: MemberId;
  /** The follower's log agrees with ours up to here. Invariant: match < next. */
  match = 0;
  /** Next entry to send; those between match and next are on their way. In Snapshot: pendingSnapshot + 1. */
  next: number;
  /** The highest commit index on its way. Falls back when what carried it may be lost. */
  #sentCommit = 0;
  state: ProgressState = ProgressState.Probe;
  /** In Snapshot: the index of the snapshot sent. While set, nothing else goes out. */
  pendingSnapshot = 0;
  /** Heard of since the last quorum check. Always true for the leader itself. */
  recentActive = false;
  /** A probe is out, or the window was full: wait for a heartbeat's answer before the next MsgApp. */
  msgAppFlowPaused = false;
  inflights: Inflights;
  isLearner: boolean;

  constructor(id: MemberId, next: number, inflights: Inflights, isLearner: boolean) {
    this.id = id;
    this.next = next;
    this.inflights = inflights;
    this.isLearner = isLearner;
  }

  /** Everything forgotten, as at the begin of a term. */
  restart(match: number, next: number, inflights: Inflights): void {
    this.match = match;
    this.next = next;
    this.#sentCommit = 0;
    this.state = ProgressState.Probe;
    this.pendingSnapshot = 0;
    this.recentActive = false;
    this.msgAppFlowPaused = false;
    this.inflights = inflights;
  }

  /** From Snapshot, probing begins behind the snapshot, which is believed to have arrived. */
  becomeProbe(): void {
    const afterSnapshot = this.state === ProgressState.Snapshot ? this.pendingSnapshot + 1 : 0;
    this.#resetState(ProgressState.Probe);
    this.next = Math.max(this.match + 1, afterSnapshot);
    this.#lowerSentCommit();
  }

  becomeReplicate(): void {
    this.#resetState(ProgressState.Replicate);
    this.next = this.match + 1;
  }

  becomeSnapshot(index: number): void {
    this.#resetState(ProgressState.Snapshot);
    this.pendingSnapshot = index;
    this.next = index + 1;
    this.#sentCommit = index;
  }

  /** A MsgApp with `count` entries from `next` on was sent. */
  sentEntries(count: number, bytes: number): void {
    if (this.state === ProgressState.Replicate) {
      if (count > 0) {
        this.next += count;
        this.inflights.add(this.next - 1, bytes);
      }
      // The message that fills the window counts as a probe.
      this.msgAppFlowPaused = this.inflights.full;
      return;
    }
    assert(this.state === ProgressState.Probe, "sending append in unhandled state StateSnapshot");
    if (count > 0) this.msgAppFlowPaused = true;
  }

  sentCommit(commit: number): void {
    this.#sentCommit = commit;
  }

  /** Whether telling `commit` now could move the follower's: not if one is on its way that reaches all it will have. */
  canBumpCommit(commit: number): boolean {
    return commit > this.#sentCommit && this.#sentCommit < this.next - 1;
  }

  /** The follower acknowledged up to `index`. False when that is old news. */
  maybeUpdate(index: number): boolean {
    if (index <= this.match) return false;
    this.match = index;
    if (this.next <= index) this.next = index + 1;
    this.msgAppFlowPaused = false;
    return true;
  }

  /** The follower refused entries after `rejected` and hints at where to try. False when the refusal is stale. */
  maybeDecrementTo(rejected: number, matchHint: number): boolean {
    if (this.state === ProgressState.Replicate) {
      if (rejected <= this.match) return false;
      this.next = this.match + 1;
      this.#lowerSentCommit();
      return true;
    }
    // One probe is out at a time: a refusal of anything else was delayed or repeated.
    if (this.next - 1 !== rejected) return false;
    this.next = Math.max(Math.min(rejected, matchHint + 1), this.match + 1);
    this.#lowerSentCommit();
    this.msgAppFlowPaused = false;
    return true;
  }

  get paused(): boolean {
    return this.state === ProgressState.Snapshot || this.msgAppFlowPaused;
  }

  /** A copy with its own flags that shares the window, for a configuration change that may yet be refused. */
  fork(): Progress {
    return this.#copy(this.inflights);
  }

  /** A copy that shares nothing, for a status. */
  clone(): Progress {
    return this.#copy(this.inflights.clone());
  }

  describe(): string {
    let text = `${describeProgressState(this.state)} match=${this.match} next=${this.next}`;
    if (this.isLearner) text += " learner";
    if (this.paused) text += " paused";
    if (this.pendingSnapshot > 0) text += ` pendingSnap=${this.pendingSnapshot}`;
    if (!this.recentActive) text += " inactive";
    if (this.inflights.count > 0) text += ` inflight=${this.inflights.count}`;
    if (this.inflights.count > 0 && this.inflights.full) text += "[full]";
    return text;
  }

  #resetState(state: ProgressState): void {
    this.msgAppFlowPaused = false;
    this.pendingSnapshot = 0;
    this.state = state;
    this.inflights.reset();
  }

  #lowerSentCommit(): void {
    if (this.#sentCommit > this.next - 1) this.#sentCommit = this.next - 1;
  }

  #copy(inflights: Inflights): Progress {
    const copy = new Progress(this.id, this.next, inflights, this.isLearner);
    copy.match = this.match;
    copy.#sentCommit = this.#sentCommit;
    copy.state = this.state;
    copy.pendingSnapshot = this.pendingSnapshot;
    copy.recentActive = this.recentActive;
    copy.msgAppFlowPaused = this.msgAppFlowPaused;
    return copy;
  }
}

export type ProgressMap = ReadonlyMap<MemberId, Progress>;

/** One line per member, by id in decimal. */
export function describeProgressMap(progress: ProgressMap): string {
  return [...progress.values()]
    .sort((a, b) => (a.id < b.id ? -1 : 1))
    .map((one) => `${one.id}: ${one.describe()}\n`)
    .join("");
}
