// The check of raft's first promise: a term has one leader. Looked at after every event, so that no leader is too short-lived to be seen.
// A process that leads a term which another life of the same member led has forgotten its vote, and counts as another.
import type { History } from "../history.ts";
import type { Machine } from "../machine.ts";

export class LeaderCheck {
  readonly #history: History;
  readonly #leaders = new Map<number, string>();

  constructor(history: History) {
    this.#history = history;
  }

  look(machines: readonly Machine[]): void {
    for (let i = 0; i < machines.length; i++) {
      const machine = machines[i]!;
      const term = machine.leadsTerm;
      if (term === 0) continue;
      const known = this.#leaders.get(term);
      if (known === undefined) this.#leaders.set(term, machine.process);
      else if (known !== machine.process) {
        this.#leaders.set(term, machine.process);
        this.#history.violation(`term ${term} has two leaders: ${known} and ${machine.process}`);
      }
    }
  }
}
