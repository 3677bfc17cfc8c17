// What holds for every configuration together with its progress. Checked before and after each change, so that a broken one
// is refused before it can decide anything. Called by the changer only.
import { isJoint, jointIds } from "../quorum/joint.ts";
import type { ProgressMap } from "../tracker/progress.ts";
import type { TrackerConfig } from "../tracker/tracker.ts";

/** What is wrong, or undefined. The empty configuration is legal: a bootstrap begins with it. */
export function checkInvariants(config: TrackerConfig, progress: ProgressMap): string | undefined {
  return (
    checkProgress(config, progress) ??
    checkLearnersNext(config, progress) ??
    checkLearners(config, progress) ??
    checkNotJoint(config)
  );
}

function checkProgress(config: TrackerConfig, progress: ProgressMap): string | undefined {
  for (const ids of [jointIds(config.voters), config.learners, config.learnersNext]) {
    for (const id of ids) if (!progress.has(id)) return `no progress for ${id}`;
  }
  return undefined;
}

function checkLearnersNext(config: TrackerConfig, progress: ProgressMap): string | undefined {
  for (const id of config.learnersNext) {
    if (!config.voters.outgoing.includes(id)) return `${id} is in LearnersNext, but not Voters[1]`;
    if (progress.get(id)?.isLearner === true) {
      return `${id} is in LearnersNext, but is already marked as learner`;
    }
  }
  return undefined;
}

function checkLearners(config: TrackerConfig, progress: ProgressMap): string | undefined {
  for (const id of config.learners) {
    if (config.voters.outgoing.includes(id)) return `${id} is in Learners and Voters[1]`;
    if (config.voters.incoming.includes(id)) return `${id} is in Learners and Voters[0]`;
    if (progress.get(id)?.isLearner !== true) return `${id} is in Learners, but is not marked as learner`;
  }
  return undefined;
}

function checkNotJoint(config: TrackerConfig): string | undefined {
  if (isJoint(config.voters)) return undefined;
  if (config.learnersNext.length > 0) return "cfg.LearnersNext must be nil when not joint";
  if (config.autoLeave) return "AutoLeave must be false when not joint";
  return undefined;
}
