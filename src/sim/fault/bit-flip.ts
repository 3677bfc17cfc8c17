// One wrong bit in a file of a stopped member: a copy of the directory is damaged and started. It must be refused, or fail while it is
// read, or say exactly what the undamaged one says. The original goes on as if nothing had been.
import { type Audit, audit } from "../audit.ts";
import { type FaultKind, happened, type SimContext, sleep } from "../context.ts";
import { showChanges } from "../history.ts";
import { DATA_DIRECTORY, type Machine } from "../machine.ts";
import type { SeededRandom } from "../random.ts";

const DIRECTORY = `${DATA_DIRECTORY}/member/cairn`;
const FLIPS = 4;
/** Errors by which a member says that a file is not what it must be. */
const TOLD = new Set(["LogOpenError", "CorruptionError"]);

export const bitFlip: FaultKind = {
  name: "bit-flip",
  inject: async (sim, random) => {
    if (!sim.machine.up) return;
    sim.held.add(sim.machine);
    if (random.once(2)) sim.machine.powerLoss();
    else await sim.machine.stop();
    if (!sim.machine.on) await flipSome(sim, random);
    sim.held.delete(sim.machine);
    while (!sim.machine.up) await sleep(sim, 10);
  },
};

async function flipSome(sim: SimContext, random: SeededRandom): Promise<void> {
  sim.machine.disk.restart();
  const names = (await sim.machine.disk.list(DIRECTORY)).filter((name) => sizeOf(sim, name) > 0);
  const whole = await read(sim, await copy(sim, names));
  if (typeof whole === "string") {
    sim.history.violation(`an undamaged copy of the directory is refused: ${whole}`);
    return;
  }
  for (let n = 0; n < FLIPS; n++) {
    const name = random.pick(names);
    const offset = random.below(random.once(3) ? Math.min(512, sizeOf(sim, name)) : sizeOf(sim, name));
    const damaged = await copy(sim, names);
    damaged.disk.flipBit(`${DIRECTORY}/${name}`, offset, random.below(8));
    const found = await read(sim, damaged);
    happened(sim, typeof found === "string" ? "bit-flip (told)" : "bit-flip (harmless)");
    if (typeof found === "string") continue;
    const difference = compare(whole, found);
    if (difference !== undefined)
      sim.history.violation(
        `a flipped bit in ${name} at ${offset} of ${sizeOf(sim, name)} was not told: ${difference}`,
      );
  }
}

function sizeOf(sim: SimContext, name: string): number {
  return sim.machine.disk.sizeOf(`${DIRECTORY}/${name}`);
}

async function copy(sim: SimContext, names: readonly string[]): Promise<Machine> {
  const machine = sim.newMachine();
  for (const name of names) {
    const path = `${DIRECTORY}/${name}`;
    machine.disk.place(path, sim.machine.disk.bytesOf(path));
  }
  return machine;
}

/** What a member on this directory says, or how it refused to say it. */
async function read(sim: SimContext, machine: Machine): Promise<Audit | string> {
  try {
    if (!(await machine.start())) return `it died: ${machine.fatal?.message}`;
    const found = await audit(machine);
    if (machine.on) machine.kill();
    return found ?? `it does not deliver: ${machine.fatal?.message}`;
  } catch (error) {
    if (machine.on) machine.kill();
    if (!(error instanceof Error)) throw error;
    if (!TOLD.has(error.name))
      sim.history.violation(`a damaged directory made the member throw ${error.stack}`);
    return error.message;
  }
}

function compare(whole: Audit, found: Audit): string | undefined {
  if (found.revision !== whole.revision) return `revision ${found.revision} instead of ${whole.revision}`;
  if (found.compacted !== whole.compacted)
    return `compacted ${found.compacted} instead of ${whole.compacted}`;
  if (found.rows.join() !== whole.rows.join())
    return `keys ${found.rows.join(" ")} instead of ${whole.rows.join(" ")}`;
  for (const [revision, changes] of whole.changes) {
    const other = showChanges(found.changes.get(revision) ?? []);
    if (other !== showChanges(changes))
      return `${other} at revision ${revision} instead of ${showChanges(changes)}`;
  }
  return undefined;
}
