// What etcd's raft calls the append thread: takes the work that raft has for the log, stages it, flushes all that is staged at once, and
// hands back the responses that had to wait for the disk. While a flush is under way the next one gathers: group commit without a
// timer. An idle member on a fast disk flushes inline. The engine calls it; it decides nothing about what is written.
import { assert } from "../../base/assert.ts";
import type { LogWriter } from "../../log/contract.ts";
import type { Clock } from "../../ports/clock.ts";
import {
  type HardState,
  isEmptyHardState,
  isEmptySnapshot,
  type Message,
  MessageType,
  newHardState,
  type Snapshot,
} from "../../raft/message.ts";

export type LogThreadOptions = {
  readonly writer: LogWriter;
  readonly clock: Clock;
  /** Responses whose writes are safe: to be stepped, or sent. */
  readonly deliver: (responses: readonly Message[]) => void;
  /** A snapshot is to take the log's place; nothing is appended until `done`. */
  readonly install: (snapshot: Snapshot, done: () => void) => void;
  /** A flush has ended by itself, and what it made safe was delivered: there may be more to do. */
  readonly onDone: () => void;
  /** Milliseconds that a flush took in all, and those of its writes. */
  readonly onFlushed: (millis: number, writtenMillis: number) => void;
};

type Work = { readonly message: Message; readonly mustSync: boolean };

export class LogThread {
  readonly #options: LogThreadOptions;
  /** Responses that wait for a flush that has not begun, and for the one under way. */
  #staged: Message[] = [];
  #inFlight: Message[] = [];
  #mustSync = false;
  /** When the flush under way began; undefined = none is. */
  #since: number | undefined;
  /** Work behind a snapshot that is being installed, the snapshot itself in front while a flush must end first. */
  #queue: Work[] = [];
  #blocked = false;
  #stopped = false;

  constructor(options: LogThreadOptions) {
    this.#options = options;
  }

  stop(): void {
    this.#stopped = true;
  }

  /** When the flush under way began; undefined = none is. */
  get flushingSince(): number | undefined {
    return this.#since;
  }

  /** Something was staged that is not safe yet, or waits to be staged. */
  get busy(): boolean {
    return this.#since !== undefined || this.#blocked;
  }

  /** A MsgStorageAppend. `mustSync`: it has entries, a new term or a vote, so its responses wait for a flush of their own. */
  append(message: Message, mustSync: boolean): void {
    if (this.#blocked) this.#queue.push({ message, mustSync });
    else if (isEmptySnapshot(message.snapshot)) this.#stage(message, mustSync);
    else {
      this.#blocked = true;
      this.#queue.push({ message, mustSync });
      if (this.#since === undefined) this.#flushThenInstall();
    }
  }

  /** Begins a flush when one is due and none is under way. `inline`: whatever the disk is like, on this thread. */
  flush(inline: boolean): void {
    if (!this.#mustSync || this.#since !== undefined || this.#blocked || this.#stopped) return;
    this.#begin(inline || this.#options.writer.prefersSync);
  }

  #stage(message: Message, mustSync: boolean): void {
    const state = hardStateOf(message);
    if (message.entries.length > 0 || state !== undefined)
      this.#options.writer.append(message.entries, state);
    if (mustSync) this.#mustSync = true;
    // What says nothing new about the disk waits only for what was to be made safe before.
    if (this.#mustSync) join(this.#staged, message.responses);
    else if (this.#since !== undefined) join(this.#inFlight, message.responses);
    else this.#options.deliver(message.responses);
  }

  #begin(inline: boolean): void {
    const { writer, clock } = this.#options;
    const responses = this.#staged;
    this.#staged = [];
    this.#mustSync = false;
    const started = clock.now();
    if (inline) {
      try {
        writer.flushSync();
      } catch (error) {
        // The log has told whoever ends the process; until it does, nothing is acknowledged any more.
        if (!writer.failed) throw error;
        this.#stopped = true;
        return;
      }
      this.#options.onFlushed(clock.now() - started, writer.writtenMillis);
      this.#options.deliver(responses);
      return;
    }
    this.#since = started;
    this.#inFlight = responses;
    writer.flush(() => this.#ended(started));
  }

  #ended(started: number): void {
    this.#since = undefined;
    if (this.#stopped) return;
    const { writer, clock } = this.#options;
    this.#options.onFlushed(clock.now() - started, writer.writtenMillis);
    const responses = this.#inFlight;
    this.#inFlight = [];
    this.#options.deliver(responses);
    if (this.#blocked) this.#flushThenInstall();
    else if (this.#mustSync) this.#begin(writer.prefersSync);
    this.#options.onDone();
  }

  /** A snapshot replaces the log: first what was staged before it is made safe, then it is installed, then the rest goes on. */
  #flushThenInstall(): void {
    if (this.#mustSync) {
      this.#begin(false);
      return;
    }
    const first = this.#queue.shift();
    assert(first !== undefined, "the snapshot is in front of the queue");
    this.#options.install(first.message.snapshot!, () => {
      if (this.#stopped) return;
      this.#blocked = false;
      this.#stage(first.message, true);
      const rest = this.#queue;
      this.#queue = [];
      for (const { message, mustSync } of rest) this.append(message, mustSync);
      this.flush(false);
      this.#options.onDone();
    });
  }
}

/** A MsgStorageAppend carries an unchanged hard state as zeros. */
function hardStateOf({ term, vote, commit }: Message): HardState | undefined {
  const state = newHardState(term, vote, commit);
  return isEmptyHardState(state) ? undefined : state;
}

/** One acknowledgement of a later index stands for those before it. */
function join(list: Message[], responses: readonly Message[]): void {
  for (let i = 0; i < responses.length; i++) {
    const next = responses[i]!;
    const last = list[list.length - 1];
    if (last !== undefined && covers(next, last)) list[list.length - 1] = next;
    else list.push(next);
  }
}

function covers(next: Message, last: Message): boolean {
  return (
    next.type === MessageType.MsgAppResp &&
    last.type === MessageType.MsgAppResp &&
    next.to === last.to &&
    next.term === last.term &&
    !next.reject &&
    !last.reject &&
    next.index >= last.index
  );
}
