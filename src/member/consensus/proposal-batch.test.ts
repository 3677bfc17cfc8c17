// Goal: nothing that members propose is lost while nobody can take it, and nothing of it is kept for ever.
import assert from "node:assert/strict";
import { test } from "node:test";
import { utf8FromBytes, utf8ToBytes } from "../../base/bytes.ts";
import { type Entry, EntryType, newEntry } from "../../raft/message.ts";
import { ProposalBatch } from "./proposal-batch.ts";

const TIMEOUT = 1000;
/** A ConfChange of type 1 (remove) for the member 2. */
const REMOVAL = Uint8Array.of(0x10, 1, 0x18, 2);

/** Notes what is proposed, and takes it only when told so. */
class Raft {
  takes = true;
  readonly proposed: string[][] = [];
  readonly batch = new ProposalBatch((entries) => {
    if (this.takes) this.proposed.push(entries.map(({ data }) => utf8FromBytes(data).slice(0, 10)));
    return this.takes;
  }, TIMEOUT);

  add(text: string): void {
    this.batch.add(EntryType.Normal, utf8ToBytes(text));
  }
}

const normal = (text: string): Entry => newEntry(0, 0, EntryType.Normal, utf8ToBytes(text));

test("what comes in one turn leaves together, in messages of at most a mebibyte", () => {
  const raft = new Raft();
  for (const letter of "abc") raft.add(letter);
  raft.batch.flush(true, 0);
  for (const letter of "def") raft.add(letter.repeat(600_000));
  raft.batch.flush(true, 0);
  raft.batch.flush(true, 0);
  const long = (letter: string): string[] => [letter.repeat(10)];
  assert.deepEqual(raft.proposed, [["a", "b", "c"], long("d"), long("e"), long("f")]);
});

test("what nobody takes waits, in order, until somebody does or its time is over", () => {
  const raft = new Raft();
  raft.add("early");
  raft.batch.flush(false, 0);
  raft.batch.holdForwarded([normal("forwarded")], 500);
  raft.batch.expire(TIMEOUT);
  raft.add("refused by raft itself");
  raft.takes = false;
  raft.batch.flush(true, 600);
  raft.takes = true;
  // A refusal prolongs nothing.
  raft.batch.expire(500 + TIMEOUT);
  raft.batch.flush(true, 1550);
  assert.deepEqual(raft.proposed, [["refused by"]]);
});

test("membership changes wait as everything else does, and bytes that are none are left out", () => {
  const raft = new Raft();
  raft.batch.add(EntryType.ConfChange, REMOVAL);
  raft.batch.flush(false, 0);
  const garbage = newEntry(0, 0, EntryType.ConfChangeV2, Uint8Array.of(0xff));
  raft.batch.holdForwarded([garbage, newEntry(0, 0, EntryType.ConfChange, REMOVAL), normal("x")], 0);
  raft.batch.flush(true, 1);
  const removal = utf8FromBytes(REMOVAL);
  assert.deepEqual(raft.proposed, [[removal], [removal, "x"]]);
});

test("what others forward is held up to ten thousand, and the rest forgotten", () => {
  const raft = new Raft();
  raft.batch.holdForwarded(new Array<Entry>(9_999).fill(normal("x")), 0);
  raft.batch.holdForwarded([normal("y"), normal("z")], 0);
  raft.batch.holdForwarded([normal("y")], 0);
  raft.batch.flush(true, 1);
  assert.deepEqual(
    raft.proposed.map((list) => list.length),
    [9_999, 1],
  );
});
