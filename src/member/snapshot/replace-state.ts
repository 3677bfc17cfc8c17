// A snapshot takes the place of a running member's state: store, leases, members, versions, alarms, in one turn of the event loop; the engine tells the network of the members. Who
// answers a request over several turns keeps the store it began with; its values stay readable until the last of them is done.
import type { Millis } from "../../base/brand.ts";
import type { Membership } from "../../cluster/membership.ts";
import type { Store } from "../../mvcc/store.ts";
import type { Clock } from "../../ports/clock.ts";
import type { Member } from "../member.ts";
import type { StagedState } from "./snapshot-stage.ts";

/** How often the old store is asked whether somebody still reads it, and after how many times lists from it are broken off. */
const READERS_INTERVAL_MILLIS = 100;
const LOOKS_MAX = 600;

export function replaceState(member: Member, staged: StagedState): void {
  const { lessor, membership, applyContext } = member;
  lessor.replaceBy(staged.lessor);
  applyContext.alarms.restore(staged.alarms.get(0));
  restoreMembership(membership, staged.membership);
  member.replaceStore(staged.rows.store);
}

function restoreMembership(membership: Membership, from: Membership): void {
  membership.restore(from.members(), from.removed, from.version);
  membership.storageVersion = from.storageVersion;
  membership.downgrade = from.downgrade;
}

/**
 * Calls back once nobody reads values of this store any more, which no new reader finds. A client may take its time with a long list, but
 * not for ever; hashes and backups are waited for.
 */
export function whenUnread(store: Store, clock: Clock, callback: () => void, looks = 0): void {
  if (looks === LOOKS_MAX) store.retire();
  if (store.readers === 0 || (store.retired && !store.compactionHeld)) callback();
  else clock.after(READERS_INTERVAL_MILLIS as Millis, () => whenUnread(store, clock, callback, looks + 1));
}
