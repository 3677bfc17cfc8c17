// Snapshots on their way out: a MsgSnap of raft becomes one of the state as applied now, with that state made while it is sent: an etcd
// database file, or for a member of Cairn, which is asked first, a copy in our own form. A few at a time, so that memory stays bounded,
// and at a pace that leaves most of the time to the log.
import type { Index, MemberId, Millis } from "../../base/brand.ts";
import { utf8ToBytes } from "../../base/bytes.ts";
import { goDuration } from "../../base/go-duration.ts";
import { humanBytes } from "../../base/human-bytes.ts";
import { hexId } from "../../cluster/ids.ts";
import { encodeV2Store } from "../../etcdfile/v2-store.ts";
import type { Clock } from "../../ports/clock.ts";
import type { Digest } from "../../ports/digest.ts";
import { type Message, newSnapshot, type Snapshot } from "../../raft/message.ts";
import type { Member } from "../member.ts";
import type { SnapshotBody } from "../network/transport.ts";
import { type Backup, openBackup } from "./backup.ts";
import { COPY_FORMAT } from "./copy-format.ts";
import { CopyWriter } from "./copy-writer.ts";

/** Bodies under way, and messages that wait for one of them to end (etcd's maxInFlightMsgSnap); more are reported as failed. */
const UNDER_WAY_MAX = 2;
const WAITING_MAX = 16;
const CHUNK_BYTES = 256 << 10;
/** Rows planned in one bite. */
const ROWS_PER_BITE = 512;
const SLICE_MILLIS_MAX = 2;
/** As long as etcd, the log keeps what the receiver needs next, counted from the body's end. */
const KEEP_MILLIS = 30_000;
/** For the receiver to say which form it reads; one that does not say it gets a database. */
const ASK_MILLIS = 1000;

/** What raft is told of the state as applied now: as etcd 3.6 and 3.7 fill a snapshot, whose data 3.6 panics without. */
export function currentSnapshot(member: Member): Snapshot | "temporarilyUnavailable" {
  const { raft, log, membership } = member;
  const index = raft.appliedIndex as Index;
  const term = log.raft.term(index);
  if (index === 0 || typeof term !== "number") return "temporarilyUnavailable";
  const data = encodeV2Store(membership.members(), membership.removed, membership.version);
  return newSnapshot(index, term, raft.confState, utf8ToBytes(data));
}

type ReportSnapshot = { reportSnapshot(id: MemberId, failed: boolean): void };

export class SnapshotSender {
  readonly #member: Member;
  readonly #digest: Digest;
  readonly #raft: ReportSnapshot;
  /** The newest message for each receiver that waits. */
  readonly #waiting = new Map<MemberId, Message>();
  #underWay = 0;

  constructor(member: Member, digest: Digest, raft: ReportSnapshot) {
    this.#member = member;
    this.#digest = digest;
    this.#raft = raft;
  }

  send(message: Message): void {
    if (this.#waiting.size >= WAITING_MAX && !this.#waiting.has(message.to)) {
      this.#failed(message.to);
      return;
    }
    this.#waiting.set(message.to, message);
    this.#next();
  }

  #next(): void {
    for (const [to, message] of this.#waiting) {
      if (this.#underWay >= UNDER_WAY_MAX) return;
      this.#waiting.delete(to);
      this.#underWay++;
      void this.#begin(message);
    }
  }

  /** Never rejects. */
  async #begin(message: Message): Promise<void> {
    const member = this.#member;
    // Another leader's business is another leader's.
    const { term } = member.raft;
    const unwanted = (): boolean => member.stopped || member.raft.term !== term;
    let body: PeerBody | undefined;
    try {
      const takesCopies = await this.#takesCopies(message.to);
      const snapshot = unwanted() ? "temporarilyUnavailable" : currentSnapshot(member);
      if (snapshot !== "temporarilyUnavailable") {
        body = this.#open(message.to, takesCopies, snapshot.metadata.index);
        if (await body.plan(unwanted)) {
          member.network.transport.sendSnapshot({ ...message, snapshot }, body);
          return;
        }
      }
    } catch (error) {
      member.logger.error("failed to make a snapshot for another member", { error: String(error) });
    }
    if (body === undefined) this.#ended();
    else body.close();
    this.#failed(message.to);
  }

  async #takesCopies(to: MemberId): Promise<boolean> {
    const { membership, network } = this.#member;
    try {
      const urls = membership.member(to)?.peerUrls ?? [];
      const { cairn } = await network.peers.versions(urls, ASK_MILLIS);
      return cairn?.copyFormat === COPY_FORMAT;
    } catch {
      return false;
    }
  }

  /** The state is the one of now. */
  #open(to: MemberId, takesCopies: boolean, index: Index): PeerBody {
    const member = this.#member;
    const state = takesCopies
      ? new CopyWriter(member, this.#digest)
      : new DatabaseState(openBackup(member, CHUNK_BYTES));
    const release = member.log.keepEntriesBehind(index);
    return new PeerBody(member, to, state, (complete) => {
      if (complete) member.clock.after(KEEP_MILLIS as Millis, release);
      else release();
      this.#ended();
    });
  }

  #ended(): void {
    this.#underWay--;
    this.#next();
  }

  /** Not within the call: raft may be in the middle of a Ready. */
  #failed(to: MemberId): void {
    this.#member.clock.endOfTurn(() => this.#raft.reportSnapshot(to, true));
  }
}

/** A pinned state in one of the two forms: a DatabaseState or a CopyWriter. */
type State = {
  readonly form: string;
  /** Once it is planned; undefined when that is not known before all is sent. */
  readonly bytesTotal: number | undefined;
  /** A bite of the work ahead of the first chunk; true when it is done. */
  plan(): boolean;
  /** A view until the call after the next; undefined at the end. */
  next(): Uint8Array | undefined;
  release(): void;
};

class DatabaseState implements State {
  readonly form = "database";
  readonly #backup: Backup;
  #chunk = new Uint8Array(CHUNK_BYTES);
  #before = new Uint8Array(CHUNK_BYTES);

  constructor(backup: Backup) {
    this.#backup = backup;
  }

  get bytesTotal(): number {
    return this.#backup.writer.fileBytes;
  }

  plan(): boolean {
    return this.#backup.writer.plan(ROWS_PER_BITE);
  }

  next(): Uint8Array | undefined {
    const { writer } = this.#backup;
    const room = writer.chunkRoom();
    if (room === 0) return undefined;
    [this.#chunk, this.#before] = [this.#before, this.#chunk];
    if (room > this.#chunk.length) this.#chunk = new Uint8Array(room);
    return this.#chunk.subarray(0, writer.fill(this.#chunk));
  }

  release(): void {
    this.#backup.release();
  }
}

class PeerBody implements SnapshotBody {
  readonly #member: Member;
  readonly #state: State;
  readonly #onEnd: (complete: boolean) => void;
  readonly #fields: Record<string, unknown>;
  readonly #started: number;
  #sent = 0;
  #closed = false;
  #complete = false;

  constructor(member: Member, to: MemberId, state: State, onEnd: (complete: boolean) => void) {
    this.#member = member;
    this.#state = state;
    this.#onEnd = onEnd;
    this.#fields = { from: hexId(member.localId), to: hexId(to), form: state.form };
    this.#started = member.clock.now();
  }

  get bytesTotal(): number | undefined {
    return this.#state.bytesTotal;
  }

  /** False when it is not wanted any more before it has begun. */
  async plan(unwanted: () => boolean): Promise<boolean> {
    const { clock, logger } = this.#member;
    for (let began = clock.now(); !this.#state.plan(); ) {
      if (clock.now() - began < SLICE_MILLIS_MAX) continue;
      await breathe(this.#member, clock.now() - began);
      if (unwanted()) return false;
      began = clock.now();
    }
    logger.info("sending merged snapshot", { ...this.#fields, ...sizeOf(this.bytesTotal) });
    return true;
  }

  async *chunks(): AsyncGenerator<Uint8Array> {
    const { clock } = this.#member;
    for (;;) {
      const began = clock.now();
      if (this.#closed) throw new Error("the snapshot's body was closed");
      const chunk = this.#state.next();
      if (chunk === undefined) break;
      this.#sent += chunk.length;
      yield chunk;
      await breathe(this.#member, clock.now() - began);
    }
    this.#complete = true;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#state.release();
    const { clock, logger } = this.#member;
    const took = goDuration(clock.now() - this.#started);
    const fields = { ...this.#fields, ...sizeOf(this.#sent), complete: this.#complete, took };
    logger.info("sent merged snapshot", fields);
    this.#onEnd(this.#complete);
  }
}

function sizeOf(bytes: number | undefined): { bytes?: number; size?: string } {
  return bytes === undefined ? {} : { bytes, size: humanBytes(bytes) };
}

/** Lets other work go first; while there are writes, they get as much time as this took. */
async function breathe({ clock, pendingProposals }: Member, tookMillis: number): Promise<void> {
  if (pendingProposals === 0) await clock.yield();
  else await pause(clock, Math.max(1, tookMillis));
}

function pause(clock: Clock, delayMillis: number): Promise<void> {
  return new Promise((resolve) => clock.after(delayMillis as Millis, resolve));
}
