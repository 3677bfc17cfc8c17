// A backup: the member's whole state as an etcd database file (bbolt), made on the fly from the index and the log. Two walks over the
// rows, one for sizes and one for bytes, in bites between other work; compaction waits for the backup, writes do not.
import { ByteRoom } from "../../base/byte-room.ts";
import { allocate, compareBytes, latin1FromBytes } from "../../base/bytes.ts";
import { crc32c } from "../../base/crc32c.ts";
import type { BucketSource, RowCursor } from "../../bbolt/rows.ts";
import { BoltWriter } from "../../bbolt/writer.ts";
import { type BackendTables, BucketName, MetaKey } from "../../etcdfile/backend.ts";
import { backendBuckets } from "../../etcdfile/backend-writer.ts";
import { REVISION_BYTES, TOMBSTONE_REVISION_BYTES, writeRevision } from "../../etcdfile/key-row.ts";
import type { ValueReader } from "../../mvcc/contract.ts";
import type { HashJob } from "../../mvcc/hash-job.ts";
import type { KeyValueHash } from "../../mvcc/key-value-hash.ts";
import type { StoredRows } from "../../mvcc/stored-rows.ts";
import type { Member } from "../member.ts";
import { storageVersionOf } from "../membership/version-monitor.ts";

export type Backup = {
  readonly writer: BoltWriter;
  /** `X.Y.0`, as every message of the Snapshot RPC repeats it. */
  readonly storageVersion: string;
  release(): void;
};

/** The state as of now, in chunks of so many bytes. Whoever asks releases it, whatever happens. */
export function openBackup(member: Member, chunkBytes: number, reader = member.reader): Backup {
  const { store } = member;
  const hold = store.hold();
  const until = store.currentRevision;
  const buckets = backendBuckets(backendTables(member), () => new StoreRows(store.storedRows(until), reader));
  return {
    writer: new BoltWriter(buckets, { chunkBytes }),
    storageVersion: storageVersionOf(member) ?? "",
    release: () => hold.release(),
  };
}

function backendTables(member: Member): BackendTables {
  const { membership, lessor, applyContext, raft, store } = member;
  const { autoLeave } = raft.confState;
  const [voters, learners] = [[...raft.confState.voters], [...raft.confState.learners]];
  const [votersOutgoing, learnersNext] = [
    [...raft.confState.votersOutgoing],
    [...raft.confState.learnersNext],
  ];
  return {
    consistentIndex: raft.appliedIndex,
    term: raft.appliedTerm,
    confState: { voters, learners, votersOutgoing, learnersNext, autoLeave },
    scheduledCompactRevision: store.scheduledCompaction === 0 ? undefined : store.scheduledCompaction,
    finishedCompactRevision: store.finishedCompaction === 0 ? undefined : store.finishedCompaction,
    storageVersion: membership.storageVersion,
    clusterVersion: membership.version,
    downgrade: membership.downgrade.enabled ? membership.downgrade : undefined,
    members: membership.members(),
    removed: membership.removed,
    leases: lessor.leases().map(({ id, ttl, remainingTtl }) => ({ id, ttl, remainingTtl })),
    alarms: applyContext.alarms.get(0).map(({ memberId, alarm }) => ({ memberId, alarm })),
    authEnabled: false,
    authRevision: 0,
    users: [],
    roles: [],
  };
}

/** The key bucket: every row, in revision order. */
class StoreRows implements RowCursor {
  keyLength = 0;
  valueLength = 0;
  readonly #rows: StoredRows;
  readonly #reader: ValueReader;

  constructor(rows: StoredRows, reader: ValueReader) {
    this.#rows = rows;
    this.#reader = reader;
  }

  next(): boolean {
    const rows = this.#rows;
    if (!rows.next()) return false;
    this.keyLength = rows.tombstone ? TOMBSTONE_REVISION_BYTES : REVISION_BYTES;
    this.valueLength = rows.size;
    return true;
  }

  copyKey(into: ByteRoom, at: number): void {
    const { main, sub, tombstone } = this.#rows;
    writeRevision(main, sub, tombstone, into.view, at);
  }

  copyValue(into: ByteRoom, at: number): void {
    this.#rows.write(this.#reader, into, at);
  }
}

/**
 * etcd's Hash(): CRC-32C over every bucket in order of its name, then each key and value; not over what differs between equal members.
 * The old call is for tests alone; HashKV is what members compare.
 */
export class BackendHash implements HashJob {
  result: KeyValueHash | undefined = undefined;
  readonly #hold: { release(): void };
  readonly #buckets: readonly BucketSource[];
  readonly #revision: number;
  #cursor: RowCursor | undefined;
  #bucket = 0;
  #crc = 0;

  constructor(member: Member) {
    const { store, reader } = member;
    this.#hold = store.hold();
    this.#revision = store.currentRevision;
    const until = store.currentRevision;
    this.#buckets = [
      ...backendBuckets(backendTables(member), () => new StoreRows(store.storedRows(until), reader)),
    ].sort((a, b) => compareBytes(a.name, b.name));
  }

  step(rowsMax: number): boolean {
    for (let left = rowsMax; left > 0 && this.result === undefined; left--) this.#row();
    return this.result !== undefined;
  }

  cancel(): void {
    this.#hold.release();
  }

  #row(): void {
    const bucket = this.#buckets[this.#bucket];
    if (bucket === undefined) {
      this.result = { hash: this.#crc, compactRevision: 0 as never, revision: this.#revision as never };
      this.#hold.release();
      return;
    }
    if (this.#cursor === undefined) {
      this.#cursor = bucket.rows();
      this.#crc = crc32c(bucket.name, this.#crc);
    }
    const cursor = this.#cursor;
    if (!cursor.next()) {
      this.#cursor = undefined;
      this.#bucket++;
      return;
    }
    const bytes = allocate(cursor.keyLength + cursor.valueLength);
    const room = new ByteRoom(bytes);
    cursor.copyKey(room, 0);
    if (latin1FromBytes(bucket.name) === BucketName.Meta && isLocalMeta(bytes.subarray(0, cursor.keyLength)))
      return;
    cursor.copyValue(room, cursor.keyLength);
    this.#crc = crc32c(bytes, this.#crc);
  }
}

function isLocalMeta(key: Uint8Array): boolean {
  const name = latin1FromBytes(key);
  return name === MetaKey.ConsistentIndex || name === MetaKey.Term || name === MetaKey.StorageVersion;
}
