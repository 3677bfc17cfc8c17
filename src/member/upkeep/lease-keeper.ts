// Time and leases: proposes the revocation of what has expired and checkpoints of what lives long, and renews on behalf of keepalives,
// or has the leader renew. The lessor knows the leases, the log decides; here is only the clock, and the proof of leadership
// without which no lease is ended or prolonged.
import type { LeaseId, Millis } from "../../base/brand.ts";
import { type EtcdError, errors } from "../../base/errors.ts";
import { keyToBytes } from "../../base/key.ts";
import type { Lease } from "../../lease/lessor.ts";
import type { Timer } from "../../ports/clock.ts";
import { encodeLeaseCheckpointRequest, encodeLeaseRevokeRequest } from "../../wire/generated/etcdserverpb.ts";
import { EtcdFault, etcdErrorOf } from "../fault.ts";
import type { Member } from "../member.ts";
import { callLeader } from "../network/leader-calls.ts";
import type { LeaseTimeToLive } from "../network/transport.ts";
import { RequestField } from "../request.ts";

export interface RenewWaiter {
  /** `ttl` in seconds; 0 = there is no such lease. */
  renewed(ttl: number): void;
  /** This member does not lead, or does so no longer: another one can renew. */
  notPrimary(): void;
  failed(error: EtcdError): void;
}

export interface TimeToLiveWaiter {
  found(lease: LeaseTimeToLive): void;
  failed(error: EtcdError): void;
}

const EXPIRY_INTERVAL_MILLIS = 500;
/** Half of etcd's leaseRevokeRate per half second. */
const REVOKES_PER_INTERVAL = 500;
/** etcd's maxLeaseCheckpointBatchSize, and half of its leaseCheckpointRate. */
const CHECKPOINTS_PER_BATCH = 1000;
const CHECKPOINT_BATCHES_PER_INTERVAL = 500;

const NO_LEASE: LeaseTimeToLive = { ttl: -1, grantedTtl: 0, keys: [] };

export class LeaseKeeper {
  readonly #member: Member;
  #timer: Timer | undefined;
  #stopped = false;
  /** Leadership is being proved for what is due. */
  #proving = false;
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
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { waiter } of waiting) waiter.failed(errors.stopped);
  }

  /** Another leads now: whether an expired lease ends is its decision. */
  demoted(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { waiter } of waiting) waiter.notPrimary();
  }

  /** Renews for a keepalive. No closures on the way of a leader that need not ask the others. */
  renew(id: LeaseId, waiter: RenewWaiter): void {
    const { raft } = this.#member;
    if (!raft.isLeader) waiter.notPrimary();
    else if (raft.isActive || this.#member.canReadNow) this.#renewVouched(id, waiter);
    else this.#renewProved(id, waiter);
  }

  /** Has the leader renew. */
  forward(id: LeaseId, waiter: RenewWaiter, abandoned: () => boolean): void {
    const { peers } = this.#member.network;
    callLeader(this.#member, {
      ask: (peerUrls, timeoutMillis) => peers.renewLease(peerUrls, id, timeoutMillis),
      own: () => this.renewed(id),
      isFinal: (error) => error === errors.leaseNotFound,
      abandoned,
    }).then(
      (ttl) => waiter.renewed(ttl),
      (error: unknown) => {
        const failure = etcdErrorOf(error);
        if (failure === errors.leaseNotFound) waiter.renewed(0);
        else waiter.failed(failure);
      },
    );
  }

  /** Renews here or nowhere: rejects with `notPrimary` on a member that does not lead. */
  renewed(id: LeaseId): Promise<number> {
    return new Promise((resolve, reject) => {
      this.renew(id, {
        renewed: resolve,
        notPrimary: () => reject(new EtcdFault(errors.notPrimary)),
        failed: (error) => reject(new EtcdFault(error)),
      });
    });
  }

  /** The time a lease has left, as the leader knows it. */
  timeToLive(id: LeaseId, withKeys: boolean, waiter: TimeToLiveWaiter, abandoned: () => boolean): void {
    const { raft, network } = this.#member;
    if (raft.isLeader) {
      this.timeToLiveHere(id, withKeys, waiter);
      return;
    }
    callLeader(this.#member, {
      ask: (peerUrls, timeoutMillis) => network.peers.leaseTimeToLive(peerUrls, id, withKeys, timeoutMillis),
      own: () =>
        new Promise<LeaseTimeToLive>((resolve, reject) => {
          this.timeToLiveHere(id, withKeys, {
            found: resolve,
            failed: (error) => reject(new EtcdFault(error)),
          });
        }),
      isFinal: (error) => error === errors.leaseNotFound,
      abandoned,
    }).then(
      (lease) => waiter.found(lease),
      (error: unknown) => {
        const failure = etcdErrorOf(error);
        if (failure === errors.leaseNotFound) waiter.found(NO_LEASE);
        else waiter.failed(failure);
      },
    );
  }

  timeToLiveHere(id: LeaseId, withKeys: boolean, waiter: TimeToLiveWaiter): void {
    const { lessor, clock } = this.#member;
    this.#member.whenCaughtUp({
      ready: () => {
        const lease = lessor.lookup(id);
        // A leader just elected may not have applied what was granted before it.
        if (!lessor.isPrimary) waiter.failed(errors.leaderChanged);
        else if (lease === undefined) this.#findNone(id, waiter);
        else
          waiter.found({
            ttl: lessor.remainingSeconds(lease, clock.now()),
            grantedTtl: lease.ttl,
            keys: withKeys ? [...lease.keys].map((key) => keyToBytes(key)) : [],
          });
      },
      failed: (error) => waiter.failed(error),
    });
  }

  /** Another leader may have granted it: who asks again finds it there. */
  #findNone(id: LeaseId, waiter: TimeToLiveWaiter): void {
    const { lessor } = this.#member;
    this.#prove({
      ready: () => {
        if (lessor.isPrimary && lessor.lookup(id) === undefined) waiter.found(NO_LEASE);
        else waiter.failed(errors.leaderChanged);
      },
      failed: (error) => waiter.failed(error),
    });
  }

  /** A lease was revoked. */
  revoked(): void {
    if (this.#waiting.length === 0) return;
    const { lessor } = this.#member;
    const over = this.#waiting.filter(({ id }) => lessor.lookup(id) === undefined);
    this.#waiting = this.#waiting.filter(({ id }) => lessor.lookup(id) !== undefined);
    for (const { waiter } of over) waiter.renewed(0);
  }

  /** A leader that was followed a moment ago may prolong what it knows. That a lease is unknown it must not say unproved. */
  #renewVouched(id: LeaseId, waiter: RenewWaiter): void {
    const { lessor, options } = this.#member;
    if (lessor.lookup(id) === undefined) this.#renewProved(id, waiter);
    else if (options.fastLeaseKeepAlive) this.#renewNow(id, waiter);
    // Its end may be committed and not yet applied.
    else
      this.#member.whenCaughtUp({
        ready: () => this.#renewNow(id, waiter),
        failed: (error) => waiter.failed(error),
      });
  }

  #renewProved(id: LeaseId, waiter: RenewWaiter): void {
    this.#prove({
      ready: () => this.#renewNow(id, waiter),
      // Leadership could not be proved: the client shall turn to another member.
      failed: (error) => waiter.failed(error === errors.stopped ? error : errors.notPrimary),
    });
  }

  /** A leader that lost its followers unnoticed must not say how long a lease lives. */
  #prove(waiter: { ready(): void; failed(error: EtcdError): void }): void {
    if (this.#member.canReadNow) waiter.ready();
    else this.#member.read(waiter);
  }

  #renewNow(id: LeaseId, waiter: RenewWaiter): void {
    const { lessor, clock, counters } = this.#member;
    if (!lessor.isPrimary) {
      waiter.notPrimary();
      return;
    }
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
      this.#look();
      this.#next();
    });
  }

  /** What is due is taken from the lessor only once this member has proved that it leads. */
  #look(): void {
    const { lessor, clock, logger, localId } = this.#member;
    if (this.#proving || !lessor.hasDue(clock.now())) return;
    this.#proving = true;
    this.#prove({
      ready: () => {
        this.#proving = false;
        this.#expire();
        this.#checkpoint();
      },
      failed: (error) => {
        this.#proving = false;
        if (error === errors.stopped) return;
        logger.warn("Ignore the lease revoking request because current member isn't a leader", {
          "local-member-id": localId,
        });
      },
    });
  }

  #expire(): void {
    const { lessor, clock, counters, logger } = this.#member;
    for (const id of lessor.expired(clock.now(), REVOKES_PER_INTERVAL)) {
      this.#member.propose(RequestField.LeaseRevoke, encodeLeaseRevokeRequest({ id }), {
        applied: ({ error }) => {
          if (error === undefined) counters.leasesExpired++;
          else if (error !== errors.leaseNotFound) tellFailure(error);
        },
        failed: tellFailure,
      });
      // A revocation that fails is proposed again after the lessor's retry interval.
      function tellFailure(error: EtcdError): void {
        if (error === errors.stopped) return;
        const hex = BigInt.asUintN(64, id).toString(16).padStart(16, "0");
        logger.warn("failed to revoke lease", { "lease-id": hex, error: error.message });
      }
    }
  }

  #checkpoint(): void {
    const { lessor, clock } = this.#member;
    for (let batch = 0; batch < CHECKPOINT_BATCHES_PER_INTERVAL; batch++) {
      const checkpoints = lessor.dueCheckpoints(clock.now(), CHECKPOINTS_PER_BATCH);
      if (checkpoints.length === 0) return;
      const body = encodeLeaseCheckpointRequest({ checkpoints });
      this.#member.propose(RequestField.LeaseCheckpoint, body, SILENT);
      if (checkpoints.length < CHECKPOINTS_PER_BATCH) return;
    }
  }
}

/** Nobody waits: a checkpoint that fails comes again after its interval. */
const SILENT = { applied(): void {}, failed(): void {} };
