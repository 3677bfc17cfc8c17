// Would the cluster still have a quorum of started members after a change? The strict reconfiguration check of the API asks; pure, and
// from what the membership says alone: who is connected is another question (src/member/network/connectivity.ts).
import type { MemberId } from "../base/brand.ts";
import type { ClusterMember } from "./membership.ts";

export type Readiness = { readonly ready: boolean; readonly started: number; readonly quorum: number };

export function quorumOf(voters: number): number {
  return Math.floor(voters / 2) + 1;
}

/** A second member beside a single one is always taken: that is how a restored cluster grows. */
export function readyToAdd(voters: readonly ClusterMember[]): Readiness {
  const started = countStarted(voters);
  const quorum = quorumOf(voters.length + 1);
  return { ready: (started === 1 && voters.length === 1) || started >= quorum, started, quorum };
}

export function readyToRemove(voters: readonly ClusterMember[], id: MemberId): Readiness {
  return compare(voters.filter((voter) => voter.id !== id));
}

/** The learner counts as a voter that is started. */
export function readyToPromote(voters: readonly ClusterMember[]): Readiness {
  const started = countStarted(voters) + 1;
  const quorum = quorumOf(voters.length + 1);
  return { ready: started >= quorum, started, quorum };
}

function compare(voters: readonly ClusterMember[]): Readiness {
  const started = countStarted(voters);
  const quorum = quorumOf(voters.length);
  return { ready: started >= quorum, started, quorum };
}

/** A member has no name until it has published itself. */
function countStarted(members: readonly ClusterMember[]): number {
  return members.filter(({ name }) => name !== "").length;
}
