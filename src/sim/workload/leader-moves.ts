// Leadership that is handed over, from whoever seems to lead to anybody, while everybody works.
import { decodeMoveLeaderResponse, encodeMoveLeaderRequest } from "../../wire/generated/etcdserverpb.ts";
import { SimClient } from "../client.ts";
import { happened, leading, sleep, type Workload } from "../context.ts";

export const leaderMoves: Workload = {
  name: "leader-moves",
  run: async (sim, random) => {
    if (sim.network === undefined || random.once(2)) return;
    const client = new SimClient(sim);
    const pace = random.pick([300, 2000]);
    while (sim.running) {
      await sleep(sim, random.below(pace));
      const leader = leading(sim);
      if (leader === undefined) continue;
      const request = encodeMoveLeaderRequest({ targetId: random.pick(sim.members).id });
      const moved = await client.call("Maintenance/MoveLeader", request, decodeMoveLeaderResponse, leader);
      if (moved.kind === "ok") happened(sim, "leader moved");
    }
  },
};
