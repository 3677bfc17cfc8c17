// The machine goes off: at a random operation of its disk, unsynced bytes torn; or only its process ends (kill -9); or the member is
// stopped as it should be, and then HashKV before and after must agree. And the wall clock may jump on the way.
import { type FaultKind, happened, type SimContext, sleep } from "../context.ts";

/** If so long nothing used the disk, the power goes without. */
const PATIENCE_MILLIS = 2000;

export const crash: FaultKind = {
  name: "crash",
  inject: async (sim, random) => {
    if (!sim.machine.on) return;
    armCrash(sim, random.between(1, 60));
    await waitUntilOff(sim, PATIENCE_MILLIS);
    sim.machine.fault = undefined;
    if (sim.machine.on) {
      sim.machine.powerLoss();
      happened(sim, "crash");
    }
  },
};

/** A second crash while the member recovers from the first. */
export const crashInRecovery: FaultKind = {
  name: "crash-in-recovery",
  inject: async (sim, random) => {
    if (sim.machine.on) sim.machine.powerLoss();
    for (let again = random.between(1, 3); again > 0; again--) {
      armCrash(sim, random.between(1, 40), "crash-in-recovery");
      await waitUntilOn(sim);
      await waitUntilOff(sim, PATIENCE_MILLIS);
      sim.machine.fault = undefined;
    }
  },
};

export const kill: FaultKind = {
  name: "kill",
  inject: async (sim, random) => {
    await sleep(sim, random.below(30));
    if (!sim.machine.on) return;
    sim.machine.kill();
    happened(sim, "kill");
    if (!random.once(3)) return;
    // The next process reads what the dead one had written and not flushed, builds on it, and then the power goes.
    while (!sim.machine.up && !sim.machine.gone) await sleep(sim, 10);
    await sleep(sim, random.below(200));
    if (!sim.machine.on) return;
    sim.machine.powerLoss();
    happened(sim, "kill-then-crash");
  },
};

export const wallJump: FaultKind = {
  name: "wall-jump",
  inject: async (sim, random) => {
    sim.machine.quartz.wallSkewMillis += random.between(-3_600_000, 3_600_000);
    happened(sim, "wall-jump");
    await kill.inject(sim, random);
  },
};

function armCrash(sim: SimContext, operations: number, name = "crash"): void {
  let left = operations;
  sim.machine.fault = () => {
    if (--left > 0) return undefined;
    sim.machine.fault = undefined;
    happened(sim, name);
    return "crash";
  };
}

async function waitUntilOff(sim: SimContext, millis: number): Promise<void> {
  const until = sim.clock.now() + millis;
  while (sim.machine.on && sim.clock.now() < until) await sleep(sim, 10);
}

async function waitUntilOn(sim: SimContext): Promise<void> {
  while (!sim.machine.on && !sim.machine.gone) await sleep(sim, 10);
}
