// Clients where stale reads would be: at a leader just elected, which may not yet know what is committed, and at an old one that does not yet
// know of the new, right after the new one has taken a write.
import { putRequest, rangeRequest, SimClient } from "../client.ts";
import { sleep, type Workload } from "../context.ts";

const LOOK_MILLIS = 5;
/** Puts through one new leader while an old one believes in itself. */
const PUTS_MAX = 5;

export const leaderHunt: Workload = {
  name: "leader-hunt",
  run: async (sim) => {
    if (sim.network === undefined) return;
    const kv = new SimClient(sim);
    let newest = 0;
    let puts = 0;
    for (let n = 1; sim.running; n++) {
      await sleep(sim, LOOK_MILLIS);
      const leaders = sim.members.filter(({ up, leadsTerm }) => up && leadsTerm > 0);
      leaders.sort((a, b) => b.leadsTerm - a.leadsTerm);
      const [present, former] = leaders;
      if (present === undefined) continue;
      if (present.leadsTerm > newest) {
        newest = present.leadsTerm;
        puts = 0;
        void kv.range(rangeRequest("h/"), present);
      }
      if (former === undefined || puts++ >= PUTS_MAX) continue;
      const written = await kv.put(putRequest("h/", `${n}`), present);
      if (written.kind === "ok" && former.up) void kv.range(rangeRequest("h/"), former);
    }
  },
};
