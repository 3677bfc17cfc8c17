// Watchers of every kind that come and go, read slowly or not at all for a while, and ask for progress: what they saw goes to the
// watch checker.
import { type SimContext, sleep, type Workload } from "../context.ts";
import type { SeededRandom } from "../random.ts";
import { WatchClient, type WatchOptions } from "../watch-client.ts";

const WATCHERS = 5;

export const watchEverything: Workload = {
  name: "watch-everything",
  run: async (sim, random) => {
    await Promise.all(
      Array.from({ length: WATCHERS }, async () => {
        const dice = random.fork();
        while (sim.running) await watch(sim, dice);
      }),
    );
  },
};

async function watch(sim: SimContext, random: SeededRandom): Promise<void> {
  const client = new WatchClient(sim, options(sim, random));
  void client.run();
  for (let moods = random.between(2, 12); moods > 0 && sim.running; moods--) {
    client.slow = random.once(2);
    await sleep(sim, random.below(2500));
    if (random.once(3)) client.askProgress();
  }
  client.slow = false;
  // The last ones stay, so that something is owed to them to the very end.
  if (sim.running) client.close();
}

function options(sim: SimContext, random: SeededRandom): WatchOptions {
  const [key, end] = random.pick([
    ["\0", "\0"],
    ["r/", "r0"],
    ["r/1", ""],
    ["t/", "t/9"],
    ["l/", "m"],
    ["r/3", "t/2"],
  ] as const);
  return {
    key,
    end,
    startRevision: random.once(2) ? 0 : 1 + random.below(sim.observed + 3),
    prevKv: random.once(2),
    fragment: random.once(3),
    progressNotify: random.once(2),
    noPut: random.once(5),
    noDelete: random.once(5),
    weight: random.pick([1, 100, 2000]),
  };
}
