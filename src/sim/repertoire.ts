// What simulated histories are made of: the workloads that keep a member or a cluster busy, and the faults that befall it.
import type { FaultKind, Workload } from "./context.ts";
import { bitFlip } from "./fault/bit-flip.ts";
import { diskFull, failedFlush, slowFlush } from "./fault/disk.ts";
import { lateKeepAlive } from "./fault/late-keep-alive.ts";
import { leaveBehind } from "./fault/leave-behind.ts";
import { killMany, onSomeMember, partition, pause, restartAll, splitVote, storm } from "./fault/network.ts";
import { crash, crashInRecovery, kill, wallJump } from "./fault/power.ts";
import { restart } from "./fault/restart.ts";
import { compactor } from "./workload/compactor.ts";
import { leaderHunt } from "./workload/leader-hunt.ts";
import { leaderMoves } from "./workload/leader-moves.ts";
import { leaseChurn } from "./workload/lease-churn.ts";
import { membershipChurn } from "./workload/membership-churn.ts";
import { registers } from "./workload/registers.ts";
import { txnAppend } from "./workload/txn-append.ts";
import { watchEverything } from "./workload/watch-everything.ts";

export const WORKLOADS: readonly Workload[] = [registers, txnAppend, leaseChurn, watchEverything, compactor];
export const FAULTS: readonly FaultKind[] = [
  crash,
  crashInRecovery,
  kill,
  wallJump,
  restart,
  diskFull,
  slowFlush,
  failedFlush,
  bitFlip,
];

/** What a cluster is busy with besides. */
export const CLUSTER_WORKLOADS: readonly Workload[] = [
  ...WORKLOADS,
  membershipChurn,
  leaderMoves,
  leaderHunt,
];

/** For a cluster, whose clients talk to any member: the same workloads hold all members to one history. */
export const CLUSTER_FAULTS: readonly FaultKind[] = [
  ...[crash, crashInRecovery, kill, wallJump, restart, diskFull, slowFlush, failedFlush].map(onSomeMember),
  killMany,
  restartAll,
  pause,
  partition,
  // Twice as likely: few other ways lead to a snapshot, or to a leader that hears clients before it knows how late it is.
  leaveBehind,
  leaveBehind,
  lateKeepAlive,
  lateKeepAlive,
  splitVote,
  storm,
];
