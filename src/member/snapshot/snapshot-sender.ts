// Snapshots on their way out: a MsgSnap of raft becomes one of the state as applied now, with that state as an etcd database file, made
// while it is sent. A few at a time, so that memory stays bounded, and at a pace that leaves most of the time to the log.
import type { Index, MemberId, Millis } from "../../base/brand.ts";
import { utf8ToBytes } from "../../base/bytes.ts";
import { goDuration } from "../../base/go-duration.ts";
import { humanBytes } from "../../base/human-bytes.ts";
import { hexId } from "../../cluster/ids.ts";
import { encodeV2Store } from "../../etcdfile/v2-store.ts";
import type { Clock } from "../../ports/clock.ts";
import { type Message, newSnapshot, type Snapshot } from "../../raft/message.ts";
import type { Member } from "../member.ts";
import type { SnapshotBody } from "../network/transport.ts";
import { type Backup, openBackup } from "./backup.ts";

/** Bodies under way, and messages that wait for one of them to end (etcd's maxInFlightMsgSnap); more are reported as failed. */
const UNDER_WAY_MAX = 2;
const WAITING_MAX = 16;
const CHUNK_BYTES = 256 << 10;
/** Rows planned in one bite. */
const ROWS_PER_BITE = 512;
const SLICE_MILLIS_MAX = 2;
/** As long as etcd, the log keeps what the receiver needs next, counted from the body's end. */
const KEEP_MILLIS = 30_000;

/** What raft is told of the state as applied now: as etcd 3.6 and 3.7 fill a snapshot, whose data 3.6 panics without. */
export function currentSnapshot(member: Member): Snapshot | "temporarilyUnavailable" {
  const { raft, log, membership } = member;
  const index = raft.appliedIndex as Index;
  const term = log.raft.term(index);
  if (index === 0 || typeof term !== "number") return "temporarilyUnavailable";
  const data = encodeV2Store(membership.members(), membership.removed, membership.version);
  return newSnapshot(index, term, raft.confState, utf8ToBytes(data));
}

export class SnapshotSender {
  readonly #member: Member;
  readonly #raft: { reportSnapshot(id: MemberId, failed: boolean): void };
  /** The newest message for each receiver that waits. */
  readonly #waiting = new Map<MemberId, Message>();
  #underWay = 0;

  constructor(member: Member, raft: { reportSnapshot(id: MemberId, failed: boolean): void }) {
    this.#member = member;
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
      this.#begin(message);
    }
  }

  #begin(message: Message): void {
    const member = this.#member;
    const snapshot = currentSnapshot(member);
    if (member.stopped || snapshot === "temporarilyUnavailable") {
      this.#failed(message.to);
      return;
    }
    this.#underWay++;
    const release = member.log.keepEntriesBehind(snapshot.metadata.index);
    const body = new PeerBody(member, message.to, (complete) => {
      this.#underWay--;
      if (complete) member.clock.after(KEEP_MILLIS as Millis, release);
      else release();
      this.#next();
    });
    body.plan().then(
      (planned) => {
        if (planned) member.network.transport.sendSnapshot({ ...message, snapshot }, body);
        else this.#giveUp(message.to, body);
      },
      (error: unknown) => {
        member.logger.error("failed to make a snapshot for another member", { error: String(error) });
        this.#giveUp(message.to, body);
      },
    );
  }

  #giveUp(to: MemberId, body: SnapshotBody): void {
    body.close();
    this.#failed(to);
  }

  /** Not within the call: raft may be in the middle of a Ready. */
  #failed(to: MemberId): void {
    this.#member.clock.endOfTurn(() => this.#raft.reportSnapshot(to, true));
  }
}

class PeerBody implements SnapshotBody {
  readonly #member: Member;
  readonly #backup: Backup;
  readonly #onEnd: (complete: boolean) => void;
  readonly #fields: Record<string, unknown>;
  readonly #started: number;
  /** The term in which this was asked for: another leader's business is another leader's. */
  readonly #term: number;
  #closed = false;
  #complete = false;

  /** The state is the one of now. */
  constructor(member: Member, to: MemberId, onEnd: (complete: boolean) => void) {
    this.#member = member;
    this.#onEnd = onEnd;
    this.#fields = { from: hexId(member.localId), to: hexId(to) };
    this.#started = member.clock.now();
    this.#term = member.raft.term;
    this.#backup = openBackup(member, CHUNK_BYTES);
  }

  get bytesTotal(): number {
    return this.#backup.writer.fileBytes;
  }

  /** False when it is not wanted any more before it has begun. */
  async plan(): Promise<boolean> {
    const { clock, raft, logger } = this.#member;
    const { writer } = this.#backup;
    for (let began = clock.now(); !writer.plan(ROWS_PER_BITE); ) {
      if (clock.now() - began < SLICE_MILLIS_MAX) continue;
      await breathe(this.#member, clock.now() - began);
      if (this.#member.stopped || raft.term !== this.#term) return false;
      began = clock.now();
    }
    const size = humanBytes(this.bytesTotal);
    logger.info("sending merged snapshot", { ...this.#fields, bytes: this.bytesTotal, size });
    return true;
  }

  async *chunks(): AsyncGenerator<Uint8Array> {
    const { clock } = this.#member;
    const { writer } = this.#backup;
    let chunk = new Uint8Array(CHUNK_BYTES);
    for (;;) {
      const began = clock.now();
      if (this.#closed) throw new Error("the snapshot's body was closed");
      const room = writer.chunkRoom();
      if (room === 0) break;
      if (room > chunk.length) chunk = new Uint8Array(room);
      yield chunk.subarray(0, writer.fill(chunk));
      await breathe(this.#member, clock.now() - began);
    }
    this.#complete = true;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#backup.release();
    const { clock, logger } = this.#member;
    const took = goDuration(clock.now() - this.#started);
    const fields = { ...this.#fields, complete: this.#complete, took };
    logger.info("sent merged snapshot", fields);
    this.#onEnd(this.#complete);
  }
}

/** Lets other work go first; while there are writes, they get as much time as this took. */
async function breathe({ clock, pendingProposals }: Member, tookMillis: number): Promise<void> {
  if (pendingProposals === 0) await clock.yield();
  else await pause(clock, Math.max(1, tookMillis));
}

function pause(clock: Clock, delayMillis: number): Promise<void> {
  return new Promise((resolve) => clock.after(delayMillis as Millis, resolve));
}
