// One member of a simulated cluster: a RawNode, a disk that survives crashes, and a state machine that folds every entry into a
// hash. It can crash at any moment and come back from its disk. Test support only.
import { assert } from "../../base/assert.ts";
import type { MemberId } from "../../base/brand.ts";
import { utf8FromBytes, utf8ToBytes } from "../../base/bytes.ts";
import { decodeConfChangeEntry } from "../conf-change-codec.ts";
import type { Config } from "../config.ts";
import type { RaftLogger } from "../errors.ts";
import { MemoryStorage } from "../memory-storage.ts";
import {
  type ConfState,
  EMPTY_CONF_STATE,
  type Entry,
  EntryType,
  type HardState,
  isEmptyHardState,
  isEmptySnapshot,
  isLocalTarget,
  type Message,
  MessageType,
  newHardState,
  newSnapshot,
  type Snapshot,
  waitsForStorage,
} from "../message.ts";
import { StateType } from "../raft.ts";
import { RawNode } from "../raw-node.ts";
import type { Ready } from "../ready.ts";
import { type SafetyChecker, ShadowLog } from "./safety.ts";

export type SimOptions = Omit<Config, "id" | "storage" | "logger" | "random" | "applied">;

const silent: RaftLogger = { debug() {}, info() {}, warn() {}, error() {}, debugEnabled: false };

/** The disk, with the state machine's durable part beside the log. */
class SimDisk extends MemoryStorage {
  applied = 0;
  hash = "0";
  confState: ConfState = EMPTY_CONF_STATE;
  override initialState(): { readonly hardState: HardState | undefined; readonly confState: ConfState } {
    return { hardState: super.initialState().hardState, confState: this.confState };
  }
  override snapshot(): Snapshot {
    const term = this.term(this.applied as never);
    assert(typeof term === "number", "the applied index is in the log");
    return newSnapshot(this.applied, term, this.confState, utf8ToBytes(this.hash));
  }
}

export class SimMember {
  readonly id: MemberId;
  readonly #options: SimOptions;
  readonly #safety: SafetyChecker;
  readonly #random: (bound: number) => number;
  readonly #disk = new SimDisk();
  readonly #shadow = new ShadowLog();
  #raw: RawNode | undefined = undefined;
  /** A Ready whose write is under way; without asynchronous storage there is one at most. */
  #writing: Ready | undefined = undefined;
  #appendWork: Message[] = [];
  #applyWork: Message[] = [];
  /** Messages for others, to be collected by the network. */
  outbox: Message[] = [];
  /** Read states given out since the last look. */
  reads: { readonly context: string; readonly index: number }[] = [];

  constructor(id: MemberId, options: SimOptions, safety: SafetyChecker, random: (bound: number) => number) {
    this.id = id;
    this.#options = options;
    this.#safety = safety;
    this.#random = random;
  }

  /** The member begins with this membership, as if it had been restored from a snapshot at index 2. */
  found(confState: ConfState): void {
    this.#install(newSnapshot(2, 1, confState, utf8ToBytes("0")));
  }

  get running(): boolean {
    return this.#raw !== undefined;
  }

  get raw(): RawNode {
    assert(this.#raw !== undefined, "the member runs");
    return this.#raw;
  }

  get busy(): boolean {
    return this.#writing !== undefined || this.raw.hasReady();
  }

  get applied(): number {
    return this.#disk.applied;
  }

  start(): void {
    const disk = this.#disk;
    const { hardState } = disk.initialState();
    if (hardState !== undefined && hardState.commit < disk.applied) {
      // What was applied is committed, whether or not the disk was told so before the crash.
      disk.setHardState(newHardState(hardState.term, hardState.vote, disk.applied));
    }
    const first = disk.firstIndex();
    const stored = disk.entries(first, (disk.lastIndex() + 1) as never, Number.POSITIVE_INFINITY);
    assert(typeof stored !== "string", "the disk holds its log");
    this.#shadow.restart(first - 1, stored);
    this.#raw = new RawNode({
      ...this.#options,
      id: this.id,
      storage: disk,
      logger: silent,
      random: this.#random,
      applied: disk.applied,
    });
  }

  /** All that is not on disk is lost. */
  crash(): void {
    this.#raw = undefined;
    this.#writing = undefined;
    this.#appendWork = [];
    this.#applyWork = [];
    this.outbox = [];
  }

  /** Calls raft and looks at what became of it. */
  with(body: (raw: RawNode) => void): void {
    const raw = this.#raw;
    if (raw === undefined) return;
    body(raw);
    if (raw.state !== StateType.Leader) return;
    this.#safety.leads(this.id, raw.term, this.#shadow);
    this.#safety.commitsTo(raw.term, raw.committed, this.#shadow);
  }

  /** The next piece of work: a Ready, or the end of one whose write takes its time. `crashAfterWrite`: it ends before anybody is told. */
  work(crashAfterWrite: boolean): void {
    if (this.#writing !== undefined) {
      this.#finish(this.#writing, crashAfterWrite);
      return;
    }
    if (!this.raw.hasReady()) return;
    const ready = this.raw.ready();
    this.#note(ready);
    if (this.#options.asyncStorageWrites === true) {
      for (const message of ready.messages) this.#route(message);
      return;
    }
    this.outbox.push(...ready.messages.filter((message) => !waitsForStorage(message.type)));
    if (this.#random(2) === 0) this.#writing = ready;
    else this.#finish(ready, crashAfterWrite);
  }

  #note(ready: Ready): void {
    if (ready.snapshot !== undefined) this.#shadow.restart(ready.snapshot.metadata.index, []);
    this.#shadow.append(ready.entries);
    this.#safety.appends(ready.entries, this.#shadow);
    for (const read of ready.readStates) {
      this.reads.push({ context: utf8FromBytes(read.requestContext), index: read.index });
    }
  }

  #finish(ready: Ready, crashAfterWrite: boolean): void {
    this.#writing = undefined;
    this.#write(ready.hardState, ready.entries, ready.snapshot);
    if (crashAfterWrite) {
      this.crash();
      return;
    }
    this.outbox.push(...ready.messages.filter((message) => waitsForStorage(message.type)));
    this.with((raft) => this.#apply(raft, ready.committedEntries));
    this.with((raft) => raft.advance());
  }

  #route(message: Message): void {
    if (!isLocalTarget(message.to)) this.outbox.push(message);
    else if (message.type === MessageType.MsgStorageAppend) this.#appendWork.push(message);
    else this.#applyWork.push(message);
  }

  /** The disk does the oldest thing it was asked for. */
  workAppend(): void {
    const message = this.#appendWork.shift();
    if (message === undefined) return;
    this.#write(newHardState(message.term, message.vote, message.commit), message.entries, message.snapshot);
    this.#respond(message);
  }

  workApply(): void {
    const message = this.#applyWork.shift();
    if (message === undefined) return;
    this.with((raft) => this.#apply(raft, message.entries));
    this.#respond(message);
  }

  #respond(message: Message): void {
    for (const response of message.responses) {
      if (response.to === this.id) this.with((raft) => raft.step(response));
      else this.outbox.push(response);
    }
  }

  /** Drops the log up to a little before what is applied. */
  compact(keep: number): void {
    if (this.#appendWork.length === 0 && this.#writing === undefined)
      this.#disk.compact(this.#disk.applied - keep);
  }

  #write(hardState: HardState | undefined, entries: readonly Entry[], snapshot: Snapshot | undefined): void {
    if (snapshot !== undefined && !isEmptySnapshot(snapshot)) this.#install(snapshot);
    this.#disk.append(entries);
    if (hardState !== undefined && !isEmptyHardState(hardState)) this.#disk.setHardState(hardState);
  }

  #install(snapshot: Snapshot): void {
    const disk = this.#disk;
    disk.applySnapshot(snapshot);
    disk.applied = snapshot.metadata.index;
    disk.confState = snapshot.metadata.confState;
    disk.hash = utf8FromBytes(snapshot.data);
    if (this.running) this.#safety.applies(disk.applied, disk.hash);
  }

  #apply(raft: RawNode, entries: readonly Entry[]): void {
    const disk = this.#disk;
    for (const entry of entries) {
      // A snapshot may have overtaken what was handed out before it.
      if (entry.index <= disk.applied) continue;
      assert(entry.index === disk.applied + 1, "entries are applied without gap");
      if (entry.type !== EntryType.Normal) {
        const change = decodeConfChangeEntry(entry.type, entry.data);
        assert(change !== undefined, "a committed change can be decoded");
        disk.confState = raft.applyConfChange(change);
      }
      disk.hash = fold(disk.hash, entry);
      disk.applied = entry.index;
      this.#safety.applies(entry.index, disk.hash);
    }
  }
}

/** FNV-1a over the entry's text and the state before. */
function fold(hash: string, entry: Entry): string {
  let value = 0x811c9dc5;
  for (const character of `${hash} ${entry.index} ${entry.term} ${entry.data.join(",")}`) {
    value = Math.imul(value ^ character.charCodeAt(0), 0x01000193) >>> 0;
  }
  return value.toString(36);
}
