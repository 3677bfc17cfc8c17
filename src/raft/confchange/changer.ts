// Computes the configuration that follows from a membership change, or says why there is none. It works on copies: the tracker
// changes only when the caller installs the result. Raft thesis, section 4; etcd's confchange package for the corner cases.
import type { MemberId } from "../../base/brand.ts";
import { type ConfChangeSingle, ConfChangeType } from "../conf-change.ts";
import { isJoint } from "../quorum/joint.ts";
import { EMPTY_MAJORITY, type MajorityConfig, majorityOf } from "../quorum/majority.ts";
import { Inflights } from "../tracker/inflights.ts";
import { Progress, type ProgressMap } from "../tracker/progress.ts";
import type { TrackerConfig } from "../tracker/tracker.ts";
import { checkInvariants } from "./invariants.ts";

/** What a change starts from. */
export type ChangeBase = {
  readonly config: TrackerConfig;
  readonly progress: ProgressMap;
  /** A new member is first probed with this index. */
  readonly lastIndex: number;
  readonly inflightMessagesMax: number;
  readonly inflightBytesMax: number;
};

export type ChangeResult =
  | { readonly ok: true; readonly config: TrackerConfig; readonly progress: ProgressMap }
  | { readonly ok: false; readonly problem: string };

/** The sets under change. */
type Draft = {
  readonly base: ChangeBase;
  readonly incoming: Set<MemberId>;
  readonly outgoing: MajorityConfig;
  readonly learners: Set<MemberId>;
  readonly learnersNext: Set<MemberId>;
  readonly progress: Map<MemberId, Progress>;
};

/**
 * (1 2 3) becomes (1 2 3)&&(1 2 3), then the changes are applied to the left half: from now on both halves must agree.
 */
export function enterJoint(
  base: ChangeBase,
  autoLeave: boolean,
  changes: readonly ConfChangeSingle[],
): ChangeResult {
  const problem = checkInvariants(base.config, base.progress);
  if (problem !== undefined) return refuse(problem);
  if (isJoint(base.config.voters)) return refuse("config is already joint");
  if (base.config.voters.incoming.length === 0) return refuse("can't make a zero-voter config joint");
  const draft = draftOf(base, base.config.voters.incoming);
  const refused = applyChanges(draft, changes);
  return refused !== undefined ? refuse(refused) : finish(draft, autoLeave);
}

/** The left half decides alone from now on; learners that waited for the right half to go become learners. */
export function leaveJoint(base: ChangeBase): ChangeResult {
  const problem = checkInvariants(base.config, base.progress);
  if (problem !== undefined) return refuse(problem);
  if (!isJoint(base.config.voters)) return refuse("can't leave a non-joint config");
  const draft = draftOf(base, EMPTY_MAJORITY);
  for (const id of draft.learnersNext) {
    draft.learners.add(id);
    const progress = draft.progress.get(id);
    if (progress !== undefined) progress.isLearner = true;
  }
  draft.learnersNext.clear();
  for (const id of base.config.voters.outgoing) {
    if (!draft.incoming.has(id) && !draft.learners.has(id)) draft.progress.delete(id);
  }
  return finish(draft, false);
}

/** Changes that together touch at most one voter, so that the old and the new majority are bound to overlap. */
export function simpleChange(base: ChangeBase, changes: readonly ConfChangeSingle[]): ChangeResult {
  const problem = checkInvariants(base.config, base.progress);
  if (problem !== undefined) return refuse(problem);
  if (isJoint(base.config.voters)) return refuse("can't apply simple config change in joint config");
  const draft = draftOf(base, EMPTY_MAJORITY);
  const refused = applyChanges(draft, changes);
  if (refused !== undefined) return refuse(refused);
  if (symmetricDifference(base.config.voters.incoming, draft.incoming) > 1) {
    return refuse("more than one voter changed without entering joint config");
  }
  return finish(draft, false);
}

function refuse(problem: string): ChangeResult {
  return { ok: false, problem };
}

function draftOf(base: ChangeBase, outgoing: MajorityConfig): Draft {
  const progress = new Map<MemberId, Progress>();
  for (const [id, one] of base.progress) progress.set(id, one.fork());
  return {
    base,
    incoming: new Set(base.config.voters.incoming),
    outgoing,
    learners: new Set(base.config.learners),
    learnersNext: new Set(base.config.learnersNext),
    progress,
  };
}

function finish(draft: Draft, autoLeave: boolean): ChangeResult {
  const config: TrackerConfig = {
    voters: { incoming: majorityOf(draft.incoming), outgoing: draft.outgoing },
    learners: majorityOf(draft.learners),
    learnersNext: majorityOf(draft.learnersNext),
    autoLeave,
  };
  const problem = checkInvariants(config, draft.progress);
  return problem !== undefined ? refuse(problem) : { ok: true, config, progress: draft.progress };
}

function applyChanges(draft: Draft, changes: readonly ConfChangeSingle[]): string | undefined {
  for (const change of changes) {
    // etcd zeroes the id of a change that it decides not to make after it was committed.
    if (change.nodeId === 0n) continue;
    switch (change.type) {
      case ConfChangeType.AddNode:
        makeVoter(draft, change.nodeId);
        break;
      case ConfChangeType.AddLearnerNode:
        makeLearner(draft, change.nodeId);
        break;
      case ConfChangeType.RemoveNode:
        remove(draft, change.nodeId);
        break;
      case ConfChangeType.UpdateNode:
        break;
      default:
        return `unexpected conf type ${change.type}`;
    }
  }
  return draft.incoming.size === 0 ? "removed all voters" : undefined;
}

function makeVoter(draft: Draft, id: MemberId): void {
  const progress = draft.progress.get(id);
  if (progress === undefined) {
    draft.incoming.add(id);
    draft.progress.set(id, newProgress(draft, id, false));
    return;
  }
  progress.isLearner = false;
  draft.learners.delete(id);
  draft.learnersNext.delete(id);
  draft.incoming.add(id);
}

/** A voter of the outgoing half stays a voter until that half is gone, and only then becomes a learner (learnersNext). */
function makeLearner(draft: Draft, id: MemberId): void {
  const progress = draft.progress.get(id);
  if (progress === undefined) {
    draft.learners.add(id);
    draft.progress.set(id, newProgress(draft, id, true));
    return;
  }
  if (progress.isLearner) return;
  remove(draft, id);
  draft.progress.set(id, progress);
  if (draft.outgoing.includes(id)) {
    draft.learnersNext.add(id);
  } else {
    progress.isLearner = true;
    draft.learners.add(id);
  }
}

function remove(draft: Draft, id: MemberId): void {
  if (!draft.progress.has(id)) return;
  draft.incoming.delete(id);
  draft.learners.delete(id);
  draft.learnersNext.delete(id);
  if (!draft.outgoing.includes(id)) draft.progress.delete(id);
}

/** A new member counts as recently active, or a quorum check could depose the leader before the member has said a word. */
function newProgress(draft: Draft, id: MemberId, isLearner: boolean): Progress {
  const { lastIndex, inflightMessagesMax, inflightBytesMax } = draft.base;
  const inflights = new Inflights(inflightMessagesMax, inflightBytesMax);
  const progress = new Progress(id, Math.max(lastIndex, 1), inflights, isLearner);
  progress.recentActive = true;
  return progress;
}

function symmetricDifference(before: MajorityConfig, after: ReadonlySet<MemberId>): number {
  let common = 0;
  for (const id of before) if (after.has(id)) common++;
  return before.length + after.size - 2 * common;
}
