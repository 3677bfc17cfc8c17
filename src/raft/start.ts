// Brings up the state of a node from its configuration and what storage remembers. RawNode's constructor calls it.
import { assert } from "../base/assert.ts";
import { type Config, configProblem } from "./config.ts";
import { panic } from "./errors.ts";
import { restoreConfState } from "./membership.ts";
import { type HardState, isEmptyHardState, NONE } from "./message.ts";
import { Raft } from "./raft.ts";
import { becomeFollower } from "./role.ts";

export function startRaft(config: Config): Raft {
  const problem = configProblem(config);
  assert(problem === undefined, problem ?? "");
  const raft = new Raft(config);
  const { hardState, confState } = config.storage.initialState();
  restoreConfState(raft, confState);
  if (hardState !== undefined && !isEmptyHardState(hardState)) loadHardState(raft, hardState);
  if (config.applied !== undefined && config.applied > 0) raft.log.appliedTo(config.applied, 0);
  becomeFollower(raft, raft.term, NONE);
  const peers = raft.tracker.voterIds().map((id) => id.toString(16));
  const { committed, applied } = raft.log;
  raft.logger.info(
    `newRaft ${raft.name} [peers: [${peers.join(",")}], term: ${raft.term}, commit: ${committed}, applied: ${applied}, lastindex: ${raft.log.lastIndex()}, lastterm: ${raft.log.lastTerm()}]`,
  );
  return raft;
}

function loadHardState(raft: Raft, state: HardState): void {
  const { committed } = raft.log;
  const last = raft.log.lastIndex();
  if (state.commit < committed || state.commit > last) {
    panic(raft.logger, `${raft.name} state.commit ${state.commit} is out of range [${committed}, ${last}]`);
  }
  raft.log.committed = state.commit;
  raft.term = state.term;
  raft.vote = state.vote;
}
