// The processes that a run has started: none of them outlives it, however it ends. Whoever spawns one says so here.
import type { ChildProcess } from "node:child_process";

const running = new Set<ChildProcess>();

export function endWithRun(child: ChildProcess): void {
  running.add(child);
  child.once("exit", () => running.delete(child));
}

/** Called when a case or the run is broken off. */
export function killAll(): void {
  for (const child of running) child.kill("SIGKILL");
}
