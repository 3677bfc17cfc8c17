// One member under the microscope: a RawNode with a storage in memory, whose peers are played by the test. Every Ready is worked
// off at once, and what it held is kept for questions. Test support only.
import { assert } from "../../base/assert.ts";
import type { MemberId } from "../../base/brand.ts";
import { utf8FromBytes, utf8ToBytes } from "../../base/bytes.ts";
import { decodeConfChangeEntry } from "../conf-change-codec.ts";
import type { Config } from "../config.ts";
import { MemoryStorage } from "../memory-storage.ts";
import {
  type ConfState,
  type Entry,
  EntryType,
  type Message,
  MessageType,
  newEntry,
  newHardState,
  newMessage,
  newSnapshot,
} from "../message.ts";
import { StateType } from "../raft.ts";
import { RawNode } from "../raw-node.ts";
import type { Ready } from "../ready.ts";

export function id(n: number): MemberId {
  return BigInt(n) as MemberId;
}

export function ids(...numbers: readonly number[]): MemberId[] {
  return numbers.map(id);
}

export function confState(voters: readonly number[], learners: readonly number[] = []): ConfState {
  return {
    voters: ids(...voters),
    learners: ids(...learners),
    votersOutgoing: [],
    learnersNext: [],
    autoLeave: false,
  };
}

/** Entries from index 1 on, one per given term; the data is "index/term". */
export function logOf(...terms: readonly number[]): Entry[] {
  return terms.map((term, i) => newEntry(term, i + 1, EntryType.Normal, utf8ToBytes(`${i + 1}/${term}`)));
}

export type LoneOptions = Partial<Omit<Config, "id" | "storage" | "logger">> & {
  readonly voters: readonly number[];
  readonly learners?: readonly number[];
  readonly log?: readonly Entry[];
  readonly term?: number;
  readonly vote?: number;
  readonly commit?: number;
};

export class LoneNode {
  readonly storage = new MemoryStorage();
  readonly raw: RawNode;
  readonly lines: string[] = [];
  /** All that came out so far, in order. */
  readonly readies: Ready[] = [];
  readonly applied: Entry[] = [];

  constructor(own: number, options: LoneOptions) {
    const { voters, learners, log, term, vote, commit, ...config } = options;
    this.storage.applySnapshot(newSnapshot(0, 0, confState(voters, learners), new Uint8Array(0)));
    this.storage.append(log ?? []);
    const lastTerm = log?.at(-1)?.term ?? 0;
    this.storage.setHardState(newHardState(term ?? lastTerm, id(vote ?? 0), commit ?? 0));
    const line = (text: string): number => this.lines.push(text);
    this.raw = new RawNode({
      electionTick: 10,
      heartbeatTick: 1,
      maxSizePerMsg: Number.POSITIVE_INFINITY,
      maxInflightMsgs: 256,
      random: () => 0,
      ...config,
      id: id(own),
      storage: this.storage,
      logger: { debug: line, info: line, warn: line, error: line, debugEnabled: true },
    });
  }

  /** Works off everything and returns the messages that left. */
  pump(): Message[] {
    const sent: Message[] = [];
    while (this.raw.hasReady()) sent.push(...this.pumpOnce().messages);
    return sent;
  }

  pumpOnce(): Ready {
    const ready = this.raw.ready();
    this.readies.push(ready);
    if (ready.hardState !== undefined) this.storage.setHardState(ready.hardState);
    if (ready.snapshot !== undefined) this.storage.applySnapshot(ready.snapshot);
    this.storage.append(ready.entries);
    for (const entry of ready.committedEntries) {
      const change = decodeConfChangeEntry(entry.type, entry.data);
      if (change !== undefined) this.raw.applyConfChange(change);
      this.applied.push(entry);
    }
    this.raw.advance();
    return ready;
  }

  /** Hands in a message and works off what follows. */
  step(type: MessageType, from: number, fields: Partial<Message>): Message[] {
    this.raw.step({ ...newMessage(type, this.raw.id), from: id(from), ...fields });
    return this.pump();
  }

  ticks(count: number): Message[] {
    const sent: Message[] = [];
    for (let i = 0; i < count; i++) {
      this.raw.tick();
      sent.push(...this.pump());
    }
    return sent;
  }

  propose(text: string): Message[] {
    const refused = this.raw.propose(utf8ToBytes(text));
    assert(refused === undefined, `the proposal was taken: ${refused?.message}`);
    return this.pump();
  }

  get state(): StateType {
    return this.raw.state;
  }

  /** The stored log as "index/term" with the data behind it. */
  describeLog(): string[] {
    const first = this.storage.firstIndex();
    const end = (this.storage.lastIndex() + 1) as typeof first;
    const entries = this.storage.entries(first, end, Number.POSITIVE_INFINITY);
    assert(typeof entries !== "string", "the log can be read");
    return entries.map((entry) => `${entry.index}/${entry.term} ${utf8FromBytes(entry.data)}`);
  }

  describeTerms(): number[] {
    return this.describeLog().map((line) => Number(line.slice(line.indexOf("/") + 1, line.indexOf(" "))));
  }
}

/** Member 1, elected with the vote of 2, which has stored everything. */
export function newLeader(
  options: Omit<LoneOptions, "voters"> = {},
  voters: readonly number[] = [1, 2, 3],
): LoneNode {
  const node = new LoneNode(1, { ...options, voters });
  node.raw.campaign();
  node.pump();
  node.step(MessageType.MsgVoteResp, 2, { term: node.raw.term });
  assert(node.state === StateType.Leader, "two votes of two or three make a leader");
  node.step(MessageType.MsgAppResp, 2, { term: node.raw.term, index: node.storage.lastIndex() });
  return node;
}
