// Goal: whatever the sinks' fullness and the order of bites, each watcher gets each matching event once, in order, whole revisions
// together. Method: a dumb store of rows, random watchers that fill up and drain at random, compared with a plain filter.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Revision } from "../base/brand.ts";
import { keyToBytes } from "../base/key.ts";
import type { ReadView, Slot, SlotList } from "../mvcc/contract.ts";
import { type EventBatch, Filter, type Watcher, WatchHub, type WatchSink, watchRange } from "./hub.ts";

type Row = { key: string; main: number; tombstone: boolean };

/** Only what the hub asks of a store. */
function viewOf(rows: Row[], state: { current: number; compacted: number }): ReadView {
  const view = {
    get currentRevision() {
      return state.current as Revision;
    },
    get compactedRevision() {
      return state.compacted as Revision;
    },
    keyOf: (slot: Slot) => keyToBytes(rows[slot]!.key as never),
    mainOf: (slot: Slot) => rows[slot]!.main as Revision,
    isTombstone: (slot: Slot) => rows[slot]!.tombstone,
    valueLengthOf: () => 10,
    revisionsSince(from: number, max: number, out: SlotList): Revision {
      let revisions = 0;
      let last = -1;
      for (let i = 0; i < rows.length; i++) {
        const row = rows[i]!;
        if (row.main < from) continue;
        if (row.main !== last) {
          if (revisions === max) return row.main as Revision;
          revisions++;
          last = row.main;
        }
        out.slots[out.length++] = i;
      }
      return (state.current + 1) as Revision;
    },
  };
  return view as unknown as ReadView;
}

class Sink implements WatchSink {
  full = false;
  readonly seen: string[] = [];
  readonly compactions: number[] = [];
  events(watcher: Watcher, batch: EventBatch): void {
    assert.equal(Buffer.concat(batch.parts).toString(), Buffer.from(batch.bytes).toString());
    for (const part of batch.parts) this.seen.push(`${watcher.id}:${Buffer.from(part).toString()}`);
  }
  compacted(_watcher: Watcher, compactedRevision: number): void {
    this.compactions.push(compactedRevision);
  }
}

function setUp(): {
  rows: Row[];
  state: { current: number; compacted: number };
  hub: WatchHub;
  write: (...changes: [string, boolean][]) => void;
} {
  const rows: Row[] = [];
  const state = { current: 1, compacted: 0 };
  const encode = (slot: Slot, previous: boolean): Uint8Array =>
    Buffer.from(`${rows[slot]!.key}@${rows[slot]!.main}${previous ? "+" : ""};`);
  const hub = new WatchHub(viewOf(rows, state), encode, { slots: new Float64Array(100_000), length: 0 });
  const write = (...changes: [string, boolean][]): void => {
    state.current++;
    const out: SlotList = { slots: new Float64Array(changes.length), length: 0 };
    for (const [key, tombstone] of changes) {
      out.slots[out.length++] = rows.length;
      rows.push({ key, main: state.current, tombstone });
    }
    hub.notify(out);
  };
  return { rows, state, hub, write };
}

const bytes = (text: string): Uint8Array => Buffer.from(text, "latin1");
const fromNow = { startRevision: 0, filters: 0, prevKv: false };

test("watchers of one key share the very same bytes", () => {
  const { hub, write } = setUp();
  const batches: EventBatch[] = [];
  const sink: WatchSink = {
    full: false,
    events: (_w, batch) => batches.push(batch),
    compacted: () => assert.fail(),
  };
  for (let n = 0; n < 3; n++) hub.add(sink, BigInt(n), watchRange(bytes("k"), bytes("")), fromNow);
  write(["k", false]);
  write(["other", false]);
  write(["k", true]);
  hub.flush();
  assert.equal(batches.length, 3);
  assert.equal(Buffer.from(batches[0]!.bytes).toString(), "k@2;k@4;");
  assert.equal(batches[0]!.revision, 4);
  assert.equal(batches[0]!.bytes, batches[1]!.bytes);
});

test("filters, prev_kv and a start in the future are honoured", () => {
  const { hub, write } = setUp();
  const sink = new Sink();
  hub.add(sink, 1n, watchRange(bytes("a"), bytes("z")), { ...fromNow, filters: Filter.NoPut });
  hub.add(sink, 2n, watchRange(bytes("a"), bytes("z")), { ...fromNow, prevKv: true });
  hub.add(sink, 3n, watchRange(bytes("a"), bytes("\0")), { ...fromNow, startRevision: 3 });
  write(["b", false]);
  write(["c", false]);
  write(["b", true]);
  hub.flush();
  assert.deepEqual(sink.seen.sort(), ["1:b@4;", "2:b@2+;", "2:b@4+;", "2:c@3+;", "3:b@4;", "3:c@3;"].sort());
});

test("a watcher of compacted revisions is told so and leaves", () => {
  const { hub, state, write } = setUp();
  for (let n = 0; n < 10; n++) write(["k", false]);
  state.compacted = 8;
  const sink = new Sink();
  const late = hub.add(sink, 1n, watchRange(bytes("k"), bytes("")), { ...fromNow, startRevision: 7 });
  hub.add(sink, 2n, watchRange(bytes("k"), bytes("")), { ...fromNow, startRevision: 8 });
  while (hub.hasWork) hub.catchUp();
  assert.deepEqual(sink.compactions, [8]);
  assert.equal(late.state, "gone");
  assert.deepEqual(sink.seen, ["2:k@8;", "2:k@9;", "2:k@10;", "2:k@11;"]);
});

test("no watcher loses, doubles or reorders an event, however its sink fills and drains", () => {
  let seed = Number(process.env["FUZZ_SEED"] ?? 7);
  const random = (bound: number): number => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
    return Math.floor((seed / 2 ** 32) * bound);
  };
  for (let round = 0; round < Number(process.env["FUZZ_RUNS"] ?? 60); round++) {
    const { hub, rows, state, write } = setUp();
    const watchers: { sink: Sink; watcher: Watcher; from: number }[] = [];
    const letter = (): string => "abcdef"[random(6)]!;
    for (let step = 0; step < 300; step++) {
      const dice = random(10);
      if (dice < 5) {
        const used = new Set(Array.from({ length: 1 + random(3) }, letter));
        write(...[...used].map((key): [string, boolean] => [key, random(4) === 0]));
        if (random(3) === 0) hub.flush();
        continue;
      }
      hub.flush();
      if (dice < 7 && watchers.length < 12) {
        const sink = new Sink();
        const [start, end] = [letter(), ["", "\0", "e", "g"][random(4)]!];
        const startRevision = random(3) === 0 ? 0 : 1 + random(state.current + 3);
        const options = { startRevision, filters: random(4), prevKv: random(2) === 0 };
        const watcher = hub.add(sink, BigInt(watchers.length), watchRange(bytes(start), bytes(end)), options);
        watchers.push({ sink, watcher, from: watcher.minRevision });
      } else if (dice < 9 && watchers.length > 0) {
        const { sink } = watchers[random(watchers.length)]!;
        sink.full = !sink.full;
      } else hub.catchUp();
    }
    hub.flush();
    for (const { sink } of watchers) sink.full = false;
    while (hub.catchUp());
    for (const { sink, watcher, from } of watchers) {
      assert.equal(watcher.state, "synced");
      const { start, end } = watcher.range;
      const expected = rows
        .filter((row) => row.main >= from)
        .filter((row) =>
          end === undefined ? row.key === start : row.key >= start && (end === "\0" || row.key < end),
        )
        .filter((row) => ((row.tombstone ? Filter.NoDelete : Filter.NoPut) & watcher.filters) === 0)
        .map((row) => `${watcher.id}:${row.key}@${row.main}${watcher.prevKv ? "+" : ""};`);
      assert.deepEqual(sink.seen, expected, `seed ${process.env["FUZZ_SEED"] ?? 7}, round ${round}`);
    }
  }
});

test("when the store is replaced every watcher reads on in the new one, or learns that its revisions are gone", () => {
  const { hub, write } = setUp();
  const sinks = { quiet: new Sink(), behind: new Sink(), future: new Sink() };
  const all = watchRange(new Uint8Array(0), Uint8Array.of(0));
  const now = { startRevision: 0, filters: 0, prevKv: false };
  hub.add(sinks.quiet, 1n, watchRange(Buffer.from("never"), new Uint8Array(0)), now);
  hub.add(sinks.future, 2n, all, { ...now, startRevision: 9 });
  sinks.behind.full = true;
  hub.add(sinks.behind, 3n, all, { ...now, startRevision: 2 });
  write(["a", false], ["b", false]);
  write(["a", false]);
  hub.flush();
  const rows = [
    { key: "c", main: 5, tombstone: false },
    { key: "never", main: 7, tombstone: false },
    { key: "c", main: 9, tombstone: false },
  ];
  const encode = (slot: Slot): Uint8Array => Buffer.from(`${rows[slot]!.key}@${rows[slot]!.main};`);
  hub.replaceView(viewOf(rows, { current: 9, compacted: 4 }), encode);
  sinks.behind.full = false;
  while (hub.catchUp());
  assert.deepEqual(sinks.quiet.seen, ["1:never@7;"]);
  assert.deepEqual(sinks.future.seen, ["2:c@9;"]);
  assert.deepEqual([sinks.behind.seen, sinks.behind.compactions], [[], [4]]);
  assert.equal(hub.slowWatcherCount, 0);
});
