// The Lease service. Grants and revocations go through the log; keepalives do not: the primary renews in memory, once its leadership
// is certain and the lease is known to exist or not.
import type { Applied } from "../apply/applier.ts";
import { type EtcdError, errors } from "../base/errors.ts";
import { keyToBytes } from "../base/key.ts";
import type { Lease } from "../lease/lessor.ts";
import type { Member } from "../member/member.ts";
import { RequestField } from "../member/request.ts";
import { DecodeError, messageDecodeError } from "../wire/decode-error.ts";
import {
  decodeLeaseGrantRequest,
  decodeLeaseKeepAliveRequest,
  decodeLeaseRevokeRequest,
  decodeLeaseTimeToLiveRequest,
  encodeLeaseGrantRequest,
  encodeLeaseGrantResponse,
  encodeLeaseKeepAliveResponse,
  encodeLeaseLeasesResponse,
  encodeLeaseRevokeResponse,
  encodeLeaseTimeToLiveResponse,
  type LeaseGrantResponse,
  type LeaseRevokeResponse,
  type ResponseHeader,
} from "../wire/generated/etcdserverpb.ts";
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
    const keepAlive = (call: ServerCall): RequestStream =>
      new KeepAliveStream(this.#member, this.#headers, call);
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
    const answer = (): void => {
      const lease = this.#member.lessor.lookup(id as never);
      const header = this.#headers.current();
      const found = lease === undefined ? { ttl: -1, grantedTtl: 0, keys: [] } : this.#describe(lease, keys);
      call.send(
        encodeLeaseTimeToLiveResponse({
          header,
          id,
          ttl: found.ttl,
          grantedTtl: found.grantedTtl,
          keys: found.keys,
        }),
      );
      call.end();
    };
    this.#member.whenApplied({ ready: answer, failed: (error) => call.fail(error) });
  }

  leases(call: ServerCall): void {
    const leases = this.#member.lessor.leases().map(({ id }) => ({ id }));
    call.send(encodeLeaseLeasesResponse({ header: this.#headers.current(), leases }));
    call.end();
  }

  #describe(lease: Lease, withKeys: boolean): { ttl: number; grantedTtl: number; keys: Uint8Array[] } {
    const keys = withKeys ? [...lease.keys].map((key) => keyToBytes(key)) : [];
    return {
      ttl: this.#member.lessor.remainingSeconds(lease, this.#member.clock.now()),
      grantedTtl: lease.ttl,
      keys,
    };
  }
}

/** Requests are answered one after the other: a later keepalive waits for an earlier one that must wait. */
class KeepAliveStream implements RequestStream {
  readonly #member: Member;
  readonly #headers: Headers;
  readonly #call: ServerCall;
  readonly #queue: bigint[] = [];
  #busy = false;
  #ending = false;

  constructor(member: Member, headers: Headers, call: ServerCall) {
    this.#member = member;
    this.#headers = headers;
    this.#call = call;
  }

  message(bytes: Uint8Array): void {
    try {
      this.#queue.push(decodeLeaseKeepAliveRequest(bytes).id);
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      this.#member.counters.keepAliveReceiveFailures++;
      this.#call.fail(messageDecodeError(error));
      return;
    }
    this.#run();
  }

  requestsEnded(): void {
    this.#ending = true;
    this.#run();
  }

  #run(): void {
    while (!this.#busy && !this.#call.done) {
      const id = this.#queue.shift();
      if (id === undefined) {
        if (this.#ending) this.#call.end();
        return;
      }
      this.#renew(id);
    }
  }

  /** The header is made before the renewal, so that its revision is never behind a revocation that came after. */
  #renew(id: bigint): void {
    const header = this.#headers.current();
    this.#busy = true;
    this.#member.renewLease(id as never, {
      renewed: (ttl) => this.#reply(header, id, ttl),
      failed: (error) => this.#fail(error),
    });
  }

  #reply(header: ResponseHeader, id: bigint, ttl: number): void {
    this.#busy = false;
    this.#call.send(encodeLeaseKeepAliveResponse({ header, id, ttl }));
    this.#run();
  }

  #fail(error: EtcdError): void {
    this.#busy = false;
    this.#call.fail(error);
  }
}
