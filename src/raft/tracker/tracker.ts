// The active configuration and what is known of everybody in it: progress (meaningful on the leader) and the votes of an
// election. Configurations are replaced whole, never changed in place, so that a refused change leaves no trace.
import type { MemberId } from "../../base/brand.ts";
import type { ConfState } from "../message.ts";
import {
  describeJoint,
  isJoint,
  type JointConfig,
  jointCommittedIndex,
  jointIds,
  jointVoteResult,
} from "../quorum/joint.ts";
import {
  compareIds,
  describeMajority,
  EMPTY_MAJORITY,
  type MajorityConfig,
  VoteResult,
} from "../quorum/majority.ts";
import type { Progress, ProgressMap } from "./progress.ts";

/** Invariant: nobody is a voter (of either half) and a learner at once; learnersNext are voters of the outgoing half. */
export type TrackerConfig = {
  readonly voters: JointConfig;
  readonly learners: MajorityConfig;
  readonly learnersNext: MajorityConfig;
  /** The leader ends the joint configuration by itself as soon as it may. */
  readonly autoLeave: boolean;
};

export const EMPTY_CONFIG: TrackerConfig = {
  voters: { incoming: EMPTY_MAJORITY, outgoing: EMPTY_MAJORITY },
  learners: EMPTY_MAJORITY,
  learnersNext: EMPTY_MAJORITY,
  autoLeave: false,
};

export function describeConfig(config: TrackerConfig): string {
  let text = `voters=${describeJoint(config.voters)}`;
  if (config.learners.length > 0) text += ` learners=${describeMajority(config.learners)}`;
  if (config.learnersNext.length > 0) text += ` learners_next=${describeMajority(config.learnersNext)}`;
  if (config.autoLeave) text += " autoleave";
  return text;
}

export type Tally = {
  readonly granted: number;
  readonly rejected: number;
  readonly result: VoteResult;
};

export class ProgressTracker {
  readonly inflightMessagesMax: number;
  readonly inflightBytesMax: number;
  config: TrackerConfig = EMPTY_CONFIG;
  progress: ProgressMap = new Map();
  /** The same progress in order of ids: messages go out in a stable order, and the loops need no lookup. */
  members: readonly Progress[] = [];
  #votes = new Map<MemberId, boolean>();

  constructor(inflightMessagesMax: number, inflightBytesMax: number) {
    this.inflightMessagesMax = inflightMessagesMax;
    this.inflightBytesMax = inflightBytesMax;
  }

  use(config: TrackerConfig, progress: ProgressMap): void {
    this.config = config;
    this.progress = progress;
    this.members = [...progress.values()].sort((a, b) => compareIds(a.id, b.id));
  }

  confState(): ConfState {
    return {
      voters: this.config.voters.incoming,
      learners: this.config.learners,
      votersOutgoing: this.config.voters.outgoing,
      learnersNext: this.config.learnersNext,
      autoLeave: this.config.autoLeave,
    };
  }

  /** One voter only: it decides alone. */
  get isSingleton(): boolean {
    return this.config.voters.incoming.length === 1 && !isJoint(this.config.voters);
  }

  ackedIndex(voter: MemberId): number | undefined {
    return this.progress.get(voter)?.match;
  }

  /** The largest index that enough voters have stored. */
  committed(): number {
    return jointCommittedIndex(this.config.voters, this);
  }

  quorumActive(): boolean {
    const votes = new Map<MemberId, boolean>();
    for (const member of this.members) {
      if (!member.isLearner) votes.set(member.id, member.recentActive);
    }
    return jointVoteResult(this.config.voters, votes) === VoteResult.Won;
  }

  voterIds(): MajorityConfig {
    return jointIds(this.config.voters);
  }

  resetVotes(): void {
    this.#votes = new Map();
  }

  /** The first vote of each member counts. */
  recordVote(id: MemberId, granted: boolean): void {
    if (!this.#votes.has(id)) this.#votes.set(id, granted);
  }

  hasVoted(id: MemberId): boolean {
    return this.#votes.has(id);
  }

  tallyVotes(): Tally {
    let granted = 0;
    let rejected = 0;
    for (const member of this.members) {
      if (member.isLearner) continue;
      const vote = this.#votes.get(member.id);
      if (vote === true) granted++;
      else if (vote === false) rejected++;
    }
    return { granted, rejected, result: jointVoteResult(this.config.voters, this.#votes) };
  }
}
