// How this process collects its garbage. The program sets it first thing; an embedding program is left as it is.
import { setFlagsFromString } from "node:v8";

/**
 * Pauses of the collector share their work with helper threads and wait for them. What survives among us is copied in a millisecond, and a
 * helper that has to wait for a core (here, the client's load is on the other) makes 20 to 70 of it. Marking beside the
 * running program needs no one to wait, and stays.
 */
export const COLLECTOR_FLAGS = [
  "--no-parallel-scavenge",
  "--no-parallel-compaction",
  "--no-parallel-pointer-update",
] as const;

export function collectAlone(): void {
  for (const flag of COLLECTOR_FLAGS) setFlagsFromString(flag);
}
