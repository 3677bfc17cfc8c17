// What applying an entry works on. One object, made once: where mvcc, lease and cluster meet.
import type { Index, MemberId, Millis, Term } from "../base/brand.ts";
import { copyBytes, EMPTY } from "../base/bytes.ts";
import type { Alarms } from "../cluster/alarms.ts";
import type { Membership } from "../cluster/membership.ts";
import type { Lessor } from "../lease/lessor.ts";
import type { FileNumber, Slot, SlotList, ValueReader } from "../mvcc/contract.ts";
import { KeyValueForm } from "../mvcc/key-value.ts";
import type { Store } from "../mvcc/store.ts";
import type { KeyValue } from "../wire/generated/mvccpb.ts";
import type { OpCounts } from "./op-counts.ts";
import { copyValueOf } from "./range.ts";

export type ApplyContext = {
  /** A snapshot from the leader puts another one here. */
  store: Store;
  readonly reader: ValueReader;
  readonly lessor: Lessor;
  readonly membership: Membership;
  readonly alarms: Alarms;
  readonly localId: MemberId;
  /** Bytes of live data beyond which writes are refused; Infinity = no quota. */
  readonly quotaBytes: number;
  /** Rows changed by the entry at hand: cleared by the applier before each entry, read by the watch hub after it. */
  readonly changed: SlotList;
  /** Operations executed, for the metrics. */
  readonly counts: OpCounts;
  /** Rows found by reads within the entry. */
  readonly scratch: SlotList;
  /** Where the entry at hand stands, for the places of its values. */
  entry: EntryAtHand;
};

export type EntryAtHand = {
  readonly term: Term;
  readonly index: Index;
  readonly data: Uint8Array;
  readonly file: FileNumber;
  readonly offset: number;
  /** Monotonic time at which it is applied: leases count from it. Never enters the key space. */
  readonly now: Millis;
};

/** Offset in the entry's file of bytes that are a view of the entry's data. */
export function offsetInFile(entry: EntryAtHand, bytes: Uint8Array): number {
  return entry.offset + (bytes.byteOffset - entry.data.byteOffset);
}

/** A row as a message, its bytes copied. */
export function keyValueOf(context: ApplyContext, slot: Slot, form: KeyValueForm): KeyValue {
  const { store, reader } = context;
  return {
    key: copyBytes(store.keyOf(slot)),
    createRevision: store.createRevisionOf(slot),
    modRevision: store.mainOf(slot),
    version: store.versionOf(slot),
    value: form === KeyValueForm.Full ? copyValueOf(store, reader, slot) : EMPTY,
    lease: form === KeyValueForm.KeysOnly ? 0n : store.leaseOf(slot),
  };
}
