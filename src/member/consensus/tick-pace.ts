// When raft's next tick is due. The engine asks after each tick; this holds no clock and no state.

/**
 * An even pace, as of Go's ticker: a tick that came late does not put off the next ones, or every election timeout on a busy machine would
 * last longer by the sum of its delays. What was missed altogether is not made up for.
 */
export function nextTickDue(due: number, now: number, heartbeatMillis: number): number {
  const next = due + heartbeatMillis;
  return next > now ? next : now + heartbeatMillis - ((now - next) % heartbeatMillis);
}
