// Callers waiting for the result of what they proposed, by request id. Each is answered exactly once: by apply, by the timeout, or
// when the member stops. Bounded in number and bytes; beyond that callers are told "too many requests".
import type { Applied } from "../apply/applier.ts";
import { type EtcdError, errors } from "../base/errors.ts";

/** Whoever proposed something. Exactly one of the two is called, once. */
export interface Waiter {
  applied(result: Applied): void;
  failed(error: EtcdError): void;
}

/** Bytes of proposals that are not applied yet. */
const PENDING_BYTES_MAX = 256 << 20;
/** Their number: what 1,000 connections of 100 streams each can have under way. */
const PENDING_MAX = 100_000;

export type Pending = {
  readonly waiter: Waiter;
  /** etcd's name of the request; "" is not timed. */
  readonly type: string;
  readonly bytes: number;
  readonly started: number;
  readonly deadline: number;
};

export class Proposals {
  readonly #pending = new Map<bigint, Pending>();
  #bytes = 0;

  get size(): number {
    return this.#pending.size;
  }

  /** Whether one more of so many bytes may be proposed now. */
  admits(bytes: number): boolean {
    return this.#pending.size < PENDING_MAX && this.#bytes + bytes <= PENDING_BYTES_MAX;
  }

  add(id: bigint, pending: Pending): void {
    this.#pending.set(id, pending);
    this.#bytes += pending.bytes;
  }

  /** Who waits for an applied entry; undefined when it was another member's, or is from before this start, or gave up. */
  take(id: bigint): Pending | undefined {
    const pending = this.#pending.get(id);
    if (pending === undefined) return undefined;
    this.#pending.delete(id);
    this.#bytes -= pending.bytes;
    return pending;
  }

  /** Deadlines ascend with the ids, because every request has the same time: the oldest are in front. Returns those that gave up. */
  expire(now: number, error: EtcdError): readonly Pending[] {
    const expired: Pending[] = [];
    for (const [id, pending] of this.#pending) {
      if (pending.deadline > now) break;
      this.take(id);
      pending.waiter.failed(error);
      expired.push(pending);
    }
    return expired;
  }

  failAll(error: EtcdError = errors.stopped): void {
    for (const [id, { waiter }] of this.#pending) {
      this.take(id);
      waiter.failed(error);
    }
  }
}
