// A leader that stands still for so long that the others elect another, and to which a keepalive comes meanwhile: it reads it before it
// has looked at the clock. It must not say how long the lease lives, for the new leader counts without it.
import { aimedAt, type FaultKind, happened, leading, sleep } from "../context.ts";
import { Tenant } from "../workload/lease-churn.ts";

/** Below those of the lease workload's clients. */
const LEASE_ID_FIRST = 1_000_000;
/** Longer than two elections: what the new leader adds to each lease is used up. */
const STANDSTILL_MILLIS = 5000;
const TTL_SECONDS = 7;

export const lateKeepAlive: FaultKind = {
  name: "late-keepalive",
  inject: async (sim, random) => {
    const leader = leading(sim);
    if (leader === undefined) return;
    const id = LEASE_ID_FIRST + sim.leases.size;
    const tenant = new Tenant(aimedAt(sim, leader), random, id);
    if (!(await tenant.grant(TTL_SECONDS, leader)) || !leader.up) return;
    leader.pause();
    await sleep(sim, STANDSTILL_MILLIS - random.below(500));
    const renewed = tenant.renew(leader);
    leader.goOn();
    happened(sim, "late-keepalive");
    await renewed;
    await tenant.watchIt(() => true);
  },
};
