// Requests as the text of log lines, in etcd's form: values and passwords are left out, only their sizes are told. Called for lines
// about slow and refused requests; never on the way of ordinary ones.
import type {
  Compare,
  PutRequest,
  RangeRequest,
  RequestOp,
  TxnRequest,
} from "../wire/generated/etcdserverpb.ts";
import { CompareResult, CompareTarget, SortOrder, SortTarget } from "../wire/generated/etcdserverpb.ts";
import { decodeInternalRaftRequest, type InternalRaftRequest } from "../wire/generated/raft-internal.ts";

/** An entry's request; "" when it cannot be decoded. */
export function describeEntry(data: Uint8Array): string {
  const request = decodeInternalRaftRequest(data);
  const { leaseGrant, leaseRevoke, put, txn } = request;
  const header = `header:<${fields([["ID", request.header?.id ?? request.id]])}>`;
  if (leaseGrant !== undefined) {
    return `${header} lease_grant:<ttl:${leaseGrant.ttl}-second id:${hex(leaseGrant.id)}>`;
  }
  if (leaseRevoke !== undefined) return `${header} lease_revoke:<id:${hex(leaseRevoke.id)}>`;
  if (put !== undefined) return `${header} put:<${describePut(put)}>`;
  if (txn !== undefined) return `${header} txn:<${describeTxn(txn)}>`;
  return `${header} ${describeOther(request)}`;
}

function describeOther(request: InternalRaftRequest): string {
  const { deleteRange, compaction, alarm, leaseCheckpoint, clusterVersionSet } = request;
  if (deleteRange !== undefined) {
    const { key, rangeEnd, prevKv } = deleteRange;
    return `delete_range:{${fields([
      ["key", key],
      ["range_end", rangeEnd],
      ["prev_kv", prevKv],
    ])}}`;
  }
  if (compaction !== undefined) {
    const { revision, physical } = compaction;
    return `compaction:{${fields([
      ["revision", revision],
      ["physical", physical],
    ])}}`;
  }
  if (alarm !== undefined)
    return `alarm:{action:${alarm.action} memberID:${alarm.memberId} alarm:${alarm.alarm}}`;
  if (leaseCheckpoint !== undefined) return `lease_checkpoint:{${leaseCheckpoint.checkpoints.length} leases}`;
  if (clusterVersionSet !== undefined)
    return `cluster_version_set:{ver:${JSON.stringify(clusterVersionSet.ver)}}`;
  // Of all others only the kind is told: some hold passwords.
  return Object.entries(request)
    .filter(([name, value]) => name !== "header" && typeof value === "object")
    .map(([name]) => name.replace(/[A-Z]/g, (one) => `_${one.toLowerCase()}`))
    .join(" ");
}

export function describeRange(request: RangeRequest): string {
  return fields([
    ["key", request.key],
    ["range_end", request.rangeEnd],
    ["limit", request.limit],
    ["revision", request.revision],
    ["sort_order", nameOf(SortOrder, request.sortOrder)],
    ["sort_target", nameOf(SortTarget, request.sortTarget)],
    ["serializable", request.serializable],
    ["keys_only", request.keysOnly],
    ["count_only", request.countOnly],
    ["min_mod_revision", request.minModRevision],
    ["max_mod_revision", request.maxModRevision],
    ["min_create_revision", request.minCreateRevision],
    ["max_create_revision", request.maxCreateRevision],
  ]);
}

export function describeTxn(request: TxnRequest): string {
  const compare = request.compare.map(describeCompare).join(" ");
  const success = request.success.map(describeOp).join(" ");
  const failure = request.failure.map(describeOp).join(" ");
  return `compare:<${compare}> success:<${success}> failure:<${failure}>`;
}

function describePut(request: PutRequest): string {
  return fields([
    ["key", request.key],
    ["value_size", request.value.length],
    ["lease", request.lease],
    ["prev_kv", request.prevKv],
    ["ignore_value", request.ignoreValue],
    ["ignore_lease", request.ignoreLease],
  ]);
}

function describeCompare(compare: Compare): string {
  const union = compare.targetUnion;
  const value: Field =
    union?.case === "value" ? ["value_size", union.value.length] : [columnOf(union?.case), union?.value ?? 0];
  return fields([
    ["result", nameOf(CompareResult, compare.result)],
    ["target", nameOf(CompareTarget, compare.target)],
    ["key", compare.key],
    value,
    ["range_end", compare.rangeEnd],
  ]);
}

function columnOf(name: string | undefined): string {
  return (name ?? "value").replace(/[A-Z]/g, (one) => `_${one.toLowerCase()}`);
}

function describeOp({ request: op }: RequestOp): string {
  switch (op?.case) {
    case "requestPut":
      return `request_put:<${describePut(op.value)}>`;
    case "requestTxn":
      return `request_txn:<${describeTxn(op.value)}>`;
    case "requestRange":
      return `request_range:{${describeRange(op.value)}}`;
    case "requestDeleteRange": {
      const { key, rangeEnd, prevKv } = op.value;
      return `request_delete_range:{${fields([
        ["key", key],
        ["range_end", rangeEnd],
        ["prev_kv", prevKv],
      ])}}`;
    }
    default:
      return "";
  }
}

type Field = readonly [name: string, value: number | bigint | boolean | string | Uint8Array];

/** What is zero is left out, as in protobuf's text. Strings are names of enums. */
function fields(all: readonly Field[]): string {
  const shown: string[] = [];
  for (const [name, value] of all) {
    if (value instanceof Uint8Array) {
      if (value.length > 0) shown.push(`${name}:${quoteBytes(value)}`);
    } else if (typeof value === "string" ? value !== "" : Boolean(value)) shown.push(`${name}:${value}`);
  }
  return shown.join(" ");
}

/** "" for zero, which is not shown. */
function nameOf(names: Readonly<Record<string, number>>, value: number): string {
  if (value === 0) return "";
  return Object.keys(names).find((name) => names[name] === value) ?? String(value);
}

function hex(id: bigint): string {
  return BigInt.asUintN(64, id).toString(16).padStart(16, "0");
}

const ESCAPES = new Map([
  [0x22, '\\"'],
  [0x5c, "\\\\"],
  [0x0a, "\\n"],
  [0x0d, "\\r"],
  [0x09, "\\t"],
]);

/** Bytes in quotes, with octal escapes as in protobuf's text. */
function quoteBytes(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) {
    const escaped = ESCAPES.get(byte);
    if (escaped !== undefined) text += escaped;
    else if (byte >= 0x20 && byte < 0x7f) text += String.fromCharCode(byte);
    else text += `\\${byte.toString(8).padStart(3, "0")}`;
  }
  return `"${text}"`;
}
