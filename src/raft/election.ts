// Elections: starting a campaign, asking for votes, casting them and counting them (Raft, section 5.2; pre-vote: thesis 9.6).
// Called when an election timeout passes, when the leader hands over, and when vote requests or responses arrive.
import type { MemberId } from "../base/brand.ts";
import { equalBytes, utf8ToBytes } from "../base/bytes.ts";
import { describeMessageType } from "./describe.ts";
import { type Message, MessageType, NONE, newMessage } from "./message.ts";
import { type Raft, StateType } from "./raft.ts";
import { becomeCandidate, becomePreCandidate } from "./role.ts";
import { send } from "./send.ts";
import type { Tally } from "./tracker/tracker.ts";

export const CampaignType = { PreElection: 0, Election: 1, Transfer: 2 } as const;
export type CampaignType = (typeof CampaignType)[keyof typeof CampaignType];

/** Travels in the request's context: the leader wants this election, so its lease does not stand against it. */
const TRANSFER_CONTEXT = utf8ToBytes("CampaignTransfer");

export function isTransferRequest(message: Message): boolean {
  return equalBytes(message.context, TRANSFER_CONTEXT);
}

/** May this member become leader: a voter, and not about to be replaced by a snapshot. */
export function promotable(raft: Raft): boolean {
  const own = raft.tracker.progress.get(raft.id);
  return own !== undefined && !own.isLearner && raft.log.unstable.snapshot === undefined;
}

/** Starts a campaign, unless this member leads already, may not lead, or does not know its latest configuration yet. */
export function hup(raft: Raft, type: CampaignType): void {
  const { logger, name, term } = raft;
  if (raft.state === StateType.Leader) {
    logger.debug(`${name} ignoring MsgHup because already leader`);
    return;
  }
  if (!promotable(raft)) {
    logger.warn(`${name} is unpromotable and can not campaign`);
    return;
  }
  if (raft.log.hasUnappliedConfChange()) {
    logger.warn(
      `${name} cannot campaign at term ${term} since there are still pending configuration changes to apply`,
    );
    return;
  }
  logger.info(`${name} is starting a new election at term ${term}`);
  campaign(raft, type);
}

export function campaign(raft: Raft, type: CampaignType): void {
  if (!promotable(raft)) {
    // Callers have checked; a pre-candidate may have been demoted since.
    raft.logger.warn(`${raft.name} is unpromotable; campaign() should have been called`);
  }
  if (type === CampaignType.PreElection) {
    becomePreCandidate(raft);
    // Asked for the term to come; ours stays until the election proper.
    requestVotes(raft, MessageType.MsgPreVote, raft.term + 1, type);
  } else {
    becomeCandidate(raft);
    requestVotes(raft, MessageType.MsgVote, raft.term, type);
  }
}

function requestVotes(raft: Raft, request: MessageType, term: number, type: CampaignType): void {
  for (const id of raft.tracker.voterIds()) {
    if (id === raft.id) {
      // The own vote too counts only when it is on disk: it goes the way of a response.
      const own = newMessage(voteResponseType(request), id);
      own.term = term;
      send(raft, own);
      continue;
    }
    raft.logger.info(
      `${raft.name} ${raft.describeLastEntry()} sent ${describeMessageType(request)} request to ${id.toString(16)} at term ${raft.term}`,
    );
    const message = newMessage(request, id);
    message.term = term;
    message.index = raft.log.lastIndex();
    message.logTerm = raft.log.lastTerm();
    if (type === CampaignType.Transfer) message.context = TRANSFER_CONTEXT;
    send(raft, message);
  }
}

function voteResponseType(request: MessageType): MessageType {
  return request === MessageType.MsgVote ? MessageType.MsgVoteResp : MessageType.MsgPreVoteResp;
}

/** MsgVote and MsgPreVote. Learners vote too: one may have been made a voter without having heard of it yet. */
export function handleVoteRequest(raft: Raft, message: Message): void {
  // No candidate campaigns for term 0: a request without a term has no answer.
  if (message.term === 0) return;
  const canVote =
    raft.vote === message.from ||
    (raft.vote === NONE && raft.lead === NONE) ||
    (message.type === MessageType.MsgPreVote && message.term > raft.term);
  const response = newMessage(voteResponseType(message.type), message.from);
  if (canVote && raft.log.isUpToDate(message.index, message.logTerm)) {
    raft.logger.info(describeVoteDecision(raft, message, "cast", "for"));
    // The term of the request: a pre-candidate asks about a term that is not ours, and would ignore an answer of an older one.
    response.term = message.term;
    send(raft, response);
    if (message.type === MessageType.MsgVote) {
      raft.electionElapsed = 0;
      raft.vote = message.from;
    }
    return;
  }
  raft.logger.info(describeVoteDecision(raft, message, "rejected", "from"));
  response.term = raft.term;
  response.reject = true;
  send(raft, response);
}

/** "1 [logterm: 1, index: 4, vote: 0] cast MsgVote for 4 [logterm: 1, index: 4] at term 2". */
export function describeVoteDecision(
  raft: Raft,
  message: Message,
  verb: "cast" | "rejected" | "ignored",
  preposition: "for" | "from",
): string {
  return (
    `${raft.name} [logterm: ${raft.log.lastTerm()}, index: ${raft.log.lastIndex()}, vote: ${raft.vote.toString(16)}] ` +
    `${verb} ${describeMessageType(message.type)} ${preposition} ${message.from.toString(16)} ` +
    `[logterm: ${message.logTerm}, index: ${message.index}] at term ${raft.term}`
  );
}

/** Counts one vote and says how the election stands. */
export function poll(raft: Raft, from: MemberId, type: MessageType, granted: boolean): Tally {
  const what = granted ? "" : " rejection";
  raft.logger.info(
    `${raft.name} received ${describeMessageType(type)}${what} from ${from.toString(16)} at term ${raft.term}`,
  );
  raft.tracker.recordVote(from, granted);
  return raft.tracker.tallyVotes();
}
