// MsgCheckQuorum on the leader: once per election timeout, a leader that a quorum has not answered steps down, so that clients
// on its side of a partition do not wait on it.
import { NONE } from "../message.ts";
import type { Raft } from "../raft.ts";
import { becomeFollower } from "../role.ts";

export function checkQuorum(raft: Raft): void {
  if (!raft.tracker.quorumActive()) {
    raft.logger.warn(`${raft.name} stepped down to follower since quorum is not active`);
    becomeFollower(raft, raft.term, NONE);
  }
  for (const member of raft.tracker.members) {
    if (member.id !== raft.id) member.recentActive = false;
  }
}
