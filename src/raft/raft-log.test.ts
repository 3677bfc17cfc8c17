// Goal: the log is one sequence, wherever its entries stand: stable, just stable, being written, or new. Method: model fuzz against a
// plain list with a writer that falls behind, then the cases of conflict search and size limits one by one.
import assert from "node:assert/strict";
import { test } from "node:test";
import { MemoryStorage } from "./memory-storage.ts";
import type { Entry, Snapshot } from "./message.ts";
import { EMPTY_CONF_STATE, EntryType, newEntry, newSnapshot } from "./message.ts";
import { RaftLog } from "./raft-log.ts";
import { entriesSize, entrySize, NO_LIMIT, varintSize } from "./sizes.ts";
import { logOf } from "./testing/lone-node.ts";
import { seededRandom } from "./testing/simulation.ts";
import { NO_TERM } from "./unstable.ts";

const silent = { debug() {}, info() {}, warn() {}, error() {}, debugEnabled: false };

/** A log, its disk, writes under way, and the plain list that it must look like. */
class LogModel {
  readonly random: (bound: number) => number;
  readonly disk = new MemoryStorage();
  readonly log: RaftLog;
  entries: Entry[] = [];
  /** Entries up to this index are gone. */
  offset = 0;
  offsetTerm = 0;
  term = 1;
  writes: { readonly entries: readonly Entry[]; readonly snapshot: Snapshot | undefined }[] = [];
  handedOut = 0;

  constructor(seed: number) {
    this.random = seededRandom(seed);
    this.log = new RaftLog(this.disk, silent, NO_LIMIT);
  }

  get last(): number {
    return this.offset + this.entries.length;
  }

  step(): void {
    const dice = this.random(100);
    if (dice < 35) this.append();
    else if (dice < 55) this.handOut();
    else if (dice < 75) this.finishWrite();
    else if (dice < 85) this.commitAndApply();
    else if (dice < 92) this.compact();
    else if (dice < 96) this.restore();
    else this.term++;
  }

  append(): void {
    const from = this.random(3) === 0 ? this.log.committed + 1 : this.last + 1;
    const at = from + this.random(this.last + 2 - from);
    if (at <= this.last) this.term++;
    const added: Entry[] = [];
    for (let i = 0; i <= this.random(4); i++) {
      added.push(newEntry(this.term, at + i, EntryType.Normal, new Uint8Array(this.random(20))));
    }
    this.log.append(added, 0);
    this.entries = [...this.entries.slice(0, at - this.offset - 1), ...added];
  }

  handOut(): void {
    const entries = this.log.unstable.nextEntries();
    const snapshot = this.log.unstable.nextSnapshot();
    this.log.unstable.acceptInProgress();
    this.writes.push({ entries, snapshot });
  }

  finishWrite(): void {
    const write = this.writes.shift();
    if (write === undefined) return;
    if (write.snapshot !== undefined) {
      this.disk.applySnapshot(write.snapshot);
      this.log.unstable.stableSnapshotTo(write.snapshot.metadata.index);
    }
    this.disk.append(write.entries);
    // As raft does: only when nothing is being written that could replace it.
    const last = write.entries.at(-1);
    if (last !== undefined && this.writes.length === 0) this.log.stableTo(last.index, last.term);
  }

  commitAndApply(): void {
    if (this.log.unstable.snapshot !== undefined) return;
    this.log.commitTo(this.log.committed + this.random(this.last + 1 - this.log.committed));
    const entries = this.log.nextCommittedEntries(false);
    const last = entries.at(-1);
    if (last === undefined) return;
    const from = entries[0]!.index - this.offset - 1;
    assert.deepEqual(entries, this.entries.slice(from, from + entries.length));
    this.log.acceptApplying(last.index, entriesSize(entries), false);
    this.log.appliedTo(last.index, entriesSize(entries));
  }

  compact(): void {
    const at = this.log.applied - this.random(3);
    if (this.log.unstable.snapshot !== undefined || at <= this.offset || !this.disk.compact(at)) return;
    this.offsetTerm = this.entries[at - this.offset - 1]!.term;
    this.entries = this.entries.slice(at - this.offset);
    this.offset = at;
  }

  restore(): void {
    if (this.log.unstable.snapshot !== undefined) return;
    const index = this.log.committed + 1 + this.random(5);
    this.term++;
    this.log.restore(newSnapshot(index, this.term, EMPTY_CONF_STATE, new Uint8Array(0)));
    this.handOut();
    this.finishAll();
    this.log.appliedTo(index, 0);
    this.entries = [];
    this.offset = index;
    this.offsetTerm = this.term;
  }

  finishAll(): void {
    while (this.writes.length > 0) this.finishWrite();
  }

  check(): void {
    assert.equal(this.log.firstIndex(), this.offset + 1);
    assert.equal(this.log.lastIndex(), this.last);
    assert.equal(this.log.term(this.offset), this.offsetTerm);
    assert.equal(this.log.term(this.offset - 1), NO_TERM);
    assert.equal(this.log.term(this.last + 1), NO_TERM);
    for (const entry of this.entries) assert.equal(this.log.term(entry.index), entry.term);
    const low = this.offset + 1 + this.random(this.entries.length + 1);
    const high = low + this.random(this.last + 2 - low);
    const limit = this.random(2) === 0 ? NO_LIMIT : this.random(100);
    assert.deepEqual(this.log.slice(low, high, limit), this.limited(low, high, limit));
  }

  /** As many as fit, at least one. */
  limited(low: number, high: number, limit: number): Entry[] {
    const taken: Entry[] = [];
    for (let index = low; index < high; index++) {
      const entry = this.entries[index - this.offset - 1]!;
      if (taken.length > 0 && entriesSize(taken) + entrySize(entry) > limit) break;
      taken.push(entry);
    }
    return taken;
  }
}

test("whatever is appended, replaced, written late, compacted or restored, the log reads as one sequence", () => {
  for (let seed = 1; seed <= 60; seed++) {
    const model = new LogModel(seed);
    for (let i = 0; i < 300; i++) {
      model.step();
      try {
        model.check();
      } catch (cause) {
        throw new Error(`seed ${seed}, step ${i}`, { cause });
      }
    }
  }
});

function logWith(terms: readonly number[], committed = 0): RaftLog {
  const disk = new MemoryStorage();
  disk.append(logOf(...terms));
  const log = new RaftLog(disk, silent, NO_LIMIT);
  log.commitTo(committed);
  return log;
}

test("a log is up to date by its last term, then by its length", () => {
  const log = logWith([1, 2, 2]);
  assert.equal(log.isUpToDate(3, 2), true);
  assert.equal(log.isUpToDate(4, 2), true);
  assert.equal(log.isUpToDate(1, 3), true);
  assert.equal(log.isUpToDate(2, 2), false);
  assert.equal(log.isUpToDate(9, 1), false);
});

test("the place where two logs may agree is found without trying every index", () => {
  const log = logWith([2, 2, 4, 4, 4, 6]);
  const cases: readonly (readonly [number, number, number, number])[] = [
    [6, 6, 6, 6],
    [6, 5, 5, 4],
    [6, 3, 2, 2],
    [4, 4, 4, 4],
    [3, 1, 0, 0],
    [9, 3, 9, 0],
  ];
  for (const [index, term, at, its] of cases) {
    const found = log.findConflictByTerm(index, term);
    assert.deepEqual([found, log.termOrZero(found)], [at, its]);
  }
});

test("appending behind a foreign entry is refused; behind a shared one it cuts off what differs", () => {
  const log = logWith([1, 2, 3], 1);
  assert.equal(log.maybeAppend(3, 2, [], 3), -1);
  assert.equal(log.maybeAppend(4, 3, [], 3), -1);
  assert.equal(log.maybeAppend(3, 3, [], 9), 3);
  assert.equal(log.committed, 3);
  assert.equal(log.maybeAppend(2, 2, logOf(0, 0, 3, 4).slice(2), 3), 4);
  assert.equal(log.lastIndex(), 4);
});

test("an entry that contradicts a committed one stops the member", () => {
  const log = logWith([1, 2, 3], 3);
  assert.throws(
    () => log.maybeAppend(1, 1, logOf(0, 5).slice(1), 3),
    /entry 2 conflict with committed entry/,
  );
  assert.throws(() => log.append(logOf(7), 0), /after\(0\) is out of range \[committed\(3\)\]/);
});

test("committing what is not there stops the member: its log was lost", () => {
  const log = logWith([1]);
  assert.throws(() => log.commitTo(2), /tocommit\(2\) is out of range \[lastIndex\(1\)\]. Was the raft log/);
});

test("a log that is not applied is handed out in portions, the next when the last is acknowledged", () => {
  const disk = new MemoryStorage();
  disk.append(logOf(1, 1, 1, 1, 1));
  const log = new RaftLog(disk, silent, 20);
  log.commitTo(5);
  const first = log.nextCommittedEntries(true);
  assert.deepEqual(
    first.map((entry) => entry.index),
    [1, 2],
  );
  log.acceptApplying(2, entriesSize(first), true);
  assert.equal(log.hasNextCommittedEntries(true), false);
  log.appliedTo(2, entriesSize(first));
  assert.equal(log.nextCommittedEntries(true)[0]?.index, 3);
});

test("an acknowledgement of replaced entries leaves the new ones unstable", () => {
  const log = logWith([]);
  log.append(logOf(1, 1), 0);
  log.unstable.acceptInProgress();
  log.append(logOf(0, 2).slice(1), 0);
  assert.deepEqual(log.unstable.stableTo(2, 1), []);
  assert.equal(log.unstable.offset, 1);
  assert.deepEqual(log.unstable.stableTo(9, 1), []);
  assert.equal(log.unstable.stableTo(2, 2).length, 2);
});

test("sizes are those of protobuf", () => {
  assert.equal(entrySize(newEntry(200, 100_000, EntryType.Normal, new Uint8Array(300))), 310);
  assert.equal(entrySize(newEntry(1, 2 ** 40, EntryType.ConfChange, new Uint8Array(3))), 16);
  assert.equal(entrySize(newEntry(1, 4, EntryType.Normal, new Uint8Array(0))), 4);
  for (let bits = 0; bits < 53; bits++) {
    assert.equal(varintSize(2 ** bits), Math.floor(bits / 7) + 1);
    if (bits > 0) assert.equal(varintSize(2 ** bits - 1), Math.floor((bits - 1) / 7) + 1);
  }
});
