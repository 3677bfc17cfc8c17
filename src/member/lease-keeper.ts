// Time and leases: proposes the revocation of what has expired, and renews on behalf of keepalives. The lessor knows the leases, the
// log decides; here is only the clock.

import type { LeaseId, Millis } from "../base/brand.ts";
import { type EtcdError, errors } from "../base/errors.ts";
import type { Lease } from "../lease/lessor.ts";
import type { Timer } from "../ports/clock.ts";
import { encodeLeaseCheckpointRequest, encodeLeaseRevokeRequest } from "../wire/generated/etcdserverpb.ts";
import type { Member } from "./member.ts";
import { RequestField } from "./request.ts";

export interface RenewWaiter {
  /** `ttl` in seconds; 0 = there is no such lease. */
  renewed(ttl: number): void;
  failed(error: EtcdError): void;
}

const EXPIRY_INTERVAL_MILLIS = 500;
/** Half of etcd's leaseRevokeRate per half second. */
const REVOKES_PER_INTERVAL = 500;

export class LeaseKeeper {
  readonly #member: Member;
  #timer: Timer | undefined;
  #stopped = false;
  /** Keepalives of leases whose time is over: they learn the end when the revocation is applied. */
  #waiting: { readonly id: LeaseId; readonly waiter: RenewWaiter }[] = [];

  constructor(member: Member) {
    this.#member = member;
  }

  start(): void {
    if (this.#timer === undefined) this.#next();
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    for (const { waiter } of this.#waiting) waiter.failed(errors.stopped);
    this.#waiting = [];
  }

  /** Renews for a keepalive, after making sure that this member still leads and has applied what is committed. */
  renew(id: LeaseId, waiter: RenewWaiter): void {
    const member = this.#member;
    if (member.canReadNow) this.#renewNow(id, waiter);
    else member.read({ ready: () => this.#renewNow(id, waiter), failed: (error) => waiter.failed(error) });
  }

  /** A lease was revoked. */
  revoked(): void {
    if (this.#waiting.length === 0) return;
    const { lessor } = this.#member;
    const over = this.#waiting.filter(({ id }) => lessor.lookup(id) === undefined);
    this.#waiting = this.#waiting.filter(({ id }) => lessor.lookup(id) !== undefined);
    for (const { waiter } of over) waiter.renewed(0);
  }

  #renewNow(id: LeaseId, waiter: RenewWaiter): void {
    const { lessor, clock, counters } = this.#member;
    const lease = lessor.lookup(id);
    if (lease === undefined) {
      waiter.renewed(0);
      return;
    }
    if (lessor.isExpired(lease, clock.now())) {
      this.#waiting.push({ id, waiter });
      return;
    }
    if (lease.remainingTtl > 0) {
      this.#clearCheckpoint(lease, waiter);
      return;
    }
    lessor.renew(lease, clock.now());
    counters.leasesRenewed++;
    waiter.renewed(lease.ttl);
  }

  /** A checkpointed rest would outlive the renewal after a change of leader: it is cleared in the log first. */
  #clearCheckpoint(lease: Lease, waiter: RenewWaiter): void {
    const { id } = lease;
    const body = encodeLeaseCheckpointRequest({ checkpoints: [{ id, remainingTtl: 0 }] });
    this.#member.propose(RequestField.LeaseCheckpoint, body, {
      applied: () => this.#renewNow(id, waiter),
      failed: (error) => waiter.failed(error),
    });
  }

  #next(): void {
    this.#timer = this.#member.clock.after(EXPIRY_INTERVAL_MILLIS as Millis, () => {
      if (this.#stopped) return;
      this.#expire();
      this.#next();
    });
  }

  #expire(): void {
    const { lessor, clock, counters } = this.#member;
    for (const id of lessor.expired(clock.now(), REVOKES_PER_INTERVAL)) {
      counters.leasesExpired++;
      this.#member.propose(RequestField.LeaseRevoke, encodeLeaseRevokeRequest({ id }), SILENT);
    }
  }
}

/** Nobody waits: a revocation that fails is proposed again after the lessor's retry interval. */
const SILENT = { applied(): void {}, failed(): void {} };
