// Watch events as bytes: a row as one `events` field of a WatchResponse, with the row before it when a watcher asked for it.
import { allocate } from "../base/bytes.ts";
import { NO_SLOT, type Slot, type ValueReader } from "../mvcc/contract.ts";
import { KeyValueForm, keyValueSize, writeKeyValue } from "../mvcc/key-value.ts";
import type { Store } from "../mvcc/store.ts";
import type { EventEncoder } from "../watch/hub.ts";
import { sizeDelimited, writeVarint32 } from "../wire/writer.ts";

/** Field numbers: WatchResponse.events 11; Event.type 1, kv 2, prev_kv 3. */
const EVENTS_TAG = 0x5a;
const TYPE_TAG = 0x08;
const KV_TAG = 0x12;
const PREV_KV_TAG = 0x1a;
const DELETE = 1;

export function eventEncoder(store: Store, reader: ValueReader): EventEncoder {
  return (slot, withPrevious) => {
    const isDelete = store.isTombstone(slot);
    const previous = withPrevious ? visiblePrevious(store, slot, isDelete) : NO_SLOT;
    const kvSize = keyValueSize(store, slot, KeyValueForm.Full);
    const previousSize = previous === NO_SLOT ? 0 : keyValueSize(store, previous, KeyValueForm.Full);
    const size =
      (isDelete ? 2 : 0) +
      1 +
      sizeDelimited(kvSize) +
      (previous === NO_SLOT ? 0 : 1 + sizeDelimited(previousSize));
    const out = allocate(1 + sizeDelimited(size));
    out[0] = EVENTS_TAG;
    let at = writeVarint32(size, out, 1);
    if (isDelete) {
      out[at++] = TYPE_TAG;
      out[at++] = DELETE;
    }
    out[at++] = KV_TAG;
    at = writeVarint32(kvSize, out, at);
    at = writeKeyValue(store, slot, KeyValueForm.Full, reader, out, at);
    if (previous === NO_SLOT) return out;
    out[at++] = PREV_KV_TAG;
    at = writeVarint32(previousSize, out, at);
    writeKeyValue(store, previous, KeyValueForm.Full, reader, out, at);
    return out;
  };
}

/** What a read just below the event's revision would find: nothing for a creation, or when that revision is compacted. */
function visiblePrevious(store: Store, slot: Slot, isDelete: boolean): Slot {
  const main = store.mainOf(slot);
  if (!isDelete && store.createRevisionOf(slot) === main) return NO_SLOT;
  if (main - 1 < store.compactedRevision) return NO_SLOT;
  return store.find(store.keyOf(slot), (main - 1) as never);
}
