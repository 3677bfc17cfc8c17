// The hashes by which members compare their key spaces, equal to real etcd's: CRC-32C over the name of etcd's bucket and then
// over every revision as etcd's backend stores it (server/storage/mvcc/hash.go of 3.7.1). Used by compaction and by HashJob.
import { writeUint64 } from "../base/bytes.ts";
import { crc32c, crc32cRange } from "../base/crc32c.ts";
import type { Slot, SlotView, ValueReader } from "./contract.ts";
import { KEY_VALUE_OVERHEAD_MAX, KeyValueForm, writeKeyValueHead, writeKeyValueTail } from "./key-value.ts";

/** etcd's KeyValueHash. compactRevision is −1 when nothing was ever compacted, as etcd answers it. */
export type KeyValueHash = {
  readonly hash: number;
  readonly compactRevision: number;
  readonly revision: number;
};

/** How many hashes of compactions are kept: etcd's hashStorageMaxSize. */
export const COMPACTION_HASHES_MAX = 10;

const BUCKET_NAME = Uint8Array.of(0x6b, 0x65, 0x79); // "key"
const BUCKET_KEY_BYTES = 17;
const TOMBSTONE_MARK = 0x74; // "t"
const SEPARATOR = 0x5f; // "_"

/** What hashing a value of `length` bytes costs beyond a short one, in rows: a bite of rows must not be a bite of gigabytes. */
export function hashCost(length: number): number {
  return length >>> 12;
}

/**
 * Takes rows in revision order up to `revision`. etcd leaves out what stands at or below `compactRevision` and is not among
 * the revisions to keep, but only if there are any to keep. That is known at the end only, so two sums run side by side until the first
 * row to keep comes by.
 */
export class KeyValueHasher {
  readonly #view: SlotView;
  readonly #compactRevision: number;
  readonly #revision: number;
  #scratch = new Uint8Array(512);
  #strict = crc32c(BUCKET_NAME);
  #loose = this.#strict;
  #keeps = false;

  constructor(view: SlotView, compactRevision: number, revision: number) {
    this.#view = view;
    this.#compactRevision = compactRevision;
    this.#revision = revision;
  }

  /** `kept`: the row is among the revisions to keep at `revision`. */
  write(slot: Slot, kept: boolean, values: ValueReader): void {
    if (kept) this.#keeps = true;
    const main = this.#view.mainOf(slot);
    const tombstone = this.#view.isTombstone(slot);
    // etcd before 3.5.16 dropped a tombstone at the compacted revision itself; leaving it out keeps both kinds equal.
    if (tombstone && main === this.#compactRevision) return;
    const strict = kept || main > this.#compactRevision;
    if (strict) this.#strict = this.#add(slot, main, tombstone, values, this.#strict);
    if (!this.#keeps) this.#loose = this.#add(slot, main, tombstone, values, this.#loose);
  }

  result(): KeyValueHash {
    const hash = this.#keeps ? this.#strict : this.#loose;
    return { hash, compactRevision: this.#compactRevision, revision: this.#revision };
  }

  #add(slot: Slot, main: number, tombstone: boolean, values: ValueReader, seed: number): number {
    const view = this.#view;
    const need = BUCKET_KEY_BYTES + 1 + view.keyLengthOf(slot) + KEY_VALUE_OVERHEAD_MAX;
    if (need > this.#scratch.length) this.#scratch = new Uint8Array(need * 2);
    const bytes = this.#scratch;
    writeUint64(main, bytes, 0);
    bytes[8] = SEPARATOR;
    writeUint64(view.subOf(slot), bytes, 9);
    let at = BUCKET_KEY_BYTES;
    if (tombstone) bytes[at++] = TOMBSTONE_MARK;
    at = writeKeyValueHead(view, slot, KeyValueForm.Stored, bytes, at);
    const length = view.valueLengthOf(slot);
    let sum = seed;
    if (length > 0) {
      sum = crc32cRange(bytes, 0, at, sum);
      sum = crc32c(values.readValue(view.fileOf(slot), view.offsetOf(slot), length), sum);
      at = 0;
    }
    at = writeKeyValueTail(view, slot, bytes, at);
    return at > 0 ? crc32cRange(bytes, 0, at, sum) : sum;
  }
}

/** The hashes of the newest compactions, ascending by revision. */
export class CompactionHashes {
  #hashes: KeyValueHash[] = [];

  add(hash: KeyValueHash): void {
    this.#hashes.push(hash);
    this.#hashes.sort((a, b) => a.revision - b.revision);
    if (this.#hashes.length > COMPACTION_HASHES_MAX)
      this.#hashes = this.#hashes.slice(-COMPACTION_HASHES_MAX);
  }

  find(revision: number): KeyValueHash | undefined {
    return this.#hashes.find((hash) => hash.revision === revision);
  }

  list(): readonly KeyValueHash[] {
    return [...this.#hashes];
  }
}
