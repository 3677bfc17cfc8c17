// mvccpb.KeyValue of a row: its size and its bytes, written straight into the caller's buffer, the value copied from where it
// stands. The KV service, watch, hashes and the bbolt export all write it with this file, because hashes demand one encoding:
// fields in order of their numbers, zeros left out.
import { NO_LEASE } from "../base/brand.ts";
import { sizeBigint, sizeUint64Number, writeBigint, writeUint64Number } from "../wire/writer.ts";
import type { Slot, SlotView, ValueReader } from "./contract.ts";

/** What of the row is written. */
export const KeyValueForm = {
  /** As a client sees it. Of a tombstone: key and mod_revision, as in a DELETE event. */
  Full: 0,
  /** Value dropped and lease 0: keys_only as etcd 3.7 answers it, from its index. */
  KeysOnly: 1,
  /** Value dropped, lease kept: keys_only when it had to be sorted by value. */
  NoValue: 2,
  /** As etcd's backend stores and hashes it. Of a tombstone: the key alone. */
  Stored: 3,
} as const;
export type KeyValueForm = (typeof KeyValueForm)[keyof typeof KeyValueForm];

/** Of the fields of mvccpb.KeyValue. */
export const KEY_TAG = 0x0a;
export const CREATE_REVISION_TAG = 0x10;
export const MOD_REVISION_TAG = 0x18;
export const VERSION_TAG = 0x20;
export const VALUE_TAG = 0x2a;
export const LEASE_TAG = 0x30;
/** Most bytes of a KeyValue besides key and value. */
export const KEY_VALUE_OVERHEAD_MAX = 64;

export function keyValueSize(view: SlotView, slot: Slot, form: KeyValueForm): number {
  const key = view.keyLengthOf(slot);
  // The mark that `etcdutl snapshot restore --bump-revision` leaves is a row of no bytes at all.
  if (key === 0 && form === KeyValueForm.Stored) return 0;
  let size = key === 0 ? 0 : 1 + sizeUint64Number(key) + key;
  if (view.isTombstone(slot)) {
    return form === KeyValueForm.Stored ? size : size + 1 + sizeUint64Number(view.mainOf(slot));
  }
  const create = view.createRevisionOf(slot);
  const version = view.versionOf(slot);
  if (create > 0) size += 1 + sizeUint64Number(create);
  size += 1 + sizeUint64Number(view.mainOf(slot));
  if (version > 0) size += 1 + sizeUint64Number(version);
  if (form === KeyValueForm.KeysOnly) return size;
  if (form !== KeyValueForm.NoValue) {
    const length = view.valueLengthOf(slot);
    if (length > 0) size += 1 + sizeUint64Number(length) + length;
  }
  const lease = view.leaseOf(slot);
  return lease === NO_LEASE ? size : size + 1 + sizeBigint(lease);
}

/** Writes the row's KeyValue to `into` at `at`, which has room for keyValueSize bytes, and returns the place behind it. */
export function writeKeyValue(
  view: SlotView,
  slot: Slot,
  form: KeyValueForm,
  values: ValueReader,
  into: Uint8Array,
  at: number,
): number {
  let place = writeKeyValueHead(view, slot, form, into, at);
  if (form !== KeyValueForm.Full && form !== KeyValueForm.Stored) {
    return form === KeyValueForm.NoValue ? writeKeyValueTail(view, slot, into, place) : place;
  }
  const length = view.valueLengthOf(slot);
  if (length > 0) {
    values.copyValue(view.fileOf(slot), view.offsetOf(slot), length, into, place);
    place += length;
  }
  return writeKeyValueTail(view, slot, into, place);
}

/** Everything before the bytes of the value: the value follows, then writeKeyValueTail. */
export function writeKeyValueHead(
  view: SlotView,
  slot: Slot,
  form: KeyValueForm,
  into: Uint8Array,
  at: number,
): number {
  let place = at;
  const key = view.keyLengthOf(slot);
  if (key > 0) {
    into[place] = KEY_TAG;
    place = writeUint64Number(key, into, place + 1);
    place += view.copyKeyOf(slot, into, place);
  } else if (form === KeyValueForm.Stored) return place;
  const tombstone = view.isTombstone(slot);
  if (tombstone && form === KeyValueForm.Stored) return place;
  if (!tombstone) {
    const create = view.createRevisionOf(slot);
    if (create > 0) {
      into[place] = CREATE_REVISION_TAG;
      place = writeUint64Number(create, into, place + 1);
    }
  }
  into[place] = MOD_REVISION_TAG;
  place = writeUint64Number(view.mainOf(slot), into, place + 1);
  if (tombstone) return place;
  const version = view.versionOf(slot);
  if (version > 0) {
    into[place] = VERSION_TAG;
    place = writeUint64Number(version, into, place + 1);
  }
  if (form !== KeyValueForm.Full && form !== KeyValueForm.Stored) return place;
  const length = view.valueLengthOf(slot);
  if (length === 0) return place;
  into[place] = VALUE_TAG;
  return writeUint64Number(length, into, place + 1);
}

/** Everything behind the bytes of the value. */
export function writeKeyValueTail(view: SlotView, slot: Slot, into: Uint8Array, at: number): number {
  const lease = view.leaseOf(slot);
  if (lease === NO_LEASE) return at;
  into[at] = LEASE_TAG;
  return writeBigint(lease, into, at + 1);
}
