// How the leader brings its log and commit index to the others: MsgApp, MsgSnap, MsgHeartbeat, and counting what is committed.
// Called by the leader's handlers; it never changes a term or a role.
import type { MemberId } from "../base/brand.ts";
import { panic } from "./errors.ts";
import { type Entry, isEmptySnapshot, MessageType, NO_ENTRIES, newMessage } from "./message.ts";
import type { Raft } from "./raft.ts";
import { send } from "./send.ts";
import { payloadsSize } from "./sizes.ts";
import { type Progress, ProgressState } from "./tracker/progress.ts";
import { NO_TERM } from "./unstable.ts";

/** Sends what the member lacks, or an empty MsgApp that tells the commit index. Nothing when the member is paused. */
export function sendAppend(raft: Raft, to: Progress): void {
  maybeSendAppend(raft, to, true);
}

/** `sendIfEmpty`: whether a message without entries is worth sending. Returns whether one was sent. */
export function maybeSendAppend(raft: Raft, to: Progress, sendIfEmpty: boolean): boolean {
  if (to.paused) return false;
  const log = raft.log;
  const previous = to.next - 1;
  const previousTerm = log.term(previous);
  if (previousTerm === NO_TERM) return maybeSendSnapshot(raft, to);

  let entries: readonly Entry[] | "compacted" = NO_ENTRIES;
  // With a full window only an empty MsgApp goes out: should all messages of the window be lost, its answer sets things going.
  if (to.state !== ProgressState.Replicate || !to.inflights.full) {
    entries = log.entriesFrom(to.next, raft.messageBytesMax);
  }
  if (entries === "compacted") return sendIfEmpty && maybeSendSnapshot(raft, to);
  if (entries.length === 0 && !sendIfEmpty) return false;

  const message = newMessage(MessageType.MsgApp, to.id);
  message.index = previous;
  message.logTerm = previousTerm;
  message.entries = entries;
  message.commit = log.committed;
  send(raft, message);
  to.sentEntries(entries.length, payloadsSize(entries));
  to.sentCommit(log.committed);
  return true;
}

/** For a member so far behind that the log no longer holds what it lacks. Only to one that has been heard of lately. */
function maybeSendSnapshot(raft: Raft, to: Progress): boolean {
  const { log, logger, name } = raft;
  const target = to.id.toString(16);
  if (!to.recentActive) {
    logger.debug(`ignore sending snapshot to ${target} since it is not recently active`);
    return false;
  }
  const snapshot = log.snapshot();
  if (snapshot === "temporarilyUnavailable") {
    logger.debug(`${name} failed to send snapshot to ${target} because snapshot is temporarily unavailable`);
    return false;
  }
  if (isEmptySnapshot(snapshot)) panic(logger, "need non-empty snapshot");
  const { index, term } = snapshot.metadata;
  logger.debug(
    `${name} [firstindex: ${log.firstIndex()}, commit: ${log.committed}] sent snapshot[index: ${index}, term: ${term}] to ${target} [${to.describe()}]`,
  );
  to.becomeSnapshot(index);
  logger.debug(`${name} paused sending replication messages to ${target} [${to.describe()}]`);
  const message = newMessage(MessageType.MsgSnap, to.id);
  message.snapshot = snapshot;
  send(raft, message);
  return true;
}

export function broadcastAppend(raft: Raft): void {
  const members = raft.tracker.members;
  for (let i = 0; i < members.length; i++) {
    const member = members[i]!;
    if (member.id !== raft.id) maybeSendAppend(raft, member, true);
  }
}

/** Carries the newest waiting read along, so that a quorum's answers confirm it. */
export function broadcastHeartbeat(raft: Raft): void {
  const context = raft.readOnly.heartbeatContext();
  for (const member of raft.tracker.members) {
    if (member.id !== raft.id) sendHeartbeat(raft, member, context);
  }
}

function sendHeartbeat(raft: Raft, to: Progress, context: Uint8Array): void {
  // Never tell a commit index beyond what the member is known to share with us: its log may differ there.
  const commit = Math.min(to.match, raft.log.committed);
  const message = newMessage(MessageType.MsgHeartbeat, to.id);
  message.commit = commit;
  message.context = context;
  send(raft, message);
  to.sentCommit(commit);
}

/** Moves the commit index to what a quorum has stored. True when it moved: the others should be told. */
export function maybeCommit(raft: Raft): boolean {
  return raft.log.maybeCommit(raft.tracker.committed(), raft.term);
}

/** A leader whose first entry of its term is committed knows everything that was committed before it. */
export function committedEntryInCurrentTerm(raft: Raft): boolean {
  return raft.log.termOrZero(raft.log.committed) === raft.term;
}

export function sendTimeoutNow(raft: Raft, to: MemberId): void {
  send(raft, newMessage(MessageType.MsgTimeoutNow, to));
}
