// What a member is started with: plain values, already checked by the configuration. Units stand at the end of the names.

import type { InitialCluster } from "./membership/initial-cluster.ts";
import type { AutoCompaction } from "./upkeep/compactor.ts";

export type MemberOptions = {
  readonly name: string;
  readonly dataDirectory: string;
  /** Where the log goes (etcd's too, when its directory is imported); "" = inside the data directory. */
  readonly walDirectory: string;
  /** What a member without data begins with; absent: a new cluster of itself alone. With data it has no meaning. */
  readonly initialCluster?: InitialCluster | undefined;
  /** False: without data and without `initialCluster` opening fails (NoDataError), rather than beginning alone. */
  readonly mayBeginAlone?: boolean | undefined;
  /** Go on with the data that is there as a cluster of this member alone. Without data it has no meaning. */
  readonly forceNewCluster?: boolean | undefined;
  readonly clusterToken: string;
  readonly peerUrls: readonly string[];
  readonly clientUrls: readonly string[];
  readonly heartbeatMillis: number;
  readonly electionMillis: number;
  readonly preVote: boolean;
  /** Infinity = no quota. */
  readonly quotaBytes: number;
  readonly requestBytesMax: number;
  readonly txnOpsMax: number;
  readonly learnersMax: number;
  /** Refuse changes of members that would cost the quorum. */
  readonly strictReconfigCheck: boolean;
  /** Leases that live long keep their rest over a change of leader. */
  readonly leaseCheckpoint: boolean;
  /** A keepalive of a lease that is known does not wait for entries that are committed and not yet applied. */
  readonly fastLeaseKeepAlive: boolean;
  /** How often the leader looks whether a downgrade is complete; 0 = never. */
  readonly downgradeCheckMillis: number;
  /** How often the leader compares the members' key spaces; 0 = never. */
  readonly corruptCheckMillis: number;
  /** How often the leader compares the members' hashes of compactions; 0 = never. */
  readonly compactHashCheckMillis: number;
  /** What nobody has asked for or forbidden, done while all members are Cairn's: the same two, in the same unit. Absent: nothing. */
  readonly impliedCheckMillis?: { readonly corrupt: number; readonly compactHash: number } | undefined;
  readonly autoCompaction: AutoCompaction | undefined;
  readonly compactionBatchLimit: number;
  readonly watchProgressMillis: number;
  /** Entries behind the last checkpoint that make the next one due. */
  readonly checkpointEntries: number;
  /** Applied entries that stay in the log for members that catch up. */
  readonly catchUpEntries: number;
  readonly warningApplyMillis: number;
  /** The version that this member tells others, such as 3.7.1. */
  readonly serverVersion: string;
};

type EntryLimits = Pick<MemberOptions, "checkpointEntries" | "catchUpEntries">;

/** The options that the log takes as its limits. */
export function entryLimits({ checkpointEntries, catchUpEntries }: EntryLimits): EntryLimits {
  return { checkpointEntries, catchUpEntries };
}

/** etcd's ReqTimeout: five seconds and two election timeouts. */
export function requestTimeoutMillis(options: Pick<MemberOptions, "electionMillis">): number {
  return 5000 + 2 * options.electionMillis;
}

/** Leases live at least one and a half election timeouts, in whole seconds. */
export function leaseSecondsMin(options: MemberOptions): number {
  return Math.ceil((3 * options.electionMillis) / 2000);
}
