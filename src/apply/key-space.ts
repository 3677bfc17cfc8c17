// Put and delete, within a write txn: used by single requests, txn branches and lease revocation alike.
import type { Revision } from "../base/brand.ts";
import { EMPTY } from "../base/bytes.ts";
import { type EtcdError, errors } from "../base/errors.ts";
import { keyFromBytes, type RangeEnd } from "../base/key.ts";
import { type FileNumber, NO_SLOT, type WriteTxn } from "../mvcc/contract.ts";
import { KeyValueForm } from "../mvcc/key-value.ts";
import { pushSlot } from "../mvcc/slot-list.ts";
import type {
  DeleteRangeRequest,
  DeleteRangeResponse,
  PutRequest,
  PutResponse,
} from "../wire/generated/etcdserverpb.ts";
import type { KeyValue } from "../wire/generated/mvccpb.ts";
import { type ApplyContext, keyValueOf, offsetInFile } from "./context.ts";
import { headerOf } from "./header.ts";

const NO_FILE = 0 as FileNumber;

/** etcd's checks of a put against the state before the txn. Undefined = may be applied. */
export function checkPut(context: ApplyContext, request: PutRequest, at: Revision): EtcdError | undefined {
  if (request.lease !== 0n && context.lessor.lookup(request.lease as never) === undefined)
    return errors.leaseNotFound;
  if (!request.ignoreValue && !request.ignoreLease) return undefined;
  return context.store.find(request.key, at) === NO_SLOT ? errors.keyNotFound : undefined;
}

/** Applies a put that was checked. The header holds only the revision. */
export function put(context: ApplyContext, txn: WriteTxn, request: PutRequest): PutResponse {
  const { store, lessor, entry, counts } = context;
  counts.puts++;
  counts.putBytes += request.key.length + request.value.length;
  // etcd reads the previous value for these.
  if (request.prevKv || request.ignoreValue || request.ignoreLease) counts.ranges++;
  const previous = store.find(request.key, txn.readRevision);
  let prevKv: KeyValue | undefined;
  let file = request.value.length === 0 ? NO_FILE : entry.file;
  let offset = request.value.length === 0 ? 0 : offsetInFile(entry, request.value);
  let length = request.value.length;
  let lease = request.lease;
  if (previous !== NO_SLOT) {
    if (request.prevKv) prevKv = keyValueOf(context, previous, KeyValueForm.Full);
    if (request.ignoreValue) {
      file = store.fileOf(previous);
      offset = store.offsetOf(previous);
      length = store.valueLengthOf(previous);
    }
    const previousLease = store.leaseOf(previous);
    if (request.ignoreLease) lease = previousLease;
    if (previousLease !== 0n && previousLease !== lease)
      lessor.detach(previousLease, keyFromBytes(request.key));
  }
  // A txn's earlier ops never revoke a lease, and it was looked up before: it is there.
  if (lease !== 0n) lessor.attach(lease as never, keyFromBytes(request.key));
  pushSlot(context.changed, txn.put(request.key, lease as never, file, offset, length));
  return { header: headerOf(txn.mainRevision), prevKv };
}

/** Applies a delete. The header's revision is the one that readers see after it. */
export function deleteRange(
  context: ApplyContext,
  txn: WriteTxn,
  request: DeleteRangeRequest,
): DeleteRangeResponse {
  context.counts.deletes++;
  if (request.prevKv) context.counts.ranges++;
  const prevKvs = request.prevKv ? keyValuesOf(context, txn, request.key, request.rangeEnd) : [];
  const deleted = deleteKeys(context, txn, request.key, request.rangeEnd);
  return { header: headerOf(revisionAfter(txn)), deleted, prevKvs };
}

/** The revision that the txn's result is reported with: its own once it has changed something. */
export function revisionAfter(txn: WriteTxn): Revision {
  return txn.changes > 0 ? txn.mainRevision : ((txn.mainRevision - 1) as Revision);
}

/** Deletes [key, end), detaching the keys from their leases; the tombstones join the entry's changes. */
export function deleteKeys(context: ApplyContext, txn: WriteTxn, key: Uint8Array, end: RangeEnd): number {
  const { store, lessor, changed, scratch } = context;
  if (lessor.size > 0) {
    scratch.length = 0;
    store.range(key, end, txn.readRevision, Number.MAX_SAFE_INTEGER, scratch);
    for (let i = 0; i < scratch.length; i++) {
      const slot = scratch.slots[i] as never;
      const lease = store.leaseOf(slot);
      if (lease !== 0n) lessor.detach(lease, keyFromBytes(store.keyOf(slot)));
    }
  }
  return txn.delete(key, end, changed);
}

/** One key by its bytes; used for the keys of a revoked lease. */
export function deleteKey(context: ApplyContext, txn: WriteTxn, key: Uint8Array): void {
  context.counts.deletes++;
  txn.delete(key, EMPTY, context.changed);
}

function keyValuesOf(context: ApplyContext, txn: WriteTxn, key: Uint8Array, end: RangeEnd): KeyValue[] {
  const { store, scratch } = context;
  scratch.length = 0;
  store.range(key, end, txn.readRevision, Number.MAX_SAFE_INTEGER, scratch);
  const found: KeyValue[] = [];
  for (let i = 0; i < scratch.length; i++)
    found.push(keyValueOf(context, scratch.slots[i] as never, KeyValueForm.Full));
  return found;
}
