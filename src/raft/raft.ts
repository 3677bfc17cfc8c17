// The state of one node of the Raft algorithm, and nothing else: the rules are functions in the files beside it, one per message
// or concern. RawNode owns the one instance; nobody outside src/raft touches it.
import type { MemberId } from "../base/brand.ts";
import { type Config, orNoLimit, ReadOnlyOption } from "./config.ts";
import type { RaftLogger } from "./errors.ts";
import { type HardState, type Message, NONE, newHardState } from "./message.ts";
import { RaftLog } from "./raft-log.ts";
import { ReadOnly, type ReadState } from "./read-only.ts";
import { ProgressTracker } from "./tracker/tracker.ts";

export const StateType = { Follower: 0, Candidate: 1, Leader: 2, PreCandidate: 3 } as const;
export type StateType = (typeof StateType)[keyof typeof StateType];

const STATE_NAMES = ["StateFollower", "StateCandidate", "StateLeader", "StatePreCandidate"] as const;

export function describeState(state: StateType): string {
  return STATE_NAMES[state];
}

/** What need not survive a restart. */
export type SoftState = { readonly lead: MemberId; readonly state: StateType };

export class Raft {
  readonly id: MemberId;
  /** The id in hex, as log lines show it. */
  readonly name: string;
  readonly logger: RaftLogger;
  readonly random: (bound: number) => number;

  term = 0;
  vote: MemberId = NONE;
  state: StateType = StateType.Follower;
  lead: MemberId = NONE;
  isLearner = false;
  readonly log: RaftLog;
  readonly tracker: ProgressTracker;

  /** Messages to other members that may leave at once. */
  messages: Message[] = [];
  /** Votes and acknowledgements, to others or to ourselves: they may leave only when all unstable state so far is stable. */
  messagesAfterAppend: Message[] = [];
  readStates: ReadState[] = [];
  readOnly = new ReadOnly();
  /** Reads that came before this leader's first commit in its term; until then it cannot know the commit index. */
  pendingReadIndexMessages: Message[] = [];

  /** Ticks since the last word of the leader (follower), the last election timeout (leader) or the campaign (candidate). */
  electionElapsed = 0;
  heartbeatElapsed = 0;
  /** electionTimeout and a part of electionDelay, drawn anew at each change of state. */
  randomizedElectionTimeout = 0;

  /** Whom the leadership is being handed to (thesis 3.10). */
  leadTransferee: MemberId = NONE;
  /** A membership change may be proposed only when this index is applied: at most one is under way. */
  pendingConfIndex = 0;
  /** Payload bytes appended and not applied; an estimate that never runs high. */
  uncommittedSize = 0;

  readonly electionTimeout: number;
  readonly electionDelay: { readonly from: number; readonly below: number };
  readonly heartbeatTimeout: number;
  readonly messageBytesMax: number;
  readonly uncommittedBytesMax: number;
  readonly checkQuorum: boolean;
  readonly preVote: boolean;
  readonly readOnlyOption: ReadOnlyOption;
  readonly asyncStorageWrites: boolean;
  readonly disableProposalForwarding: boolean;
  readonly disableConfChangeValidation: boolean;
  readonly stepDownOnRemoval: boolean;

  constructor(config: Config) {
    this.id = config.id;
    this.name = config.id.toString(16);
    this.logger = config.logger;
    this.random = config.random;
    this.log = new RaftLog(
      config.storage,
      config.logger,
      config.maxCommittedSizePerReady === undefined || config.maxCommittedSizePerReady === 0
        ? config.maxSizePerMsg
        : config.maxCommittedSizePerReady,
    );
    this.tracker = new ProgressTracker(config.maxInflightMsgs, orNoLimit(config.maxInflightBytes));
    this.electionTimeout = config.electionTick;
    this.electionDelay = config.electionDelay ?? { from: 0, below: config.electionTick };
    this.heartbeatTimeout = config.heartbeatTick;
    this.messageBytesMax = config.maxSizePerMsg;
    this.uncommittedBytesMax = orNoLimit(config.maxUncommittedEntriesSize);
    this.checkQuorum = config.checkQuorum ?? false;
    this.preVote = config.preVote ?? false;
    this.readOnlyOption = config.readOnlyOption ?? ReadOnlyOption.Safe;
    this.asyncStorageWrites = config.asyncStorageWrites ?? false;
    this.disableProposalForwarding = config.disableProposalForwarding ?? false;
    this.disableConfChangeValidation = config.disableConfChangeValidation ?? false;
    this.stepDownOnRemoval = config.stepDownOnRemoval ?? false;
  }

  softState(): SoftState {
    return { lead: this.lead, state: this.state };
  }

  hardState(): HardState {
    return newHardState(this.term, this.vote, this.log.committed);
  }

  /** "[logterm: 1, index: 4]", as the election's log lines show the end of the log. */
  describeLastEntry(): string {
    return `[logterm: ${this.log.lastTerm()}, index: ${this.log.lastIndex()}]`;
  }
}
