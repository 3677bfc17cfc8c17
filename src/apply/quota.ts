// The quota: how big the database is taken for, and what a request may cost before it is let in (service) and again when it is applied,
// with etcd's own estimates. It counts live bytes, not a file's size (docs/decisions/004): deleting and compacting makes room at once.
import type { TxnRequest } from "../wire/generated/etcdserverpb.ts";

/** What the small tables are taken for, and what a new database of etcd's weighs. Clients divide by the size: it is never zero. */
const TABLES_BYTES = 20_480;
const KEY_OVERHEAD_BYTES = 256;
const LEASE_OVERHEAD_BYTES = 64;

/** The size of the database: for the quota, and as clients are told it. */
export function databaseBytes({ liveBytes }: { readonly liveBytes: number }): number {
  return TABLES_BYTES + liveBytes;
}

/** Whether a request of such a cost goes over the quota; what costs nothing never does. */
export function exceedsQuota(
  store: { readonly liveBytes: number },
  cost: number,
  quotaBytes: number,
): boolean {
  return cost > 0 && databaseBytes(store) + cost >= quotaBytes;
}

export function costOfPut(keyBytes: number, valueBytes: number): number {
  return KEY_OVERHEAD_BYTES + keyBytes + valueBytes;
}

export const COST_OF_LEASE: number = LEASE_OVERHEAD_BYTES;

/** The dearer branch; deletes and ranges are free, so a txn of them passes when there is no space. */
export function costOfTxn(request: TxnRequest): number {
  return Math.max(costOfBranch(request.success), costOfBranch(request.failure));
}

function costOfBranch(ops: TxnRequest["success"]): number {
  let cost = 0;
  for (const op of ops) {
    if (op.request?.case === "requestPut")
      cost += costOfPut(op.request.value.key.length, op.request.value.value.length);
    else if (op.request?.case === "requestTxn") cost += costOfTxn(op.request.value);
  }
  return cost;
}
