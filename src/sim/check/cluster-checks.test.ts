// Goal: what is checked after every event of a cluster is seen when it goes wrong, and right clusters are left alone. Method: machines that
// are nothing but their logs, terms and member lists.
import assert from "node:assert/strict";
import { test } from "node:test";
import { History } from "../history.ts";
import type { Machine } from "../machine.ts";
import { CommittedCheck } from "./committed.ts";
import { MembersCheck } from "./members.ts";

/** `terms`: of the entries from 1 on. */
type State = {
  terms: number[];
  committed: number;
  leadsTerm: number;
  learners: bigint[];
  counted: bigint[];
};

const IDS = [1n, 2n, 3n];

function machineOf(id: bigint, state: Partial<State> = {}): { machine: Machine; state: State } {
  const whole: State = { terms: [], committed: 0, leadsTerm: 0, learners: [], counted: IDS, ...state };
  const member = {
    log: {
      raft: {
        lastIndex: () => whole.terms.length,
        term: (index: number) => whole.terms[index - 1] ?? (index === 0 ? "compacted" : "unavailable"),
      },
    },
    raft: {
      get committedIndex() {
        return whole.committed;
      },
      get appliedIndex() {
        return whole.committed;
      },
      get appliedTerm() {
        return whole.terms[whole.committed - 1] ?? 0;
      },
      get isLeader() {
        return whole.leadsTerm > 0;
      },
      pendingSnapshotIndex: 0,
      confState: {},
      status: {
        config: { voters: { incoming: whole.counted, outgoing: [] }, learners: whole.learners },
      },
    },
    membership: { isKnown: true, members: () => IDS.map((each) => ({ id: each, isLearner: false })) },
  };
  const machine = {
    id,
    process: `${id}/0`,
    get leadsTerm() {
      return whole.leadsTerm;
    },
    member,
    memberIfAny: member,
  };
  return { machine: machine as unknown as Machine, state: whole };
}

function problemsOf(look: (history: History) => void): string {
  const history = new History();
  look(history);
  return history.violations.join("\n");
}

test("a leader that commits what a majority has not is seen, one whose other voters are off is believed", () => {
  const leader = machineOf(1n, { terms: [1, 1], committed: 2, leadsTerm: 1 });
  const with2 = machineOf(2n, { terms: [1, 1] });
  const without = [machineOf(2n, { terms: [1] }), machineOf(3n)];
  const look = (...machines: { machine: Machine }[]): string =>
    problemsOf((history) => new CommittedCheck(history).look(machines.map(({ machine }) => machine)));
  assert.equal(look(leader, with2, without[1]!), "");
  assert.equal(look(leader, without[0]!), "");
  assert.match(look(leader, ...without), /has committed entry 2, which 2 of 3 voters do not have/);
});

test("an entry that is committed with two terms is seen", () => {
  const machines = [
    machineOf(1n, { terms: [1, 1], committed: 2 }),
    machineOf(2n, { terms: [1, 2], committed: 2 }),
  ];
  const seen = problemsOf((history) =>
    new CommittedCheck(history).look(machines.map(({ machine }) => machine)),
  );
  assert.match(seen, /entry 2 is committed with term 1 on 1\/0 and with term 2 on 2\/0/);
});

test("a later leader without a committed entry is seen, a leader of an earlier term is not judged by it", () => {
  const elected = (terms: number[], leadsTerm: number): string =>
    problemsOf((history) => {
      const check = new CommittedCheck(history);
      const old = machineOf(1n, { terms: [1, 2, 2], committed: 3 });
      const next = machineOf(2n, { terms });
      const machines = [old.machine, next.machine];
      check.look(machines);
      next.state.leadsTerm = leadsTerm;
      check.look(machines);
    });
  assert.equal(elected([1, 2, 2, 3], 3), "");
  assert.equal(elected([1], 2), "");
  assert.match(elected([1, 2], 3), /2\/0 leads term 3 without entry 3 of term 2, which is committed/);
  assert.match(elected([1, 2, 1], 3), /leads term 3 without entry 3/);
});

test("a member list that differs from what raft counts is seen", () => {
  const look = (state: Partial<State>): string =>
    problemsOf((history) =>
      new MembersCheck(history).look([machineOf(1n, { terms: [1], committed: 1, ...state }).machine]),
    );
  assert.equal(look({}), "");
  assert.match(look({ counted: [1n, 2n] }), /list says voters 1 2 3, learners , and raft counts voters 1 2/);
  assert.match(look({ counted: [1n, 2n], learners: [3n] }), /raft counts voters 1 2, learners 3/);
});
