// MsgSnapStatus and MsgUnreachable on the leader: what the transport reports about messages it was given.
import type { Message } from "../message.ts";
import type { Raft } from "../raft.ts";
import { type Progress, ProgressState } from "../tracker/progress.ts";

/** The snapshot arrived, or did not. Either way nothing is sent before the member's own word or the next heartbeat. */
export function handleSnapshotStatus(raft: Raft, message: Message, progress: Progress): void {
  if (progress.state !== ProgressState.Snapshot) return;
  // First forget the failed snapshot: else the probe would begin behind it.
  if (message.reject) progress.pendingSnapshot = 0;
  progress.becomeProbe();
  raft.logger.debug(
    `${raft.name} snapshot ${message.reject ? "failed" : "succeeded"}, resumed sending replication messages to ${message.from.toString(16)} [${progress.describe()}]`,
  );
  progress.msgAppFlowPaused = true;
}

/** Messages sent optimistically are probably lost: go back to probing. */
export function handleUnreachable(raft: Raft, message: Message, progress: Progress): void {
  if (progress.state === ProgressState.Replicate) progress.becomeProbe();
  if (raft.logger.debugEnabled) {
    raft.logger.debug(
      `${raft.name} failed to send message to ${message.from.toString(16)} because it is unreachable [${progress.describe()}]`,
    );
  }
}
