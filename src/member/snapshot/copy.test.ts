// Goal: a copy shows the state as it was when it began, whatever happens to the leader meanwhile, and sound records that do not make a state
// are refused with what is wrong with them. Method: the records of a real copy, changed one at a time.
import assert from "node:assert/strict";
import { test } from "node:test";
import { putU64 } from "../../log/format.ts";
import { encodeDeleteRangeRequest } from "../../wire/generated/etcdserverpb.ts";
import { RequestField } from "../request.ts";
import {
  DIRECTORY,
  describe,
  digest,
  fill,
  install,
  newDisk,
  newSnapshots,
  open,
  pieces,
  propose,
  putKeys,
  Raft,
  snapshotOf,
  source,
  stateOn,
} from "../testing/snapshots.ts";
import { MAGIC, RECORD_HEAD_BYTES, RecordKind, sealRecord } from "./copy-format.ts";
import { CopyWriter } from "./copy-writer.ts";

test("what is written, compacted and reclaimed while a copy is under way does no harm", async () => {
  const leader = await open(newDisk());
  await fill(leader, "leader/", 80);
  for (let n = 0; n < 80; n += 2) {
    const deletion = { key: Buffer.from(`leader/${n}`), rangeEnd: new Uint8Array(0), prevKv: false };
    await propose(leader, RequestField.DeleteRange, encodeDeleteRangeRequest(deletion));
  }
  const state = describe(leader);
  const { message } = await snapshotOf(leader, "database");
  const writer = new CopyWriter(leader, digest);
  const chunks: Uint8Array[] = [];
  const { currentRevision } = leader.store;
  for (let chunk = writer.next(); chunk !== undefined; chunk = writer.next()) {
    chunks.push(chunk.slice());
    await putKeys(leader, "late/", 5);
    if (!leader.store.checkpointing) {
      leader.store.compact(currentRevision);
      while (!leader.store.compactSlice(1000, undefined));
      await leader.reclaimNow();
    }
  }
  assert.ok(chunks.length > 6 && leader.store.compactedRevision === currentRevision);
  writer.release();
  await leader.close();
  const disk = newDisk();
  const member = await open(disk);
  const snapshots = newSnapshots(member, disk, new Raft());
  await snapshots.receive(message, pieces(Buffer.concat(chunks)));
  await install(snapshots, message);
  assert.equal(describe(member), state);
  member.stop();
  assert.equal(await stateOn(disk), state);
});

/** The records of a copy, each with its kind. */
function recordsOf(body: Uint8Array): { kind: number; bytes: Uint8Array }[] {
  const view = new DataView(body.buffer, body.byteOffset, body.length);
  const records: { kind: number; bytes: Uint8Array }[] = [];
  for (let at = MAGIC.length; at < body.length; ) {
    const size = RECORD_HEAD_BYTES + view.getUint32(at + 4, true);
    records.push({
      kind: view.getUint32(at + 8, true),
      bytes: Uint8Array.from(body.subarray(at, at + size)),
    });
    at += size;
  }
  return records;
}

test("a copy of sound records that are not what they should be is refused", async () => {
  const { message, body } = await source("copy");
  const disk = newDisk();
  const member = await open(disk);
  const files = await disk.list(DIRECTORY);
  const snapshots = newSnapshots(member, disk, new Raft());
  const records = recordsOf(body);
  const indexOf = (kind: number): number => records.findIndex((record) => record.kind === kind);
  const [file, pages] = [indexOf(RecordKind.File), indexOf(RecordKind.Pages)];
  const last = file - 1;
  assert.ok(records.length > 8 && records[last]!.kind === RecordKind.Block);
  /** The record with eight bytes of its payload set. */
  const changed = (at: number, offset: number, value: number): Uint8Array => {
    const bytes = records[at]!.bytes.slice();
    putU64(bytes, RECORD_HEAD_BYTES + offset, value);
    sealRecord(digest, bytes, records[at]!.kind, bytes.length - RECORD_HEAD_BYTES);
    return bytes;
  };
  const replace = (at: number, ...by: Uint8Array[]): Uint8Array[] => [
    ...records.slice(0, at).map(({ bytes }) => bytes),
    ...by,
    ...records.slice(at + 1).map(({ bytes }) => bytes),
  ];
  for (const [wrong, reason] of [
    [replace(0), "it does not begin with the small tables"],
    [replace(last), "a file comes before the last block"],
    [replace(last - 1), "checkpoint: "],
    [replace(file), "pages of no file"],
    [replace(file, changed(file, 0, 4242)), "no value stands in file 4242"],
    [replace(file, records[file]!.bytes, records[file]!.bytes), "or it came before"],
    [replace(file, changed(file, 8, 40)), "a file of 40 bytes"],
    [replace(file, changed(file, 8, 2 ** 40)), "a file of 1099511627776 bytes"],
    [replace(pages), "values are missing"],
    [replace(pages, changed(pages, 0, 100)), "pages that do not fit their file"],
    [replace(pages, changed(pages, 0, 2 ** 31)), "pages that do not fit their file"],
    [replace(pages, records[pages]!.bytes, records[0]!.bytes), "a record of kind 1 is not expected"],
  ] as const) {
    const refused = snapshots.receive(message, pieces(Buffer.concat([MAGIC, ...wrong])));
    await assert.rejects(refused, (error: Error) => {
      assert.match(error.message, /^the copy is corrupt at offset \d+: /);
      return error.message.includes(reason) || assert.fail(`${error.message} does not say: ${reason}`);
    });
  }
  assert.deepEqual(await disk.list(DIRECTORY), files);
  await snapshots.receive(
    message,
    pieces(Buffer.concat(replace(0, records[0]!.bytes).toSpliced(0, 0, MAGIC))),
  );
  member.stop();
});
