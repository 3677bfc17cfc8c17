// A growable list of slots that callers reuse, so that a range makes no garbage.
import type { Slot, SlotList } from "./contract.ts";

export function newSlotList(capacity = 64): SlotList {
  return { slots: new Int32Array(capacity), length: 0 };
}

/** Makes room for `more` further slots. */
export function reserveSlots(list: SlotList, more: number): void {
  const need = list.length + more;
  if (need <= list.slots.length) return;
  const grown = new Int32Array(Math.max(need, list.slots.length * 2, 64));
  grown.set(list.slots.subarray(0, list.length));
  list.slots = grown;
}

export function pushSlot(list: SlotList, slot: Slot): void {
  if (list.length === list.slots.length) reserveSlots(list, 1);
  list.slots[list.length++] = slot;
}

/** Adds the first `count` of `slots`. */
export function pushSlots(list: SlotList, slots: Int32Array, count: number): void {
  reserveSlots(list, count);
  list.slots.set(count === slots.length ? slots : slots.subarray(0, count), list.length);
  list.length += count;
}

export function slotAt(list: SlotList, index: number): Slot {
  return list.slots[index]! as Slot;
}
