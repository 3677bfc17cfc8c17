// Which rows a range request means: shared by the KV service's reads and by ranges inside a txn. It picks slots and says how many
// there are; turning them into bytes or objects is the caller's.
import type { Revision } from "../base/brand.ts";
import { compareBytes, copyBytes } from "../base/bytes.ts";
import { type EtcdError, errors } from "../base/errors.ts";
import { goSort } from "../base/go-sort.ts";
import type { ReadView, Slot, SlotList, ValueReader } from "../mvcc/contract.ts";
import { KeyValueForm } from "../mvcc/key-value.ts";
import { type RangeRequest, SortOrder, SortTarget } from "../wire/generated/etcdserverpb.ts";

/** What a range picked. `count` counts the whole range, whatever limit and filters say. */
export type Picked = { more: boolean; count: number };

/** Keys come in order anyway: nothing to sort, so a limit can be pushed down. */
export function isDefaultOrdering(request: RangeRequest): boolean {
  return (
    request.sortOrder === SortOrder.NONE ||
    (request.sortTarget === SortTarget.KEY && request.sortOrder === SortOrder.ASCEND)
  );
}

export function hasRevisionFilters(request: RangeRequest): boolean {
  return (
    request.minModRevision !== 0 ||
    request.maxModRevision !== 0 ||
    request.minCreateRevision !== 0 ||
    request.maxCreateRevision !== 0
  );
}

/** Neither filters nor a sort after the fact: the rows can be sent as they are walked. */
export function isPlainRange(request: RangeRequest): boolean {
  return (
    request.sortTarget === SortTarget.KEY &&
    request.sortOrder !== SortOrder.DESCEND &&
    !hasRevisionFilters(request)
  );
}

/** The revision to read at: the request's, or `current` for 0 and less. */
export function readRevision(view: ReadView, requested: number, current: Revision): Revision | EtcdError {
  if (requested > current) return errors.futureRevision;
  if (requested <= 0) return current;
  if (requested < view.compactedRevision) return errors.compacted;
  return requested as Revision;
}

/** Keys without values come from the index, and as in etcd 3.7 without the lease; a sort by value needed the values and keeps it. */
export function formOf(request: RangeRequest): KeyValueForm {
  if (!request.keysOnly) return KeyValueForm.Full;
  return request.sortTarget === SortTarget.VALUE ? KeyValueForm.NoValue : KeyValueForm.KeysOnly;
}

/** Appends the request's rows as of `at` to `out` (which is empty), in the order of the reply, and counts the whole range. */
export function pickRows(
  view: ReadView,
  reader: ValueReader,
  request: RangeRequest,
  at: Revision,
  out: SlotList,
): Picked {
  if (request.countOnly) return { more: false, count: view.count(request.key, request.rangeEnd, at) };
  const { more, found } = pickUncounted(view, reader, request, at, out);
  return { more, count: found ?? view.count(request.key, request.rangeEnd, at) };
}

/** The same without the count of what a limit left out, which costs a walk at an old revision. `found`: the count if it is known. */
export function pickUncounted(
  view: ReadView,
  reader: ValueReader,
  request: RangeRequest,
  at: Revision,
  out: SlotList,
): { more: boolean; found: number | undefined } {
  const { key, rangeEnd, limit } = request;
  const pushDown = limit > 0 && isDefaultOrdering(request) && !hasRevisionFilters(request);
  const max = pushDown ? Math.min(limit, Number.MAX_SAFE_INTEGER - 1) : Number.MAX_SAFE_INTEGER;
  // With another sort target but no order, etcd limits first and sorts what it got, the row beyond the limit included.
  const sortsAfterLimit = pushDown && request.sortTarget !== SortTarget.KEY;
  let more = view.range(key, rangeEnd, at, sortsAfterLimit ? max + 1 : max, out);
  const found = more ? undefined : out.length;
  if (hasRevisionFilters(request)) filterRows(view, request, out);
  if (request.sortTarget !== SortTarget.KEY || request.sortOrder === SortOrder.DESCEND)
    sortRows(view, reader, request, out);
  if (limit > 0 && out.length > limit) {
    out.length = limit;
    more = true;
  }
  return { more, found };
}

function filterRows(view: ReadView, request: RangeRequest, rows: SlotList): void {
  const { minModRevision, maxModRevision, minCreateRevision, maxCreateRevision } = request;
  let kept = 0;
  for (let i = 0; i < rows.length; i++) {
    const slot = rows.slots[i]! as Slot;
    const mod = view.mainOf(slot);
    const create = view.createRevisionOf(slot);
    if (maxModRevision !== 0 && mod > maxModRevision) continue;
    if (minModRevision !== 0 && mod < minModRevision) continue;
    if (maxCreateRevision !== 0 && create > maxCreateRevision) continue;
    if (minCreateRevision !== 0 && create < minCreateRevision) continue;
    rows.slots[kept++] = slot;
  }
  rows.length = kept;
}

/** Rows with equal sort keys come in the order in which etcd's sort leaves them. */
function sortRows(view: ReadView, reader: ValueReader, request: RangeRequest, rows: SlotList): void {
  const slots = rows.slots.subarray(0, rows.length);
  if (request.sortTarget === SortTarget.KEY) {
    slots.reverse();
  } else if (request.sortTarget === SortTarget.VALUE) {
    const values = Array.from(slots, (slot) => copyValueOf(view, reader, slot as Slot));
    sortBy(values, slots, request.sortOrder, (a, b) => compareBytes(a, b) < 0);
  } else {
    const column = columnOf(view, request.sortTarget);
    const numbers = Float64Array.from(slots, (slot) => column(slot as Slot));
    sortBy(numbers, slots, request.sortOrder, (a, b) => a < b);
  }
}

/** Sorts `slots`, whose sort keys are `keys`. */
function sortBy<Key>(
  keys: { [index: number]: Key },
  slots: SlotList["slots"],
  order: number,
  less: (a: Key, b: Key) => boolean,
): void {
  const descending = order === SortOrder.DESCEND;
  goSort(
    {
      less(i, j) {
        return descending ? less(keys[j]!, keys[i]!) : less(keys[i]!, keys[j]!);
      },
      swap(i, j) {
        const key = keys[i]!;
        keys[i] = keys[j]!;
        keys[j] = key;
        const slot = slots[i]!;
        slots[i] = slots[j]!;
        slots[j] = slot;
      },
    },
    slots.length,
  );
}

function columnOf(view: ReadView, target: number): (slot: Slot) => number {
  switch (target) {
    case SortTarget.VERSION:
      return (slot) => view.versionOf(slot);
    case SortTarget.CREATE:
      return (slot) => view.createRevisionOf(slot);
    default:
      return (slot) => view.mainOf(slot);
  }
}

/** A copy of a row's value that the caller may keep. */
export function copyValueOf(view: ReadView, reader: ValueReader, slot: Slot): Uint8Array {
  return copyBytes(reader.readValue(view.fileOf(slot), view.offsetOf(slot), view.valueLengthOf(slot)));
}
