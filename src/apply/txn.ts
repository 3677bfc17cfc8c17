// Txn: all compares first, on the state before it; then the checks of the taken path; then the ops, in order, in one write txn.
// Read-only txns run the same code without a write (service/kv). Order and texts are etcd's (etcdserver/txn, v3.7).
import { assert } from "../base/assert.ts";
import type { Revision } from "../base/brand.ts";
import { compareBytes, equalBytes } from "../base/bytes.ts";
import { type EtcdError, errors, isEtcdError } from "../base/errors.ts";
import { isOpenEnd, isSingleKey } from "../base/key.ts";
import type { Slot, WriteTxn } from "../mvcc/contract.ts";
import {
  type Compare,
  CompareResult,
  CompareTarget,
  type DeleteRangeRequest,
  type RangeRequest,
  type RangeResponse,
  type RequestOp,
  type ResponseOp,
  type TxnRequest,
  type TxnResponse,
} from "../wire/generated/etcdserverpb.ts";
import type { KeyValue } from "../wire/generated/mvccpb.ts";
import { type ApplyContext, keyValueOf } from "./context.ts";
import { headerOf } from "./header.ts";
import { checkPut, deleteRange, put, revisionAfter } from "./key-space.ts";
import { formOf, pickRows, readRevision } from "./range.ts";

/** Which branch each txn of a tree takes, outermost first. */
type Path = { readonly succeeded: boolean; readonly nested: readonly Path[] };

/** Where the ops read and write: a write txn, or the store as of one revision. */
type Target = { readonly write: WriteTxn | undefined; readonly revision: Revision };

/** Applies a txn that writes. Nothing is changed when it returns an error. */
export function applyTxn(context: ApplyContext, request: TxnRequest): TxnResponse | EtcdError {
  const before = context.store.currentRevision;
  const path = comparePath(context, request, before);
  const refused = checkBranch(context, request, path, before) ?? checkDeletedFirst(request, path, []);
  if (refused !== undefined) return refused;
  const write = context.store.write();
  const counted = context.counts.total;
  const response = runBranch(context, request, path, { write, revision: before });
  write.end();
  context.counts.ended(counted);
  assert(!isEtcdError(response), "an op that was checked does not fail");
  response.header = headerOf(context.store.currentRevision);
  return response;
}

/** Answers a txn of ranges alone from the current state. */
export function readTxn(context: ApplyContext, request: TxnRequest): TxnResponse | EtcdError {
  const revision = context.store.currentRevision;
  const path = comparePath(context, request, revision);
  const refused = checkBranch(context, request, path, revision);
  if (refused !== undefined) return refused;
  const counted = context.counts.total;
  const response = runBranch(context, request, path, { write: undefined, revision });
  context.counts.ended(counted);
  if (isEtcdError(response)) return response;
  response.header = headerOf(revision);
  return response;
}

export function isReadOnlyTxn(request: TxnRequest): boolean {
  return request.success.every(isRange) && request.failure.every(isRange);
}

export function isSerializableTxn(request: TxnRequest): boolean {
  return request.success.every(isSerializableRange) && request.failure.every(isSerializableRange);
}

function isRange(op: RequestOp): boolean {
  return op.request?.case === "requestRange";
}

function isSerializableRange(op: RequestOp): boolean {
  return op.request?.case === "requestRange" && op.request.value.serializable;
}

function branchOf(request: TxnRequest, path: Path): readonly RequestOp[] {
  return path.succeeded ? request.success : request.failure;
}

function comparePath(context: ApplyContext, request: TxnRequest, at: Revision): Path {
  const succeeded = request.compare.every((compare) => holds(context, compare, at));
  const nested: Path[] = [];
  for (const op of succeeded ? request.success : request.failure) {
    if (op.request?.case === "requestTxn") nested.push(comparePath(context, op.request.value, at));
  }
  return { succeeded, nested };
}

/** True when every key of the compare's range passes; an absent key has zeros in all its columns, and no value at all. */
function holds(context: ApplyContext, compare: Compare, at: Revision): boolean {
  const { store, scratch } = context;
  context.counts.ranges++;
  scratch.length = 0;
  store.range(compare.key, compare.rangeEnd, at, Number.MAX_SAFE_INTEGER, scratch);
  if (scratch.length === 0) {
    if (compare.target === CompareTarget.VALUE) return false;
    return resultHolds(compare, compareNumbers(0, numberWanted(compare)));
  }
  for (let i = 0; i < scratch.length; i++) {
    if (!resultHolds(compare, compareRow(context, compare, scratch.slots[i] as Slot))) return false;
  }
  return true;
}

function compareRow(context: ApplyContext, compare: Compare, slot: Slot): number {
  const { store, reader } = context;
  switch (compare.target) {
    case CompareTarget.VALUE: {
      const wanted = compare.targetUnion?.case === "value" ? compare.targetUnion.value : new Uint8Array(0);
      return compareBytes(
        reader.readValue(store.fileOf(slot), store.offsetOf(slot), store.valueLengthOf(slot)),
        wanted,
      );
    }
    case CompareTarget.CREATE:
      return compareNumbers(store.createRevisionOf(slot), numberWanted(compare));
    case CompareTarget.MOD:
      return compareNumbers(store.mainOf(slot), numberWanted(compare));
    case CompareTarget.VERSION:
      return compareNumbers(store.versionOf(slot), numberWanted(compare));
    case CompareTarget.LEASE:
      return compareNumbers(store.leaseOf(slot), numberWanted(compare));
    default:
      // etcd leaves the result of an unknown target at "equal".
      return 0;
  }
}

/** The union's number when it is the one that the target names; else 0, as etcd reads it. */
function numberWanted(compare: Compare): number | bigint {
  const union = compare.targetUnion;
  if (union === undefined) return 0;
  switch (compare.target) {
    case CompareTarget.CREATE:
      return union.case === "createRevision" ? union.value : 0;
    case CompareTarget.MOD:
      return union.case === "modRevision" ? union.value : 0;
    case CompareTarget.VERSION:
      return union.case === "version" ? union.value : 0;
    case CompareTarget.LEASE:
      return union.case === "lease" ? union.value : 0;
    default:
      return 0;
  }
}

function compareNumbers(a: number | bigint, b: number | bigint): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function resultHolds(compare: Compare, order: number): boolean {
  switch (compare.result) {
    case CompareResult.EQUAL:
      return order === 0;
    case CompareResult.NOT_EQUAL:
      return order !== 0;
    case CompareResult.GREATER:
      return order > 0;
    case CompareResult.LESS:
      return order < 0;
    default:
      return true;
  }
}

/** The checks of the taken path, before anything is written: after them no op can fail. */
function checkBranch(
  context: ApplyContext,
  request: TxnRequest,
  path: Path,
  at: Revision,
): EtcdError | undefined {
  let nested = 0;
  for (const { request: op } of branchOf(request, path)) {
    let refused: EtcdError | undefined;
    if (op?.case === "requestRange") refused = checkRange(context, op.value, at);
    else if (op?.case === "requestPut") refused = checkPut(context, op.value, at);
    else if (op?.case === "requestTxn") refused = checkBranch(context, op.value, path.nested[nested++]!, at);
    if (refused !== undefined) return refused;
  }
  return undefined;
}

/**
 * A put that keeps the old value or lease of a key which the same txn deletes before it has nothing to keep. etcd checks such puts on
 * the state before the txn only, and ends its process here; we refuse the txn, with the error of a key that is not there.
 */
function checkDeletedFirst(
  request: TxnRequest,
  path: Path,
  deleted: DeleteRangeRequest[],
): EtcdError | undefined {
  let nested = 0;
  for (const { request: op } of branchOf(request, path)) {
    if (op?.case === "requestDeleteRange") deleted.push(op.value);
    else if (op?.case === "requestPut" && (op.value.ignoreValue || op.value.ignoreLease)) {
      if (deleted.some((one) => holdsKey(one, op.value.key))) return errors.keyNotFound;
    } else if (op?.case === "requestTxn") {
      const refused = checkDeletedFirst(op.value, path.nested[nested++]!, deleted);
      if (refused !== undefined) return refused;
    }
  }
  return undefined;
}

function holdsKey({ key, rangeEnd }: DeleteRangeRequest, wanted: Uint8Array): boolean {
  if (isSingleKey(rangeEnd)) return equalBytes(key, wanted);
  return compareBytes(key, wanted) <= 0 && (isOpenEnd(rangeEnd) || compareBytes(wanted, rangeEnd) < 0);
}

/** Unlike a range of its own, one inside a txn does not take every negative revision for "now": −1 alone, before any compaction. */
function checkRange(context: ApplyContext, request: RangeRequest, at: Revision): EtcdError | undefined {
  if (request.revision === 0) return undefined;
  if (request.revision > at) return errors.futureRevision;
  if (request.revision < context.store.firstRevision) return errors.compacted;
  return undefined;
}

function runBranch(
  context: ApplyContext,
  request: TxnRequest,
  path: Path,
  target: Target,
): TxnResponse | EtcdError {
  const responses: ResponseOp[] = [];
  let nested = 0;
  for (const { request: op } of branchOf(request, path)) {
    if (op?.case === "requestRange") {
      const value = runRange(context, op.value, target);
      if (isEtcdError(value)) return value;
      responses.push({ response: { case: "responseRange", value } });
    } else if (op?.case === "requestPut") {
      responses.push({ response: { case: "responsePut", value: put(context, target.write!, op.value) } });
    } else if (op?.case === "requestDeleteRange") {
      responses.push({
        response: { case: "responseDeleteRange", value: deleteRange(context, target.write!, op.value) },
      });
    } else if (op?.case === "requestTxn") {
      const value = runBranch(context, op.value, path.nested[nested++]!, target);
      if (isEtcdError(value)) return value;
      value.header = headerOf(0);
      responses.push({ response: { case: "responseTxn", value } });
    } else responses.push({ response: undefined });
  }
  return { header: undefined, succeeded: path.succeeded, responses };
}

function runRange(context: ApplyContext, request: RangeRequest, target: Target): RangeResponse | EtcdError {
  const { store, reader, scratch } = context;
  const current = target.write === undefined ? target.revision : revisionAfter(target.write);
  context.counts.ranges++;
  const requested = readRevision(store, request.revision, current);
  if (isEtcdError(requested)) return requested;
  const at = target.write !== undefined && requested === current ? target.write.readRevision : requested;
  scratch.length = 0;
  const { more, count } = pickRows(store, reader, request, at, scratch);
  const form = formOf(request);
  const kvs: KeyValue[] = [];
  for (let i = 0; i < scratch.length; i++) kvs.push(keyValueOf(context, scratch.slots[i] as Slot, form));
  return { header: headerOf(current), kvs, more, count };
}
