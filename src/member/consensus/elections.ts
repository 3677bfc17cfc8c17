// When a member asks to be elected. etcd spreads that over a whole election timeout, so that no two ask at once; with pre-vote, where
// asking disturbs nobody, half of it is enough, and a cluster is without a leader for less time (decision 030).
import type { Config } from "../../raft/config.ts";

type Elections = Pick<Config, "electionTick" | "heartbeatTick" | "electionDelay" | "checkQuorum" | "preVote">;

/** A tick is a heartbeat's time. */
export function elections(electionTicks: number, preVote: boolean): Elections {
  const common = { electionTick: electionTicks, heartbeatTick: 1, checkQuorum: true, preVote };
  if (!preVote) return common;
  // Not at once: to members whose tick comes a little later the leader's time is not over yet, and who asks too early waits for another
  // election timeout.
  return { ...common, electionDelay: { from: 1, below: 1 + Math.max(1, Math.ceil(electionTicks / 2)) } };
}
