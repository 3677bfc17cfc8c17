// The member's side of raft's snapshots: tells raft what one of the present state would be, sends them with their bodies, takes in those
// of a leader, and puts one in the place of the member's state when raft says so. Made beside the engine, which calls it (SnapshotDoor);
// the network calls receive(). What raft did not take is thrown away at once.

import type { Index, MemberId, Millis } from "../../base/brand.ts";
import { errorText } from "../../base/error-text.ts";
import { goDuration } from "../../base/go-duration.ts";
import { hexId } from "../../cluster/ids.ts";
import { isDiskErrorCode } from "../../log/errors.ts";
import type { Digest } from "../../ports/digest.ts";
import type { Disk } from "../../ports/disk.ts";
import type { Message, Snapshot } from "../../raft/message.ts";
import type { SnapshotDoor } from "../consensus/engine.ts";
import type { Member } from "../member.ts";
import { leaseSecondsMin } from "../options.ts";
import { replaceState, whenUnread } from "./replace-state.ts";
import { currentSnapshot, SnapshotSender } from "./snapshot-sender.ts";
import { logSourceOf, type StagedState, stageSnapshot, type Wanted } from "./snapshot-stage.ts";

/** Bodies being received, those that a newer one has overtaken included. */
const RECEIVING_MAX = 4;
/** After the device had no room for a snapshot that raft has taken already. */
const FULL_PAUSE_MILLIS = 10_000;

export type PeerSnapshotsOptions = {
  readonly member: Member;
  readonly disk: Disk;
  readonly digest: Digest;
  /** Where the log is. */
  readonly directory: string;
  readonly seed: () => number;
  /** The engine's: raft's answer to a message, the snapshot that raft has taken and not installed, and what became of one sent. */
  readonly raft: SnapshotRaft;
};

export type SnapshotRaft = {
  step(message: Message): "removed" | undefined;
  /** RawNode.pendingSnapshotIndex. */
  pendingSnapshotIndex(): number;
  reportSnapshot(id: MemberId, failed: boolean): void;
};

type Receiving = Wanted & { readonly index: Index; readonly term: number };

export class PeerSnapshots implements SnapshotDoor {
  readonly #options: PeerSnapshotsOptions;
  readonly #member: Member;
  readonly #sender: SnapshotSender;
  readonly #receiving = new Set<Receiving>();
  /** Taken by raft, or being stepped into it. */
  readonly #staged = new Map<Index, StagedState>();
  #installing = 0;

  constructor(options: PeerSnapshotsOptions) {
    this.#options = options;
    this.#member = options.member;
    this.#sender = new SnapshotSender(options.member, options.digest, options.raft);
  }

  current(): Snapshot | "temporarilyUnavailable" {
    return currentSnapshot(this.#member);
  }

  send(message: Message): void {
    this.#sender.send(message);
  }

  /** TransportReceiver.receiveSnapshot. */
  async receive(message: Message, body: AsyncIterable<Uint8Array>): Promise<void> {
    const metadata = message.snapshot?.metadata;
    if (metadata === undefined || metadata.index === 0) throw new Error("the message holds no snapshot");
    const { logger, clock } = this.#member;
    const started = clock.now();
    const receiving = this.#admit(metadata.index, message.term);
    const fields = {
      "remote-snapshot-sender-id": hexId(message.from),
      "incoming-snapshot-index": metadata.index,
    };
    logger.info("receiving database snapshot", fields);
    try {
      const staged = await stageSnapshot(metadata, body, receiving, this.#stageOptions());
      if (this.#member.stopped) await staged.rows.discard();
      else await this.#step(message, staged);
    } catch (error) {
      logger.warn("failed to save incoming database snapshot", { ...fields, error: errorText(error) });
      throw error;
    } finally {
      this.#receiving.delete(receiving);
    }
    const took = goDuration(clock.now() - started);
    logger.info("received and saved database snapshot", { ...fields, "download-took": took });
  }

  install(snapshot: Snapshot, done: () => void): void {
    const { index } = snapshot.metadata;
    const staged = this.#staged.get(index);
    if (staged === undefined) {
      this.#member.fatal(new Error(`raft took a snapshot of entry ${index} whose body was never received`));
      return;
    }
    this.#staged.delete(index);
    this.#installing = index;
    this.#member.counters.snapshotsApplying++;
    this.#install(staged, done).catch((error: unknown) => this.#member.fatal(error));
  }

  /** The newest counts: an older one that is still coming in gives up. */
  #admit(index: Index, term: number): Receiving {
    for (const other of this.#receiving) {
      const newer = term > other.term || (term === other.term && index > other.index);
      if (!newer && other.cancelled === undefined)
        throw new Error(`a snapshot of entry ${other.index} is being received`);
    }
    if (this.#receiving.size >= RECEIVING_MAX) throw new Error("too many snapshots are being received");
    for (const other of this.#receiving) other.cancelled = new Error("a newer snapshot is being received");
    const receiving: Receiving = { index, term, cancelled: undefined };
    this.#receiving.add(receiving);
    return receiving;
  }

  async #step(message: Message, staged: StagedState): Promise<void> {
    const { raft } = this.#options;
    const { index } = staged;
    const known = this.#staged.has(index) || this.#installing === index;
    if (!known) this.#staged.set(index, staged);
    const removed = raft.step(message);
    if (known) await staged.rows.discard();
    // Raft takes it at once or never. One that it had taken before and that this one has overtaken is not wanted any more either.
    const taken = raft.pendingSnapshotIndex();
    for (const [at, each] of [...this.#staged]) {
      if (at === taken) continue;
      this.#staged.delete(at);
      await each.rows.discard();
    }
    if (removed !== undefined) throw new Error("the sender is no member of the cluster");
  }

  async #install(staged: StagedState, done: () => void): Promise<void> {
    const { log, clock, logger, membership } = this.#member;
    const { index, term, rows } = staged;
    const fields = { "incoming-leader-snapshot-index": index, "incoming-leader-snapshot-term": term };
    const before = { "current-applied-index": this.#member.raft.appliedIndex };
    logger.info("applying snapshot", { ...before, ...fields });
    const old = this.#member.store;
    const unpin = log.pin();
    log.adoptRuns(rows.files);
    const installed = (): void => {
      replaceState(this.#member, staged);
      this.#installing = 0;
      this.#member.counters.snapshotsApplying--;
      done();
    };
    while (!(await this.#tryInstall(staged, installed))) {
      await new Promise<void>((resolve) => clock.after(FULL_PAUSE_MILLIS as Millis, resolve));
      if (this.#member.stopped) return;
    }
    whenUnread(old, clock, unpin);
    logger.info("applied snapshot", {
      ...fields,
      "local-member-id": hexId(membership.localId as MemberId),
      members: membership.members().length,
    });
  }

  /** False: the device is full. Raft waits, and this member keeps answering reads from its old state. */
  async #tryInstall(staged: StagedState, installed: () => void): Promise<boolean> {
    try {
      await this.#member.log.installSnapshot(staged, logSourceOf(staged), installed);
      return true;
    } catch (error) {
      if (!isDiskErrorCode(error, "ENOSPC")) throw error;
      this.#member.logger.warn("no room for a snapshot; it is tried again", { error: errorText(error) });
      return false;
    }
  }

  #stageOptions(): Parameters<typeof stageSnapshot>[3] {
    const { disk, digest, directory, seed } = this.#options;
    const { log, clock, logger, clusterId, localId, options } = this.#member;
    return {
      disk,
      digest,
      directory,
      seed: seed(),
      log,
      clock,
      logger,
      clusterId,
      localId,
      learnersMax: options.learnersMax,
      leaseSecondsMin: leaseSecondsMin(options),
      stopped: () => this.#member.stopped,
    };
  }
}
