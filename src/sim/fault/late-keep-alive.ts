// A leader that stands still for so long that the others elect another, and to which a keepalive comes meanwhile: it reads it before it
// has looked at the clock. It must not say how long the lease lives, for the new leader counts without it.
import { aimedAt, type FaultKind, happened, leading, sleep } from "../context.ts";
import { Tenant } from "../workload/lease-churn.ts";

/** Below those of the lease workload's clients. */
const LEASE_ID_FIRST = 1_000_000;
/** An election, and then more than what the new leader adds to each lease. */
const ELECTION_MILLIS = 5000;
const DEPOSED_MILLIS = 2000;
/** Longer than both: for the leader that stood still the lease is not over. */
const TTL_SECONDS = 9;

export const lateKeepAlive: FaultKind = {
  name: "late-keepalive",
  inject: async (sim, random) => {
    const leader = leading(sim);
    if (leader === undefined) return;
    const id = LEASE_ID_FIRST + sim.leases.size;
    const tenant = new Tenant(aimedAt(sim, leader), random, id);
    if (!(await tenant.grant(TTL_SECONDS, leader)) || !leader.up) return;
    const { leadsTerm, process } = leader;
    if (leadsTerm === 0) return;
    leader.pause();
    await sleep(sim, ELECTION_MILLIS + random.below(500));
    const deposed = sim.machines.some((machine) => machine.leadsTerm > leadsTerm);
    await sleep(sim, DEPOSED_MILLIS);
    // Another fault may have killed it meanwhile, or let it go on: then it may lead again, and by right.
    const stoodStill = !leader.up && leader.process === process && leader.leadsTerm === leadsTerm;
    const began = sim.clock.now();
    const before = tenant.notBefore;
    const renewed = tenant.renew(leader);
    leader.goOn();
    happened(sim, "late-keepalive");
    await renewed;
    // In no time it can have asked nobody.
    if (deposed && stoodStill && sim.clock.now() === began && tenant.notBefore > before)
      sim.history.violation(
        `lease ${id} was renewed by ${process}, which led term ${leadsTerm} and asked nobody, when another had led for ${DEPOSED_MILLIS} ms`,
      );
    await tenant.watchIt(() => true);
  },
};
