// The small tables of a checkpoint: everything that is not the key index. Leases, members, versions and alarms as JSON with 64-bit
// numbers, because they are few, and a person with a broken disk can read them.

import {
  formatBigJson,
  type Json,
  jsonBool,
  jsonObject,
  jsonText,
  jsonUint64,
  parseBigJson,
} from "../base/big-json.ts";
import { type LeaseId, type MemberId, type Millis, memberId } from "../base/brand.ts";
import { utf8FromBytes, utf8ToBytes } from "../base/bytes.ts";
import type { Alarms } from "../cluster/alarms.ts";
import type { Membership } from "../cluster/membership.ts";
import { memberFromJson, memberJson } from "../etcdfile/member-json.ts";
import type { Lessor } from "../lease/lessor.ts";

const FORMAT = 1n;

export function encodeTables(lessor: Lessor, membership: Membership, alarms: Alarms): Uint8Array {
  const json: Json = {
    format: FORMAT,
    clusterId: membership.clusterId,
    clusterVersion: membership.version ?? "",
    storageVersion: membership.storageVersion ?? "",
    downgrade: { enabled: membership.downgrade.enabled, targetVersion: membership.downgrade.targetVersion },
    // Whom the configuration expects is not known yet: the log will say it, and must not find it said.
    members: (membership.isKnown ? membership.members() : []).map(memberJson),
    removed: [...membership.removed],
    alarms: alarms.get(0).map(({ memberId: member, alarm }) => [member, BigInt(alarm)]),
    leases: lessor.leases().map(({ id, ttl, remainingTtl }) => [id, BigInt(ttl), BigInt(remainingTtl)]),
  };
  return utf8ToBytes(formatBigJson(json));
}

/** The tables of a checkpoint that this program, or an older one, wrote. */
export function restoreTables(
  bytes: Uint8Array,
  lessor: Lessor,
  membership: Membership,
  alarms: Alarms,
  now: Millis,
): void {
  const json = jsonObject(parseBigJson(utf8FromBytes(bytes)), "tables");
  const version = jsonText(json["clusterVersion"], "clusterVersion");
  const downgrade = jsonObject(json["downgrade"], "downgrade");
  membership.restore(
    rows(json["members"]).map((each) => memberFromJson(each)),
    rows(json["removed"]).map((each) => memberId(jsonUint64(each, "removed")) as MemberId),
    version === "" ? undefined : version,
  );
  // Older images hold none: what they were written by followed the cluster's version at once.
  const storage = json["storageVersion"];
  membership.storageVersion =
    (storage === undefined ? version : jsonText(storage, "storageVersion")) || undefined;
  membership.downgrade = {
    enabled: jsonBool(downgrade["enabled"], "enabled"),
    targetVersion: jsonText(downgrade["targetVersion"], "targetVersion"),
  };
  alarms.restore(
    rows(json["alarms"]).map((each) => {
      const [member, alarm] = rows(each);
      return { memberId: memberId(jsonUint64(member, "alarm")), alarm: Number(jsonUint64(alarm, "alarm")) };
    }),
  );
  for (const each of rows(json["leases"])) {
    const [id, ttl, remaining] = rows(each) as bigint[];
    lessor.restore(BigInt.asIntN(64, id!) as LeaseId, Number(ttl), Number(remaining), now);
  }
}

function rows(json: Json | undefined): Json[] {
  return Array.isArray(json) ? json : [];
}
