// Installs a configuration: after a membership change was applied, and when a snapshot or a restart brings one. Takes the
// consequences at once: fewer voters may mean more is committed, a removed leader may have to step down.

import { autoLeavesJoint, type ConfChangeV2, entersJoint, leavesJoint } from "./conf-change.ts";
import {
  type ChangeBase,
  type ChangeResult,
  enterJoint,
  leaveJoint,
  simpleChange,
} from "./confchange/changer.ts";
import { restoreConfig } from "./confchange/restore.ts";
import { panic } from "./errors.ts";
import { type ConfState, NONE } from "./message.ts";
import { jointHas } from "./quorum/joint.ts";
import { compareIds } from "./quorum/majority.ts";
import { type Raft, StateType } from "./raft.ts";
import { broadcastAppend, maybeCommit, maybeSendAppend } from "./replication.ts";
import { abortLeaderTransfer, becomeFollower } from "./role.ts";
import type { ProgressMap } from "./tracker/progress.ts";
import { describeConfig, EMPTY_CONFIG, type TrackerConfig } from "./tracker/tracker.ts";

/**
 * A change that cannot be applied ends the process: it is committed, so the others have applied it. While a received snapshot waits for
 * the disk, the configuration is the snapshot's already, and an entry still being applied lies before it: no effect (etcd's raft lacks
 * this check; there a slow state machine would apply the old change on top of the new configuration).
 */
export function applyConfChange(raft: Raft, change: ConfChangeV2): ConfState {
  if (raft.log.unstable.snapshot !== undefined) return raft.tracker.confState();
  const base = changeBase(raft, raft.tracker.config, raft.tracker.progress);
  const result = nextConfig(base, change);
  if (!result.ok) panic(raft.logger, result.problem);
  return switchToConfig(raft, result.config, result.progress);
}

function nextConfig(base: ChangeBase, change: ConfChangeV2): ChangeResult {
  if (leavesJoint(change)) return leaveJoint(base);
  if (entersJoint(change)) return enterJoint(base, autoLeavesJoint(change), change.changes);
  return simpleChange(base, change.changes);
}

/** Replaces whatever configuration there was, with fresh progress for everybody. */
export function restoreConfState(raft: Raft, state: ConfState): void {
  const result = restoreConfig(changeBase(raft, EMPTY_CONFIG, new Map()), state);
  if (!result.ok) {
    panic(raft.logger, `unable to restore config ${describeConfStateForPanic(state)}: ${result.problem}`);
  }
  const restored = switchToConfig(raft, result.config, result.progress);
  if (!isEquivalent(restored, state)) {
    panic(raft.logger, `ConfStates not equivalent after sorting: ${describeConfStateForPanic(state)}`);
  }
}

function changeBase(raft: Raft, config: TrackerConfig, progress: ProgressMap): ChangeBase {
  return {
    config,
    progress,
    lastIndex: raft.log.lastIndex(),
    inflightMessagesMax: raft.tracker.inflightMessagesMax,
    inflightBytesMax: raft.tracker.inflightBytesMax,
  };
}

function switchToConfig(raft: Raft, config: TrackerConfig, progress: ProgressMap): ConfState {
  raft.tracker.use(config, progress);
  raft.logger.info(`${raft.name} switched to configuration ${describeConfig(config)}`);
  const state = raft.tracker.confState();
  const own = progress.get(raft.id);
  raft.isLearner = own?.isLearner ?? false;
  if (raft.state !== StateType.Leader) return state;
  if (own === undefined || raft.isLearner) {
    if (raft.stepDownOnRemoval) becomeFollower(raft, raft.term, NONE);
    return state;
  }
  if (state.voters.length === 0) return state;
  leadNewConfig(raft);
  if (raft.leadTransferee !== NONE && !jointHas(config.voters, raft.leadTransferee)) {
    abortLeaderTransfer(raft);
  }
  return state;
}

/** The new quorum may have stored more than the old one; otherwise new members are at least probed at once. */
function leadNewConfig(raft: Raft): void {
  if (maybeCommit(raft)) {
    broadcastAppend(raft);
    return;
  }
  for (const member of raft.tracker.members) {
    if (member.id !== raft.id) maybeSendAppend(raft, member, false);
  }
}

function isEquivalent(a: ConfState, b: ConfState): boolean {
  return (
    sameIds(a.voters, b.voters) &&
    sameIds(a.learners, b.learners) &&
    sameIds(a.votersOutgoing, b.votersOutgoing) &&
    sameIds(a.learnersNext, b.learnersNext) &&
    a.autoLeave === b.autoLeave
  );
}

function sameIds(a: ConfState["voters"], b: ConfState["voters"]): boolean {
  const left = [...a].sort(compareIds);
  const right = [...b].sort(compareIds);
  return left.length === right.length && left.every((id, i) => id === right[i]);
}

function describeConfStateForPanic(state: ConfState): string {
  return (
    `voters=(${state.voters.join(" ")}) learners=(${state.learners.join(" ")}) ` +
    `outgoing=(${state.votersOutgoing.join(" ")}) learnersNext=(${state.learnersNext.join(" ")})`
  );
}
