// What a follower does with a MsgSnap: takes over the snapshot's log position and configuration, unless it has them already.
// The snapshot's data passes through Ready; nothing here looks at it. (Raft, section 7.)
import type { MemberId } from "../base/brand.ts";
import { describeConfStateProto } from "./describe.ts";
import { restoreConfState } from "./membership.ts";
import {
  type ConfState,
  EMPTY_SNAPSHOT,
  type Message,
  MessageType,
  NONE,
  newMessage,
  type Snapshot,
} from "./message.ts";
import { type Raft, StateType } from "./raft.ts";
import { becomeFollower } from "./role.ts";
import { send } from "./send.ts";

export function handleSnapshot(raft: Raft, message: Message): void {
  const { log, logger, name } = raft;
  const snapshot = message.snapshot ?? EMPTY_SNAPSHOT;
  const { index, term } = snapshot.metadata;
  const response = newMessage(MessageType.MsgAppResp, message.from);
  const restored = restore(raft, snapshot);
  logger.info(
    `${name} [commit: ${log.committed}] ${restored ? "restored" : "ignored"} snapshot [index: ${index}, term: ${term}]`,
  );
  response.index = restored ? log.lastIndex() : log.committed;
  send(raft, response);
}

/** Returns false when the snapshot was not needed or not for us. */
function restore(raft: Raft, snapshot: Snapshot): boolean {
  const { log, logger, name } = raft;
  const { index, term, confState } = snapshot.metadata;
  if (index <= log.committed) return false;
  if (raft.state !== StateType.Follower) {
    logger.warn(`${name} attempted to restore snapshot as leader; should never happen`);
    becomeFollower(raft, raft.term + 1, NONE);
    return false;
  }
  if (!isMember(confState, raft.id)) {
    logger.warn(
      `${name} attempted to restore snapshot but it is not in the ConfState ${describeConfStateProto(confState)}; should never happen`,
    );
    return false;
  }
  if (log.matches(index, term)) {
    // The log holds all that the snapshot stands for: only the commit index was behind.
    logger.info(
      `${describeRestored(raft)} fast-forwarded commit to snapshot [index: ${index}, term: ${term}]`,
    );
    log.commitTo(index);
    return false;
  }
  log.restore(snapshot);
  restoreConfState(raft, confState);
  logger.info(`${describeRestored(raft)} restored snapshot [index: ${index}, term: ${term}]`);
  return true;
}

function describeRestored(raft: Raft): string {
  const { log, name } = raft;
  return `${name} [commit: ${log.committed}, lastindex: ${log.lastIndex()}, lastterm: ${log.lastTerm()}]`;
}

/** learnersNext need no look: they are outgoing voters. */
function isMember(state: ConfState, id: MemberId): boolean {
  return state.voters.includes(id) || state.learners.includes(id) || state.votersOutgoing.includes(id);
}
