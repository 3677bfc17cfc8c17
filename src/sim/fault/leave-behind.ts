// One member misses so much that the others' logs have let go of it: only a snapshot helps. Its clients stay with it meanwhile and watch, one
// of them without reading, and often the members change behind its back: what the snapshot brings must neither skip an event nor leave
// the old members in force. What else happens to it then is chance.
import { putRequest, SimClient } from "../client.ts";
import { type FaultKind, happened, leading, type SimContext, sleep } from "../context.ts";
import type { Machine } from "../machine.ts";
import type { SeededRandom } from "../random.ts";
import { WatchClient } from "../watch-client.ts";
import { Operator } from "../workload/membership-churn.ts";

/** Beyond what most logs keep for a member that is away. */
const PUTS_MIN = 30;
/** Longer for those puts, when nobody leads. */
const LEADERLESS_MILLIS = 3000;
const KEYS = 5;
const PATIENCE_MILLIS = 300;

export const leaveBehind: FaultKind = {
  name: "leave-behind",
  inject: async (sim, random) => {
    const { network, members } = sim;
    if (network === undefined) return;
    const one = random.pick(members);
    const rest = members.filter((machine) => machine !== one);
    watchAt(sim, one, false);
    watchAt(sim, one, true);
    await sleep(sim, 50);
    network.partition([[one.id], rest.map(({ id }) => id)]);
    happened(sim, "leave-behind");
    const end = sim.clock.now() + random.pick([1500, 3000, 5000]);
    if (random.once(2)) await changeMembers(sim, random, rest);
    await write(sim, rest, end);
    for (const machine of rest) {
      // A member that dies meanwhile ends no reclaim.
      if (machine.up) void machine.member.reclaimNow().catch(() => undefined);
    }
    await sleep(sim, random.pick([50, 500]));
    network.heal();
    await sleep(sim, random.below(200));
    const death = random.below(4);
    if (!one.on || death > 1) return;
    if (death === 0) one.kill();
    else one.powerLoss();
  },
};

function watchAt(sim: SimContext, machine: Machine, slow: boolean): void {
  const client = new WatchClient(
    sim,
    {
      key: "b/",
      end: "b0",
      startRevision: 0,
      prevKv: false,
      fragment: false,
      progressNotify: false,
      noPut: false,
      noDelete: false,
      weight: slow ? 100_000 : 1,
    },
    machine,
  );
  client.slow = slow;
  void client.run();
  if (!slow) return;
  void sleep(sim, 8000).then(() => {
    client.slow = false;
  });
}

async function write(sim: SimContext, rest: readonly Machine[], end: number): Promise<void> {
  const kv = new SimClient(sim, PATIENCE_MILLIS);
  for (let n = 0; (n < PUTS_MIN || sim.clock.now() < end) && sim.clock.now() < end + LEADERLESS_MILLIS; n++) {
    const leader = leading(sim);
    if (leader !== undefined && rest.includes(leader))
      await kv.put(putRequest(`b/${n % KEYS}`, `${sim.history.records.length}.${n}`), leader);
    await sleep(sim, 20);
  }
}

async function changeMembers(sim: SimContext, random: SeededRandom, rest: readonly Machine[]): Promise<void> {
  const operator = new Operator(sim, random, () => leading(sim) ?? rest[0]);
  // By chance, because two of these faults may overlap, and an address is a member's alone.
  const name = `b${random.below(1_000_000_000)}`;
  const added = await operator.add(name, `http://${name}.example:2380`, !random.once(4));
  if (added === undefined) return;
  happened(sim, "members changed unseen");
  if (random.once(2)) void operator.promote(added);
}
