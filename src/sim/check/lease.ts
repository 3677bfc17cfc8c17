// The check of leases: none ends before the time that was promised with the last acknowledged grant or renewal, counted from when that
// call began. (A call's answer may be late; its promise is not.)
import type { LeaseRecord } from "../context.ts";
import type { History } from "../history.ts";

/** `revocations`: at which revision each lease's keys went without anybody's asking. */
export function checkLeases(
  history: History,
  leases: ReadonlyMap<bigint, LeaseRecord>,
  revocations: ReadonlyMap<bigint, number>,
): void {
  for (const [id, revision] of revocations) {
    const lease = leases.get(id);
    if (lease === undefined)
      history.violation(`lease ${id} ended at revision ${revision}; nobody granted it`);
    else if (!lease.revoked)
      leaseIsOver(history, lease, history.seenAt.get(revision)!, `revision ${revision}`);
  }
}

/** Evidence at virtual time `now` that a lease has ended of itself. */
export function leaseIsOver(history: History, lease: LeaseRecord, now: number, evidence: string): void {
  if (now >= lease.notBefore) return;
  history.violation(
    `lease ${lease.id} ended at ${now} ms, ${lease.notBefore - now} ms before its time: ${evidence}`,
  );
}
