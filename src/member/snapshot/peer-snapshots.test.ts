// Goal: a leader's snapshot becomes a member's state as a whole or not at all, whatever its body holds, whatever the disk does, and
// whenever the power goes. Method: a real member on a simulated disk, with raft's part played by the test: bodies are another member's
// database or copy, whole, cut short, bit-flipped; the power is cut at every single disk operation in turn.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Index, Term } from "../../base/brand.ts";
import { type Message, newSnapshot } from "../../raft/message.ts";
import type { SimDisk } from "../../sim/disk.ts";
import {
  createPutRequest,
  encodeDeleteRangeRequest,
  encodePutRequest,
} from "../../wire/generated/etcdserverpb.ts";
import { RequestField } from "../request.ts";
import {
  DIRECTORY,
  describe,
  FORMS,
  fill,
  install,
  newDisk,
  newSnapshots,
  open,
  pieces,
  propose,
  Raft,
  seed,
  snapshotOf,
  source,
  stateOn,
} from "../testing/snapshots.ts";
import type { PeerSnapshots } from "./peer-snapshots.ts";

for (const form of FORMS)
  test(`a snapshot replaces the state of a running member, now and after a restart (${form})`, async () => {
    const { message, body, state } = await source(form);
    const disk = newDisk();
    const member = await open(disk);
    await fill(member, "old/", 10);
    const raft = new Raft();
    const snapshots = newSnapshots(member, disk, raft);
    await snapshots.receive(message, pieces(body));
    await install(snapshots, message);
    assert.equal(describe(member), state);
    const { index, term } = message.snapshot!.metadata;
    assert.equal(member.log.raft.firstIndex(), index + 1);
    assert.equal(member.log.raft.term(index), term);
    member.stop();
    assert.equal(await stateOn(disk), state);
  });

for (const form of FORMS)
  test(`two snapshots follow one another, and the log goes on behind the second (${form})`, async () => {
    const leader = await open(newDisk());
    await fill(leader, "leader/", 20);
    const first = await snapshotOf(leader, form);
    for (let n = 0; n < 20; n++) {
      const request = { ...createPutRequest(), key: Buffer.from(`later/${n}`), value: Buffer.alloc(3000, n) };
      await propose(leader, RequestField.Put, encodePutRequest(request));
    }
    const second = await snapshotOf(leader, form);
    const state = describe(leader);
    await leader.close();
    const disk = newDisk();
    const member = await open(disk);
    const raft = new Raft();
    const snapshots = newSnapshots(member, disk, raft);
    for (const { message, body } of [first, second]) {
      await snapshots.receive(message, pieces(body));
      await install(snapshots, message);
    }
    const { index, term } = second.message.snapshot!.metadata;
    const entry = { term, index: (index + 1) as Index, type: 0 as const, data: new Uint8Array(0) };
    member.log.writer.append([entry], { term: term as Term, vote: 0n, commit: index });
    member.log.writer.flushSync();
    assert.equal(member.log.raft.lastIndex(), index + 1);
    member.stop();
    assert.equal(await stateOn(disk), state);
    const reopened = await open(disk);
    assert.ok(reopened.log.raft.lastIndex() > index);
    reopened.stop();
  });

for (const form of FORMS)
  test(`whenever the power goes, a restart finds the old state or the new one; once it is installed, the new one (${form})`, async () => {
    const { message, body, state } = await source(form, 30);
    for (let operation = 1; ; operation++) {
      const disk = newDisk(Number.POSITIVE_INFINITY, seed + operation);
      const member = await open(disk);
      await fill(member, "old/", 5);
      const before = describe(member);
      const from = disk.operations;
      disk.fault = (_kind, _path, count) => (count === from + operation ? "crash" : undefined);
      const snapshots = newSnapshots(member, disk, new Raft());
      const watch = { over: false };
      const outcome = await Promise.race([receiveAndInstall(snapshots, message, body), crashed(disk, watch)]);
      watch.over = true;
      const cut = disk.crashed;
      disk.crash();
      disk.fault = undefined;
      member.stop();
      const found = await stateOn(disk);
      if (cut) assert.ok(found === before || found === state, `operation ${operation}: ${found}`);
      else {
        assert.deepEqual([outcome, found], ["installed", state]);
        assert.ok(operation > 20, `${operation} operations were cut`);
        break;
      }
    }
  });

/** A dead machine answers nobody: then this never ends. */
async function receiveAndInstall(
  snapshots: PeerSnapshots,
  message: Message,
  body: Uint8Array,
): Promise<string> {
  try {
    await snapshots.receive(message, pieces(body));
  } catch {
    return "refused";
  }
  await install(snapshots, message);
  return "installed";
}

function crashed(disk: SimDisk, watch: { over: boolean }): Promise<string> {
  return new Promise((resolve) => {
    const look = (): void => {
      if (disk.crashed) setImmediate(() => resolve("crashed"));
      else if (!watch.over) setImmediate(look);
    };
    look();
  });
}

for (const form of FORMS)
  test(`a truncated or damaged body is refused with what is wrong with it, and leaves nothing (${form})`, async () => {
    const { message, body } = await source(form);
    const disk = newDisk();
    const member = await open(disk);
    await fill(member, "old/", 5);
    const before = describe(member);
    const files = await disk.list(DIRECTORY);
    const snapshots = newSnapshots(member, disk, new Raft());
    for (let length = 0; length < body.length; length += 4096) {
      const cut = body.subarray(0, length);
      await assert.rejects(snapshots.receive(message, pieces(cut)), /corrupt at offset \d+: /);
    }
    // A database is not checked byte for byte, only what its pages say of themselves; a copy is.
    const first = form === "copy" ? 0 : 2 * 4096 + 8;
    for (let at = first; at < body.length; at += form === "copy" ? 61 : 4096) {
      const broken = Buffer.from(body);
      broken[at]! ^= 0xff;
      await assert.rejects(snapshots.receive(message, pieces(broken)), /corrupt at offset \d+: /);
    }
    await assert.rejects(
      snapshots.receive(message, brokenOff(body)),
      /connection lost/,
      "what the network says goes on to whoever asked",
    );
    assert.deepEqual(await disk.list(DIRECTORY), files);
    assert.equal(describe(member), before);
    member.stop();
  });

async function* brokenOff(body: Uint8Array): AsyncGenerator<Uint8Array> {
  yield body.subarray(0, 6000);
  throw new Error("connection lost");
}

for (const form of FORMS)
  test(`a body that ends at another entry than its message is refused (${form})`, async () => {
    const { message, body } = await source(form, 10);
    const disk = newDisk();
    const member = await open(disk);
    const snapshots = newSnapshots(member, disk, new Raft());
    const { metadata, data } = message.snapshot!;
    const other = {
      ...message,
      snapshot: newSnapshot(metadata.index + 1, metadata.term, metadata.confState, data),
    };
    await assert.rejects(
      snapshots.receive(other, pieces(body)),
      /the (database|copy) ends at entry \d+, its snapshot at/,
    );
    member.stop();
  });

for (const form of FORMS)
  test(`a full device refuses a snapshot and keeps what it has (${form})`, async () => {
    const { message, body } = await source(form);
    const disk = newDisk(64 << 20);
    const member = await open(disk);
    await fill(member, "old/", 5);
    const before = describe(member);
    const files = await disk.list(DIRECTORY);
    const snapshots = newSnapshots(member, disk, new Raft());
    disk.capacityBytes = disk.usedBytes + (8 << 20);
    await assert.rejects(snapshots.receive(message, pieces(body)), /no space left on the device/);
    assert.deepEqual(await disk.list(DIRECTORY), files);
    assert.equal(describe(member), before);
    disk.capacityBytes = Number.POSITIVE_INFINITY;
    await snapshots.receive(message, pieces(body));
    member.stop();
  });

for (const form of FORMS)
  test(`what raft does not take is thrown away (${form})`, async () => {
    const { message, body } = await source(form);
    const disk = newDisk();
    const member = await open(disk);
    const files = await disk.list(DIRECTORY);
    const raft = new Raft();
    raft.takes = false;
    const snapshots = newSnapshots(member, disk, raft);
    await snapshots.receive(message, pieces(body));
    assert.deepEqual(await disk.list(DIRECTORY), files);
    raft.takes = true;
    await snapshots.receive(message, pieces(body));
    assert.notDeepEqual(await disk.list(DIRECTORY), files, "this one is kept");
    await snapshots.receive(message, pieces(body));
    await install(snapshots, message);
    member.stop();
  });

for (const form of FORMS)
  test(`the newest of two bodies at the same time wins (${form})`, async () => {
    const { message, body } = await source(form);
    const disk = newDisk();
    const member = await open(disk);
    const snapshots = newSnapshots(member, disk, new Raft());
    const { metadata, data } = message.snapshot!;
    const older = {
      ...message,
      snapshot: newSnapshot(metadata.index - 1, metadata.term, metadata.confState, data),
    };
    const first = snapshots.receive(older, pieces(body, 100));
    const failed = assert.rejects(first, /a newer snapshot is being received/);
    await assert.doesNotReject(snapshots.receive(message, pieces(body)));
    await failed;
    member.stop();
  });

for (const form of FORMS)
  test(`values longer than a chunk, empty ones and deleted keys arrive (${form})`, async () => {
    const leader = await open(newDisk());
    await fill(leader, "leader/", 5);
    for (const [key, bytes] of [
      ["long/1", 300_000],
      ["empty", 0],
      ["long/2", 1_000_000],
      ["short", 1],
    ] as const) {
      const request = { ...createPutRequest(), key: Buffer.from(key), value: Buffer.alloc(bytes, key) };
      await propose(leader, RequestField.Put, encodePutRequest(request));
    }
    const deletion = { key: Buffer.from("leader/1"), rangeEnd: new Uint8Array(0), prevKv: false };
    await propose(leader, RequestField.DeleteRange, encodeDeleteRangeRequest(deletion));
    const { message, body } = await snapshotOf(leader, form);
    const state = describe(leader);
    await leader.close();
    const disk = newDisk();
    const member = await open(disk);
    const snapshots = newSnapshots(member, disk, new Raft());
    await snapshots.receive(message, pieces(body));
    await install(snapshots, message);
    assert.equal(describe(member), state);
    member.stop();
    assert.equal(await stateOn(disk), state);
  });
