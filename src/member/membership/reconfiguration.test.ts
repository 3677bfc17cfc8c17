// Goal: no change of members is proposed that could cost the quorum of started and of connected members, and every refusal is etcd's.
// Method: a member made of plain fields, whose network and raft say what the test wants; changes that come through are recorded.
import assert from "node:assert/strict";
import { test } from "node:test";
import { type ClusterId, type MemberId, type Millis, memberId } from "../../base/brand.ts";
import { type EtcdError, errors } from "../../base/errors.ts";
import { type ClusterMember, type MemberChange, Membership } from "../../cluster/membership.ts";
import { silentLogger } from "../../ports/logger.ts";
import { Counters } from "../counters.ts";
import { EtcdFault } from "../fault.ts";
import { LONE_NETWORK } from "../network/network.ts";
import type { PeerClient } from "../network/transport.ts";
import { Reconfiguration, type ReconfigurationHost } from "./reconfiguration.ts";

const id = (n: number): MemberId => memberId(BigInt(n));

function member(n: number, change: Partial<ClusterMember> = {}): ClusterMember {
  const base = { id: id(n), peerUrls: [`http://10.0.0.${n}:2380`], isLearner: false, clientUrls: [] };
  return { ...base, name: `m${n}`, ...change };
}

type Setup = {
  readonly members: readonly ClusterMember[];
  /** Connected since so many milliseconds. */
  readonly connected?: Readonly<Record<number, number>>;
  /** Matches of raft's progress; absent: this member does not lead. */
  readonly matches?: Readonly<Record<number, number>>;
  readonly leader?: number;
  readonly strict?: boolean;
  readonly promote?: PeerClient["promote"];
};

const NOW = 100_000;

/** Member 1 of a cluster. The clock moves by what is waited for. */
function setup({ members, connected = {}, matches, leader = 1, strict = true, promote }: Setup) {
  const membership = new Membership(1n as ClusterId, id(1), 1);
  for (const each of members) membership.apply({ kind: "add", member: each });
  const proposed: string[] = [];
  let now = NOW;
  const host: ReconfigurationHost = {
    localId: id(1),
    options: { electionMillis: 1000, strictReconfigCheck: strict },
    membership,
    raft: {
      leader: id(leader),
      status: {
        progress: new Map(Object.entries(matches ?? {}).map(([n, match]) => [id(Number(n)), { match }])),
      },
    },
    network: {
      transport: {
        ...LONE_NETWORK.transport,
        activeSince: (peer) => {
          const since = connected[Number(peer)];
          return since === undefined ? undefined : ((NOW - since) as Millis);
        },
      },
      peers: { ...LONE_NETWORK.peers, promote: promote ?? LONE_NETWORK.peers.promote },
    },
    counters: new Counters(),
    logger: silentLogger,
    clock: {
      now: () => now as Millis,
      wall: () => now as Millis,
      after: (delay, callback) => {
        now += delay;
        queueMicrotask(callback);
        return { cancel() {} };
      },
      endOfTurn: (callback) => callback(),
      yield: async () => {},
    },
    stopped: false,
    changeMembership: (change: MemberChange, waiter) => {
      const refused = membership.validate(change);
      if (refused !== undefined) {
        waiter.failed(refused);
        return;
      }
      membership.apply(change);
      proposed.push(change.kind);
      waiter.changed();
    },
    whenCaughtUp: (waiter) => waiter.ready(),
  };
  return { reconfiguration: new Reconfiguration(host), proposed };
}

type Outcome = EtcdError | number;

function ask(
  start: (waiter: {
    changed(members: readonly ClusterMember[]): void;
    failed(error: EtcdError): void;
  }) => void,
) {
  return new Promise<Outcome>((resolve) => {
    start({ changed: (members) => resolve(members.length), failed: resolve });
  });
}

const three = [member(1), member(2), member(3)];
const HEALTHY = { 2: 6000, 3: 6000 };

test("a voter is added beside started and connected members, and refused beside others", async () => {
  const add = (given: Setup, n = 9, isLearner = false): Promise<Outcome> =>
    ask((waiter) => setup(given).reconfiguration.add(member(n, { name: "", isLearner }), waiter));
  assert.equal(await add({ members: three, connected: HEALTHY }), 4);
  // Of four, three must be there; the new one counts as absent.
  assert.equal(await add({ members: three, connected: { 2: 6000, 3: 4999 } }), errors.unhealthy);
  assert.equal(await add({ members: three, connected: { 2: 6000 } }), errors.unhealthy);
  const unstarted = [member(1), member(2), member(3, { name: "" })];
  assert.equal(await add({ members: unstarted, connected: HEALTHY }), errors.memberNotEnoughStarted);
  assert.equal(await add({ members: unstarted, connected: HEALTHY }, 9, true), 4, "a learner has no vote");
  assert.equal(await add({ members: unstarted, connected: {}, strict: false }), 4);
  assert.equal(await add({ members: [member(1)] }), 2, "a single member may always grow");
  assert.equal(await add({ members: three, connected: HEALTHY }, 2), errors.memberExist);
});

test("a voter is removed while a quorum of started and connected members remains", async () => {
  const remove = (given: Setup, n: number): Promise<Outcome> =>
    ask((waiter) => setup(given).reconfiguration.remove(id(n), waiter));
  assert.equal(await remove({ members: three, connected: HEALTHY }, 3), 2);
  assert.equal(await remove({ members: three, connected: { 2: 6000 } }, 3), 2, "one that is down may go");
  assert.equal(await remove({ members: three, connected: { 2: 6000 } }, 2), errors.unhealthy);
  assert.equal(await remove({ members: three, connected: { 2: 6000, 3: 1000 } }, 2), errors.unhealthy);
  const unstarted = [member(1), member(2, { name: "" }), member(3, { name: "" })];
  assert.equal(await remove({ members: unstarted, connected: HEALTHY }, 1), errors.memberNotEnoughStarted);
  const learner = [member(1), member(2, { isLearner: true })];
  assert.equal(await remove({ members: learner }, 2), 1);
  assert.equal(await remove({ members: three, connected: HEALTHY }, 9), errors.memberNotFound);
});

test("the last voter stays, even when nothing is checked", async () => {
  for (const strict of [true, false]) {
    const { reconfiguration } = setup({ members: [member(1)], strict });
    assert.equal(await ask((waiter) => reconfiguration.remove(id(1), waiter)), errors.memberNotEnoughStarted);
  }
});

test("a learner becomes a voter once its log has nine tenths of the leader's", async () => {
  const members = [member(1), member(4, { isLearner: true })];
  const promote = (matches: Record<number, number>, n = 4): Promise<Outcome> =>
    ask((waiter) => setup({ members, matches }).reconfiguration.promote(id(n), waiter, () => false));
  assert.equal(await promote({ 1: 100, 4: 89 }), errors.learnerNotReady);
  assert.equal(await promote({ 1: 100, 4: 90 }), 2);
  assert.equal(await promote({ 1: 100, 4: 90 }, 1), errors.memberNotLearner);
  assert.equal(await promote({ 1: 100, 4: 90 }, 7), errors.memberNotFound);
  const unstarted = [
    member(1),
    member(2, { name: "" }),
    member(3, { name: "" }),
    member(4, { isLearner: true }),
  ];
  const given = { members: unstarted, matches: { 1: 100, 4: 100 } };
  assert.equal(
    await ask((waiter) => setup(given).reconfiguration.promote(id(4), waiter, () => false)),
    errors.memberNotEnoughStarted,
  );
});

test("a follower has the leader promote, asks again when it cannot be reached, and passes its decision on", async () => {
  const members = [member(1), member(2), member(4, { isLearner: true })];
  const asked: (readonly string[])[] = [];
  const answers: (readonly ClusterMember[] | EtcdError)[] = [errors.timeout, members];
  const promote: PeerClient["promote"] = (peerUrls) => {
    asked.push(peerUrls);
    const answer = answers.shift()!;
    return "code" in answer ? Promise.reject(new EtcdFault(answer)) : Promise.resolve(answer);
  };
  const start = (): Promise<Outcome> =>
    ask((waiter) =>
      setup({ members, leader: 2, promote }).reconfiguration.promote(id(4), waiter, () => false),
    );
  assert.equal(await start(), 3);
  assert.deepEqual(asked, [["http://10.0.0.2:2380"], ["http://10.0.0.2:2380"]]);
  answers.push(errors.learnerNotReady);
  assert.equal(await start(), errors.learnerNotReady);
});

test("without a leader a promotion fails when its time is over, not earlier", async () => {
  const members = [member(1), member(4, { isLearner: true })];
  const { reconfiguration } = setup({ members, leader: 0 });
  assert.equal(await ask((waiter) => reconfiguration.promote(id(4), waiter, () => false)), errors.noLeader);
});
