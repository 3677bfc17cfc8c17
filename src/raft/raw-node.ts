// The face of raft: what a member calls, on one thread. Everything goes in by calls (messages, ticks, proposals) and comes out as
// Ready; nothing is sent, written or waited for in here.

import type { MemberId } from "../base/brand.ts";
import { EMPTY } from "../base/bytes.ts";
import { bootstrap, type Peer } from "./bootstrap.ts";
import { type ConfChange, type ConfChangeV2, confChangeAsV2 } from "./conf-change.ts";
import { encodeConfChange } from "./conf-change-codec.ts";
import type { Config } from "./config.ts";
import { panic, type RaftError, STEP_LOCAL_MESSAGE, STEP_PEER_NOT_FOUND } from "./errors.ts";
import { applyConfChange } from "./membership.ts";
import {
  type ConfState,
  EMPTY_HARD_STATE,
  type Entry,
  EntryType,
  type HardState,
  isEmptyHardState,
  isEmptySnapshot,
  isLocalMessage,
  isLocalTarget,
  isResponseMessage,
  type Message,
  MessageType,
  NONE,
  newEntry,
  newMessage,
  type Snapshot,
} from "./message.ts";
import { type Raft, type SoftState, StateType } from "./raft.ts";
import { messagesAfterWrite, mustSync, NO_READ_STATES, type Ready } from "./ready.ts";
import { becomeFollower } from "./role.ts";
import { entriesSize } from "./sizes.ts";
import { startRaft } from "./start.ts";
import { type Status, statusOf } from "./status.ts";
import { step } from "./step.ts";
import { proposeData } from "./step-leader/propose.ts";
import {
  needsStorageAppendResponse,
  newStorageAppend,
  newStorageAppendResponse,
  newStorageApply,
  newStorageApplyResponse,
} from "./storage-messages.ts";
import { tick } from "./tick.ts";

export class RawNode {
  readonly #raft: Raft;
  readonly #asyncStorageWrites: boolean;
  #previousSoftState: SoftState;
  #previousHardState: HardState;
  /** Our own messages to step when the present Ready is done. */
  #stepsOnAdvance: Message[] = [];

  /** Fails (assertion) on a configuration that configProblem() objects to. */
  constructor(config: Config) {
    this.#raft = startRaft(config);
    this.#asyncStorageWrites = this.#raft.asyncStorageWrites;
    this.#previousSoftState = this.#raft.softState();
    this.#previousHardState = this.#raft.hardState();
  }

  /** Begins a new cluster on an empty storage. Says what is wrong, or undefined. */
  bootstrap(peers: readonly Peer[]): string | undefined {
    const problem = bootstrap(this.#raft, peers);
    // So that the first Ready carries the hard state, whatever it is.
    if (problem === undefined) this.#previousHardState = EMPTY_HARD_STATE;
    return problem;
  }

  /** One tick of the outer clock. */
  tick(): void {
    tick(this.#raft);
  }

  /** Campaigns now, without waiting for the election timeout. */
  campaign(): void {
    step(this.#raft, newMessage(MessageType.MsgHup, NONE));
  }

  /** The data is kept as it is: it must not be changed afterwards. */
  propose(data: Uint8Array): RaftError | undefined {
    if (this.#raft.state === StateType.Leader) return proposeData(this.#raft, data);
    return this.proposeAll([newEntry(0, 0, EntryType.Normal, data)]);
  }

  /** Undefined ends a joint configuration. */
  proposeConfChange(change: ConfChange | ConfChangeV2 | undefined): RaftError | undefined {
    const type = change?.version === 1 ? EntryType.ConfChange : EntryType.ConfChangeV2;
    const data = change === undefined ? EMPTY : encodeConfChange(change);
    return this.proposeAll([newEntry(0, 0, type, data)]);
  }

  /**
   * Several entries in one message, all or none: one MsgApp per follower and one acknowledgement for all of them. Their terms and
   * indexes are given by the leader.
   */
  proposeAll(entries: readonly Entry[]): RaftError | undefined {
    const message = newMessage(MessageType.MsgProp, NONE);
    message.from = this.#raft.id;
    message.entries = entries;
    return step(this.#raft, message);
  }

  /**
   * To be called when a membership change is applied, unless the application refuses it (then: with node ids of 0, or not at all).
   * The result goes into snapshots.
   */
  applyConfChange(change: ConfChange | ConfChangeV2): ConfState {
    return applyConfChange(this.#raft, confChangeAsV2(change));
  }

  /** A message from the network, or a response from the storage threads. It must not be changed afterwards. */
  step(message: Message): RaftError | undefined {
    const fromStorage = isLocalTarget(message.from);
    if (!fromStorage && isLocalMessage(message.type)) return STEP_LOCAL_MESSAGE;
    if (!fromStorage && isResponseMessage(message.type) && !this.#raft.tracker.progress.has(message.from)) {
      return STEP_PEER_NOT_FOUND;
    }
    return step(this.#raft, message);
  }

  hasReady(): boolean {
    const raft = this.#raft;
    const { log } = raft;
    return (
      log.unstable.hasNextEntries() ||
      raft.messages.length > 0 ||
      raft.messagesAfterAppend.length > 0 ||
      log.hasNextCommittedEntries(!this.#asyncStorageWrites) ||
      raft.readStates.length > 0 ||
      this.#softStateChanged() ||
      this.#hardStateChanged() ||
      log.unstable.nextSnapshot() !== undefined
    );
  }

  /** Takes out all that is to be done. Every Ready must be worked off and, without asynchronous storage, followed by advance(). */
  ready(): Ready {
    const raft = this.#raft;
    const { log } = raft;
    const applyUnstable = !this.#asyncStorageWrites;
    const entries = log.unstable.nextEntries();
    const committedEntries = log.nextCommittedEntries(applyUnstable);
    const snapshot = log.unstable.nextSnapshot();
    const hardState = this.#hardStateChanged() ? raft.hardState() : undefined;
    const softState = this.#softStateChanged() ? raft.softState() : undefined;
    const sync = mustSync(hardState ?? this.#previousHardState, this.#previousHardState, entries.length);
    const messages = this.#asyncStorageWrites
      ? this.#withStorageMessages(entries, committedEntries, hardState, snapshot)
      : this.#keepOwnResponses(committedEntries, snapshot);
    const readStates = raft.readStates.length > 0 ? raft.readStates : NO_READ_STATES;

    if (raft.readStates.length > 0) raft.readStates = [];
    if (softState !== undefined) this.#previousSoftState = softState;
    if (hardState !== undefined && !isEmptyHardState(hardState)) this.#previousHardState = hardState;
    raft.messages = [];
    raft.messagesAfterAppend = [];
    log.unstable.acceptInProgress();
    const last = committedEntries.at(-1);
    if (last !== undefined) log.acceptApplying(last.index, entriesSize(committedEntries), applyUnstable);
    return {
      softState,
      hardState,
      readStates,
      entries,
      snapshot,
      committedEntries,
      messages,
      mustSync: sync,
    };
  }

  #withStorageMessages(
    entries: readonly Entry[],
    committedEntries: readonly Entry[],
    hardState: HardState | undefined,
    snapshot: Snapshot | undefined,
  ): Message[] {
    const raft = this.#raft;
    const messages = raft.messages;
    if (
      entries.length > 0 ||
      !isEmptyHardState(hardState) ||
      !isEmptySnapshot(snapshot) ||
      raft.messagesAfterAppend.length > 0
    ) {
      messages.push(newStorageAppend(raft, entries, hardState, snapshot));
    }
    if (committedEntries.length > 0) messages.push(newStorageApply(raft, committedEntries));
    return messages;
  }

  #keepOwnResponses(committedEntries: readonly Entry[], snapshot: Snapshot | undefined): Message[] {
    const raft = this.#raft;
    const steps = this.#stepsOnAdvance;
    if (steps.length > 0) {
      panic(raft.logger, "two accepted Ready structs without call to Advance");
    }
    for (const message of raft.messagesAfterAppend) if (message.to === raft.id) steps.push(message);
    if (needsStorageAppendResponse(raft, snapshot)) steps.push(newStorageAppendResponse(raft, snapshot));
    if (committedEntries.length > 0) steps.push(newStorageApplyResponse(raft, committedEntries));
    return messagesAfterWrite(raft);
  }

  /** The last Ready was written, and its committed entries applied. Not with asynchronous storage. */
  advance(): void {
    if (this.#asyncStorageWrites) {
      panic(this.#raft.logger, "Advance must not be called when using AsyncStorageWrites");
    }
    const steps = this.#stepsOnAdvance;
    this.#stepsOnAdvance = [];
    for (const message of steps) step(this.#raft, message);
  }

  /** Asks for a read index; the answer comes as a read state with the same context, or never (ask again). */
  readIndex(context: Uint8Array): void {
    const message = newMessage(MessageType.MsgReadIndex, NONE);
    message.entries = [newEntry(0, 0, EntryType.Normal, context)];
    step(this.#raft, message);
  }

  transferLeader(to: MemberId): void {
    this.#stepFrom(MessageType.MsgTransferLeader, to, false);
  }

  /** A message to this member could not be sent. */
  reportUnreachable(id: MemberId): void {
    this.#stepFrom(MessageType.MsgUnreachable, id, false);
  }

  /** Every MsgSnap must be reported on. */
  reportSnapshot(id: MemberId, failed: boolean): void {
    this.#stepFrom(MessageType.MsgSnapStatus, id, failed);
  }

  #stepFrom(type: MessageType, from: MemberId, reject: boolean): void {
    const message = newMessage(type, NONE);
    message.from = from;
    message.reject = reject;
    step(this.#raft, message);
  }

  /** A follower acts from now on as if it had no leader: it votes for others at once. */
  forgetLeader(): RaftError | undefined {
    return step(this.#raft, newMessage(MessageType.MsgForgetLeader, NONE));
  }

  /** A leader that cannot do its work (its disk or its thread stands still) lets go: it stops sending heartbeats. */
  stepDown(): void {
    if (this.#raft.state === StateType.Leader) becomeFollower(this.#raft, this.#raft.term, NONE);
  }

  status(): Status {
    return statusOf(this.#raft);
  }

  get id(): MemberId {
    return this.#raft.id;
  }

  get lead(): MemberId {
    return this.#raft.lead;
  }

  /** Whom this leader is handing over to; NONE = nobody. It drops proposals meanwhile. */
  get leadTransferee(): MemberId {
    return this.#raft.leadTransferee;
  }

  get term(): number {
    return this.#raft.term;
  }

  get state(): StateType {
    return this.#raft.state;
  }

  get committed(): number {
    return this.#raft.log.committed;
  }

  get applied(): number {
    return this.#raft.log.applied;
  }

  /** The index of the snapshot that was taken from a MsgSnap and is not in the log yet; 0 = none. Right after step(): whether it was taken. */
  get pendingSnapshotIndex(): number {
    return this.#raft.log.unstable.snapshot?.metadata.index ?? 0;
  }

  /** For tests that need a certain order of timeouts; drawn anew at the next change of role. */
  setRandomizedElectionTimeout(ticks: number): void {
    this.#raft.randomizedElectionTimeout = ticks;
  }

  #softStateChanged(): boolean {
    const previous = this.#previousSoftState;
    return this.#raft.lead !== previous.lead || this.#raft.state !== previous.state;
  }

  #hardStateChanged(): boolean {
    const previous = this.#previousHardState;
    const raft = this.#raft;
    return (
      raft.term !== previous.term || raft.vote !== previous.vote || raft.log.committed !== previous.commit
    );
  }
}
