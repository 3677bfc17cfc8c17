// Goal: the log is read as etcd reads it: what was written comes back, an overwritten tail is gone, a torn end is left out, and any
// other damage is refused with its place. Method: logs written here, cut and flipped everywhere.
import assert from "node:assert/strict";
import { test } from "node:test";
import { concatBytes, copyBytes, utf8ToBytes } from "../base/bytes.ts";
import { bytesSource } from "../bbolt/reader.ts";
import { WalEncoder } from "./wal-encoder.ts";
import { parseWalName, readWal, selectWalNames, validSnapshots, WalError, walName } from "./wal-reader.ts";

const METADATA = { nodeId: 0xffff_ffff_ffff_fffen, clusterId: 7n };
const START = { index: 0, term: 0 };

function entry(index: number, term = 1, text = `entry ${index}`) {
  return { index, term, type: 0, data: utf8ToBytes(text) };
}

function firstSegment(): WalEncoder {
  const wal = new WalEncoder(METADATA);
  wal.snapshot({ index: 0, term: 0, confState: undefined });
  for (let i = 1; i <= 5; i++) wal.entry(entry(i));
  wal.hardState({ term: 1, vote: METADATA.nodeId, commit: 4 });
  return wal;
}

function segment(bytes: Uint8Array, sequence = 0, index = 0) {
  return { name: walName(sequence, index), source: bytesSource(bytes) };
}

/** A preallocated file: the records, then zeros. */
function padded(wal: WalEncoder): Uint8Array {
  return concatBytes([wal.bytes(), new Uint8Array(4096)]);
}

test("what was written is read", () => {
  const content = readWal([segment(padded(firstSegment()))], START);
  assert.deepEqual(content.metadata, METADATA);
  assert.deepEqual(content.hardState, { term: 1, vote: METADATA.nodeId, commit: 4 });
  assert.deepEqual(
    content.entries.map((each) => Buffer.from(each.data).toString()),
    ["entry 1", "entry 2", "entry 3", "entry 4", "entry 5"],
  );
  assert.equal(content.torn, undefined);
});

test("an entry that comes again replaces itself and all behind it", () => {
  const wal = firstSegment();
  wal.entry(entry(3, 2, "new"));
  const { entries } = readWal([segment(padded(wal))], START);
  assert.deepEqual(
    entries.map((each) => [each.index, each.term]),
    [
      [1, 1],
      [2, 1],
      [3, 2],
    ],
  );
});

test("segments continue each other's checksum, and only what is above the snapshot is read", () => {
  const first = firstSegment();
  const second = new WalEncoder(METADATA, first.crc);
  second.hardState({ term: 1, vote: 0n, commit: 5 });
  second.snapshot({ index: 5, term: 1, confState: undefined });
  second.snapshot({ index: 9, term: 1, confState: undefined });
  second.entry(entry(6));
  const segments = [segment(first.bytes()), segment(padded(second), 1, 6)];
  const content = readWal(segments, { index: 4, term: 1 });
  assert.deepEqual(
    content.entries.map((each) => each.index),
    [5, 6],
  );
  assert.deepEqual(
    validSnapshots(content).map((each) => each.index),
    [0, 5],
  );
  const foreign = new WalEncoder(METADATA, 12345);
  assert.throws(
    () => readWal([segment(first.bytes()), segment(padded(foreign), 1, 6)], START),
    /does not continue/,
  );
});

test("a gap between entries is refused", () => {
  const wal = firstSegment();
  wal.entry(entry(7));
  assert.throws(() => readWal([segment(padded(wal))], START), /slice bounds out of range/);
});

test("a log cut at any length gives the records before the cut", () => {
  const bytes = firstSegment().bytes();
  let most = 0;
  for (let length = 0; length < bytes.length; length++) {
    const { entries, torn } = readWal([segment(bytes.subarray(0, length))], START);
    assert.ok(entries.length >= most && entries.length <= 5);
    most = entries.length;
    assert.ok(torn === undefined || torn.offset <= length);
  }
  const cut = bytes.subarray(0, bytes.length - 3);
  assert.throws(() => readWal([segment(cut), segment(padded(firstSegment()), 1, 6)], START), WalError);
});

test("a last record with a sector of zeros is torn, the same record with other damage is corrupt", () => {
  const wal = firstSegment();
  const before = wal.bytes().length;
  wal.entry(entry(6, 1, "x".repeat(3000)));
  const torn = copyBytes(wal.bytes());
  torn.fill(0, 1024, 2048);
  const content = readWal([segment(torn)], START);
  assert.equal(content.entries.length, 5);
  assert.deepEqual(content.torn, { segment: walName(0, 0), offset: before });
  const rotten = copyBytes(wal.bytes());
  rotten[1500]! ^= 1;
  assert.throws(
    () => readWal([segment(rotten)], START),
    (error: WalError) => error.offset === before && /checksum/.test(error.message),
  );
});

test("no flipped byte is survived silently: the read fails, or loses the end, but never changes an entry", () => {
  const bytes = firstSegment().bytes();
  const good = readWal([segment(bytes)], START);
  for (let at = 0; at < bytes.length; at++) {
    const damaged = copyBytes(bytes);
    damaged[at]! ^= 0x55;
    try {
      const { entries } = readWal([segment(damaged)], START);
      assert.deepEqual(entries, good.entries.slice(0, entries.length), `byte ${at}`);
    } catch (error) {
      assert.ok(error instanceof WalError, `byte ${at}: ${String(error)}`);
    }
  }
});

test("segments are chosen by their names", () => {
  const names = [walName(0, 0), walName(1, 10), walName(2, 20)];
  assert.deepEqual(parseWalName(names[1]!), { sequence: 1, index: 10 });
  assert.equal(parseWalName("0.tmp"), undefined);
  assert.deepEqual(selectWalNames(names, 15), names.slice(1));
  assert.deepEqual(selectWalNames(names, 9), names);
  assert.match(
    String(selectWalNames(names.slice(1), 9)),
    /file not found which matches the snapshot index '9'/,
  );
  assert.match(String(selectWalNames([names[0]!, names[2]!], 0)), /do not increase continuously/);
});
