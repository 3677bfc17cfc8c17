// Leases that come, hold keys, are renewed for a while, and are revoked or left to end. What was promised about their time goes to the
// lease checker.
import {
  decodeLeaseGrantResponse,
  decodeLeaseKeepAliveResponse,
  decodeLeaseRevokeResponse,
  decodeLeaseTimeToLiveResponse,
  encodeLeaseGrantRequest,
  encodeLeaseKeepAliveRequest,
  encodeLeaseRevokeRequest,
  encodeLeaseTimeToLiveRequest,
} from "../../wire/generated/etcdserverpb.ts";
import { leaseIsOver } from "../check/lease.ts";
import { putRequest, SimClient } from "../client.ts";
import { type LeaseRecord, type SimContext, sleep, type Workload } from "../context.ts";
import type { Machine } from "../machine.ts";
import type { SeededRandom } from "../random.ts";

const CLIENTS = 3;

export const leaseChurn: Workload = {
  name: "lease-churn",
  run: async (sim, random) => {
    await Promise.all(
      Array.from({ length: CLIENTS }, async (_, n) => {
        for (let round = 1; sim.running; round++) {
          await new Tenant(sim, random.fork(), n * 10_000 + round).live();
          await sleep(sim, random.below(300));
        }
      }),
    );
  },
};

/** One lease's life, as its owner sees it. */
export class Tenant {
  readonly #sim: SimContext;
  readonly #random: SeededRandom;
  readonly #client: SimClient;
  readonly #lease: LeaseRecord;
  #ttlMillis = 0;

  constructor(sim: SimContext, random: SeededRandom, id: number) {
    this.#sim = sim;
    this.#random = random;
    this.#client = new SimClient(sim);
    this.#lease = { id: BigInt(id), notBefore: 0, revoked: false };
    sim.leases.set(this.#lease.id, this.#lease);
  }

  /** Until when it has been promised. */
  get notBefore(): number {
    return this.#lease.notBefore;
  }

  async live(): Promise<void> {
    const random = this.#random;
    const { id } = this.#lease;
    if (!(await this.grant(random.between(1, 6)))) return;
    const keys = random.between(0, 3);
    for (let n = 0; n < keys; n++)
      await this.#client.put(putRequest(`l/${id}/${n}`, `of ${id}`, { lease: id }));
    if (keys > 0 && random.once(3))
      await this.#client.put(putRequest(`l/${id}/0`, `still of ${id}`, { ignoreLease: true }));
    if (keys > 0 && random.once(3)) await this.#client.put(putRequest(`l/${id}/0`, "free again"));
    for (let renewals = random.below(4); renewals > 0; renewals--) {
      await sleep(this.#sim, random.below(this.#ttlMillis));
      if (!(await this.renew())) return;
    }
    if (random.once(3)) await this.#revoke();
    else await this.watchIt(() => this.#sim.running);
  }

  /** `at`: asks this machine, if it is up. */
  async grant(ttl: number, at?: Machine): Promise<boolean> {
    const began = this.#sim.clock.now();
    const request = encodeLeaseGrantRequest({ id: this.#lease.id, ttl });
    const granted = await this.#client.call("Lease/LeaseGrant", request, decodeLeaseGrantResponse, at);
    if (granted.kind !== "ok") return false;
    this.#ttlMillis = granted.response.ttl * 1000;
    this.#promised(began);
    return true;
  }

  /** False when the lease is over. `at`: through this machine, also if its process is stopped: then it reads the keepalive later. */
  async renew(at?: Machine): Promise<boolean> {
    let machine = at ?? this.#sim.serving();
    for (; machine === undefined; machine = this.#sim.serving()) await sleep(this.#sim, 50);
    const began = this.#sim.clock.now();
    const ttl = await this.#keepAlive(machine);
    if (ttl === undefined) return true;
    if (ttl > 0) this.#promised(began);
    else this.#isOver("a keepalive found none");
    return ttl > 0;
  }

  #keepAlive(machine: Machine): Promise<number | undefined> {
    return new Promise((resolve) => {
      const lost = (): void => resolve(undefined);
      const opened = machine.open("/etcdserverpb.Lease/LeaseKeepAlive", {}, lost);
      if (opened === undefined) {
        lost();
        return;
      }
      opened.call.onMessage = (message) => resolve(decodeLeaseKeepAliveResponse(message).ttl);
      void opened.call.ended.then(lost);
      machine.arrive(() => {
        opened.requests.message(encodeLeaseKeepAliveRequest({ id: this.#lease.id }));
        opened.requests.requestsEnded();
      });
    });
  }

  async #revoke(): Promise<void> {
    this.#lease.revoked = true;
    const request = encodeLeaseRevokeRequest({ id: this.#lease.id });
    await this.#client.call("Lease/LeaseRevoke", request, decodeLeaseRevokeResponse);
  }

  /** Looks on until it ends. */
  async watchIt(goesOn: () => boolean): Promise<void> {
    const request = encodeLeaseTimeToLiveRequest({ id: this.#lease.id, keys: true });
    while (goesOn()) {
      const found = await this.#client.call("Lease/LeaseTimeToLive", request, decodeLeaseTimeToLiveResponse);
      if (found.kind === "ok" && found.response.ttl === -1) {
        this.#isOver("its time to live is −1");
        return;
      }
      await sleep(this.#sim, this.#random.between(100, 1500));
    }
  }

  #promised(began: number): void {
    const promised = began + this.#ttlMillis / this.#sim.clockRateMax;
    this.#lease.notBefore = Math.max(this.#lease.notBefore, promised);
  }

  #isOver(evidence: string): void {
    if (!this.#lease.revoked) leaseIsOver(this.#sim.history, this.#lease, this.#sim.clock.now(), evidence);
  }
}
