// Goal: a leader's snapshot becomes a member's state as a whole or not at all, whatever its body holds, whatever the disk does, and
// whenever the power goes. Method: a real member on a simulated disk, with raft's part played by the test: bodies are another member's
// database or copy, whole, cut short, bit-flipped; the power is cut at every single disk operation in turn.
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Index, type MemberId, memberId, millis, type Term } from "../../base/brand.ts";
import { isEtcdError } from "../../base/errors.ts";
import { LOG_LIMITS } from "../../log/disk-budget.ts";
import { nodeClock } from "../../node/clock.ts";
import { nodeDigest } from "../../node/digest.ts";
import type { Clock } from "../../ports/clock.ts";
import { silentLogger } from "../../ports/logger.ts";
import { type Message, MessageType, newMessage, newSnapshot } from "../../raft/message.ts";
import { SimDisk } from "../../sim/disk.ts";
import { SIM_MEMBER_OPTIONS } from "../../sim/machine.ts";
import { SeededRandom } from "../../sim/random.ts";
import {
  createPutRequest,
  encodeDeleteRangeRequest,
  encodeLeaseGrantRequest,
  encodePutRequest,
} from "../../wire/generated/etcdserverpb.ts";
import type { Member } from "../member.ts";
import { openMember } from "../open.ts";
import { RequestField } from "../request.ts";
import { openBackup } from "./backup.ts";
import { CopyWriter } from "./copy-writer.ts";
import { PeerSnapshots } from "./peer-snapshots.ts";
import { currentSnapshot } from "./snapshot-sender.ts";

const digest = nodeDigest();
const seed = Number(process.env["FUZZ_SEED"] ?? 1);
const DIRECTORY = "/data/member/cairn";
const LEADER = memberId(77n);

/** Real turns, no real time. */
const clock: Clock = { ...nodeClock(), now: () => millis(0) };

function newDisk(capacityBytes = Number.POSITIVE_INFINITY, diceSeed = seed): SimDisk {
  return new SimDisk({ random: new SeededRandom(diceSeed), capacityBytes });
}

async function open(disk: SimDisk): Promise<Member> {
  disk.restart();
  return openMember(SIM_MEMBER_OPTIONS, {
    disk: disk.attach(),
    clock,
    digest,
    random: new SeededRandom(seed),
    logger: silentLogger,
    logLimits: {
      ...LOG_LIMITS,
      segmentBytesFirst: 16 << 10,
      segmentBytesMax: 64 << 10,
      reserveBytes: 4 << 10,
    },
    lockDatabase: async () => ({ unlock: async () => {} }),
    onFatal: () => {},
  });
}

function propose(member: Member, field: number, body: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    member.propose(field as never, body, {
      applied: ({ error }) => (error === undefined ? resolve() : reject(new Error(error.message))),
      failed: (error) => reject(new Error(error.message)),
    });
  });
}

async function fill(member: Member, prefix: string, keys: number): Promise<void> {
  await propose(member, RequestField.LeaseGrant, encodeLeaseGrantRequest({ id: 7n, ttl: 1000 }));
  for (let n = 0; n < keys; n++) {
    const request = createPutRequest();
    request.key = Buffer.from(`${prefix}${n}`);
    request.value = Buffer.from(`${prefix}-${n}`.repeat(40));
    request.lease = n % 3 === 0 ? 7n : 0n;
    await propose(member, RequestField.Put, encodePutRequest(request));
  }
}

const FORMS = ["database", "copy"] as const;
type Form = (typeof FORMS)[number];

/** What `take` gives, chunk by chunk, each a view until the next. */
function wholeOf(take: () => Uint8Array | undefined): Uint8Array {
  const chunks: Uint8Array[] = [];
  for (let chunk = take(); chunk !== undefined; chunk = take()) chunks.push(chunk.slice());
  return Buffer.concat(chunks);
}

function bodyOf(member: Member, form: Form): Uint8Array {
  if (form === "copy") {
    const writer = new CopyWriter(member, digest);
    return wholeOf(() => writer.next());
  }
  const backup = openBackup(member, 64 << 10);
  while (!backup.writer.plan(1000));
  const body = wholeOf(() => backup.writer.next());
  backup.release();
  return body;
}

/** The body of a member's snapshot, and the message that goes before it. */
async function snapshotOf(member: Member, form: Form): Promise<{ message: Message; body: Uint8Array }> {
  const snapshot = currentSnapshot(member);
  assert.ok(snapshot !== "temporarilyUnavailable");
  const message = newMessage(MessageType.MsgSnap, member.localId);
  message.from = LEADER;
  message.term = snapshot.metadata.term + 1;
  message.snapshot = snapshot;
  return { message, body: bodyOf(member, form) };
}

async function* pieces(body: Uint8Array, size = 5000): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < body.length; at += size) yield body.subarray(at, at + size);
}

/** What a client can see, in one text. */
function describe(member: Member): string {
  const { store, reader, lessor, membership } = member;
  const job = store.hashKv(0 as never);
  assert.ok(!isEtcdError(job));
  while (!job.step(1000, reader));
  const leases = lessor.leases().map(({ id, ttl, keys }) => `${id}/${ttl}/${[...keys].sort().join(",")}`);
  const members = membership.members().map(({ id, name }) => `${id}:${name}`);
  return JSON.stringify(
    [store.currentRevision, job.result, leases, members, membership.version],
    (_, value) => (typeof value === "bigint" ? String(value) : value),
  );
}

/** Raft's part: takes everything, or nothing. */
class Raft {
  taken = 0;
  takes = true;
  step(message: Message): undefined {
    if (this.takes) this.taken = message.snapshot!.metadata.index;
  }
  pendingSnapshotIndex(): number {
    return this.taken;
  }
  reportSnapshot(_id: MemberId, _failed: boolean): void {}
}

function newSnapshots(member: Member, disk: SimDisk, raft: Raft): PeerSnapshots {
  return new PeerSnapshots({
    member,
    disk: disk.attach(),
    digest,
    directory: DIRECTORY,
    seed: () => 1,
    raft,
  });
}

async function install(snapshots: PeerSnapshots, message: Message): Promise<void> {
  await new Promise<void>((resolve) => snapshots.install(message.snapshot!, resolve));
}

type Source = { readonly message: Message; readonly body: Uint8Array; readonly state: string };

async function source(form: Form, keys = 60): Promise<Source> {
  const member = await open(newDisk());
  await fill(member, "leader/", keys);
  const state = describe(member);
  const snapshot = await snapshotOf(member, form);
  await member.close();
  return { ...snapshot, state };
}

/** What a start finds. The member is not closed: a clean end would write. */
async function stateOn(disk: SimDisk): Promise<string> {
  disk.killProcess();
  const member = await open(disk);
  const state = describe(member);
  member.stop();
  disk.killProcess();
  return state;
}

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
