// The KV service: Range, Put, DeleteRange, Txn, Compact (RangeStream: range-stream.ts). What etcd checks before a request is let in
// is checked here, in its order; writes are proposed with the client's bytes verbatim, reads are answered in the same turn when
// leadership allows. Nothing is awaited, and Put and Range of one key make no message object for their reply.
import type { Applied } from "../apply/applier.ts";
import { COST_OF_LEASE, costOfPut, costOfTxn } from "../apply/quota.ts";
import { hasRevisionFilters, isDefaultOrdering } from "../apply/range.ts";
import { isReadOnlyTxn, isSerializableTxn, readTxn } from "../apply/txn.ts";
import { copyBytes } from "../base/bytes.ts";
import { type EtcdError, errors, isEtcdError } from "../base/errors.ts";
import { describeRange, describeTxn } from "../member/describe-request.ts";
import type { Member, ReadWaiter, Waiter } from "../member/member.ts";
import { RequestField } from "../member/request.ts";
import type { Store } from "../mvcc/store.ts";
import { DecodeError, requestDecodeError } from "../wire/decode-error.ts";
import {
  type CompactionResponse,
  type DeleteRangeResponse,
  decodeCompactionRequest,
  decodeDeleteRangeRequest,
  decodePutRequest,
  decodeRangeRequest,
  decodeTxnRequest,
  encodeCompactionResponse,
  encodeDeleteRangeResponse,
  encodePutResponse,
  encodeTxnResponse,
  type PutResponse,
  type RangeRequest,
  type TxnRequest,
  type TxnResponse,
} from "../wire/generated/etcdserverpb.ts";
import type { ServerCall, UnaryMethod } from "./call.ts";
import { checkDelete, checkPut, checkRange, checkTxn } from "./check-request.ts";
import { type Headers, revisionOf } from "./headers.ts";
import type { Ranges } from "./range-parts.ts";
import { answerRange, answerWaitedRange } from "./range-reply.ts";
import { answerRangeStream } from "./range-stream.ts";
import { Stretches } from "./stretches.ts";

export class KvService {
  readonly #member: Member;
  readonly #headers: Headers;
  readonly #ranges: Ranges;
  readonly #scratch = new Uint8Array(64);

  constructor(member: Member, headers: Headers) {
    this.#member = member;
    this.#headers = headers;
    this.#ranges = new MemberRanges(member, headers);
  }

  methods(): [string, UnaryMethod][] {
    const path = (name: string): string => `/etcdserverpb.KV/${name}`;
    return [
      [path("Range"), unary((call, message) => this.range(call, message))],
      [path("Put"), unary((call, message) => this.put(call, message))],
      [path("DeleteRange"), unary((call, message) => this.deleteRange(call, message))],
      [path("Txn"), unary((call, message) => this.txn(call, message))],
      [path("Compact"), unary((call, message) => this.compact(call, message))],
      [
        path("RangeStream"),
        { kind: "server-stream", handle: guarded((call, message) => this.rangeStream(call, message)) },
      ],
    ];
  }

  range(call: ServerCall, message: Uint8Array): void {
    const request = decodeRangeRequest(message);
    const refused = checkRange(request);
    if (refused !== undefined) {
      call.fail(refused);
      return;
    }
    if (this.#readsNow(request.serializable)) answerRange(this.#ranges, call, request);
    else this.#member.read(new RangeWaiter(this.#ranges, call, keepRange(request)));
  }

  rangeStream(call: ServerCall, message: Uint8Array): void {
    const request = keepRange(decodeRangeRequest(message));
    const refused = checkRange(request) ?? streamRefusal(request);
    if (refused !== undefined) {
      call.fail(refused);
      return;
    }
    const answer = (): void => answerRangeStream(this.#member, this.#headers, call, request);
    if (this.#readsNow(request.serializable)) answer();
    else this.#member.read({ ready: answer, failed: (error) => call.fail(error) });
  }

  put(call: ServerCall, message: Uint8Array): void {
    const request = decodePutRequest(message);
    const refused = checkPut(request) ?? this.#quota(costOfPut(request.key.length, request.value.length));
    if (refused !== undefined) call.fail(refused);
    else this.#member.propose(RequestField.Put, message, new PutWaiter(call, this.#headers, this.#scratch));
  }

  deleteRange(call: ServerCall, message: Uint8Array): void {
    const refused = checkDelete(decodeDeleteRangeRequest(message));
    if (refused !== undefined) {
      call.fail(refused);
      return;
    }
    const reply = (result: Applied): Uint8Array => {
      const response = result.response as DeleteRangeResponse;
      response.header = this.#headers.fill(response.header);
      return encodeDeleteRangeResponse(response);
    };
    this.#member.propose(RequestField.DeleteRange, message, new ReplyWaiter(call, reply));
  }

  txn(call: ServerCall, message: Uint8Array): void {
    const request = decodeTxnRequest(message);
    const refused = checkTxn(request, this.#member.options.txnOpsMax);
    if (refused !== undefined) {
      call.fail(refused);
      return;
    }
    if (isReadOnlyTxn(request)) {
      this.#readTxn(call, message);
      return;
    }
    const overQuota = this.#quota(costOfTxn(request));
    if (overQuota !== undefined) call.fail(overQuota);
    else
      this.#member.propose(
        RequestField.Txn,
        message,
        new ReplyWaiter(call, (result) => this.#txnReply(result.response as TxnResponse)),
      );
  }

  /** The reply of a physical compaction waits until the rows are gone. */
  compact(call: ServerCall, message: Uint8Array): void {
    const { physical } = decodeCompactionRequest(message);
    const reply = (result: Applied): Uint8Array => {
      const response = result.response as CompactionResponse;
      response.header = this.#headers.current();
      return encodeCompactionResponse(response);
    };
    const waiter = new ReplyWaiter(call, reply);
    if (!physical) this.#member.propose(RequestField.Compaction, message, waiter);
    else this.#member.propose(RequestField.Compaction, message, new PhysicalWaiter(this.#member, waiter));
  }

  #readsNow(serializable: boolean): boolean {
    return this.#member.canReadNow || (serializable && this.#member.settled);
  }

  #readTxn(call: ServerCall, message: Uint8Array): void {
    const { clock, timings, slowLog } = this.#member;
    const started = clock.now();
    const answer = (request: TxnRequest): void => {
      const response = readTxn(this.#member.applyContext, request);
      const millis = clock.now() - started;
      timings.requests.observe("ReadonlyTxn", !isEtcdError(response), millis / 1000);
      if (millis > slowLog.warningMillis) {
        const error = isEtcdError(response) ? response : undefined;
        slowLog.slowRead("txn", millis, describeTxn(request), "", error);
      }
      if (isEtcdError(response)) {
        call.fail(response);
        return;
      }
      call.send(this.#txnReply(response));
      call.end();
    };
    const request = decodeTxnRequest(message);
    if (this.#readsNow(isSerializableTxn(request))) answer(request);
    else {
      const kept = decodeTxnRequest(copyBytes(message));
      this.#member.read({ ready: () => answer(kept), failed: (error) => call.fail(error) });
    }
  }

  #txnReply(response: TxnResponse): Uint8Array {
    response.header = this.#headers.fill(response.header);
    return encodeTxnResponse(response);
  }

  /** etcd's quota gate: refuses, and lets the alarm be raised, before anything enters the log. */
  #quota(cost: number): EtcdError | undefined {
    return this.#member.admits(cost) ? undefined : errors.noSpace;
  }
}

/** What all ranges share. Stretches are those of one store: a snapshot that replaces it begins them anew. */
class MemberRanges implements Ranges {
  readonly member: Member;
  readonly headers: Headers;
  #store: Store;
  #stretches: Stretches;

  constructor(member: Member, headers: Headers) {
    this.member = member;
    this.headers = headers;
    this.#store = member.store;
    this.#stretches = new Stretches(member.store, member.reader, member.clock);
  }

  get stretches(): Stretches {
    const { store, reader, clock } = this.member;
    if (store !== this.#store) {
      this.#store = store;
      this.#stretches = new Stretches(store, reader, clock);
    }
    return this.#stretches;
  }
}

/** Cost of a lease grant, for the lease service's gate. */
export const LEASE_COST: number = COST_OF_LEASE;

/** Turns a DecodeError into the status that grpc-go sends; everything else is a bug and goes up. */
export function guarded(
  handle: (call: ServerCall, message: Uint8Array) => void,
): (call: ServerCall, message: Uint8Array) => void {
  return (call, message) => {
    try {
      handle(call, message);
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      call.fail(requestDecodeError(error));
    }
  };
}

export function unary(handle: (call: ServerCall, message: Uint8Array) => void): UnaryMethod {
  return { kind: "unary", handle: guarded(handle) };
}

/** The general waiter: one reply, made from the result by a function. */
export class ReplyWaiter implements Waiter {
  readonly #call: ServerCall;
  readonly #reply: (result: Applied) => Uint8Array;

  constructor(call: ServerCall, reply: (result: Applied) => Uint8Array) {
    this.#call = call;
    this.#reply = reply;
  }

  applied(result: Applied): void {
    if (result.error !== undefined) {
      this.#call.fail(result.error);
      return;
    }
    this.#call.send(this.#reply(result));
    this.#call.end();
  }

  failed(error: EtcdError): void {
    this.#call.fail(error);
  }
}

class PutWaiter implements Waiter {
  readonly #call: ServerCall;
  readonly #headers: Headers;
  readonly #scratch: Uint8Array;

  constructor(call: ServerCall, headers: Headers, scratch: Uint8Array) {
    this.#call = call;
    this.#headers = headers;
    this.#scratch = scratch;
  }

  applied(result: Applied): void {
    if (result.error !== undefined) {
      this.#call.fail(result.error);
      return;
    }
    const response = result.response as PutResponse;
    if (response.prevKv === undefined) {
      const end = this.#headers.write(revisionOf(result, 0), this.#scratch, 0);
      this.#call.sendCopy(this.#scratch.subarray(0, end));
    } else {
      response.header = this.#headers.fill(response.header);
      this.#call.send(encodePutResponse(response));
    }
    this.#call.end();
  }

  failed(error: EtcdError): void {
    this.#call.fail(error);
  }
}

class PhysicalWaiter implements Waiter {
  readonly #member: Member;
  readonly #next: Waiter;

  constructor(member: Member, next: Waiter) {
    this.#member = member;
    this.#next = next;
  }

  applied(result: Applied): void {
    if (result.error !== undefined) this.#next.applied(result);
    else this.#member.whenCompacted(() => this.#next.applied(result));
  }

  failed(error: EtcdError): void {
    this.#next.failed(error);
  }
}

class RangeWaiter implements ReadWaiter {
  readonly #ranges: Ranges;
  readonly #call: ServerCall;
  readonly #request: RangeRequest;
  readonly #started: number;

  constructor(ranges: Ranges, call: ServerCall, request: RangeRequest) {
    this.#ranges = ranges;
    this.#call = call;
    this.#request = request;
    this.#started = ranges.member.clock.now();
  }

  ready(): void {
    answerWaitedRange(this.#ranges, this.#call, this.#request, this.#started);
  }

  failed(error: EtcdError): void {
    const { clock, timings, slowLog } = this.#ranges.member;
    const millis = clock.now() - this.#started;
    timings.requests.observe("Range", false, millis / 1000);
    if (millis > slowLog.warningMillis)
      slowLog.slowRead("range", millis, describeRange(this.#request), "", error);
    this.#call.fail(error);
  }
}

/** A request that outlives the socket's buffer owns its bytes. */
function keepRange(request: RangeRequest): RangeRequest {
  request.key = copyBytes(request.key);
  request.rangeEnd = copyBytes(request.rangeEnd);
  return request;
}

function streamRefusal(request: RangeRequest): EtcdError | undefined {
  if (!isDefaultOrdering(request)) return errors.rangeStreamSort;
  return hasRevisionFilters(request) ? errors.rangeStreamRevisionFilter : undefined;
}
