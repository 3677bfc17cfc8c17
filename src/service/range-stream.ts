// RangeStream: a range in several messages, sized as etcd sizes them, from one revision. The next chunk is made when the peer has
// taken the one before; a compaction past the revision in between ends the stream with its error, as in etcd.
import { formOf, pickRows, pickUncounted, readRevision } from "../apply/range.ts";
import type { Revision } from "../base/brand.ts";
import { allocate, concatBytes } from "../base/bytes.ts";
import { errors, isEtcdError } from "../base/errors.ts";
import type { Member } from "../member/member.ts";
import type { Slot, SlotList } from "../mvcc/contract.ts";
import { keyValueSize, writeKeyValue } from "../mvcc/key-value.ts";
import { newSlotList } from "../mvcc/slot-list.ts";
import type { RangeRequest } from "../wire/generated/etcdserverpb.ts";
import { sizeDelimited, writeVarint32 } from "../wire/writer.ts";
import type { ServerCall } from "./call.ts";
import type { Headers } from "./headers.ts";
import { rangeTailSize, writeRangeTail } from "./range-parts.ts";

/** Keys in the first chunk (etcd's initialStreamChunkLimit). */
const FIRST_CHUNK_KEYS = 10;
/** Chunks wait while the peer has so many bytes to take. */
const BUFFERED_BYTES_MAX = 1 << 20;

const ZERO = Uint8Array.of(0);
const scratch: SlotList = newSlotList(1024);

export function answerRangeStream(
  member: Member,
  headers: Headers,
  call: ServerCall,
  request: RangeRequest,
): void {
  const { store, clock } = member;
  const began = clock.now();
  const at = readRevision(store, request.revision, store.currentRevision);
  if (isEtcdError(at)) {
    countRange(member, began, false);
    call.fail(at);
    return;
  }
  if (request.countOnly) {
    scratch.length = 0;
    const { count } = pickRows(store, member.reader, request, at, scratch);
    countRange(member, began, true);
    sendChunk(member, headers, call, request, { revision: store.currentRevision, more: false, count });
    call.end();
    return;
  }
  const stream = new ChunkStream(member, headers, call, request, at);
  call.onDrain = () => stream.run();
  stream.run();
}

/** To etcd's metrics each chunk is a range of its own. */
function countRange({ applyContext, timings, clock }: Member, began: number, success: boolean): void {
  applyContext.counts.ranges++;
  timings.ranges.observe("Range", success, (clock.now() - began) / 1000);
}

/** What only the last chunk says. */
type Ending = { readonly revision: Revision; readonly more: boolean; readonly count: number };

class ChunkStream {
  readonly #member: Member;
  readonly #headers: Headers;
  readonly #call: ServerCall;
  readonly #request: RangeRequest;
  readonly #at: Revision;
  readonly #revision: Revision;
  #left: number;
  #chunkKeys: number;
  #delivered = 0;
  #ended = false;

  constructor(member: Member, headers: Headers, call: ServerCall, request: RangeRequest, at: Revision) {
    this.#member = member;
    this.#headers = headers;
    this.#call = call;
    this.#request = request;
    this.#at = at;
    this.#revision = member.store.currentRevision;
    this.#left = request.limit === 0 ? Number.MAX_SAFE_INTEGER : request.limit;
    this.#chunkKeys = Math.min(FIRST_CHUNK_KEYS, this.#left);
  }

  /** One chunk a turn, until the peer is behind (onDrain goes on) or everything is said. */
  run(): void {
    if (this.#ended || this.#call.done || this.#call.bufferedBytes > BUFFERED_BYTES_MAX) return;
    if (this.#at < this.#member.store.compactedRevision) {
      this.#ended = true;
      countRange(this.#member, this.#member.clock.now(), false);
      this.#call.fail(errors.compacted);
      return;
    }
    this.#chunk();
    if (!this.#ended) this.#member.clock.endOfTurn(() => this.run());
  }

  #chunk(): void {
    const { store, reader } = this.#member;
    const request = this.#request;
    const began = this.#member.clock.now();
    scratch.length = 0;
    // Each chunk is a range of its own to etcd, so another sort target without an order sorts within chunks.
    const { more } = pickUncounted(store, reader, { ...request, limit: this.#chunkKeys }, this.#at, scratch);
    countRange(this.#member, began, true);
    this.#delivered += scratch.length;
    const last = scratch.length > 0 ? store.keyOf(scratch.slots[scratch.length - 1] as Slot) : undefined;
    const nextKey = more && last !== undefined ? concatBytes([last, ZERO]) : undefined;
    this.#left -= scratch.length;
    this.#ended = !more || this.#left === 0;
    let ending: Ending | undefined;
    if (this.#ended) {
      const remaining = nextKey === undefined ? 0 : store.count(nextKey, request.rangeEnd, this.#at);
      if (nextKey !== undefined) countRange(this.#member, began, true);
      ending = { revision: this.#revision, more, count: this.#delivered + remaining };
    }
    const size = sendChunk(this.#member, this.#headers, this.#call, request, ending);
    if (nextKey === undefined || this.#ended) {
      this.#call.end();
      return;
    }
    request.key = nextKey;
    this.#chunkKeys = Math.min(
      nextChunkKeys(this.#chunkKeys, size, this.#member.options.requestBytesMax),
      this.#left,
    );
  }
}

/** etcd's adjustChunkLimit: double below half the target, halve above twice of it. */
function nextChunkKeys(keys: number, bytes: number, targetBytes: number): number {
  if (bytes < targetBytes / 2) return keys * 2;
  if (bytes > targetBytes * 2) return Math.max(1, Math.floor(keys / 2));
  return keys;
}

/** Sends `scratch` as one RangeStreamResponse. Returns the length of the RangeResponse in it. */
function sendChunk(
  member: Member,
  headers: Headers,
  call: ServerCall,
  request: RangeRequest,
  ending: Ending | undefined,
): number {
  const { store, reader } = member;
  const form = formOf(request);
  let size =
    ending === undefined ? 0 : headers.size(ending.revision) + rangeTailSize(ending.more, ending.count);
  for (let i = 0; i < scratch.length; i++) {
    size += 1 + sizeDelimited(keyValueSize(store, scratch.slots[i] as Slot, form));
  }
  const out = allocate(1 + sizeDelimited(size));
  out[0] = 0x0a;
  let at = writeVarint32(size, out, 1);
  if (ending !== undefined) at = headers.write(ending.revision, out, at);
  for (let i = 0; i < scratch.length; i++) {
    const slot = scratch.slots[i] as Slot;
    out[at++] = 0x12;
    at = writeVarint32(keyValueSize(store, slot, form), out, at);
    at = writeKeyValue(store, slot, form, reader, out, at);
  }
  if (ending !== undefined) writeRangeTail(ending.more, ending.count, out, at);
  call.send(out);
  return size;
}
