// MsgAppResp on the leader: a member (or the leader's own disk) has stored entries, or has refused them. Moves the commit index
// and keeps the flow to that member going. Called once per acknowledgement: the second hot path.
import type { Message } from "../message.ts";
import type { Raft } from "../raft.ts";
import { releasePendingReads } from "../read-index.ts";
import { broadcastAppend, maybeCommit, maybeSendAppend, sendAppend, sendTimeoutNow } from "../replication.ts";
import { type Progress, ProgressState } from "../tracker/progress.ts";

export function handleAppendResponse(raft: Raft, message: Message, progress: Progress): void {
  progress.recentActive = true;
  if (message.reject) handleRejection(raft, message, progress);
  else handleAcknowledgement(raft, message, progress);
}

/**
 * The logs differ at the index we assumed. The member hints at where they may agree; with the term it has there, all our entries of
 * later terms can be skipped too, so that at most one probe per term is needed.
 *
 *     index       1 2 3 4 5 6 7 8 9
 *     leader      1 3 3 3 5 5 5 5 5
 *     follower    1 1 1 1 2 2          refuses 9, hints (6, term 2): the next probe is at 1
 */
function handleRejection(raft: Raft, message: Message, progress: Progress): void {
  const { logger, name } = raft;
  const from = message.from.toString(16);
  if (logger.debugEnabled) {
    logger.debug(
      `${name} received MsgAppResp(rejected, hint: (index ${message.rejectHint}, term ${message.logTerm})) from ${from} for index ${message.index}`,
    );
  }
  const hint =
    message.logTerm > 0
      ? raft.log.findConflictByTerm(message.rejectHint, message.logTerm)
      : message.rejectHint;
  if (!progress.maybeDecrementTo(message.index, hint)) return;
  if (logger.debugEnabled) {
    logger.debug(`${name} decreased progress of ${from} to [${progress.describe()}]`);
  }
  if (progress.state === ProgressState.Replicate) progress.becomeProbe();
  sendAppend(raft, progress);
}

function handleAcknowledgement(raft: Raft, message: Message, progress: Progress): void {
  const isNews = progress.maybeUpdate(message.index);
  // An old acknowledgement still tells that a probed member answers and agrees at its match.
  const endsProbe = progress.match === message.index && progress.state === ProgressState.Probe;
  if (!isNews && !endsProbe) return;
  advanceState(raft, message, progress);
  const isOther = message.from !== raft.id;
  if (maybeCommit(raft)) {
    releasePendingReads(raft);
    broadcastAppend(raft);
  } else if (isOther && progress.canBumpCommit(raft.log.committed)) {
    sendAppend(raft, progress);
  }
  if (isOther) {
    // Room in the window, or the end of a probe, may allow several messages at once.
    while (maybeSendAppend(raft, progress, false));
  }
  if (message.from === raft.leadTransferee && progress.match === raft.log.lastIndex()) {
    raft.logger.info(
      `${raft.name} sent MsgTimeoutNow to ${message.from.toString(16)} after received MsgAppResp`,
    );
    sendTimeoutNow(raft, message.from);
  }
}

function advanceState(raft: Raft, message: Message, progress: Progress): void {
  if (progress.state === ProgressState.Replicate) {
    progress.inflights.freeTo(message.index);
  } else if (progress.state === ProgressState.Probe) {
    progress.becomeReplicate();
  } else if (progress.match + 1 >= raft.log.firstIndex()) {
    // Whatever snapshot it got, and from whom: the log reaches back to it.
    if (raft.logger.debugEnabled) {
      raft.logger.debug(
        `${raft.name} recovered from needing snapshot, resumed sending replication messages to ${message.from.toString(16)} [${progress.describe()}]`,
      );
    }
    progress.becomeProbe();
    progress.becomeReplicate();
  }
}
