// A range's reply as bytes, straight from the index and the log, without an object per key. Small replies are built in one buffer in
// the same turn; longer lists are put together of kept stretches. What is too long for a turn is streamed: its length is known from
// the index alone, so the prefix goes out first and the keys follow as the peer takes them, from a pinned revision; memory stays
// flat however long the list and however slow the reader.
import { formOf, isPlainRange, pickRows, readRevision } from "../apply/range.ts";
import { allocate } from "../base/bytes.ts";
import { isEtcdError } from "../base/errors.ts";
import { isSingleKey } from "../base/key.ts";
import { describeRange } from "../member/describe-request.ts";
import type { Member } from "../member/member.ts";
import { NO_SLOT, type Slot, type SlotList } from "../mvcc/contract.ts";
import { keyValueSize, writeKeyValue } from "../mvcc/key-value.ts";
import { newSlotList } from "../mvcc/slot-list.ts";
import type { RangeRequest } from "../wire/generated/etcdserverpb.ts";
import { sizeDelimited, writeVarint32 } from "../wire/writer.ts";
import type { MessageSource, ServerCall } from "./call.ts";
import { type Ranges, type Reply, rangeTailSize, writeRangeTail } from "./range-parts.ts";
import { streamRange } from "./range-source.ts";
import { Plan, STRETCHES_BYTES_MAX } from "./stretches.ts";

/** Replies of which no more than so many bytes have to be encoded are built at once, as long as not too many such replies wait for their readers. */
const WHOLE_REPLY_BYTES_MAX = 4 << 20;
const SMALL_REPLY_BYTES_MAX = 256 << 10;
const WAITING_REPLIES_BYTES_MAX = 64 << 20;
/** Rows walked in one go: well below 10 ms of the event loop. */
const ROWS_PER_BITE = 16_384;

/** Shorter lists are encoded anew each time. */
const LONG_LIST_ROWS = 64;

const plan = new Plan();
const scratch: SlotList = newSlotList(ROWS_PER_BITE);
let sizes: Int32Array = new Int32Array(ROWS_PER_BITE);
/** Bytes of whole replies that are on their way. */
let waitingBytes = 0;

/** Answers a range from the current state. The request's bytes are copied when they are needed beyond this turn. */
export function answerRange(ranges: Ranges, call: ServerCall, request: RangeRequest): void {
  const { member } = ranges;
  const { rangeTimer } = member;
  const single = isSingleKey(request.rangeEnd);
  const started = rangeTimer.begin(single);
  const success = tryRange(ranges, call, request);
  if (rangeTimer.streamed) rangeTimer.streamed = false;
  else warnIfSlow(member, request, rangeTimer.end(started, single, success));
}

/** A read that waited first: `started` is the time at which it came in. */
export function answerWaitedRange(
  ranges: Ranges,
  call: ServerCall,
  request: RangeRequest,
  started: number,
): void {
  const { member } = ranges;
  const { clock, rangeTimer, timings } = member;
  const began = clock.now();
  const success = tryRange(ranges, call, request);
  const streamed = rangeTimer.streamed;
  rangeTimer.streamed = false;
  const now = clock.now();
  if (!streamed) timings.ranges.observe("Range", success, (now - began) / 1000);
  timings.requests.observe("Range", success, (now - started) / 1000);
  warnIfSlow(member, request, now - started);
}

function warnIfSlow(member: Member, request: RangeRequest, millis: number): void {
  const { slowLog, rangeTimer } = member;
  if (millis <= slowLog.warningMillis) return;
  const response = `range_response_count:${rangeTimer.rows} size:${rangeTimer.bytes}`;
  slowLog.slowRead("range", millis, describeRange(request), response);
}

/** False when the revision cannot be read. */
function tryRange(ranges: Ranges, call: ServerCall, request: RangeRequest): boolean {
  const { member, headers, stretches } = ranges;
  const { store } = member;
  member.applyContext.counts.ranges++;
  const at = readRevision(store, request.revision, store.currentRevision);
  if (isEtcdError(at)) {
    call.fail(at);
    return false;
  }
  const reply: Reply = { member, headers, stretches, call, request, at };
  scratch.length = 0;
  if (isPlainRange(request) && !request.countOnly) {
    answerPlain(reply);
    return true;
  }
  const { more, count } = pickRows(store, member.reader, request, at, scratch);
  sendPicked(reply, more, count);
  return true;
}

function answerPlain(reply: Reply): void {
  const { request, at } = reply;
  const { store } = reply.member;
  if (isSingleKey(request.rangeEnd)) {
    const slot = store.find(request.key, at);
    if (slot !== NO_SLOT) scratch.slots[scratch.length++] = slot;
    sendPicked(reply, false, scratch.length);
    return;
  }
  const limit = request.limit > 0 ? request.limit : Number.MAX_SAFE_INTEGER;
  const more = store.range(request.key, request.rangeEnd, at, Math.min(limit, ROWS_PER_BITE), scratch);
  if (more && limit > ROWS_PER_BITE) streamRange(reply);
  else {
    const count = more ? store.count(request.key, request.rangeEnd, at) : scratch.length;
    if (scratch.length < LONG_LIST_ROWS || request.keysOnly) sendPicked(reply, more, count);
    else sendLong(reply, more, count);
  }
}

/** Sends what `scratch` holds, keys in order with their values: what is kept of them as it is, the rest encoded. */
function sendLong(reply: Reply, more: boolean, count: number): void {
  const { member, headers, stretches, call } = reply;
  const revision = member.store.currentRevision;
  stretches.plan(scratch, plan);
  const total = headers.size(revision) + plan.bytes + rangeTailSize(more, count);
  if (!mayBeWhole(total, plan.freshBytes)) {
    streamRange(reply);
    return;
  }
  member.rangeTimer.rows = scratch.length;
  member.rangeTimer.bytes = total;
  const head = allocate(headers.size(revision));
  headers.write(revision, head, 0);
  const tail = allocate(rangeTailSize(more, count));
  writeRangeTail(more, count, tail, 0);
  const chunks: Uint8Array[] = [head];
  stretches.gather(scratch, plan, plan.bytes <= STRETCHES_BYTES_MAX, chunks);
  chunks.push(tail);
  call.sendFrom(new GatheredReply(chunks, total));
  call.end();
}

/** Sends what `scratch` holds, as one buffer; but a long list in key order, which can be walked again, piece by piece. */
function sendPicked(reply: Reply, more: boolean, count: number): void {
  const { member, headers, call, request } = reply;
  const { store, reader } = member;
  const form = formOf(request);
  if (sizes.length < scratch.length) sizes = new Int32Array(scratch.slots.length);
  let rowBytes = 0;
  for (let i = 0; i < scratch.length; i++) {
    const size = keyValueSize(store, scratch.slots[i] as Slot, form);
    sizes[i] = size;
    rowBytes += 1 + sizeDelimited(size);
  }
  const revision = store.currentRevision;
  const total = headers.size(revision) + rowBytes + rangeTailSize(more, count);
  if (isPlainRange(request) && !mayBeWhole(total, total)) {
    streamRange(reply);
    return;
  }
  member.rangeTimer.rows = scratch.length;
  member.rangeTimer.bytes = total;
  const out = allocate(total);
  let at = headers.write(revision, out, 0);
  for (let i = 0; i < scratch.length; i++) {
    out[at++] = 0x12;
    at = writeVarint32(sizes[i]!, out, at);
    at = writeKeyValue(store, scratch.slots[i] as Slot, form, reader, out, at);
  }
  writeRangeTail(more, count, out, at);
  if (total <= SMALL_REPLY_BYTES_MAX) call.send(out);
  else call.sendFrom(new WholeReply(out));
  call.end();
}

/** `fresh`: how much of it has to be encoded now. */
function mayBeWhole(total: number, fresh: number): boolean {
  if (total <= SMALL_REPLY_BYTES_MAX) return true;
  return fresh <= WHOLE_REPLY_BYTES_MAX && waitingBytes + total <= WAITING_REPLIES_BYTES_MAX;
}

/** A reply in many parts, those of stretches shared with other replies, that is counted until it has left. */
class GatheredReply implements MessageSource {
  readonly totalBytes: number;
  readonly #chunks: readonly Uint8Array[];
  #at = 0;

  constructor(chunks: readonly Uint8Array[], totalBytes: number) {
    this.#chunks = chunks;
    this.totalBytes = totalBytes;
    waitingBytes += totalBytes;
  }

  next(): Uint8Array | undefined {
    return this.#chunks[this.#at++];
  }

  release(): void {
    waitingBytes -= this.totalBytes;
  }
}

/** A reply in one buffer that is counted until it has left. */
class WholeReply implements MessageSource {
  readonly totalBytes: number;
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.totalBytes = bytes.length;
    waitingBytes += bytes.length;
  }

  next(bytesMax: number): Uint8Array {
    const from = this.#at;
    this.#at = Math.min(from + Math.max(bytesMax, SMALL_REPLY_BYTES_MAX), this.#bytes.length);
    return this.#bytes.subarray(from, this.#at);
  }

  release(): void {
    waitingBytes -= this.totalBytes;
  }
}
