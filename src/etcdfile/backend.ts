// What stands in etcd's database file, bucket by bucket, apart from the keys themselves: types, and the reading of each. Writing is
// backend-writer.ts. Callers: the importer, snapshot transfer, etcdutl. Pure; a file that cannot be understood ends in a FormatError.

import type { MemberId } from "../base/brand.ts";
import { copyBytes, latin1FromBytes, latin1ToBytes, utf8FromBytes } from "../base/bytes.ts";
import { FormatError, malformed } from "../base/format-error.ts";
import { type BoltFile, type Bucket, bucketName } from "../bbolt/reader.ts";
import type { Row } from "../bbolt/rows.ts";
import type { ClusterMember, DowngradeJob } from "../cluster/membership.ts";
import { DecodeError } from "../wire/decode-error.ts";
import { decodeRole, decodeUser, type Role, type User } from "../wire/generated/authpb.ts";
import { type AlarmMember, decodeAlarmMember } from "../wire/generated/etcdserverpb.ts";
import { decodeLease, type Lease } from "../wire/generated/leasepb.ts";
import type { ConfState } from "../wire/generated/raftpb.ts";
import { decodeRevision } from "./key-row.ts";
import { decodeConfState, decodeDowngrade, decodeMember, memberIdFromHex } from "./member-json.ts";

/** The buckets of etcd 3.5–3.7, in the order etcd declares them. */
export const BucketName = {
  Key: "key",
  Meta: "meta",
  Lease: "lease",
  Alarm: "alarm",
  Cluster: "cluster",
  Members: "members",
  MembersRemoved: "members_removed",
  Auth: "auth",
  AuthUsers: "authUsers",
  AuthRoles: "authRoles",
} as const;

export const MetaKey = {
  ConsistentIndex: "consistent_index",
  Term: "term",
  ConfState: "confState",
  ScheduledCompact: "scheduledCompactRev",
  FinishedCompact: "finishedCompactRev",
  StorageVersion: "storageVersion",
} as const;

/** Everything but the keys. A field that the file lacks is undefined, or its zero where etcd reads it so. */
export type BackendTables = {
  /** The last entry whose effects are in the file, and its term. 0: none was ever saved. */
  readonly consistentIndex: number;
  readonly term: number;
  readonly confState: ConfState | undefined;
  /** A compaction up to here was begun … */
  readonly scheduledCompactRevision: number | undefined;
  /** … and is known to be done up to here. */
  readonly finishedCompactRevision: number | undefined;
  /** `3.6.0`, or undefined before 3.6. */
  readonly storageVersion: string | undefined;
  readonly members: readonly ClusterMember[];
  readonly removed: readonly MemberId[];
  /** `3.6.0`. */
  readonly clusterVersion: string | undefined;
  readonly downgrade: DowngradeJob | undefined;
  readonly leases: readonly Lease[];
  readonly alarms: readonly AlarmMember[];
  readonly authEnabled: boolean;
  readonly authRevision: number;
  readonly users: readonly User[];
  readonly roles: readonly Role[];
};

function big64(value: Uint8Array, what: string): number {
  if (value.length !== 8) malformed(0, `${what} has ${value.length} bytes, not 8`);
  const number = Number(new DataView(value.buffer, value.byteOffset).getBigUint64(0));
  if (!Number.isSafeInteger(number)) malformed(0, `${what} is above 2^53`);
  return number;
}

/** A bucket's rows, copied; a bucket that is not there has none. */
function rowsOf(file: BoltFile, buckets: readonly Bucket[], name: string): Row[] {
  const bucket = buckets.find((each) => bucketName(each) === name);
  if (bucket === undefined) return [];
  const rows: Row[] = [];
  const cursor = file.rows(bucket);
  while (cursor.next()) rows.push({ key: copyBytes(cursor.key()), value: copyBytes(cursor.value()) });
  return rows;
}

/** Maps rows; what a row's value is not, is said with the row's name. */
function mapRows<T>(rows: readonly Row[], bucket: string, read: (key: string, value: Uint8Array) => T): T[] {
  return rows.map((row) => {
    const key = latin1FromBytes(row.key);
    try {
      return read(key, row.value);
    } catch (error) {
      if (!(error instanceof FormatError) && !(error instanceof DecodeError)) throw error;
      return malformed(0, `bucket ${bucket}, key ${JSON.stringify(key)}: ${error.message}`);
    }
  });
}

function fieldsOf(rows: readonly Row[]): Map<string, Uint8Array> {
  return new Map(rows.map((row) => [latin1FromBytes(row.key), row.value]));
}

function given<T>(value: Uint8Array | undefined, read: (value: Uint8Array) => T): T | undefined {
  return value === undefined ? undefined : read(value);
}

/** All tables of a database file. Throws a FormatError. */
export function readTables(file: BoltFile): BackendTables {
  const buckets = file.buckets();
  const rows = (name: string): Row[] => rowsOf(file, buckets, name);
  const meta = fieldsOf(rows(BucketName.Meta));
  const cluster = fieldsOf(rows(BucketName.Cluster));
  const auth = fieldsOf(rows(BucketName.Auth));
  return {
    consistentIndex: given(meta.get(MetaKey.ConsistentIndex), (v) => big64(v, MetaKey.ConsistentIndex)) ?? 0,
    term: given(meta.get(MetaKey.Term), (v) => big64(v, MetaKey.Term)) ?? 0,
    confState: given(meta.get(MetaKey.ConfState), (v) => decodeConfState(utf8FromBytes(v))),
    scheduledCompactRevision: given(meta.get(MetaKey.ScheduledCompact), (v) => decodeRevision(v).main),
    finishedCompactRevision: given(meta.get(MetaKey.FinishedCompact), (v) => decodeRevision(v).main),
    storageVersion: given(meta.get(MetaKey.StorageVersion), utf8FromBytes),
    members: mapRows(rows(BucketName.Members), BucketName.Members, (_, v) => decodeMember(utf8FromBytes(v))),
    removed: mapRows(rows(BucketName.MembersRemoved), BucketName.MembersRemoved, memberIdFromHex),
    clusterVersion: given(cluster.get("clusterVersion"), utf8FromBytes),
    downgrade: given(cluster.get("downgrade"), (v) => decodeDowngrade(utf8FromBytes(v))),
    leases: mapRows(rows(BucketName.Lease), BucketName.Lease, (_, v) => decodeLease(v)),
    alarms: mapRows(rows(BucketName.Alarm), BucketName.Alarm, (key) => decodeAlarmMember(latin1ToBytes(key))),
    authEnabled: auth.get("authEnabled")?.[0] === 1,
    authRevision: given(auth.get("authRevision"), (v) => big64(v, "authRevision")) ?? 0,
    users: mapRows(rows(BucketName.AuthUsers), BucketName.AuthUsers, (_, v) => decodeUser(v)),
    roles: mapRows(rows(BucketName.AuthRoles), BucketName.AuthRoles, (_, v) => decodeRole(v)),
  };
}
