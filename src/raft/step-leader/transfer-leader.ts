// MsgTransferLeader on the leader (thesis 3.10): stop taking proposals, bring the chosen member up to date, and tell it to
// campaign at once. It must be done within an election timeout, or the leader goes on (see tick.ts).
import { type Message, NONE } from "../message.ts";
import type { Raft } from "../raft.ts";
import { sendAppend, sendTimeoutNow } from "../replication.ts";
import { abortLeaderTransfer } from "../role.ts";
import type { Progress } from "../tracker/progress.ts";

export function handleTransferLeader(raft: Raft, message: Message, progress: Progress): void {
  const { logger, name, term } = raft;
  if (progress.isLearner) {
    logger.debug(`${name} is learner. Ignored transferring leadership`);
    return;
  }
  const transferee = message.from;
  const target = transferee.toString(16);
  if (raft.leadTransferee !== NONE) {
    if (raft.leadTransferee === transferee) {
      logger.info(
        `${name} [term ${term}] transfer leadership to ${target} is in progress, ignores request to same node ${target}`,
      );
      return;
    }
    const previous = raft.leadTransferee.toString(16);
    abortLeaderTransfer(raft);
    logger.info(`${name} [term ${term}] abort previous transferring leadership to ${previous}`);
  }
  if (transferee === raft.id) {
    logger.debug(`${name} is already leader. Ignored transferring leadership to self`);
    return;
  }
  logger.info(`${name} [term ${term}] starts to transfer leadership to ${target}`);
  raft.electionElapsed = 0;
  raft.leadTransferee = transferee;
  if (progress.match === raft.log.lastIndex()) {
    sendTimeoutNow(raft, transferee);
    logger.info(
      `${name} sends MsgTimeoutNow to ${target} immediately as ${target} already has up-to-date log`,
    );
  } else {
    sendAppend(raft, progress);
  }
}
