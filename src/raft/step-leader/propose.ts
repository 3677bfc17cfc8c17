// MsgProp on the leader: checks membership changes, appends, and sends to everybody. The hot path of every write; a proposal
// that cannot be taken is dropped with an answer, never queued.

import { EMPTY } from "../../base/bytes.ts";
import { appendData, appendEntries } from "../append-entry.ts";
import { type ConfChange, type ConfChangeV2, confChangeAsV2 } from "../conf-change.ts";
import { decodeConfChangeEntry } from "../conf-change-codec.ts";
import { describeConfChange } from "../describe.ts";
import { PROPOSAL_DROPPED, type RaftError } from "../errors.ts";
import { type Entry, EntryType, type Message, NONE, newEntry } from "../message.ts";
import { isJoint } from "../quorum/joint.ts";
import type { Raft } from "../raft.ts";
import { broadcastAppend } from "../replication.ts";
import { describeConfig } from "../tracker/tracker.ts";

/** One normal entry, without a message around it. */
export function proposeData(raft: Raft, data: Uint8Array): RaftError | undefined {
  if (!acceptsProposals(raft)) return PROPOSAL_DROPPED;
  if (!appendData(raft, data)) return PROPOSAL_DROPPED;
  broadcastAppend(raft);
  return undefined;
}

export function handlePropose(raft: Raft, message: Message): RaftError | undefined {
  if (message.entries.length === 0) {
    raft.logger.error(`${raft.name} stepped empty MsgProp`);
    return PROPOSAL_DROPPED;
  }
  if (!acceptsProposals(raft)) return PROPOSAL_DROPPED;
  const entries = checkConfChanges(raft, message.entries);
  if (entries === undefined || !appendEntries(raft, entries)) return PROPOSAL_DROPPED;
  broadcastAppend(raft);
  return undefined;
}

/** A leader that was removed, or is handing over, takes nothing new. */
function acceptsProposals(raft: Raft): boolean {
  if (!raft.tracker.progress.has(raft.id)) return false;
  if (raft.leadTransferee === NONE) return true;
  raft.logger.debug(
    `${raft.name} [term ${raft.term}] transfer leadership to ${raft.leadTransferee.toString(16)} is in progress; dropping proposal`,
  );
  return false;
}

/**
 * The entries to append: a membership change that may not follow the present configuration is replaced by an empty entry, so that its
 * proposer sees it fail. Undefined when a change cannot even be read.
 */
function checkConfChanges(raft: Raft, proposed: readonly Entry[]): readonly Entry[] | undefined {
  let replaced: Entry[] | undefined;
  for (let i = 0; i < proposed.length; i++) {
    const entry = proposed[i]!;
    if (entry.type === EntryType.Normal) continue;
    const change = decodeConfChangeEntry(entry.type, entry.data);
    if (change === undefined) {
      raft.logger.error(`${raft.name} dropping a conf change that cannot be decoded`);
      return undefined;
    }
    const problem = confChangeProblem(raft, change);
    if (problem !== undefined && !raft.disableConfChangeValidation) {
      raft.logger.info(
        `${raft.name} ignoring conf change ${describeConfChange(change)} at config ${describeConfig(raft.tracker.config)}: ${problem}`,
      );
      replaced ??= proposed.slice();
      replaced[i] = newEntry(0, 0, EntryType.Normal, EMPTY);
    } else {
      raft.pendingConfIndex = raft.log.lastIndex() + i + 1;
    }
  }
  return replaced ?? proposed;
}

/** One change at a time; inside a joint configuration only its end, outside of one never. */
function confChangeProblem(raft: Raft, change: ConfChange | ConfChangeV2): string | undefined {
  const { applied } = raft.log;
  if (raft.pendingConfIndex > applied) {
    return `possible unapplied conf change at index ${raft.pendingConfIndex} (applied to ${applied})`;
  }
  const joint = isJoint(raft.tracker.config.voters);
  const wantsLeaveJoint = confChangeAsV2(change).changes.length === 0;
  if (joint && !wantsLeaveJoint) return "must transition out of joint config first";
  if (!joint && wantsLeaveJoint) return "not in joint state; refusing empty conf change";
  return undefined;
}
