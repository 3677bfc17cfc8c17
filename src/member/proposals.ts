// Callers waiting for the result of what they proposed, by request id. Each is answered exactly once: by apply, by the timeout, or
// when the member stops. Bounded in number and bytes; beyond that callers are told "too many requests".
import type { Applied } from "../apply/applier.ts";
import { type EtcdError, errors } from "../base/errors.ts";
import { IdTable } from "../base/id-table.ts";

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
  readonly id: bigint;
  readonly waiter: Waiter;
  /** etcd's name of the request; "" is not timed. */
  readonly type: string;
  readonly bytes: number;
  readonly started: number;
  readonly deadline: number;
};

export class Proposals {
  /** By the lowest 32 bits of the id, which no two of ours have in common at a time. */
  readonly #pending = new IdTable<Pending>();
  #bytes = 0;

  get size(): number {
    return this.#pending.size;
  }

  /** Whether one more of so many bytes may be proposed now. */
  admits(bytes: number): boolean {
    return this.#pending.size < PENDING_MAX && this.#bytes + bytes <= PENDING_BYTES_MAX;
  }

  add(pending: Pending): void {
    this.#pending.set(lowBits(pending.id), pending);
    this.#bytes += pending.bytes;
  }

  /** Who waits for an applied entry; undefined when it was another member's, or is from before this start, or gave up. */
  take(id: bigint): Pending | undefined {
    const key = lowBits(id);
    const pending = this.#pending.get(key);
    if (pending === undefined || pending.id !== id) return undefined;
    this.#pending.delete(key);
    this.#bytes -= pending.bytes;
    return pending;
  }

  /** Returns those that gave up, the oldest first. */
  expire(now: number, reason: (started: number) => EtcdError): readonly Pending[] {
    if (this.#pending.size === 0) return [];
    const expired = this.#pending.values().filter((pending) => pending.deadline <= now);
    this.#fail(expired, reason);
    return expired;
  }

  failAll(error: EtcdError = errors.stopped): void {
    this.#fail(this.#pending.values(), () => error);
  }

  #fail(all: Pending[], reason: (started: number) => EtcdError): void {
    all.sort((a, b) => (a.id < b.id ? -1 : 1));
    // One's failure may have settled another.
    for (const { id, started, waiter } of all)
      if (this.take(id) !== undefined) waiter.failed(reason(started));
  }
}

function lowBits(id: bigint): number {
  return Number(BigInt.asUintN(32, id));
}
