// The lessor: who holds which lease until when, and which keys hang on it. Pure: the caller passes the time; leases live and die
// through the raft log, so grant, revoke and checkpoint are called only by apply. Expiry is told by the primary (the leader) alone,
// and only proposes: nothing here deletes a key.
import { assert } from "../base/assert.ts";
import type { LeaseId, Millis } from "../base/brand.ts";
import { type EtcdError, errors } from "../base/errors.ts";
import { Heap } from "../base/heap.ts";
import type { Key } from "../base/key.ts";

/** etcd's MaxLeaseTTL, in seconds. */
export const LEASE_TTL_SECONDS_MAX = 9_000_000_000;
/** At most so many leases are revoked per second after a change of leader (etcd's leaseRevokeRate). */
const REVOKES_PER_SECOND = 1000;
/** How long an expired lease waits before it is proposed for revocation again. */
const REVOKE_RETRY_MILLIS = 3000;
/** How often the rest of a long lease is written down, and how long a lease is for that (etcd's checkpoint interval). */
const CHECKPOINT_INTERVAL_MILLIS = 300_000;
/** Heap entries of leases that are gone, beyond which the heap is made anew. */
const STALE_DUE_MAX = 1024;

export type Lease = {
  readonly id: LeaseId;
  /** Seconds granted. */
  readonly ttl: number;
  /** Seconds left as of the last checkpoint; 0 = none. */
  remainingTtl: number;
  /** Monotonic milliseconds; Infinity while this member is not the primary. */
  expiry: number;
  /** When its rest is to be written down next; Infinity = not at all. */
  checkpointAt: number;
  readonly keys: Set<Key>;
};

/** The rest of a lease, for the log. */
export type Checkpoint = { readonly id: LeaseId; readonly remainingTtl: number };

type Due = { readonly at: number; readonly id: LeaseId };

export class Lessor {
  #leases = new Map<LeaseId, Lease>();
  readonly #due = new Heap<Due>((a, b) => a.at < b.at);
  readonly #checkpoints = new Heap<Due>((a, b) => a.at < b.at);
  readonly #ttlSecondsMin: number;
  readonly #checkpointing: boolean;
  #primary = false;

  /**
   * `ttlSecondsMin`: shorter grants are raised to it; etcd's ceil(1.5 × election timeout). `checkpointing`: the rests of long leases
   * are asked for by `dueCheckpoints`.
   */
  constructor(ttlSecondsMin: number, checkpointing = false) {
    this.#ttlSecondsMin = ttlSecondsMin;
    this.#checkpointing = checkpointing;
  }

  get size(): number {
    return this.#leases.size;
  }

  get isPrimary(): boolean {
    return this.#primary;
  }

  grant(id: LeaseId, ttlSeconds: number, now: Millis): Lease | EtcdError {
    if (id === 0n) return errors.leaseNotFound;
    if (ttlSeconds > LEASE_TTL_SECONDS_MAX) return errors.leaseTtlTooLarge;
    if (this.#leases.has(id)) return errors.leaseExist;
    const ttl = Math.max(ttlSeconds, this.#ttlSecondsMin);
    return this.#insert(newLease(id, ttl, 0), now);
  }

  /** Puts back a lease that a checkpoint, a snapshot or an import holds. Never fails: what is there is replaced. */
  restore(id: LeaseId, ttl: number, remainingTtl: number, now: Millis): void {
    this.#insert(newLease(id, ttl, remainingTtl), now);
  }

  /** Takes the leases of `other`, which nobody uses any more, in place of its own: a snapshot has replaced the state. Not primary then. */
  replaceBy(other: Lessor): void {
    this.demote();
    this.#leases = other.#leases;
    other.#leases = new Map();
  }

  /** Removes the lease and returns its keys in order; they are the caller's to delete. */
  revoke(id: LeaseId): Key[] | EtcdError {
    const lease = this.#leases.get(id);
    if (lease === undefined) return errors.leaseNotFound;
    this.#leases.delete(id);
    return [...lease.keys].sort();
  }

  lookup(id: LeaseId): Lease | undefined {
    return this.#leases.get(id);
  }

  attach(id: LeaseId, key: Key): void {
    const lease = this.#leases.get(id);
    assert(lease !== undefined, "a key is attached only to a lease that apply has checked");
    lease.keys.add(key);
  }

  /** A lease that is gone already is no error: its revocation deletes the keys that were attached. */
  detach(id: LeaseId, key: Key): void {
    this.#leases.get(id)?.keys.delete(key);
  }

  isExpired(lease: Lease, now: Millis): boolean {
    return lease.expiry <= now;
  }

  /** Gives the lease its whole time again. Primary only; the caller has checked that it is not expired. */
  renew(lease: Lease, now: Millis): void {
    assert(this.#primary, "only the primary renews");
    lease.remainingTtl = 0;
    this.#refresh(lease, now, 0);
  }

  /** Seconds left, rounded down as Go's conversion does; the granted time while nobody is primary. */
  remainingSeconds(lease: Lease, now: Millis): number {
    if (lease.expiry === Number.POSITIVE_INFINITY) return lease.ttl;
    return Math.trunc((lease.expiry - now) / 1000);
  }

  /** Remembers the rest for the next primary; the time of this one goes on as it is. */
  checkpoint(id: LeaseId, remainingTtl: number, now: Millis): void {
    const lease = this.#leases.get(id);
    if (lease === undefined) return;
    lease.remainingTtl = remainingTtl;
    if (this.#primary) this.#scheduleCheckpoint(lease, now);
  }

  /** Up to `max` leases whose rest is to be written down. Each comes again after the interval, whatever becomes of this time. */
  dueCheckpoints(now: Millis, max: number): Checkpoint[] {
    const due: Checkpoint[] = [];
    while (due.length < max) {
      const next = this.#checkpoints.peek();
      if (next === undefined || next.at > now) break;
      this.#checkpoints.pop();
      const lease = this.#leases.get(next.id);
      if (lease === undefined || lease.checkpointAt !== next.at || lease.expiry <= now) continue;
      this.#scheduleCheckpoint(lease, now);
      const remainingTtl = Math.ceil((lease.expiry - now) / 1000);
      if (remainingTtl < lease.ttl) due.push({ id: lease.id, remainingTtl });
    }
    return due;
  }

  /** All leases, the one that expires first in front. */
  leases(): Lease[] {
    return [...this.#leases.values()].sort((a, b) =>
      a.expiry === b.expiry ? 0 : a.expiry < b.expiry ? -1 : 1,
    );
  }

  /** Up to `max` leases that are due at `now`. A returned lease is not returned again before the retry interval is over. */
  expired(now: Millis, max: number): LeaseId[] {
    const ids: LeaseId[] = [];
    if (!this.#primary) return ids;
    while (ids.length < max) {
      const next = this.#due.peek();
      if (next === undefined || next.at > now) break;
      this.#due.pop();
      const lease = this.#leases.get(next.id);
      if (lease === undefined) continue;
      if (lease.expiry > now) {
        this.#due.push({ at: lease.expiry, id: lease.id });
        continue;
      }
      this.#due.push({ at: now + REVOKE_RETRY_MILLIS, id: lease.id });
      ids.push(lease.id);
    }
    return ids;
  }

  /** Whether `expired` or `dueCheckpoints` may have something to say. */
  hasDue(now: Millis): boolean {
    if (!this.#primary) return false;
    return isDue(this.#due.peek(), now) || isDue(this.#checkpoints.peek(), now);
  }

  /**
   * This member became the leader: every lease gets its time anew, longer by `extendMillis` (an old leader may have renewed it
   * unknown to us). Leases that would all end in one second are spread out.
   */
  promote(now: Millis, extendMillis: number): void {
    this.#primary = true;
    this.#due.clear();
    for (const lease of this.#leases.values()) {
      this.#refresh(lease, now, extendMillis);
      this.#scheduleCheckpoint(lease, now);
    }
    this.#spread(now);
  }

  demote(): void {
    this.#primary = false;
    this.#due.clear();
    this.#checkpoints.clear();
    for (const lease of this.#leases.values()) {
      lease.expiry = Number.POSITIVE_INFINITY;
      lease.checkpointAt = Number.POSITIVE_INFINITY;
    }
  }

  describe(): string {
    return `lessor: ${this.#leases.size} leases, ${this.#primary ? "primary" : "not primary"}`;
  }

  #insert(lease: Lease, now: Millis): Lease {
    this.#leases.set(lease.id, lease);
    if (this.#primary) {
      this.#refresh(lease, now, 0);
      this.#scheduleCheckpoint(lease, now);
    }
    return lease;
  }

  /** A lease that was scheduled anew leaves its older entry behind: `checkpointAt` tells which one counts. */
  #scheduleCheckpoint(lease: Lease, now: Millis): void {
    if (!this.#checkpointing || secondsOf(lease) * 1000 <= CHECKPOINT_INTERVAL_MILLIS) return;
    lease.checkpointAt = now + CHECKPOINT_INTERVAL_MILLIS;
    this.#checkpoints.push({ at: lease.checkpointAt, id: lease.id });
  }

  /** The heap keeps one entry per lease: a renewed lease's entry is moved when it comes up, not now. */
  #refresh(lease: Lease, now: Millis, extendMillis: number): void {
    const before = lease.expiry;
    lease.expiry = now + secondsOf(lease) * 1000 + extendMillis;
    if (before === Number.POSITIVE_INFINITY || lease.expiry < before)
      this.#due.push({ at: lease.expiry, id: lease.id });
    if (this.#due.size > 2 * this.#leases.size + STALE_DUE_MAX) this.#forgetStale();
  }

  /** Revoked leases leave their heap entries behind until they come up; with long times to live that would grow without end. */
  #forgetStale(): void {
    this.#due.clear();
    for (const lease of this.#leases.values()) this.#due.push({ at: lease.expiry, id: lease.id });
  }

  /** etcd's Promote: at most 3/4 of the revoke rate may expire in any one second. */
  #spread(now: Millis): void {
    if (this.#leases.size < REVOKES_PER_SECOND) return;
    const perSecond = (3 * REVOKES_PER_SECOND) / 4;
    const byExpiry = this.leases();
    let windowStart: number = now;
    let inWindow = 0;
    for (const lease of byExpiry) {
      if (lease.expiry >= windowStart + 1000) {
        windowStart = lease.expiry;
        inWindow = 0;
      }
      if (++inWindow > perSecond) {
        windowStart += 1000;
        inWindow = 1;
      }
      if (lease.expiry < windowStart) lease.expiry = windowStart;
    }
  }
}

function newLease(id: LeaseId, ttl: number, remainingTtl: number): Lease {
  const never = Number.POSITIVE_INFINITY;
  return { id, ttl, remainingTtl, expiry: never, checkpointAt: never, keys: new Set() };
}

/** What a lease has when it is refreshed: its rest as written down, or all. */
function secondsOf({ ttl, remainingTtl }: Lease): number {
  return remainingTtl > 0 ? remainingTtl : ttl;
}

function isDue(due: Due | undefined, now: Millis): boolean {
  return due !== undefined && due.at <= now;
}
