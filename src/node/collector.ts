// How this process collects its garbage. The program sets it first thing; an embedding program is left as it is.
import { setFlagsFromString } from "node:v8";

/**
 * Pauses of the collector share their work with helper threads and wait for them. What survives among us is copied in a millisecond, and a
 * helper that has to wait for a core (here, the client's load is on the other) makes 20 to 70 of it. Marking beside the
 * running program needs no one to wait, and stays.
 *
 * What lives in the heap proper is small and old (the index stands in typed arrays), yet the engine marks all of it again whenever some megabytes
 * of network buffers have come and gone beside it. It may let three times the heap come together first.
 */
export const COLLECTOR_FLAGS = [
  "--no-parallel-scavenge",
  "--no-parallel-compaction",
  "--no-parallel-pointer-update",
  "--heap-growing-percent=200",
] as const;

export function collectAlone(): void {
  for (const flag of COLLECTOR_FLAGS) setFlagsFromString(flag);
}
