// A member as the HTTP endpoints see it.
import { AlarmType } from "../cluster/alarms.ts";
import { hexId } from "../cluster/ids.ts";
import type { HealthSource } from "../http/health-source.ts";
import type { Member } from "../member/member.ts";

const ALARM_NAMES = new Map<number, string>([
  [AlarmType.NoSpace, "NOSPACE"],
  [AlarmType.Corrupt, "CORRUPT"],
]);

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
    probe: (serializable, done) => {
      if (serializable) done(undefined);
      else member.read({ ready: () => done(undefined), failed: done });
    },
    clusterVersion: () => membership.version,
    storageVersion: () => membership.version,
    raftStatus: () => member.raft.statusJson(),
    authEnabled: () => false,
  };
}
