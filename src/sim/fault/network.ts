// What happens between members, and to one that others only notice by its silence: partitions in both directions or one, storms of lost,
// late, doubled and reordered messages, a stopped process. A fault of the single machine is aimed at a member here, often at the leader.
import { putRequest, SimClient } from "../client.ts";
import { aimedAt, type FaultKind, happened, leading, type SimContext, sleep } from "../context.ts";
import type { Machine } from "../machine.ts";
import type { SeededRandom } from "../random.ts";

const PUTS_BEFORE_DARK_MAX = 12;

/** Every other time the leader: that is where it hurts. */
function victim(sim: SimContext, random: SeededRandom): Machine {
  return (random.once(2) ? leading(sim) : undefined) ?? random.pick(sim.members);
}

/** The same fault, on one member of the cluster. */
export function onSomeMember(fault: FaultKind): FaultKind {
  return {
    name: fault.name,
    inject: (sim, random) => fault.inject(aimedAt(sim, victim(sim, random)), random),
  };
}

/** Several members lose their power or their process at once: a majority, or all. */
export const killMany: FaultKind = {
  name: "kill-many",
  inject: async (sim, random) => {
    const { members } = sim;
    const first = random.below(members.length);
    const isSlow = random.once(2);
    const count = isSlow && !random.once(3) ? members.length : random.between(2, members.length);
    if (isSlow) await fillSlowDisks(sim, random);
    for (let n = 0; n < count; n++) {
      const machine = members[(first + n) % members.length]!;
      if (!machine.on) continue;
      if (isSlow || random.once(2)) machine.powerLoss();
      else machine.kill();
    }
    if (isSlow) for (const machine of members) machine.flushMillis = 0;
    happened(sim, isSlow ? "kill-many (flushing)" : "kill-many");
  },
};

/** Under slow flushes much is on its way to the disks when the power goes, above all when something has just been written. */
async function fillSlowDisks(sim: SimContext, random: SeededRandom): Promise<void> {
  for (const machine of sim.members) machine.flushMillis = random.pick([5, 20, 80]);
  await sleep(sim, random.between(100, 900));
  const kv = new SimClient(sim);
  const leader = leading(sim);
  for (let n = random.below(PUTS_BEFORE_DARK_MAX); n > 0; n--) {
    void kv.put(putRequest(`b/${n}`, `dark.${sim.history.records.length}`), leader);
    await sleep(sim, random.below(10));
  }
}

/** SIGSTOP for less or more than an election timeout; what it heard meanwhile it hears all at once. */
export const pause: FaultKind = {
  name: "pause",
  inject: async (sim, random) => {
    const machine = victim(sim, random);
    if (!machine.up) return;
    machine.pause();
    happened(sim, "pause");
    await sleep(sim, random.pick([100, 700, 1500, 4000]));
    machine.goOn();
  },
};

/** One member alone, or two halves, or one that hears and is not heard, or the other way round. */
export const partition: FaultKind = {
  name: "partition",
  inject: async (sim, random) => {
    const { network, members } = sim;
    if (network === undefined) return;
    const one = victim(sim, random);
    const rest = members.filter((machine) => machine !== one);
    switch (random.below(4)) {
      case 0: {
        const half = Math.floor(members.length / 2);
        network.partition([
          [one, ...rest.slice(0, half - 1)].map(({ id }) => id),
          rest.slice(half - 1).map(({ id }) => id),
        ]);
        happened(sim, "partition (halves)");
        break;
      }
      case 1:
        for (const { id } of rest) network.cut(one.id, id);
        happened(sim, "partition (unheard)");
        break;
      case 2:
        for (const { id } of rest) network.cut(id, one.id);
        happened(sim, "partition (deaf)");
        break;
      default:
        network.partition([[one.id], rest.map(({ id }) => id)]);
        happened(sim, "partition (one)");
    }
    await sleep(sim, random.pick([300, 1500, 4000, 8000]));
    network.heal();
  },
};

/** All members are stopped as they should be, at once, and start again as they like. */
export const restartAll: FaultKind = {
  name: "restart-all",
  inject: async (sim) => {
    const stops = sim.members.filter(({ up }) => up).map((machine) => machine.stop());
    await Promise.all(stops);
    happened(sim, "restart-all");
  },
};

/**
 * Two halves that hear one member and not each other. They are made to elect at once; when one has won by that member's vote, the member
 * dies and comes back on the other side: it must not have forgotten whom it voted for.
 */
export const splitVote: FaultKind = {
  name: "split-vote",
  inject: async (sim, random) => {
    const { network, members } = sim;
    if (network === undefined) return;
    const [voter, ...rest] = rotated(members, random.below(members.length)) as [Machine, ...Machine[]];
    const half = Math.floor(rest.length / 2);
    const sides = [rest.slice(0, half), rest.slice(half)].map((side) => side.map(({ id }) => id));
    network.partition(sides);
    sim.held.add(voter);
    if (voter.on) voter.kill();
    await sleep(sim, random.between(1000, 3000));
    const before = Math.max(...sim.machines.map(({ leadsTerm }) => leadsTerm));
    sim.held.delete(voter);
    const winner = await elected(sim, rest, before);
    if (winner !== undefined) {
      const ids = sides.find((side) => side.includes(winner.id))!;
      network.partition([ids, [voter.id]]);
      if (random.once(2)) voter.powerLoss();
      else voter.kill();
      happened(sim, "split-vote");
      await sleep(sim, random.between(1000, 4000));
    }
    network.heal();
  },
};

/** Who leads in a later term than `before`, if anybody comes to. */
async function elected(
  sim: SimContext,
  among: readonly Machine[],
  before: number,
): Promise<Machine | undefined> {
  const end = sim.clock.now() + 4000;
  while (sim.clock.now() < end) {
    const winner = among.find(({ leadsTerm }) => leadsTerm > before);
    if (winner !== undefined) return winner;
    await sleep(sim, 2);
  }
  return undefined;
}

function rotated<T>(list: readonly T[], by: number): readonly T[] {
  return [...list.slice(by), ...list.slice(0, by)];
}

export const storm: FaultKind = {
  name: "storm",
  inject: async (sim, random) => {
    const { network } = sim;
    if (network === undefined) return;
    Object.assign(network.weather, {
      delayMin: random.pick([0.2, 5, 50]),
      delayMax: random.pick([1, 60, 400]) + 50,
      lossOneIn: random.pick([0, 3, 10, 50]),
      doublingOneIn: random.pick([0, 5]),
      reorders: random.once(2),
    });
    happened(sim, "storm");
    await sleep(sim, random.between(500, 5000));
    network.heal();
  },
};
