// Stretches: rows of long lists that stand one after the other, kept encoded as they go out, so that the next list which shows the
// same rows takes the bytes as they are. Used by the answers to a range; bounded, and forgotten when nobody asks for a while.
//
// It can show nothing stale, because it is asked by contents: a stretch is the encoding of certain rows, and it is used where a walk
// has just found exactly these rows, at whatever revision, limit or end. A row is one revision of one key and never changes; a
// write makes another row. Slots stand for rows as long as the store's slotEpoch is the same.
//
// Where a stretch begins depends on its rows alone (one slot in 32, by a hash), so walks that overlap agree on the boundaries, and a
// write costs the stretch it is in.
import type { Millis } from "../base/brand.ts";
import { allocate } from "../base/bytes.ts";
import type { Slot, SlotList, ValueReader } from "../mvcc/contract.ts";
import { KeyValueForm, keyValueSize, writeKeyValue } from "../mvcc/key-value.ts";
import type { Store } from "../mvcc/store.ts";
import type { Clock } from "../ports/clock.ts";
import { sizeDelimited, writeVarint32 } from "../wire/writer.ts";

/** Bytes of all stretches kept. A list longer than that is not kept at all: it would only push itself out. */
export const STRETCHES_BYTES_MAX = 64 << 20;
/** A stretch ends behind the row with which it reaches this length. */
const STRETCH_BYTES_FULL = 64 << 10;
/** Longer ones (by a long last row) are not kept: copying a long value costs little beside sending it. */
const STRETCH_BYTES_MAX = 256 << 10;
/** What nobody asked for from one look to the next goes. */
const LOOK_EVERY: Millis = 10_000 as Millis;

function isBoundary(slot: number): boolean {
  return Math.imul(slot, 0x9e3779b1) >>> 27 === 0;
}

type Stretch = {
  readonly slots: Int32Array;
  readonly bytes: Uint8Array;
  touched: boolean;
};

export class Stretches {
  readonly #store: Store;
  readonly #reader: ValueReader;
  readonly #clock: Clock;
  /** By first slot; in the order in which they came, or were passed over by #evict. */
  readonly #kept = new Map<number, Stretch>();
  #epoch = 0;
  /** Of the rows planned last, by their place in the list; without meaning where a stretch is kept. */
  #sizes = new Int32Array(0);
  #looking = false;
  /** Bytes of what is kept. */
  bytes = 0;

  constructor(store: Store, reader: ValueReader, clock: Clock) {
    this.#store = store;
    this.#reader = reader;
    this.#clock = clock;
  }

  /**
   * Cuts rows in key order into stretches. The plan holds until the next one is made. `aligned`: the first row follows a stretch that
   * ended at a boundary.
   */
  plan(list: SlotList, plan: Plan, aligned = false): void {
    if (this.#epoch !== this.#store.slotEpoch) this.#forget();
    if (this.#sizes.length < list.length) this.#sizes = new Int32Array(list.slots.length);
    plan.clear();
    const { slots, length } = list;
    for (let at = 0; at < length; ) {
      const first = slots[at]!;
      aligned ||= isBoundary(first);
      const kept = aligned ? this.#kept.get(first) : undefined;
      if (kept !== undefined && isAt(kept.slots, slots, at, length)) {
        kept.touched = true;
        plan.addKept(at, kept.slots.length, kept.bytes);
        at += kept.slots.length;
      } else at = this.#planFresh(list, at, aligned, plan);
    }
    plan.aligned = aligned;
  }

  /** Measures the rows up to the next boundary; returns where that is. */
  #planFresh(list: SlotList, from: number, aligned: boolean, plan: Plan): number {
    const { slots, length } = list;
    const sizes = this.#sizes;
    let bytes = 0;
    let at = from;
    do {
      const size = keyValueSize(this.#store, slots[at]! as Slot, KeyValueForm.Full);
      sizes[at++] = size;
      bytes += 1 + sizeDelimited(size);
    } while (at < length && bytes < STRETCH_BYTES_FULL && !isBoundary(slots[at]!));
    // At the end of the list nobody knows whether the stretch goes on.
    const whole = at < length || bytes >= STRETCH_BYTES_FULL;
    plan.open = !whole;
    plan.addFresh(from, at - from, bytes, aligned && whole && bytes <= STRETCH_BYTES_MAX);
    return at;
  }

  /** Appends the bytes of the plan's rows to `out`, which must not be changed. `keep`: what is new stays for others. */
  gather(list: SlotList, plan: Plan, keep: boolean, out: Uint8Array[]): void {
    for (let i = 0; i < plan.length; i++) {
      let bytes = plan.kept[i];
      if (bytes === undefined) {
        bytes = this.#encode(list, plan.starts[i]!, plan.counts[i]!, plan.sizes[i]!);
        if (keep && plan.keepable[i]) this.#keep(list, plan.starts[i]!, plan.counts[i]!, bytes);
      }
      out.push(bytes);
    }
  }

  #encode(list: SlotList, from: number, count: number, size: number): Uint8Array {
    const store = this.#store;
    const reader = this.#reader;
    const out = allocate(size);
    let at = 0;
    for (let i = from; i < from + count; i++) {
      const slot = list.slots[i]! as Slot;
      out[at++] = 0x12;
      at = writeVarint32(this.#sizes[i]!, out, at);
      at = writeKeyValue(store, slot, KeyValueForm.Full, reader, out, at);
    }
    return out;
  }

  #keep(list: SlotList, from: number, count: number, bytes: Uint8Array): void {
    const slots = Int32Array.from(list.slots.subarray(from, from + count));
    const before = this.#kept.get(slots[0]!);
    if (before !== undefined) this.bytes -= before.bytes.length;
    this.#kept.set(slots[0]!, { slots, bytes, touched: true });
    this.bytes += bytes.length;
    if (this.bytes > STRETCHES_BYTES_MAX) this.#evict();
    if (!this.#looking) this.#lookLater();
  }

  /** Second chance, in the order of the map. */
  #evict(): void {
    for (const [first, stretch] of this.#kept) {
      if (this.bytes <= STRETCHES_BYTES_MAX) return;
      this.#kept.delete(first);
      if (stretch.touched) {
        stretch.touched = false;
        this.#kept.set(first, stretch);
      } else this.bytes -= stretch.bytes.length;
    }
  }

  #lookLater(): void {
    this.#looking = true;
    this.#clock.after(LOOK_EVERY, () => this.#look());
  }

  #look(): void {
    for (const [first, stretch] of this.#kept) {
      if (stretch.touched) stretch.touched = false;
      else {
        this.#kept.delete(first);
        this.bytes -= stretch.bytes.length;
      }
    }
    this.#looking = false;
    if (this.#kept.size > 0) this.#lookLater();
  }

  #forget(): void {
    this.#epoch = this.#store.slotEpoch;
    this.#kept.clear();
    this.bytes = 0;
  }
}

/** How a list is cut, entry by entry. Callers keep one and use it again. */
export class Plan {
  readonly starts: number[] = [];
  readonly counts: number[] = [];
  readonly sizes: number[] = [];
  /** The bytes, when they are there already. */
  readonly kept: (Uint8Array | undefined)[] = [];
  readonly keepable: boolean[] = [];
  length = 0;
  bytes = 0;
  /** Of these, what has to be encoded. */
  freshBytes = 0;
  /** The last entry may go on behind the list's end. */
  open = false;
  /** Whether the list's end follows a boundary, if the last entry is not open. */
  aligned = false;

  clear(): void {
    for (let i = 0; i < this.length; i++) this.kept[i] = undefined;
    this.length = 0;
    this.bytes = 0;
    this.freshBytes = 0;
    this.open = false;
  }

  /** Leaves the last entry for another plan; returns where it begins. */
  dropLast(): number {
    const at = --this.length;
    this.bytes -= this.sizes[at]!;
    if (this.kept[at] === undefined) this.freshBytes -= this.sizes[at]!;
    this.kept[at] = undefined;
    return this.starts[at]!;
  }

  addKept(start: number, count: number, bytes: Uint8Array): void {
    this.#add(start, count, bytes.length, false);
    this.open = false;
    this.kept[this.length - 1] = bytes;
  }

  addFresh(start: number, count: number, bytes: number, keepable: boolean): void {
    this.#add(start, count, bytes, keepable);
    this.freshBytes += bytes;
  }

  #add(start: number, count: number, bytes: number, keepable: boolean): void {
    const at = this.length++;
    this.starts[at] = start;
    this.counts[at] = count;
    this.sizes[at] = bytes;
    this.kept[at] = undefined;
    this.keepable[at] = keepable;
    this.bytes += bytes;
  }
}

function isAt(wanted: Int32Array, slots: SlotList["slots"], at: number, length: number): boolean {
  const count = wanted.length;
  if (at + count > length) return false;
  for (let i = 0; i < count; i++) if (wanted[i] !== slots[at + i]) return false;
  return true;
}
