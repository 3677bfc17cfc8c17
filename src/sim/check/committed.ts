// The check of what is committed, by what raft promises of logs: an entry that is committed anywhere is the same everywhere, whoever leads
// a later term has it, and a leader commits nothing that most voters of its member list do not have. Looked at after every event, from
// outside; a machine that is off may have anything.
import type { History } from "../history.ts";
import type { Machine } from "../machine.ts";

/** What is applied was committed. (Of what is only committed, the log in memory may not know the newest yet.) */
type Seen = { applied: number; leadsTerm: number; process: string };

export class CommittedCheck {
  readonly #history: History;
  /** The term of each committed entry that was looked at, and who had it. */
  readonly #terms = new Map<number, { readonly term: number; readonly by: string }>();
  /** The newest of them by the entry's term. */
  readonly #newest = new Map<number, number>();
  readonly #seen = new Map<Machine, Seen>();

  constructor(history: History) {
    this.#history = history;
  }

  look(machines: readonly Machine[]): void {
    for (let i = 0; i < machines.length; i++) {
      const machine = machines[i]!;
      const member = machine.memberIfAny;
      if (member === undefined) continue;
      const { raft } = member;
      const seen = this.#seenOf(machine);
      if (raft.appliedIndex !== seen.applied) {
        seen.applied = raft.appliedIndex;
        const { appliedTerm } = raft;
        if (appliedTerm > 0) this.#committed(machine, seen.applied, appliedTerm);
        if (appliedTerm > 0 && raft.isLeader) this.#counts(machine, machines, seen.applied, appliedTerm);
      }
      if (machine.leadsTerm !== seen.leadsTerm) {
        seen.leadsTerm = machine.leadsTerm;
        if (seen.leadsTerm > 0) this.#elected(machine, seen.leadsTerm);
      }
    }
  }

  #seenOf(machine: Machine): Seen {
    let seen = this.#seen.get(machine);
    if (seen === undefined || seen.process !== machine.process) {
      seen = { applied: 0, leadsTerm: 0, process: machine.process };
      this.#seen.set(machine, seen);
    }
    return seen;
  }

  #committed(machine: Machine, index: number, term: number): void {
    const known = this.#terms.get(index);
    if (known !== undefined) {
      if (known.term !== term)
        this.#history.violation(
          `entry ${index} is committed with term ${known.term} on ${known.by} and with term ${term} on ${machine.process}`,
        );
      return;
    }
    this.#terms.set(index, { term, by: machine.process });
    if (index > (this.#newest.get(term) ?? 0)) this.#newest.set(term, index);
  }

  /** A leader has all that earlier terms have committed. */
  #elected(machine: Machine, leads: number): void {
    let index = 0;
    for (const [term, newest] of this.#newest) if (term < leads) index = Math.max(index, newest);
    if (index === 0) return;
    const { term } = this.#terms.get(index)!;
    const lastIndex = machine.member.log.raft.lastIndex();
    const has = termAt(machine, index);
    if (lastIndex < index || (has !== undefined && has !== term))
      this.#history.violation(
        `${machine.process} leads term ${leads} without entry ${index} of term ${term}, which is committed`,
      );
  }

  /**
   * Not more than half of the voters run without the entry. (Half of them may: the entry can be the promotion of one who has it not yet.)
   */
  #counts(leader: Machine, machines: readonly Machine[], index: number, term: number): void {
    const { membership } = leader.member;
    if (!membership.isKnown) return;
    const voters = membership.members().filter(({ isLearner }) => !isLearner);
    let without = 0;
    for (const { id } of voters) {
      const machine = machines.find((each) => each.id === id);
      if (machine?.memberIfAny !== undefined && !mayHave(machine, index, term)) without++;
    }
    if (2 * without > voters.length)
      this.#history.violation(
        `${leader.process} has committed entry ${index}, which ${without} of ${voters.length} voters do not have`,
      );
  }
}

/** Undefined when the log does not tell: the entry is compacted, or on its way into it. */
function termAt(machine: Machine, index: number): number | undefined {
  const term = machine.memberIfAny!.log.raft.term(index as never);
  return typeof term === "number" ? term : undefined;
}

function mayHave(machine: Machine, index: number, term: number): boolean {
  const has = machine.memberIfAny!.log.raft.term(index as never);
  return has === "compacted" || has === term;
}
