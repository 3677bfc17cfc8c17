// The check of who belongs to the cluster: the member list, which clients see, and the configuration by which raft counts votes are two
// tables that tell the same, on each member, whenever one of them has changed. Called after every event; looks only when there is a reason.
import type { MemberId } from "../../base/brand.ts";
import { compareIds } from "../../raft/quorum/majority.ts";
import type { History } from "../history.ts";
import type { Machine } from "../machine.ts";

export class MembersCheck {
  readonly #history: History;
  /** By machine: what was looked at last. It is another object after each change. */
  readonly #looked = new Map<Machine, unknown>();

  constructor(history: History) {
    this.#history = history;
  }

  look(machines: readonly Machine[]): void {
    for (let i = 0; i < machines.length; i++) {
      const machine = machines[i]!;
      const member = machine.memberIfAny;
      if (member === undefined) continue;
      const { raft, membership } = member;
      // A member that starts, or whose snapshot is being installed, has the one already and the other not yet.
      if (!membership.isKnown || raft.appliedIndex === 0 || raft.pendingSnapshotIndex !== 0) continue;
      const { confState } = raft;
      if (this.#looked.get(machine) === confState) continue;
      this.#looked.set(machine, confState);
      this.#compare(machine);
    }
  }

  #compare(machine: Machine): void {
    const { raft, membership } = machine.memberIfAny!;
    const members = membership.members();
    const listed = tell(
      members.filter(({ isLearner }) => !isLearner).map(({ id }) => id),
      members.filter(({ isLearner }) => isLearner).map(({ id }) => id),
    );
    const { voters, learners } = raft.status.config;
    const counted = tell([...voters.incoming, ...voters.outgoing], learners);
    if (listed !== counted)
      this.#history.violation(
        `${machine.process}: at entry ${raft.appliedIndex} the member list says ${listed}, and raft counts ${counted}`,
      );
  }
}

function tell(voters: readonly MemberId[], learners: readonly MemberId[]): string {
  const sorted = (ids: readonly MemberId[]): string => [...new Set(ids)].sort(compareIds).join(" ");
  return `voters ${sorted(voters)}, learners ${sorted(learners)}`;
}
