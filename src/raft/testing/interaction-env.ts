// A cluster of RawNodes whose messages, disks and state machines are moved by hand, step by step: what the interaction traces
// command. The state machine appends every command's bytes to one text. Test support only.
import { assert } from "../../base/assert.ts";
import type { MemberId } from "../../base/brand.ts";
import { concatBytes } from "../../base/bytes.ts";
import { decodeConfChangeEntry } from "../conf-change-codec.ts";
import type { Config } from "../config.ts";
import { describeEntries, describeMessage } from "../describe.ts";
import { MemoryStorage } from "../memory-storage.ts";
import {
  type ConfState,
  EMPTY_SNAPSHOT,
  type Entry,
  EntryType,
  type HardState,
  isEmptyHardState,
  isEmptySnapshot,
  isLocalTarget,
  type Message,
  MessageType,
  newHardState,
  newMessage,
  newSnapshot,
  type Snapshot,
} from "../message.ts";
import { RawNode } from "../raw-node.ts";
import { describeReady } from "../ready.ts";
import { RedirectLogger } from "./redirect-logger.ts";

export type NodeOptions = Omit<Config, "id" | "storage" | "logger" | "random">;

/** A member: its raft, its disk, and what its storage threads have still to do. */
export type TestNode = {
  readonly id: MemberId;
  readonly raw: RawNode;
  readonly storage: MemoryStorage;
  readonly options: NodeOptions;
  appendWork: Message[];
  applyWork: Message[];
  /** The state machine after each applied entry, the newest last. */
  readonly history: Snapshot[];
};

export type Recipient = { readonly id: MemberId; readonly drop: boolean };

/** A leader asks for the newest state, not for the one that its storage began with. */
class HistoryStorage extends MemoryStorage {
  readonly #history: readonly Snapshot[];
  constructor(history: readonly Snapshot[]) {
    super();
    this.#history = history;
  }
  override snapshot(): Snapshot {
    return this.#history.at(-1)!;
  }
}

export class InteractionEnv {
  readonly output = new RedirectLogger();
  readonly nodes: TestNode[] = [];
  messages: Message[] = [];

  /** Undefined, or what is wrong. */
  addNodes(count: number, options: NodeOptions, start: Snapshot): string | undefined {
    const index = start.metadata.index;
    const isEmpty =
      index === 0 &&
      start.data.length === 0 &&
      start.metadata.confState.voters.length + start.metadata.confState.learners.length === 0;
    if (!isEmpty && index <= 1) return "index must be specified as > 1 due to bootstrap";
    for (let i = 0; i < count; i++) {
      const id = BigInt(this.nodes.length + 1) as MemberId;
      const snapshot = isEmpty ? EMPTY_SNAPSHOT : newSnapshot(index, 1, start.metadata.confState, start.data);
      const history = [snapshot];
      const storage = new HistoryStorage(history);
      if (!isEmpty) assert(storage.applySnapshot(snapshot), "a new storage takes a snapshot");
      const raw = new RawNode({ ...options, id, storage, logger: this.output, random: () => 0 });
      this.nodes.push({ id, raw, storage, options, appendWork: [], applyWork: [], history });
    }
    return undefined;
  }

  node(id: number): TestNode {
    const node = this.nodes[id - 1];
    assert(node !== undefined, `no node ${id}`);
    return node;
  }

  processReady(node: TestNode): void {
    const ready = node.raw.ready();
    const isAsync = node.options.asyncStorageWrites === true;
    this.output.write(describeReady(ready));
    if (!isAsync) {
      write(node, ready.hardState, ready.entries, ready.snapshot);
      apply(node, ready.committedEntries);
    }
    for (const message of ready.messages) {
      if (!isLocalTarget(message.to)) {
        this.messages.push(message);
        continue;
      }
      assert(isAsync, "unexpected local msg target");
      if (message.type === MessageType.MsgStorageAppend) node.appendWork.push(message);
      else node.applyWork.push(message);
    }
    if (!isAsync) node.raw.advance();
  }

  processAppendThread(node: TestNode): void {
    const message = node.appendWork.shift();
    if (message === undefined) {
      this.output.write("no append work to perform");
      return;
    }
    this.#describeWork(message);
    const hardState = newHardState(message.term, message.vote, message.commit);
    write(node, hardState, message.entries, message.snapshot);
    this.#deliverResponses(message);
  }

  processApplyThread(node: TestNode): void {
    const message = node.applyWork.shift();
    if (message === undefined) {
      this.output.write("no apply work to perform");
      return;
    }
    this.#describeWork(message);
    apply(node, message.entries);
    this.#deliverResponses(message);
  }

  #describeWork(message: Message): void {
    this.output.write(`Processing:\n${describeMessage({ ...message, responses: [] })}\n`);
  }

  #deliverResponses(message: Message): void {
    this.output.write("Responses:\n");
    for (const response of message.responses) this.output.write(`${describeMessage(response)}\n`);
    this.messages.push(...message.responses);
  }

  /** Hands over or drops what is on its way to the recipients; returns how many messages that were. */
  deliver(type: MessageType | undefined, recipients: readonly Recipient[]): number {
    let count = 0;
    for (const recipient of recipients) {
      const mine = this.#takeMessages(recipient, type);
      count += mine.length;
      for (const message of mine) {
        this.output.write(`${recipient.drop ? "dropped: " : ""}${describeMessage(message)}\n`);
        if (recipient.drop) continue;
        const refused = this.node(Number(message.to)).raw.step(message);
        if (refused !== undefined) this.output.write(`${refused.message}\n`);
      }
    }
    return count;
  }

  #takeMessages(recipient: Recipient, type: MessageType | undefined): Message[] {
    const isMine = (message: Message): boolean => isFor(message, recipient, type);
    const mine = this.messages.filter(isMine);
    this.messages = this.messages.filter((message) => !isMine(message));
    return mine;
  }

  /** Lets the nodes work and talk until nothing is left to do. */
  stabilize(nodes: readonly TestNode[]): void {
    for (let busy = true; busy; ) {
      busy = false;
      for (const node of nodes) {
        if (node.raw.hasReady()) busy = this.#section(node, "handling Ready", () => this.processReady(node));
      }
      for (const node of nodes) {
        const recipient = { id: node.id, drop: false };
        if (this.messages.some((message) => isFor(message, recipient, undefined))) {
          busy = this.#section(node, "receiving messages", () => this.deliver(undefined, [recipient]));
        }
      }
      for (const node of nodes) busy = this.#drainAppend(node) || busy;
      for (const node of nodes) busy = this.#drainApply(node) || busy;
    }
  }

  #drainAppend(node: TestNode): boolean {
    if (node.appendWork.length === 0) return false;
    this.output.write(`> ${node.id} processing append thread\n`);
    while (node.appendWork.length > 0) this.output.indent(() => this.processAppendThread(node));
    return true;
  }

  #drainApply(node: TestNode): boolean {
    if (node.applyWork.length === 0) return false;
    this.output.write(`> ${node.id} processing apply thread\n`);
    while (node.applyWork.length > 0) this.output.indent(() => this.processApplyThread(node));
    return true;
  }

  #section(node: TestNode, what: string, body: () => void): boolean {
    this.output.write(`> ${node.id} ${what}\n`);
    this.output.indent(body);
    return true;
  }

  describeLog(node: TestNode): void {
    const first = node.storage.firstIndex();
    const last = node.storage.lastIndex();
    if (last < first) {
      this.output.write(`log is empty: first index=${first}, last index=${last}`);
      return;
    }
    const entries = node.storage.entries(first, (last + 1) as typeof last, Number.POSITIVE_INFINITY);
    assert(typeof entries !== "string", "a log can be read from its first to its last entry");
    this.output.write(describeEntries(entries));
  }

  sendSnapshot(from: TestNode, to: TestNode): void {
    const message = newMessage(MessageType.MsgSnap, to.id);
    message.from = from.id;
    message.term = from.raw.term;
    message.snapshot = from.history.at(-1);
    this.messages.push(message);
    this.output.write(describeMessage(message));
  }
}

/** Local messages are never dropped: threads of one process do not lose any. */
function isFor(message: Message, recipient: Recipient, type: MessageType | undefined): boolean {
  if (message.to !== recipient.id || (type !== undefined && message.type !== type)) return false;
  const isLocal = message.from === message.to || isLocalTarget(message.from) || isLocalTarget(message.to);
  return !(recipient.drop && isLocal);
}

function write(
  node: TestNode,
  hardState: HardState | undefined,
  entries: readonly Entry[],
  snapshot: Snapshot | undefined,
): void {
  if (hardState !== undefined && !isEmptyHardState(hardState)) node.storage.setHardState(hardState);
  if (snapshot !== undefined && !isEmptySnapshot(snapshot)) {
    assert(entries.length === 0, "can't apply snapshot and entries at the same time");
    node.storage.applySnapshot(snapshot);
    return;
  }
  node.storage.append(entries);
}

function apply(node: TestNode, entries: readonly Entry[]): void {
  for (const entry of entries) {
    const last = node.history.at(-1)!;
    let update = entry.data;
    let confState: ConfState = last.metadata.confState;
    if (entry.type !== EntryType.Normal) {
      const change = decodeConfChangeEntry(entry.type, entry.data);
      assert(change !== undefined, "a committed change can be decoded");
      update = change.context;
      confState = node.raw.applyConfChange(change);
    }
    node.history.push(newSnapshot(entry.index, entry.term, confState, concatBytes([last.data, update])));
  }
}
