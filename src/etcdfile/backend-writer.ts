// Makes the buckets of etcd's database file from tables, for the bbolt writer: the Snapshot RPC, snapshot transfer to members and
// etcdutl's restore all write what this gives them. The key bucket is the caller's own cursor over its store.
import { latin1ToBytes, utf8ToBytes } from "../base/bytes.ts";
import { type BucketSource, bucketOfRows, type Row } from "../bbolt/rows.ts";
import { hexId } from "../cluster/ids.ts";
import { encodeRole, encodeUser } from "../wire/generated/authpb.ts";
import { encodeAlarmMember } from "../wire/generated/etcdserverpb.ts";
import { encodeLease } from "../wire/generated/leasepb.ts";
import { type BackendTables, BucketName, MetaKey } from "./backend.ts";
import { encodeRevision } from "./key-row.ts";
import { encodeConfState, encodeDowngrade, encodeMember } from "./member-json.ts";

function big64(value: number | bigint): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt.asUintN(64, BigInt(value)));
  return bytes;
}

function row(key: string, value: Uint8Array | string | undefined): Row[] {
  if (value === undefined) return [];
  return [{ key: latin1ToBytes(key), value: typeof value === "string" ? utf8ToBytes(value) : value }];
}

function metaRows(tables: BackendTables): Row[] {
  const revision = (main: number | undefined): Uint8Array | undefined =>
    main === undefined ? undefined : encodeRevision(main, 0);
  return [
    ...row(MetaKey.ConsistentIndex, tables.consistentIndex === 0 ? undefined : big64(tables.consistentIndex)),
    ...row(MetaKey.Term, tables.term === 0 ? undefined : big64(tables.term)),
    ...row(MetaKey.ConfState, tables.confState === undefined ? undefined : encodeConfState(tables.confState)),
    ...row(MetaKey.ScheduledCompact, revision(tables.scheduledCompactRevision)),
    ...row(MetaKey.FinishedCompact, revision(tables.finishedCompactRevision)),
    ...row(MetaKey.StorageVersion, tables.storageVersion),
  ];
}

/** The auth bucket has rows from the first use of auth on; a store that never had users has an empty one. */
function authRows(tables: BackendTables): Row[] {
  if (!tables.authEnabled && tables.authRevision === 0) return [];
  return [
    ...row("authEnabled", Uint8Array.of(tables.authEnabled ? 1 : 0)),
    ...row("authRevision", big64(tables.authRevision)),
  ];
}

/** All buckets of a database file. `keys` walks the rows of the key bucket in revision order. */
export function backendBuckets(tables: BackendTables, keys: BucketSource["rows"]): BucketSource[] {
  const { downgrade } = tables;
  const lists: Record<string, Row[]> = {
    [BucketName.Meta]: metaRows(tables),
    [BucketName.Lease]: tables.leases.map((lease) => ({ key: big64(lease.id), value: encodeLease(lease) })),
    [BucketName.Alarm]: tables.alarms.map((alarm) => ({
      key: encodeAlarmMember(alarm),
      value: new Uint8Array(0),
    })),
    [BucketName.Cluster]: [
      ...row("clusterVersion", tables.clusterVersion),
      ...row("downgrade", downgrade === undefined ? undefined : encodeDowngrade(downgrade)),
    ],
    [BucketName.Members]: tables.members.flatMap((member) => row(hexId(member.id), encodeMember(member))),
    [BucketName.MembersRemoved]: tables.removed.flatMap((id) => row(hexId(id), "removed")),
    [BucketName.Auth]: authRows(tables),
    [BucketName.AuthUsers]: tables.users.map((user) => ({ key: user.name, value: encodeUser(user) })),
    [BucketName.AuthRoles]: tables.roles.map((role) => ({ key: role.name, value: encodeRole(role) })),
  };
  const small = Object.entries(lists).map(([name, rows]) => bucketOfRows(latin1ToBytes(name), rows));
  return [...small, { name: latin1ToBytes(BucketName.Key), rows: keys }];
}
