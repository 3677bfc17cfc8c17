// Compactions, reclaims and hashes while everybody else works. Compactions stay behind what the observer of all keys has seen, so that
// the history has no holes.
import { deleteRequest, putRequest, rangeRequest, SimClient } from "../client.ts";
import { sleep, type Workload } from "../context.ts";
import { uniqueValue } from "./value.ts";

const KEYS = 30;

export const compactor: Workload = {
  name: "compactor",
  run: async (sim, random) => {
    const kv = new SimClient(sim);
    const pace = random.pick([200, 1000, 4000]);
    for (let n = 1; sim.running; n++) {
      const key = `c/${random.below(KEYS)}`;
      await kv.put(putRequest(key, uniqueValue(random, `c.${n}`)));
      if (random.once(4)) await kv.delete(deleteRequest(key));
      if (random.once(3)) await kv.compact(Math.max(1, sim.observed - random.below(40)), random.once(2));
      if (random.once(4)) await kv.defragment();
      if (random.once(2)) await kv.hashKv(random.once(2) ? 0 : sim.observed);
      await kv.range(rangeRequest("c/", "c0", { revision: Math.max(1, sim.observed - random.below(60)) }));
      await sleep(sim, random.below(pace));
    }
  },
};
