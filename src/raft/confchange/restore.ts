// Rebuilds a configuration from a ConfState by the very changes that could have led to it, so that a restored configuration
// passes the same checks as one that grew. Called at start and when a snapshot arrives.
//
// Example: voters (1 2 3), outgoing (1 2 4 6), learners (5), learnersNext (4).
// First add 1 2 4 6 one by one; then, as one joint change: remove 1 2 4 6, add 1 2 3, add learners 5 and 4.
// That ends at (1 2 3)&&(1 2 4 6) learners=(5) learners_next=(4).
import type { MemberId } from "../../base/brand.ts";
import { type ConfChangeSingle, ConfChangeType } from "../conf-change.ts";
import type { ConfState } from "../message.ts";
import { type ChangeBase, type ChangeResult, enterJoint, simpleChange } from "./changer.ts";

/** `base` must hold the empty configuration. */
export function restoreConfig(base: ChangeBase, state: ConfState): ChangeResult {
  const incoming = [
    ...changes(state.votersOutgoing, ConfChangeType.RemoveNode),
    ...changes(state.voters, ConfChangeType.AddNode),
    ...changes(state.learners, ConfChangeType.AddLearnerNode),
    ...changes(state.learnersNext, ConfChangeType.AddLearnerNode),
  ];
  if (state.votersOutgoing.length === 0) return oneByOne(base, incoming);
  const before = oneByOne(base, changes(state.votersOutgoing, ConfChangeType.AddNode));
  if (!before.ok) return before;
  return enterJoint({ ...base, config: before.config, progress: before.progress }, state.autoLeave, incoming);
}

function changes(ids: readonly MemberId[], type: ConfChangeType): ConfChangeSingle[] {
  return ids.map((nodeId) => ({ type, nodeId }));
}

function oneByOne(base: ChangeBase, list: readonly ConfChangeSingle[]): ChangeResult {
  let { config, progress } = base;
  for (const change of list) {
    const result = simpleChange({ ...base, config, progress }, [change]);
    if (!result.ok) return result;
    config = result.config;
    progress = result.progress;
  }
  return { ok: true, config, progress };
}
