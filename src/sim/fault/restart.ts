// A clean stop and start: HashKV of the same revision must be the same afterwards.
import { SimClient } from "../client.ts";
import { type FaultKind, happened, sleep } from "../context.ts";

export const restart: FaultKind = {
  name: "restart",
  inject: async (sim) => {
    if (!sim.machine.up) return;
    const client = new SimClient(sim);
    const revision = sim.observed;
    await client.hashKv(revision);
    if (!sim.machine.up) return;
    const stopped = await sim.machine.stop();
    if (stopped) happened(sim, "restart");
    while (!sim.machine.up && !sim.machine.gone) await sleep(sim, 10);
    await client.hashKv(revision);
  },
};
