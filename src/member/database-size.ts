// The size of the database as clients are told it (docs/decisions/004): Status and the metrics ask here, so that they agree.
import type { Store } from "../mvcc/store.ts";

/** What the small tables are taken for, and what a new database of etcd's weighs. Clients divide by the size: it is never zero. */
const TABLES_BYTES = 20_480;

export function databaseBytes(store: Store): number {
  return TABLES_BYTES + store.liveBytes;
}
