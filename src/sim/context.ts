// What workloads and faults are handed: the machine, the clock, the history, and how long to go on. One per simulation.
import type { Millis } from "../base/brand.ts";
import type { InitialCluster } from "../member/membership/initial-cluster.ts";
import type { SimClock } from "./clock.ts";
import type { History } from "./history.ts";
import type { Machine } from "./machine.ts";
import type { SimNetwork } from "./network.ts";
import type { SeededRandom } from "./random.ts";
import type { WatchRecord } from "./watch-client.ts";

/** What the lease workload knows of one lease, for the lease checker. */
export type LeaseRecord = {
  readonly id: bigint;
  /** Virtual milliseconds before which it must not end, as far as acknowledgements say. */
  notBefore: number;
  /** Somebody asked for its end. */
  revoked: boolean;
};

export type SimContext = {
  readonly clock: SimClock;
  /** Of a cluster: the one that a fault is aimed at. */
  readonly machine: Machine;
  /** All that are or were to be members; one that was removed is `gone`. */
  readonly machines: readonly Machine[];
  /** Those that are not gone. */
  readonly members: readonly Machine[];
  /** Absent when the member is alone. */
  readonly network: SimNetwork | undefined;
  /** A machine that serves now, one of several by chance; undefined = none does. */
  serving(): Machine | undefined;
  readonly history: History;
  readonly watches: WatchRecord[];
  readonly leases: Map<bigint, LeaseRecord>;
  /** How often each fault happened. */
  readonly faults: Map<string, number>;
  /** Machines that the supervisor leaves off. */
  readonly held: Set<Machine>;
  /** Another machine of the same make, with an empty disk. */
  newMachine(): Machine;
  /** One more machine on the network, for a member that the cluster was told of; it is started, and started again after each death. */
  join(name: string, peerUrl: string, initialCluster: InitialCluster): Machine;
  /** The fastest of the members' clocks, against the true time: a lease may end so much earlier. */
  readonly clockRateMax: number;
  /** How long a client waits for an answer before it goes on without: draws it for one client. */
  patience(): number;
  /** Calls of clients that are not answered yet, also of clients that have gone on. */
  callsWaiting: number;
  /** False when workloads and faults come to their end. */
  running: boolean;
  /** The newest revision that the observer of all keys has seen: compactions stay below it. */
  observed: number;
};

export type Workload = {
  readonly name: string;
  run(sim: SimContext, random: SeededRandom): Promise<void>;
};

export type FaultKind = {
  readonly name: string;
  /** Does it once; resolves when it is over. The machine may be off afterwards: the supervisor starts it again. */
  inject(sim: SimContext, random: SeededRandom): Promise<void>;
};

/** The same simulation with faults aimed at this machine. */
export function aimedAt(sim: SimContext, machine: Machine): SimContext {
  return Object.create(sim, { machine: { value: machine } }) as SimContext;
}

/** The machine whose member leads, as far as it knows. */
export function leading(sim: SimContext): Machine | undefined {
  let found: Machine | undefined;
  for (const machine of sim.machines) {
    if (!machine.up || !machine.member.raft.isLeader) continue;
    if (found === undefined || machine.member.raft.term > found.member.raft.term) found = machine;
  }
  return found;
}

export function sleep(sim: SimContext, millis: number): Promise<void> {
  return new Promise((resolve) => sim.clock.after(millis as Millis, resolve));
}

export function happened(sim: SimContext, fault: string): void {
  sim.faults.set(fault, (sim.faults.get(fault) ?? 0) + 1);
}
