// The Lease service. Grants and revocations go through the log; keepalives do not: the leader renews in memory, and other members have
// it renew (member/upkeep/lease-keeper.ts).
import type { Applied } from "../apply/applier.ts";
import { type EtcdError, errors } from "../base/errors.ts";
import type { Member } from "../member/member.ts";
import { RequestField } from "../member/request.ts";
import type { RenewWaiter, TimeToLiveWaiter } from "../member/upkeep/lease-keeper.ts";
import { DecodeError, messageDecodeError } from "../wire/decode-error.ts";
import {
  decodeLeaseGrantRequest,
  decodeLeaseKeepAliveRequest,
  decodeLeaseRevokeRequest,
  decodeLeaseTimeToLiveRequest,
  encodeLeaseGrantRequest,
  encodeLeaseGrantResponse,
  encodeLeaseLeasesResponse,
  encodeLeaseRevokeResponse,
  encodeLeaseTimeToLiveResponse,
  type LeaseGrantResponse,
  type LeaseRevokeResponse,
} from "../wire/generated/etcdserverpb.ts";
import { writeBigint, writeInt64Number } from "../wire/writer.ts";
import type { Method, RequestStream, ServerCall } from "./call.ts";
import type { Headers } from "./headers.ts";
import { LEASE_COST, ReplyWaiter, unary } from "./kv.ts";

export class LeaseService {
  readonly #member: Member;
  readonly #headers: Headers;

  constructor(member: Member, headers: Headers) {
    this.#member = member;
    this.#headers = headers;
  }

  methods(): [string, Method][] {
    const path = (name: string): string => `/etcdserverpb.Lease/${name}`;
    const writer = new KeepAliveWriter(this.#headers);
    const keepAlive = (call: ServerCall): RequestStream => new KeepAliveStream(this.#member, writer, call);
    return [
      [path("LeaseGrant"), unary((call, message) => this.grant(call, message))],
      [path("LeaseRevoke"), unary((call, message) => this.revoke(call, message))],
      [path("LeaseTimeToLive"), unary((call, message) => this.timeToLive(call, message))],
      [path("LeaseLeases"), unary((call) => this.leases(call))],
      [path("LeaseKeepAlive"), { kind: "bidi", open: keepAlive }],
    ];
  }

  grant(call: ServerCall, message: Uint8Array): void {
    const request = decodeLeaseGrantRequest(message);
    if (!this.#member.admits(LEASE_COST)) {
      call.fail(errors.noSpace);
      return;
    }
    // The server chooses positive ids only.
    while (request.id === 0n) request.id = this.#member.nextRequestId() & 0x7fff_ffff_ffff_ffffn;
    const reply = (result: Applied): Uint8Array => {
      const response = result.response as LeaseGrantResponse;
      response.header = this.#headers.fill(response.header);
      return encodeLeaseGrantResponse(response);
    };
    this.#member.propose(
      RequestField.LeaseGrant,
      encodeLeaseGrantRequest(request),
      new ReplyWaiter(call, reply),
    );
  }

  revoke(call: ServerCall, message: Uint8Array): void {
    decodeLeaseRevokeRequest(message);
    const reply = (result: Applied): Uint8Array => {
      const response = result.response as LeaseRevokeResponse;
      return encodeLeaseRevokeResponse({ header: this.#headers.fill(response.header) });
    };
    this.#member.propose(RequestField.LeaseRevoke, message, new ReplyWaiter(call, reply));
  }

  timeToLive(call: ServerCall, message: Uint8Array): void {
    const { id, keys } = decodeLeaseTimeToLiveRequest(message);
    const waiter: TimeToLiveWaiter = {
      found: (lease) => {
        const header = this.#headers.current();
        const { ttl, grantedTtl } = lease;
        call.send(encodeLeaseTimeToLiveResponse({ header, id, ttl, grantedTtl, keys: [...lease.keys] }));
        call.end();
      },
      failed: (error) => call.fail(error),
    };
    this.#member.leaseKeeper.timeToLive(id as never, keys, waiter, () => call.done);
  }

  leases(call: ServerCall): void {
    const leases = this.#member.lessor.leases().map(({ id }) => ({ id }));
    call.send(encodeLeaseLeasesResponse({ header: this.#headers.current(), leases }));
    call.end();
  }
}

/** Longest keepalive answer: a header of four varints, id and time to live. */
const KEEP_ALIVE_BYTES_MAX = 80;

/** Writes the answers of all keepalive streams into one buffer: each is copied out before the next is written. */
class KeepAliveWriter {
  readonly #headers: Headers;
  readonly #buffer = new Uint8Array(KEEP_ALIVE_BYTES_MAX);
  #view: Uint8Array = this.#buffer;

  constructor(headers: Headers) {
    this.#headers = headers;
  }

  /** A view that the next call overwrites. */
  encode(revision: number, id: bigint, ttl: number): Uint8Array {
    const out = this.#buffer;
    let at = this.#headers.write(revision, out, 0);
    if (id !== 0n) {
      out[at++] = 0x10;
      at = writeBigint(id, out, at);
    }
    if (ttl !== 0) {
      out[at++] = 0x18;
      at = writeInt64Number(ttl, out, at);
    }
    if (this.#view.length !== at) this.#view = out.subarray(0, at);
    return this.#view;
  }
}

/** Requests are answered one after the other: a later keepalive waits for an earlier one that must wait. */
class KeepAliveStream implements RequestStream, RenewWaiter {
  readonly #member: Member;
  readonly #writer: KeepAliveWriter;
  readonly #call: ServerCall;
  /** Keepalives behind the one that is being renewed; undefined until one has to wait. */
  #queue: bigint[] | undefined = undefined;
  #busy = false;
  #ending = false;
  #working = false;
  /** Of the keepalive being renewed. */
  #id = 0n;
  #revision = 0;

  constructor(member: Member, writer: KeepAliveWriter, call: ServerCall) {
    this.#member = member;
    this.#writer = writer;
    this.#call = call;
  }

  message(bytes: Uint8Array): void {
    let id: bigint;
    try {
      id = decodeLeaseKeepAliveRequest(bytes).id;
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      this.#member.counters.keepAliveReceiveFailures++;
      this.#call.fail(messageDecodeError(error));
      return;
    }
    if (!this.#busy && this.#queue === undefined) this.#renew(id);
    else if (this.#queue === undefined) this.#queue = [id];
    else this.#queue.push(id);
  }

  requestsEnded(): void {
    this.#ending = true;
    if (!this.#busy && this.#queue === undefined) this.#call.end();
  }

  /** The revision is taken before the renewal, so that it is never behind a revocation that came after. */
  #renew(id: bigint): void {
    if (this.#call.done) return;
    this.#busy = true;
    this.#id = id;
    this.#revision = this.#member.store.currentRevision;
    this.#member.leaseKeeper.renew(id as never, this);
  }

  notPrimary(): void {
    this.#member.leaseKeeper.forward(this.#id as never, this, () => this.#call.done);
  }

  renewed(ttl: number): void {
    this.#busy = false;
    this.#call.sendCopy(this.#writer.encode(this.#revision, this.#id, ttl));
    if (this.#queue !== undefined) this.#work(this.#queue);
    else if (this.#ending) this.#call.end();
  }

  /** A loop, because most renewals end before `#renew` returns: thousands that waited for one would be as many levels deep. */
  #work(queue: bigint[]): void {
    if (this.#working) return;
    this.#working = true;
    while (!this.#busy && !this.#call.done && queue.length > 0) this.#renew(queue.shift()!);
    this.#working = false;
    if (this.#busy || queue.length > 0) return;
    this.#queue = undefined;
    if (this.#ending) this.#call.end();
  }

  failed(error: EtcdError): void {
    this.#busy = false;
    this.#queue = undefined;
    this.#call.fail(error);
  }
}
