// What etcd's KV API refuses before a request reaches the log, in its order and with its texts (v3rpc/key.go, v3.7).

import { type EtcdError, errors } from "../base/errors.ts";
import { IntervalSet } from "../base/interval-set.ts";
import { type Key, keyFromBytes } from "../base/key.ts";
import type {
  DeleteRangeRequest,
  PutRequest,
  RangeRequest,
  RequestOp,
  TxnRequest,
} from "../wire/generated/etcdserverpb.ts";

const SORT_ORDER_LAST = 2;
const SORT_TARGET_LAST = 4;

export function checkRange(request: RangeRequest): EtcdError | undefined {
  if (request.key.length === 0) return errors.emptyKey;
  if (request.sortOrder < 0 || request.sortOrder > SORT_ORDER_LAST) return errors.invalidSortOption;
  if (request.sortTarget < 0 || request.sortTarget > SORT_TARGET_LAST) return errors.invalidSortOption;
  return undefined;
}

export function checkPut(request: PutRequest): EtcdError | undefined {
  if (request.key.length === 0) return errors.emptyKey;
  if (request.ignoreValue && request.value.length !== 0) return errors.valueProvided;
  if (request.ignoreLease && request.lease !== 0n) return errors.leaseProvided;
  return undefined;
}

export function checkDelete(request: DeleteRangeRequest): EtcdError | undefined {
  return request.key.length === 0 ? errors.emptyKey : undefined;
}

/** The whole tree: sizes and single ops first, then what overlaps, because the second is the dearer check. */
export function checkTxn(request: TxnRequest, opsMax: number): EtcdError | undefined {
  const refused = checkTxnOps(request, opsMax);
  if (refused !== undefined) return refused;
  const inSuccess = overlaps(request.success);
  if ("code" in inSuccess) return inSuccess;
  const inFailure = overlaps(request.failure);
  return "code" in inFailure ? inFailure : undefined;
}

function checkTxnOps(request: TxnRequest, opsMax: number): EtcdError | undefined {
  const ops = Math.max(request.compare.length, request.success.length, request.failure.length);
  if (ops > opsMax) return errors.tooManyOps;
  for (const compare of request.compare) if (compare.key.length === 0) return errors.emptyKey;
  for (const branch of [request.success, request.failure]) {
    for (const op of branch) {
      const refused = checkOp(op, opsMax - ops);
      if (refused !== undefined) return refused;
    }
  }
  return undefined;
}

function checkOp({ request }: RequestOp, opsMax: number): EtcdError | undefined {
  switch (request?.case) {
    case "requestRange":
      return checkRange(request.value);
    case "requestPut":
      return checkPut(request.value);
    case "requestDeleteRange":
      return checkDelete(request.value);
    case "requestTxn":
      return checkTxnOps(request.value, opsMax);
    default:
      return errors.keyNotFound;
  }
}

/** What one branch touches, nested branches included. */
type Touched = { readonly puts: Set<Key>; readonly deletes: IntervalSet };

/** Refuses a key that is put twice, or put and deleted, where both could happen. */
function overlaps(ops: readonly RequestOp[]): Touched | EtcdError {
  const deletes = new IntervalSet();
  for (const { request } of ops) {
    if (request?.case !== "requestDeleteRange") continue;
    const { key, rangeEnd } = request.value;
    deletes.add(keyFromBytes(key), rangeEnd.length === 0 ? undefined : keyFromBytes(rangeEnd));
  }
  const puts = new Set<Key>();
  for (const { request } of ops) {
    if (request?.case !== "requestTxn") continue;
    const refused = mergeNested(request.value, puts, deletes);
    if (refused !== undefined) return refused;
  }
  for (const { request } of ops) {
    if (request?.case !== "requestPut") continue;
    const key = keyFromBytes(request.value.key);
    if (puts.has(key) || deletes.holds(key)) return errors.duplicateKey;
    puts.add(key);
  }
  return { puts, deletes };
}

/** Then and else exclude each other: the same key may be put in both. */
function mergeNested(txn: TxnRequest, puts: Set<Key>, deletes: IntervalSet): EtcdError | undefined {
  const inSuccess = overlaps(txn.success);
  if ("code" in inSuccess) return inSuccess;
  const inFailure = overlaps(txn.failure);
  if ("code" in inFailure) return inFailure;
  for (const key of inSuccess.puts) {
    if (puts.has(key) || deletes.holds(key)) return errors.duplicateKey;
    puts.add(key);
  }
  for (const key of inFailure.puts) {
    if (puts.has(key) && !inSuccess.puts.has(key)) return errors.duplicateKey;
    if (deletes.holds(key)) return errors.duplicateKey;
    puts.add(key);
  }
  deletes.addAll(inSuccess.deletes);
  deletes.addAll(inFailure.deletes);
  return undefined;
}
