// The small tables of an etcd database file (leases, members, versions, alarms) as this member's own objects, apart from those in use:
// for an import at start, and for a snapshot that may replace the state later. In slices where there may be many.
import type { ClusterId, LeaseId, MemberId } from "../../base/brand.ts";
import { keyFromBytes } from "../../base/key.ts";
import { Alarms } from "../../cluster/alarms.ts";
import { Membership } from "../../cluster/membership.ts";
import type { BackendTables } from "../../etcdfile/backend.ts";
import { Lessor } from "../../lease/lessor.ts";
import type { Store } from "../../mvcc/store.ts";
import type { Clock } from "../../ports/clock.ts";

const LEASES_PER_SLICE = 2000;
/** Of the key tree; a few dozen keys each. */
const LEAVES_PER_SLICE = 256;

export type SmallTables = {
  readonly lessor: Lessor;
  readonly membership: Membership;
  readonly alarms: Alarms;
};

export type SmallTablesOptions = {
  readonly clusterId: ClusterId;
  readonly localId: MemberId;
  readonly learnersMax: number;
  readonly leaseSecondsMin: number;
  readonly clock: Clock;
};

/** Empty ones. */
export function newSmallTables(options: SmallTablesOptions): SmallTables {
  const { clusterId, localId, learnersMax, leaseSecondsMin } = options;
  return {
    lessor: new Lessor(leaseSecondsMin),
    membership: new Membership(clusterId, localId, learnersMax),
    alarms: new Alarms(),
  };
}

export async function smallTables(tables: BackendTables, options: SmallTablesOptions): Promise<SmallTables> {
  const { clock } = options;
  const small = newSmallTables(options);
  const { lessor, membership, alarms } = small;
  let leases = 0;
  for (const { id, ttl, remainingTtl } of tables.leases) {
    lessor.restore(id as LeaseId, ttl, remainingTtl, clock.now());
    if (++leases % LEASES_PER_SLICE === 0) await clock.yield();
  }
  membership.restore(tables.members, tables.removed, tables.clusterVersion);
  membership.storageVersion = tables.storageVersion;
  if (tables.downgrade !== undefined) membership.downgrade = tables.downgrade;
  alarms.restore(tables.alarms.map(({ memberId, alarm }) => ({ memberId: memberId as MemberId, alarm })));
  return small;
}

/** Tells the leases their keys, from a store that nobody writes to yet. */
export async function attachLeases(lessor: Lessor, store: Store, clock: Clock): Promise<void> {
  if (lessor.size === 0) return;
  let from: number | undefined;
  do {
    from = store.forSomeLeased(
      (key, lease) => {
        if (lessor.lookup(lease) !== undefined) lessor.attach(lease, keyFromBytes(key));
      },
      from,
      LEAVES_PER_SLICE,
    );
    await clock.yield();
  } while (from !== undefined);
}
