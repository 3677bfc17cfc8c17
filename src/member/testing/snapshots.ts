// A real member on a simulated disk that a test can give snapshots to, and what they are made of: the bodies of another member's state in
// either form. Raft's part is played by the test.
import assert from "node:assert/strict";
import { type MemberId, memberId, millis } from "../../base/brand.ts";
import { isEtcdError } from "../../base/errors.ts";
import { LOG_LIMITS } from "../../log/disk-budget.ts";
import { nodeClock } from "../../node/clock.ts";
import { nodeDigest } from "../../node/digest.ts";
import type { Clock } from "../../ports/clock.ts";
import { silentLogger } from "../../ports/logger.ts";
import { type Message, MessageType, newMessage } from "../../raft/message.ts";
import { SimDisk } from "../../sim/disk.ts";
import { SIM_MEMBER_OPTIONS } from "../../sim/machine.ts";
import { SeededRandom } from "../../sim/random.ts";
import {
  createPutRequest,
  encodeLeaseGrantRequest,
  encodePutRequest,
} from "../../wire/generated/etcdserverpb.ts";
import type { Member } from "../member.ts";
import { openMember } from "../open.ts";
import { RequestField } from "../request.ts";
import { openBackup } from "../snapshot/backup.ts";
import { CopyWriter } from "../snapshot/copy-writer.ts";
import { PeerSnapshots } from "../snapshot/peer-snapshots.ts";
import { currentSnapshot } from "../snapshot/snapshot-sender.ts";

export const digest = nodeDigest();
export const seed = Number(process.env["FUZZ_SEED"] ?? 1);
export const DIRECTORY = "/data/member/cairn";
export const LEADER = memberId(77n);

/** Real turns, no real time. */
export const clock: Clock = { ...nodeClock(), now: () => millis(0) };

export function newDisk(capacityBytes = Number.POSITIVE_INFINITY, diceSeed = seed): SimDisk {
  return new SimDisk({ random: new SeededRandom(diceSeed), capacityBytes });
}

export async function open(disk: SimDisk): Promise<Member> {
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

export function propose(member: Member, field: number, body: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    member.propose(field as never, body, {
      applied: ({ error }) => (error === undefined ? resolve() : reject(new Error(error.message))),
      failed: (error) => reject(new Error(error.message)),
    });
  });
}

export async function fill(member: Member, prefix: string, keys: number): Promise<void> {
  await propose(member, RequestField.LeaseGrant, encodeLeaseGrantRequest({ id: 7n, ttl: 1000 }));
  await putKeys(member, prefix, keys);
}

/** Some belong to the lease that fill() grants. */
export async function putKeys(member: Member, prefix: string, keys: number): Promise<void> {
  for (let n = 0; n < keys; n++) {
    const request = createPutRequest();
    request.key = Buffer.from(`${prefix}${n}`);
    request.value = Buffer.from(`${prefix}-${n}`.repeat(40));
    request.lease = n % 3 === 0 ? 7n : 0n;
    await propose(member, RequestField.Put, encodePutRequest(request));
  }
}

export const FORMS = ["database", "copy"] as const;
export type Form = (typeof FORMS)[number];

/** What `take` gives, chunk by chunk, each a view until the next. */
export function wholeOf(take: () => Uint8Array | undefined): Uint8Array {
  const chunks: Uint8Array[] = [];
  for (let chunk = take(); chunk !== undefined; chunk = take()) chunks.push(chunk.slice());
  return Buffer.concat(chunks);
}

export function bodyOf(member: Member, form: Form): Uint8Array {
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
export async function snapshotOf(
  member: Member,
  form: Form,
): Promise<{ message: Message; body: Uint8Array }> {
  const snapshot = currentSnapshot(member);
  assert.ok(snapshot !== "temporarilyUnavailable");
  const message = newMessage(MessageType.MsgSnap, member.localId);
  message.from = LEADER;
  message.term = snapshot.metadata.term + 1;
  message.snapshot = snapshot;
  return { message, body: bodyOf(member, form) };
}

export async function* pieces(body: Uint8Array, size = 5000): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < body.length; at += size) yield body.subarray(at, at + size);
}

/** What a client can see, in one text. */
export function describe(member: Member): string {
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
export class Raft {
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

export function newSnapshots(member: Member, disk: SimDisk, raft: Raft): PeerSnapshots {
  return new PeerSnapshots({
    member,
    disk: disk.attach(),
    digest,
    directory: DIRECTORY,
    seed: () => 1,
    raft,
  });
}

export async function install(snapshots: PeerSnapshots, message: Message): Promise<void> {
  await new Promise<void>((resolve) => snapshots.install(message.snapshot!, resolve));
}

export type Source = { readonly message: Message; readonly body: Uint8Array; readonly state: string };

export async function source(form: Form, keys = 60): Promise<Source> {
  const member = await open(newDisk());
  await fill(member, "leader/", keys);
  const state = describe(member);
  const snapshot = await snapshotOf(member, form);
  await member.close();
  return { ...snapshot, state };
}

/** What a start finds. The member is not closed: a clean end would write. */
export async function stateOn(disk: SimDisk): Promise<string> {
  disk.killProcess();
  const member = await open(disk);
  const state = describe(member);
  member.stop();
  disk.killProcess();
  return state;
}
