// What a node is started with, its defaults, and the check of it. The texts of the problems are etcd's.
import type { MemberId } from "../base/brand.ts";
import type { RaftLogger } from "./errors.ts";
import { isLocalTarget, NONE } from "./message.ts";
import { NO_LIMIT } from "./sizes.ts";
import type { Storage } from "./storage.ts";

/** How a linearizable read is made sure of: by asking a quorum, or by trusting that clocks do not drift (needs checkQuorum). */
export const ReadOnlyOption = { Safe: 0, LeaseBased: 1 } as const;
export type ReadOnlyOption = (typeof ReadOnlyOption)[keyof typeof ReadOnlyOption];

export type Config = {
  readonly id: MemberId;
  /** Ticks without a leader before an election; must exceed heartbeatTick (etcd: 10 to 1). */
  readonly electionTick: number;
  readonly heartbeatTick: number;
  /** Ticks between the election timeout and the election, drawn from [from, below); absent = [0, electionTick), etcd's. */
  readonly electionDelay?: { readonly from: number; readonly below: number };
  readonly storage: Storage;
  readonly logger: RaftLogger;
  /** An integer in [0, bound): spreads the election timeouts. */
  readonly random: (bound: number) => number;
  /** The last index already applied, when restarting. */
  readonly applied?: number;
  /** Storage work travels as MsgStorageAppend and MsgStorageApply in Ready.messages; advance() is not used. */
  readonly asyncStorageWrites?: boolean;
  /** Encoded bytes of entries per MsgApp; 0 = one entry each, Infinity = no limit. */
  readonly maxSizePerMsg: number;
  /** Encoded bytes of committed entries handed out and not acknowledged; 0 or absent = maxSizePerMsg. */
  readonly maxCommittedSizePerReady?: number;
  /** Payload bytes appended and not committed, beyond which proposals are dropped; 0 or absent = no limit. */
  readonly maxUncommittedEntriesSize?: number;
  /** MsgApp in flight per follower. */
  readonly maxInflightMsgs: number;
  /** Bytes in flight per follower; 0 or absent = no limit. */
  readonly maxInflightBytes?: number;
  /** The leader steps down when it has not heard from a quorum for an election timeout. */
  readonly checkQuorum?: boolean;
  /** Ask first whether an election could be won (thesis 9.6), so that a member back from a partition disturbs nobody. */
  readonly preVote?: boolean;
  readonly readOnlyOption?: ReadOnlyOption;
  /** Followers drop proposals instead of passing them to the leader. */
  readonly disableProposalForwarding?: boolean;
  /** Membership changes are appended unchecked; whoever sets this must order them itself. */
  readonly disableConfChangeValidation?: boolean;
  /** A leader that is removed or demoted steps down at once. */
  readonly stepDownOnRemoval?: boolean;
};

/** What is wrong with a configuration, or undefined. */
export function configProblem(config: Config): string | undefined {
  if (config.id === NONE) return "cannot use none as id";
  if (isLocalTarget(config.id)) return "cannot use local target as id";
  if (config.heartbeatTick <= 0) return "heartbeat tick must be greater than 0";
  if (config.electionTick <= config.heartbeatTick) {
    return "election tick must be greater than heartbeat tick";
  }
  if (config.maxInflightMsgs <= 0) return "max inflight messages must be greater than 0";
  if (orNoLimit(config.maxInflightBytes) < config.maxSizePerMsg) {
    return "max inflight bytes must be >= max message size";
  }
  if (config.readOnlyOption === ReadOnlyOption.LeaseBased && config.checkQuorum !== true) {
    return "CheckQuorum must be enabled when ReadOnlyOption is ReadOnlyLeaseBased";
  }
  return undefined;
}

/** Zero means "no limit" in etcd's configuration. */
export function orNoLimit(limit: number | undefined): number {
  return limit === undefined || limit === 0 ? NO_LIMIT : limit;
}
