// Who waits until an index is applied here: what was committed when somebody asked is to be seen by the answer. Owned by Member, which
// tells it of every applied batch. Waiters are few (leases, promotions) and wait a second at most.
import type { Millis } from "../base/brand.ts";
import { type EtcdError, errors } from "../base/errors.ts";
import type { ReadWaiter } from "./member.ts";

/** etcd's applyTimeout. */
export const APPLY_TIMEOUT_MILLIS = 1000 as Millis;

type Wait = { readonly index: number; readonly deadline: number; readonly waiter: ReadWaiter };

export class AppliedWaits {
  #waits: Wait[] = [];

  add(index: number, deadline: number, waiter: ReadWaiter): void {
    this.#waits.push({ index, deadline, waiter });
  }

  reached(index: number): void {
    if (this.#waits.length === 0) return;
    const over = this.#waits.filter((wait) => wait.index <= index);
    if (over.length === 0) return;
    this.#waits = this.#waits.filter((wait) => wait.index > index);
    for (const { waiter } of over) waiter.ready();
  }

  expire(now: number): void {
    if (this.#waits.length === 0) return;
    const late = this.#waits.filter((wait) => wait.deadline <= now);
    this.#waits = this.#waits.filter((wait) => wait.deadline > now);
    for (const { waiter } of late) waiter.failed(errors.timeoutWaitAppliedIndex);
  }

  failAll(error: EtcdError): void {
    const waits = this.#waits;
    this.#waits = [];
    for (const { waiter } of waits) waiter.failed(error);
  }
}
