// Which handler a message goes to on a leader. Dispatch only; called by step.ts after the term was dealt with.
import type { RaftError } from "../errors.ts";
import { type Message, MessageType } from "../message.ts";
import type { Raft } from "../raft.ts";
import { handleReadIndexOnLeader } from "../read-index.ts";
import { broadcastHeartbeat } from "../replication.ts";
import { handleAppendResponse } from "./append-response.ts";
import { checkQuorum } from "./check-quorum.ts";
import { handleSnapshotStatus, handleUnreachable } from "./delivery-report.ts";
import { handleHeartbeatResponse } from "./heartbeat-response.ts";
import { handlePropose } from "./propose.ts";
import { handleTransferLeader } from "./transfer-leader.ts";

export function stepLeader(raft: Raft, message: Message): RaftError | undefined {
  switch (message.type) {
    case MessageType.MsgProp:
      return handlePropose(raft, message);
    case MessageType.MsgBeat:
      broadcastHeartbeat(raft);
      return undefined;
    case MessageType.MsgCheckQuorum:
      checkQuorum(raft);
      return undefined;
    case MessageType.MsgReadIndex:
      handleReadIndexOnLeader(raft, message);
      return undefined;
    case MessageType.MsgForgetLeader:
      return undefined;
    default:
      stepFromMember(raft, message);
      return undefined;
  }
}

/** Messages that concern the progress of their sender. */
function stepFromMember(raft: Raft, message: Message): void {
  const progress = raft.tracker.progress.get(message.from);
  if (progress === undefined) {
    raft.logger.debug(`${raft.name} no progress available for ${message.from.toString(16)}`);
    return;
  }
  switch (message.type) {
    case MessageType.MsgAppResp:
      handleAppendResponse(raft, message, progress);
      break;
    case MessageType.MsgHeartbeatResp:
      handleHeartbeatResponse(raft, message, progress);
      break;
    case MessageType.MsgSnapStatus:
      handleSnapshotStatus(raft, message, progress);
      break;
    case MessageType.MsgUnreachable:
      handleUnreachable(raft, message, progress);
      break;
    case MessageType.MsgTransferLeader:
      handleTransferLeader(raft, message, progress);
      break;
    default:
      // The rest is for other roles.
      break;
  }
}
