// Goal: a member whose data differs is named and nobody else is, a check that cannot be complete accuses nobody, and the start is refused only
// for what etcd refuses it for. Method: a leader made of plain fields, whose peers answer with the hashes that the test says.
import assert from "node:assert/strict";
import { test } from "node:test";
import { type ClusterId, type MemberId, type Millis, memberId, type Revision } from "../../base/brand.ts";
import { type EtcdError, errors } from "../../base/errors.ts";
import { silentLogger } from "../../ports/logger.ts";
import { EtcdFault } from "../fault.ts";
import { LONE_NETWORK } from "../network/network.ts";
import type { PeerHash } from "../network/transport.ts";
import { type CheckedMember, CorruptionCheck } from "./corruption-check.ts";

const id = (n: number): MemberId => memberId(BigInt(n));

/** `hash` of everything up to `revision`, compacted at `compacted`. */
type Space = { readonly hash: number; readonly revision: number; readonly compacted: number };
type Peer = Space | EtcdError;

const space = (hash: number, revision = 50, compacted = 10): Space => ({ hash, revision, compacted });

function hashOf(n: number, { hash, revision, compacted }: Space): PeerHash {
  const ids = { memberId: id(n), clusterId: 1n as ClusterId, term: 2 };
  return { hash, revision, hashRevision: revision, compactRevision: compacted, ...ids };
}

/** Member 1 leads; `own` are its hashes, one per look; `peers` what member 2, 3, … answer for a revision. */
function setup(own: readonly Space[], peers: (n: number, revision: number) => Peer, count = 3) {
  const alarms: number[] = [];
  const lines: string[] = [];
  const asked: number[] = [];
  const looks = [...own];
  const tell = (message: string): void => void lines.push(message);
  const member: CheckedMember = {
    localId: id(1),
    options: { electionMillis: 1000, corruptCheckMillis: 0, compactHashCheckMillis: 0 },
    membership: {
      members: () =>
        Array.from({ length: count }, (_, i) => ({
          id: id(i + 1),
          peerUrls: [`http://10.0.0.${i + 1}:2380`],
          isLearner: false,
          name: `m${i + 1}`,
          clientUrls: [],
        })),
    },
    raft: { isLeader: true },
    store: {
      compactionHashes: own.map(({ hash, revision, compacted }) => ({
        hash,
        revision: revision as Revision,
        compactRevision: compacted as Revision,
      })),
    },
    network: {
      ...LONE_NETWORK,
      peers: {
        ...LONE_NETWORK.peers,
        hashKv: (peerUrls, revision) => {
          asked.push(revision);
          const n = Number(/(\d+):2380/.exec(peerUrls[0]!)![1]);
          const peer = peers(n, revision);
          return "code" in peer ? Promise.reject(new EtcdFault(peer)) : Promise.resolve(hashOf(n, peer));
        },
      },
    },
    clock: {
      now: () => 0 as Millis,
      wall: () => 0 as Millis,
      after: () => ({ cancel() {} }),
      endOfTurn: (callback) => callback(),
      yield: async () => {},
    },
    logger: { ...silentLogger, info: tell, warn: tell, error: tell },
    stopped: false,
    read: (waiter) => waiter.ready(),
    hashByRevision: () => Promise.resolve(hashOf(1, looks.length > 1 ? looks.shift()! : looks[0]!)),
    raiseCorrupt: (who) => void alarms.push(Number(who)),
    fatal: assert.ifError,
  };
  return { member, check: new CorruptionCheck(member), alarms, lines, asked };
}

test("the periodic check accuses whoever has another hash, or is ahead of the leader", async () => {
  const alarmed = async (own: readonly Space[], third: Peer): Promise<number[]> => {
    const { check, alarms } = setup(own, (n) => (n === 3 ? third : space(7)));
    await check.periodic();
    return alarms;
  };
  assert.deepEqual(await alarmed([space(7)], space(7)), []);
  assert.deepEqual(await alarmed([space(7)], space(8)), [3]);
  assert.deepEqual(await alarmed([space(7)], space(8, 50, 9)), [], "compacted elsewhere, so not comparable");
  assert.deepEqual(await alarmed([space(7)], space(7, 51)), [3], "ahead of the leader");
  assert.deepEqual(await alarmed([space(7)], space(8, 50, 11)), [3], "compacted ahead of the leader");
  assert.deepEqual(
    await alarmed([space(7), space(9, 60)], space(7, 55)),
    [],
    "the leader has gone on meanwhile",
  );
  assert.deepEqual(await alarmed([space(7)], errors.futureRevision), []);
  assert.deepEqual(await alarmed([space(7), space(6)], space(7)), [1], "the leader itself has changed");
});

test("a leader whose hash a quorum of the others contradicts accuses itself, not them", async () => {
  const { check, alarms } = setup([space(7)], () => space(8));
  await check.periodic();
  assert.deepEqual(alarms, [1]);
  const two = setup([space(7)], () => space(8), 2);
  await two.check.periodic();
  assert.deepEqual(two.alarms, [2], "of two nobody knows, and etcd believes the leader");
});

test("of hashes of compactions the minority is wrong, and without a majority nobody in particular", async () => {
  const alarmed = async (hashes: readonly number[]): Promise<number[]> => {
    const { check, alarms } = setup([space(hashes[0]!)], (n) => space(hashes[n - 1]!), hashes.length);
    await check.compactions();
    return alarms;
  };
  assert.deepEqual(await alarmed([7, 7, 7]), []);
  assert.deepEqual(await alarmed([7, 8, 7]), [2]);
  assert.deepEqual(await alarmed([8, 7, 7]), [1], "the leader too");
  assert.deepEqual(await alarmed([7, 8, 9]), [0]);
  assert.deepEqual(await alarmed([7, 8]), [0]);
  assert.deepEqual(await alarmed([7, 8, 7, 9, 7]), [2, 4]);
});

test("a compaction that not all can tell of is passed over for an older one, and one that was equal is not asked again", async () => {
  const own = [space(5, 20, 10), space(6, 30, 20), space(7, 40, 30)];
  const { check, alarms, asked } = setup(own, (n, revision) => {
    if (revision === 40 && n === 3) return errors.futureRevision;
    return own.find((one) => one.revision === revision)!;
  });
  await check.compactions();
  assert.deepEqual(asked, [40, 40, 30, 30]);
  await check.compactions();
  assert.deepEqual(asked.slice(4), [40, 40], "30 is done, and what is older with it");
  assert.deepEqual(alarms, []);
});

test("the start is refused for another hash at the same compaction, and for nothing else", async () => {
  const refused = async (second: Peer): Promise<string | undefined> => {
    const { check } = setup([space(7)], (n) => (n === 2 ? second : space(7)));
    return check.initial();
  };
  assert.equal(await refused(space(8)), "1 found data inconsistency with peers");
  assert.equal(await refused(space(8, 50, 20)), undefined);
  assert.equal(await refused(errors.compacted), undefined);
  assert.equal(await refused(errors.timeout), undefined);
});

test("a check that the leader cannot finish accuses nobody", async () => {
  const { member, alarms, lines } = setup([space(7)], () => space(8));
  await new CorruptionCheck({ ...member, read: (waiter) => waiter.failed(errors.leaderChanged) }).periodic();
  assert.deepEqual(alarms, []);
  assert.ok(lines.includes("failed to check hash KV"));
});
