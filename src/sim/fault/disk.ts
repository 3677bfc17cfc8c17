// Disks that are full, slow, or fail a flush. A full one must make the member read-only and no more; a slow one nothing at all; after a
// failed flush the process must end, because nobody knows what was kept.
import { type FaultKind, happened, sleep } from "../context.ts";

export const diskFull: FaultKind = {
  name: "disk-full",
  inject: async (sim, random) => {
    const { disk } = sim.machine;
    disk.capacityBytes = disk.usedBytes + random.below(40_000);
    happened(sim, "disk-full");
    await sleep(sim, random.between(500, 6000));
    disk.capacityBytes = Number.POSITIVE_INFINITY;
    await sleep(sim, 3000);
  },
};

export const slowFlush: FaultKind = {
  name: "slow-flush",
  inject: async (sim, random) => {
    sim.machine.flushMillis = random.pick([2, 30, 400]);
    sim.machine.operationMillis = random.pick([0, 1, 20]);
    happened(sim, "slow-flush");
    await sleep(sim, random.between(500, 5000));
    sim.machine.flushMillis = random.pick([0, 0, 0.3, 1]);
    sim.machine.operationMillis = random.pick([0, 0.1]);
  },
};

export const failedFlush: FaultKind = {
  name: "failed-flush",
  inject: async (sim, random) => {
    if (!sim.machine.up) return;
    const code = random.pick(["EIO", "ENOSPC"]);
    let failed = false;
    const before = sim.machine.fatals;
    sim.machine.fault = (kind, path) => {
      // A start that cannot flush is refused, and tried again; here it is about a member that serves.
      if (sim.machine.memberIfAny === undefined) return undefined;
      if (kind !== "sync" || failed || !path.endsWith(".segment")) return undefined;
      failed = true;
      happened(sim, "failed-flush");
      return { code };
    };
    for (let waited = 0; waited < 200 && !failed && sim.machine.on; waited++) await sleep(sim, 10);
    sim.machine.fault = undefined;
    if (!failed) return;
    await sleep(sim, 50);
    if (sim.machine.fatals === before) sim.history.violation("a flush failed and the process went on");
  },
};
