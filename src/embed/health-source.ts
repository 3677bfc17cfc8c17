// A member as the HTTP endpoints see it.

import { EMPTY } from "../base/bytes.ts";
import { errorText } from "../base/error-text.ts";
import { Code, type EtcdError, etcdError } from "../base/errors.ts";
import { AlarmType } from "../cluster/alarms.ts";
import { hexId } from "../cluster/ids.ts";
import type { HealthSource } from "../http/health-source.ts";
import type { Member } from "../member/member.ts";
import { storageVersionOf } from "../member/membership/version-monitor.ts";
import type { Slot } from "../mvcc/contract.ts";
import { newSlotList } from "../mvcc/slot-list.ts";

const ALARM_NAMES = new Map<number, string>([
  [AlarmType.NoSpace, "NOSPACE"],
  [AlarmType.Corrupt, "CORRUPT"],
]);

const ALL_KEYS = Uint8Array.of(0);

/** A range of one key through the store, counted and timed like a client's: what cannot be read is not healthy. */
function readOne({ store, rangeTimer, applyContext }: Member): EtcdError | undefined {
  const rows = newSlotList(1);
  const started = rangeTimer.begin(false);
  applyContext.counts.ranges++;
  let problem: EtcdError | undefined;
  try {
    store.range(EMPTY, ALL_KEYS, store.currentRevision, 1, rows);
    if (rows.length > 0) store.keyOf(rows.slots[0] as Slot);
  } catch (error) {
    problem = etcdError(Code.Unknown, errorText(error));
  }
  rangeTimer.end(started, false, problem === undefined);
  return problem;
}

export function healthSource(member: Member): HealthSource {
  const { membership, applyContext } = member;
  return {
    alarms: () =>
      applyContext.alarms.get(AlarmType.None).map(({ memberId, alarm }) => ({
        memberId: hexId(memberId),
        name: ALARM_NAMES.get(alarm) ?? "UNKNOWN",
      })),
    hasLeader: () => member.raft.leader !== 0n,
    isLearner: () => membership.local?.isLearner ?? false,
    deviceFull: () => member.deviceFull,
    probe: (serializable, done) => {
      if (serializable) done(readOne(member));
      else member.read({ ready: () => done(readOne(member)), failed: done });
    },
    clusterVersion: () => membership.version,
    storageVersion: () => storageVersionOf(member),
    raftStatus: () => member.raft.statusJson(),
    authEnabled: () => false,
  };
}
