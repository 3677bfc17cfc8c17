// Goal: the real revision store and the log fit together: checkpoint, restart, compaction and reclaim under writes keep every kept
// revision's value. Method: a seeded history of puts against a plain Map of all revisions, on the simulated disk.
import assert from "node:assert/strict";
import { test } from "node:test";
import { clusterId, type Index, index, memberId, NO_LEASE, type Revision, term } from "../base/brand.ts";
import { latin1ToBytes } from "../base/bytes.ts";
import { reclaimStore } from "../member/upkeep/reclaim-store.ts";
import { Restorer } from "../mvcc/restorer.ts";
import { Store } from "../mvcc/store.ts";
import { nodeClock } from "../node/clock.ts";
import { nodeDigest } from "../node/digest.ts";
import { silentLogger } from "../ports/logger.ts";
import { SimDisk } from "../sim/disk.ts";
import { bytesFor, dice } from "../sim/log-model.ts";
import type { CheckpointInput, LogSource, ReclaimStore } from "./contract.ts";
import { LOG_LIMITS, type LogLimits } from "./disk-budget.ts";
import { type Log, openLog } from "./log.ts";

const seed = Number(process.env["FUZZ_SEED"] ?? 1);
const limits = {
  ...LOG_LIMITS,
  segmentBytesFirst: 256 << 10,
  segmentBytesMax: 256 << 10,
  reserveBytes: 0,
  catchUpEntries: 100,
  reclaimSlackBytes: 256 << 10,
};
const VALUE_AT = 4;

class Member implements LogSource {
  readonly #disk: SimDisk;
  log: Log;
  revisions: Store = new Store({ seed: 5 });
  appliedIndex = 0 as Index;
  /** main revision → key and length of the value put by it. */
  readonly puts = new Map<number, { key: number; length: number }>();

  constructor(disk: SimDisk, log: Log) {
    this.#disk = disk;
    this.log = log;
  }

  get store(): ReclaimStore {
    return reclaimStore(this.revisions);
  }

  static async start(disk: SimDisk, more: Partial<LogLimits> = {}): Promise<Member> {
    const log = await openLog({
      directory: "/data",
      disk: disk.attach(),
      clock: nodeClock(),
      digest: nodeDigest(),
      logger: silentLogger,
      expected: undefined,
      limits: { ...limits, ...more },
      onFatal: (error) => assert.fail(error),
      onSpace: () => {},
    });
    const member = new Member(disk, log);
    await member.#restore();
    await log.start({ memberId: memberId(1n), clusterId: clusterId(2n) });
    return member;
  }

  async #restore(): Promise<void> {
    const { log } = this;
    if (log.checkpointMeta !== undefined) {
      this.appliedIndex = log.checkpointMeta.appliedIndex;
      const restorer = new Restorer({ seed: 6 });
      for await (const chunk of log.imageChunks()) restorer.push(chunk);
      const restored = restorer.finish();
      assert.ok(restored.ok);
      this.revisions = restored.store;
    }
    await log.replay(
      index(this.appliedIndex + 1),
      log.raft.lastIndex(),
      (at, _term, _type, data, file, offset) => {
        this.apply(at, data, file, offset);
      },
    );
  }

  apply(at: Index, data: Uint8Array, file: number, offset: number): void {
    const key = new DataView(data.buffer, data.byteOffset).getUint32(0);
    const txn = this.revisions.write();
    txn.put(latin1ToBytes(`key-${key}`), NO_LEASE, file as never, offset + VALUE_AT, data.length - VALUE_AT);
    this.puts.set(txn.end(), { key, length: data.length - VALUE_AT });
    this.appliedIndex = at;
  }

  put(key: number, length: number): void {
    const at = index(this.log.raft.lastIndex() + 1);
    const data = new Uint8Array(VALUE_AT + length);
    new DataView(data.buffer).setUint32(0, key);
    data.set(bytesFor(key, this.revisions.currentRevision + 1, length), VALUE_AT);
    this.log.writer.append([{ term: term(1), index: at, type: 0, data }], undefined);
    this.log.writer.flushSync();
    const { file, offset } = this.log.writer.placeOf(at);
    this.apply(at, data, file, offset);
  }

  compact(): void {
    assert.equal(this.revisions.compact((this.revisions.currentRevision - 50) as Revision), undefined);
    while (!this.revisions.compactSlice(1000, undefined));
  }

  checkpoint(): CheckpointInput {
    return {
      appliedIndex: this.appliedIndex,
      appliedTerm: term(1),
      confState: new Uint8Array(0),
      tables: new Uint8Array(0),
      image: this.revisions.checkpoint(),
    };
  }

  /** Every key's newest value, and every kept revision's. */
  check(puts: ReadonlyMap<number, { key: number; length: number }>): void {
    const { revisions: store, log } = this;
    const newest = new Map<number, number>();
    for (const [main, { key }] of puts) newest.set(key, main);
    for (const [main, { key, length }] of puts) {
      if (main < store.compactedRevision && newest.get(key) !== main) continue;
      const slot = store.find(
        latin1ToBytes(`key-${key}`),
        Math.max(main, store.compactedRevision, 1) as Revision,
      );
      if (store.mainOf(slot) !== main) continue;
      const value = log.values.readValue(store.fileOf(slot), store.offsetOf(slot), store.valueLengthOf(slot));
      assert.deepEqual(value, bytesFor(key, main, length), `key ${key} at revision ${main}`);
    }
    assert.equal(store.keysAlive, newest.size);
  }

  async stop(): Promise<void> {
    await this.log.close();
    this.#disk.killProcess();
  }
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

test("store and log together keep every value over checkpoints, reclaims under writes, and restarts", async () => {
  const disk = new SimDisk({ random: dice(seed) });
  const random = dice(seed + 100);
  let member = await Member.start(disk);
  const puts = member.puts;
  for (let round = 0; round < 40; round++) {
    for (let i = 0; i < 100; i++) member.put(random.below(300), random.below(1500));
    if (round % 3 === 1) member.compact();
    if (round % 4 === 2) {
      const job = member.log.reclaim(member, round % 8 === 2);
      for (let i = 0; i < 30; i++) {
        member.put(random.below(300), random.below(1500));
        await turn();
      }
      await job;
    }
    if (round % 5 === 4) await member.log.checkpoint(member);
    if (round % 10 !== 9) continue;
    for (const [main, put] of member.puts) puts.set(main, put);
    member.check(puts);
    await member.stop();
    member = await Member.start(disk);
    for (const [main, put] of member.puts) puts.set(main, put);
    member.check(puts);
  }
  await member.log.reclaim(member, true);
  const live = member.revisions.liveBytes;
  assert.ok(disk.usedBytes < 2 * live + 6 * limits.segmentBytesMax, member.log.describe(member.store));
  await member.stop();
});

test("so many entries make a checkpoint due, over a restart too, unless its image outweighs them", async () => {
  const few = { checkpointEntries: 20, catchUpEntries: 5 };
  const disk = new SimDisk({ random: dice(seed) });
  let member = await Member.start(disk, few);
  const put = (times: number): void => {
    for (let i = 0; i < times; i++) member.put(i, 10);
  };
  put(20);
  assert.equal(member.log.checkpointDue, false);
  put(1);
  assert.equal(member.log.checkpointDue, true);
  await member.log.checkpoint(member);
  assert.equal(member.log.checkpointDue, false);
  assert.equal(member.log.raft.firstIndex(), 17, "a follower further behind needs a snapshot");
  put(15);
  await member.stop();
  member = await Member.start(disk, few);
  assert.equal(member.log.checkpointDue, false);
  put(6);
  assert.equal(member.log.checkpointDue, true);
  for (let key = 0; key < 30_000; key++) member.put(key, 10);
  await member.log.checkpoint(member);
  put(21);
  assert.equal(member.log.checkpointDue, false, "an image of more than a megabyte for 21 short entries");
  await member.stop();
});
