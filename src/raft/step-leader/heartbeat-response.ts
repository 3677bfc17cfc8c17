// MsgHeartbeatResp on the leader: the member lives. Lets a paused flow go on, and counts the answer for waiting reads.
import { ReadOnlyOption } from "../config.ts";
import type { Message } from "../message.ts";
import type { Raft } from "../raft.ts";
import { confirmReads } from "../read-index.ts";
import { sendAppend } from "../replication.ts";
import { type Progress, ProgressState } from "../tracker/progress.ts";

export function handleHeartbeatResponse(raft: Raft, message: Message, progress: Progress): void {
  progress.recentActive = true;
  progress.msgAppFlowPaused = false;
  // A member that lacks entries, or has all but is still being probed, gets a MsgApp whose answer sets the flow going again;
  // an empty one if its window is full, since all messages of the window may have been lost.
  if (progress.match < raft.log.lastIndex() || progress.state === ProgressState.Probe) {
    sendAppend(raft, progress);
  }
  if (raft.readOnlyOption === ReadOnlyOption.Safe && message.context.length > 0) {
    confirmReads(raft, message);
  }
}
