// Goal: nothing that waits for the disk is delivered before its flush has ended, one flush stands for all that gathered, and a snapshot
// takes the log's place alone. Method: a log writer that is flushed by hand.
import assert from "node:assert/strict";
import { test } from "node:test";
import { type MemberId, memberId } from "../../base/brand.ts";
import type { Entry, HardState, LogWriter } from "../../log/contract.ts";
import {
  EMPTY_CONF_STATE,
  LOCAL_APPEND_THREAD,
  type Message,
  MessageType,
  newEntry,
  newMessage,
  newSnapshot,
  type Snapshot,
} from "../../raft/message.ts";
import { SimClock } from "../../sim/clock.ts";
import { LogThread } from "./log-thread.ts";

const LEADER: MemberId = memberId(1n);
const OTHER: MemberId = memberId(2n);

class HandWriter implements LogWriter {
  readonly staged: string[] = [];
  readonly flushes: (() => void)[] = [];
  prefersSync = false;
  readonly failed = false;
  readonly flushing = false;
  readonly appendedBytes = 0;
  readonly writtenMillis = 0;

  append(entries: readonly Entry[], state: HardState | undefined): void {
    this.staged.push(
      `${entries.map(({ index }) => index).join()}${state === undefined ? "" : ` t${state.term}`}`,
    );
  }

  placeOf(): never {
    throw new Error("nobody asks");
  }

  flushSync(): void {
    this.staged.push("sync");
  }

  flush(done: () => void): void {
    this.flushes.push(done);
  }
}

function thread(): {
  writer: HandWriter;
  log: LogThread;
  delivered: string[];
  installs: { snapshot: Snapshot; done: () => void }[];
} {
  const writer = new HandWriter();
  const delivered: string[] = [];
  const installs: { snapshot: Snapshot; done: () => void }[] = [];
  const log = new LogThread({
    writer,
    clock: new SimClock(),
    deliver: (responses) => {
      for (const { to, index } of responses) delivered.push(`${to}:${index}`);
    },
    install: (snapshot, done) => installs.push({ snapshot, done }),
    onDone: () => log.flush(false),
    onFlushed: () => {},
  });
  return { writer, log, delivered, installs };
}

function append(indexes: readonly number[], answers: readonly (readonly [MemberId, number])[]): Message {
  const message = newMessage(MessageType.MsgStorageAppend, LOCAL_APPEND_THREAD);
  message.entries = indexes.map((index) => newEntry(1, index, 0, new Uint8Array(1)));
  message.responses = answers.map(([to, index]) => {
    const response = newMessage(MessageType.MsgAppResp, to);
    response.index = index;
    return response;
  });
  return message;
}

test("an acknowledgement waits for the flush that began after its entries were staged", () => {
  const { writer, log, delivered } = thread();
  log.append(append([1], [[LEADER, 1]]), true);
  log.flush(false);
  log.append(append([2], [[LEADER, 2]]), true);
  log.flush(false);
  assert.equal(writer.flushes.length, 1, "one flush at a time");
  assert.deepEqual(delivered, []);
  writer.flushes[0]!();
  assert.deepEqual(delivered, ["1:1"]);
  assert.equal(writer.flushes.length, 2);
  writer.flushes[1]!();
  assert.deepEqual(delivered, ["1:1", "1:2"]);
});

test("acknowledgements to one member that gathered become one, the last; others keep theirs", () => {
  const { writer, log, delivered } = thread();
  log.append(append([1], [[LEADER, 1]]), true);
  log.append(append([2], [[LEADER, 2]]), true);
  log.append(append([3], [[OTHER, 3]]), true);
  log.flush(false);
  writer.flushes[0]!();
  assert.deepEqual(delivered, ["1:2", "2:3"]);
});

test("what says nothing new about the disk waits only for what was staged before it", () => {
  const { writer, log, delivered } = thread();
  log.append(append([], [[LEADER, 7]]), false);
  assert.deepEqual(delivered, ["1:7"]);
  log.append(append([8], [[LEADER, 8]]), true);
  log.flush(false);
  log.append(append([], [[OTHER, 8]]), false);
  assert.deepEqual(delivered, ["1:7"]);
  writer.flushes[0]!();
  assert.deepEqual(delivered, ["1:7", "1:8", "2:8"]);
  assert.equal(writer.flushes.length, 1);
});

test("an idle log on a fast disk is flushed on the spot", () => {
  const { writer, log, delivered } = thread();
  writer.prefersSync = true;
  log.append(append([1], [[LEADER, 1]]), true);
  log.flush(false);
  assert.deepEqual(writer.staged, ["1", "sync"]);
  assert.deepEqual(delivered, ["1:1"]);
});

test("a snapshot waits for the flush before it, and everything behind it for its installation", () => {
  const { writer, log, delivered, installs } = thread();
  log.append(append([1], [[LEADER, 1]]), true);
  log.flush(false);
  const snapshot = append([], [[LEADER, 9]]);
  snapshot.snapshot = newSnapshot(9, 1, EMPTY_CONF_STATE, new Uint8Array(0));
  log.append(snapshot, false);
  log.append(append([10], [[LEADER, 10]]), true);
  assert.equal(installs.length, 0);
  writer.flushes[0]!();
  assert.equal(installs.length, 1);
  assert.deepEqual(writer.staged, ["1"]);
  installs[0]!.done();
  assert.deepEqual(writer.staged, ["1", "10"]);
  assert.deepEqual(delivered, ["1:1"]);
  writer.flushes[1]!();
  assert.deepEqual(delivered, ["1:1", "1:10"]);
});
