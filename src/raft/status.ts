// A picture of a node for status requests and diagnosis: copies, so that nobody outside can change raft's state.
import type { MemberId } from "../base/brand.ts";
import type { HardState } from "./message.ts";
import { describeState, type Raft, type SoftState, StateType } from "./raft.ts";
import { describeProgressState, type Progress } from "./tracker/progress.ts";
import type { TrackerConfig } from "./tracker/tracker.ts";

export type Status = {
  readonly id: MemberId;
  readonly hardState: HardState;
  readonly softState: SoftState;
  readonly applied: number;
  readonly leadTransferee: MemberId;
  readonly config: TrackerConfig;
  /** On the leader, by ascending id; else empty. */
  readonly progress: ReadonlyMap<MemberId, Progress>;
};

export function statusOf(raft: Raft): Status {
  const progress = new Map<MemberId, Progress>();
  if (raft.state === StateType.Leader) {
    for (const member of raft.tracker.members) progress.set(member.id, member.clone());
  }
  return {
    id: raft.id,
    hardState: raft.hardState(),
    softState: raft.softState(),
    applied: raft.log.applied,
    leadTransferee: raft.leadTransferee,
    config: raft.tracker.config,
    progress,
  };
}

/** The JSON that etcd logs and shows. */
export function describeStatus(status: Status): string {
  const { hardState, softState } = status;
  const hex = (id: MemberId): string => `"${id.toString(16)}"`;
  const members = [...status.progress.values()].map(
    (one) =>
      `${hex(one.id)}:{"match":${one.match},"next":${one.next},"state":"${describeProgressState(one.state)}"}`,
  );
  return (
    `{"id":${hex(status.id)},"term":${hardState.term},"vote":${hex(hardState.vote)},"commit":${hardState.commit},` +
    `"lead":${hex(softState.lead)},"raftState":"${describeState(softState.state)}","applied":${status.applied},` +
    `"progress":{${members.join(",")}},"leadtransferee":${hex(status.leadTransferee)}}`
  );
}
