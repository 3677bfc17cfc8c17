// The safety properties of Raft (figure 3 of the paper), checked while a simulated cluster runs: it is told of everything that any
// member does and fails at the first contradiction. Test support only; it knows nothing of how raft works inside.
import { assert } from "../../base/assert.ts";
import type { MemberId } from "../../base/brand.ts";
import type { Entry } from "../message.ts";

/** A member's whole log as it handed it out for writing; what a snapshot covers is gone. */
export class ShadowLog {
  #offset = 0;
  #entries: Entry[] = [];

  restart(offset: number, entries: readonly Entry[]): void {
    this.#offset = offset;
    this.#entries = entries.slice();
  }

  append(entries: readonly Entry[]): void {
    const first = entries[0];
    if (first === undefined) return;
    const keep = first.index - this.#offset - 1;
    assert(keep >= 0 && keep <= this.#entries.length, "entries follow what the member has");
    this.#entries.length = keep;
    this.#entries.push(...entries);
  }

  get offset(): number {
    return this.#offset;
  }

  get(index: number): Entry | undefined {
    return this.#entries[index - this.#offset - 1];
  }
}

type Committed = { readonly term: number; readonly byTerm: number };

export class SafetyChecker {
  readonly #leaders = new Map<number, MemberId>();
  /** The term before each entry and its text, by "index/term". */
  readonly #entries = new Map<string, string>();
  /** committed[i] is the entry at index i, and the term of the leader that committed it. */
  readonly #committed: (Committed | undefined)[] = [];
  /** applied[i]: the state machine after index i. */
  readonly #applied: (string | undefined)[] = [];
  highestCommit = 0;
  commits = 0;

  /** Election safety: at most one leader per term. Leader completeness: a leader has all that was committed in earlier terms. */
  leads(id: MemberId, term: number, log: ShadowLog): void {
    const known = this.#leaders.get(term);
    assert(known === undefined || known === id, `term ${term} has two leaders: ${known} and ${id}`);
    if (known !== undefined) return;
    this.#leaders.set(term, id);
    for (let index = log.offset + 1; index < this.#committed.length; index++) {
      const committed = this.#committed[index];
      if (committed === undefined || committed.byTerm >= term) continue;
      assert(
        log.get(index)?.term === committed.term,
        `leader ${id} of term ${term} lacks the entry committed at ${index} in term ${committed.byTerm}`,
      );
    }
  }

  /** Log matching: whoever has an entry of a certain index and term has the same entry, and the same one before it. */
  appends(entries: readonly Entry[], log: ShadowLog): void {
    for (const entry of entries) {
      const before = log.get(entry.index - 1)?.term ?? -1;
      if (before < 0) continue;
      const key = `${entry.index}/${entry.term}`;
      const content = `${before} ${entry.type} ${entry.data.join(",")}`;
      const known = this.#entries.get(key);
      assert(known === undefined || known === content, `entry ${key} differs: ${known} and ${content}`);
      this.#entries.set(key, content);
    }
  }

  /** Only leaders decide what is committed; what is committed stays. */
  commitsTo(term: number, index: number, log: ShadowLog): void {
    for (let at = Math.max(this.highestCommit, log.offset) + 1; at <= index; at++) {
      const entry = log.get(at);
      assert(entry !== undefined, `a leader committed ${at}, which it never handed out`);
      const known = this.#committed[at];
      assert(known === undefined || known.term === entry.term, `index ${at} was committed twice`);
      this.#committed[at] ??= { term: entry.term, byTerm: term };
      this.commits++;
    }
    this.highestCommit = Math.max(this.highestCommit, index);
  }

  /** State machine safety: whoever has applied index i is in the same state. */
  applies(index: number, state: string): void {
    assert(index <= this.highestCommit, `${index} was applied before any leader committed it`);
    const known = this.#applied[index];
    assert(known === undefined || known === state, `states differ at ${index}: ${known} and ${state}`);
    this.#applied[index] = state;
  }
}
