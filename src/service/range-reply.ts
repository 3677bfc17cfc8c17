// A range's reply as bytes, straight from the index and the log, without an object per key. Small replies are built in one buffer in
// the same turn. Big ones are streamed: their length is known from the index alone, so the prefix goes out first and the keys follow
// as the peer takes them, from a pinned revision; memory stays flat however long the list and however slow the reader.
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
import type { Headers } from "./headers.ts";
import { type Reply, rangeTailSize, writeRangeTail } from "./range-parts.ts";
import { streamRange } from "./range-source.ts";

/** Replies up to so many bytes are built at once, as long as not too many such replies wait for their readers. */
const WHOLE_REPLY_BYTES_MAX = 4 << 20;
const SMALL_REPLY_BYTES_MAX = 256 << 10;
const WAITING_REPLIES_BYTES_MAX = 64 << 20;
/** Rows walked in one go: well below 10 ms of the event loop. */
const ROWS_PER_BITE = 16_384;

const scratch: SlotList = newSlotList(ROWS_PER_BITE);
let sizes: Int32Array = new Int32Array(ROWS_PER_BITE);
/** Bytes of whole replies that are on their way. */
let waitingBytes = 0;

/** Answers a range from the current state. The request's bytes are copied when they are needed beyond this turn. */
export function answerRange(member: Member, headers: Headers, call: ServerCall, request: RangeRequest): void {
  const { rangeTimer } = member;
  const single = isSingleKey(request.rangeEnd);
  const started = rangeTimer.begin(single);
  const success = tryRange(member, headers, call, request);
  if (rangeTimer.streamed) rangeTimer.streamed = false;
  else warnIfSlow(member, request, rangeTimer.end(started, single, success));
}

/** A read that waited first: `started` is the time at which it came in. */
export function answerWaitedRange(reply: Omit<Reply, "at">, started: number): void {
  const { member, headers, call, request } = reply;
  const { clock, rangeTimer, timings } = member;
  const began = clock.now();
  const success = tryRange(member, headers, call, request);
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
function tryRange(member: Member, headers: Headers, call: ServerCall, request: RangeRequest): boolean {
  const { store } = member;
  const at = readRevision(store, request.revision, store.currentRevision);
  if (isEtcdError(at)) {
    call.fail(at);
    return false;
  }
  member.applyContext.counts.ranges++;
  const reply: Reply = { member, headers, call, request, at };
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
  else sendPicked(reply, more, more ? store.count(request.key, request.rangeEnd, at) : scratch.length);
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
  if (isPlainRange(request) && !mayBeWhole(total)) {
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

function mayBeWhole(total: number): boolean {
  if (total <= SMALL_REPLY_BYTES_MAX) return true;
  return total <= WHOLE_REPLY_BYTES_MAX && waitingBytes + total <= WAITING_REPLIES_BYTES_MAX;
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
