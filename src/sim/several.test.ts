// Real members on one simulated clock, with disks and a network of their own, for the tests of clusters: time that goes on until something
// is so, calls to any member, members that join later.
import assert from "node:assert/strict";
import type { EtcdError } from "../base/errors.ts";
import type { InitialCluster } from "../member/membership/initial-cluster.ts";
import type { MemberOptions } from "../member/options.ts";
import { nodeDigest } from "../node/digest.ts";
import { silentLogger } from "../ports/logger.ts";
import {
  decodeHashKVResponse,
  decodePutResponse,
  decodeRangeResponse,
  encodeHashKVRequest,
  encodePutRequest,
  encodeRangeRequest,
} from "../wire/generated/etcdserverpb.ts";
import { putRequest, rangeRequest } from "./client.ts";
import { SimClock } from "./clock.ts";
import { Machine, SIM_MEMBER_OPTIONS } from "./machine.ts";
import { SimNetwork } from "./network.ts";
import { SeededRandom } from "./random.ts";
import { clusterOptions } from "./settings.ts";

export const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

export class Cluster {
  readonly clock = new SimClock();
  readonly network: SimNetwork;
  readonly machines: Machine[] = [];
  /** What all members log, each line with its member's name in front. */
  readonly lines: string[] = [];
  readonly #random = new SeededRandom(7);

  constructor(members: number, settings: Partial<MemberOptions> = {}) {
    this.network = new SimNetwork(this.clock, this.#random.fork());
    const all = { ...SIM_MEMBER_OPTIONS, ...settings };
    for (const options of clusterOptions(all, members, nodeDigest())) this.#add(options);
  }

  /** A member that the cluster was told of joins it, as etcd's `initial-cluster-state: existing` does. */
  async join(name: string, url: string, initialCluster: InitialCluster): Promise<Machine> {
    const settings = this.machines[0]!.memberOptions;
    const machine = this.#add({ ...settings, name, peerUrls: [url], initialCluster });
    await this.finish("a start", machine.start());
    return machine;
  }

  #add(member: MemberOptions): Machine {
    const tell = (message: string): void => void this.lines.push(`${member.name} ${message}`);
    const machine = new Machine({
      clock: this.clock,
      random: this.#random.fork(),
      digest: nodeDigest(),
      member,
      network: this.network,
      logger: { ...silentLogger, info: tell, warn: tell, error: tell },
    });
    this.machines.push(machine);
    return machine;
  }

  /** Lets virtual time go on until `done`, or fails. */
  async until(what: string, done: () => boolean, millis = 20_000): Promise<void> {
    const end = this.clock.now() + millis;
    while (!done()) {
      assert.ok(this.clock.now() < end, `${what}, within ${millis} ms`);
      assert.ok(this.clock.step(), "something happens");
      await turn();
    }
  }

  async finish<T>(what: string, promise: Promise<T>): Promise<T> {
    const outcome: { value?: T; error?: unknown; done: boolean } = { done: false };
    promise.then(
      (value) => Object.assign(outcome, { value, done: true }),
      (error: unknown) => Object.assign(outcome, { error, done: true }),
    );
    await turn();
    await this.until(what, () => outcome.done);
    if (outcome.error !== undefined) throw outcome.error;
    return outcome.value as T;
  }

  async start(): Promise<void> {
    for (const machine of this.machines) if (!machine.on) await this.finish("a start", machine.start());
    await this.leader();
  }

  /** The member that those who run agree upon. */
  async leader(among: readonly Machine[] = this.machines.filter(({ up }) => up)): Promise<Machine> {
    const agreed = (): Machine | undefined => {
      const ids = new Set(among.map(({ member }) => member.raft.leader));
      return ids.size === 1 ? among.find(({ id, member }) => ids.has(id) && member.raft.isLeader) : undefined;
    };
    await this.until("a leader", () => agreed() !== undefined);
    return agreed()!;
  }

  async call<T>(
    machine: Machine,
    method: string,
    request: Uint8Array,
    decode: (bytes: Uint8Array) => T,
  ): Promise<T> {
    const call = machine.call(`/etcdserverpb.${method}`, request, () => {})!;
    await this.until(method, () => call.done);
    assert.equal(call.error, undefined);
    return decode(call.messages[0]!);
  }

  /** The error of a call that fails. */
  async fails(machine: Machine, method: string, request: Uint8Array): Promise<EtcdError> {
    const call = machine.call(`/etcdserverpb.${method}`, request, () => {})!;
    await this.until(method, () => call.done);
    assert.ok(call.error !== undefined, `${method} fails`);
    return call.error;
  }

  put(machine: Machine, key: string, value: string): Promise<unknown> {
    return this.call(machine, "KV/Put", encodePutRequest(putRequest(key, value)), decodePutResponse);
  }

  async get(machine: Machine, key: string): Promise<string | undefined> {
    const { kvs } = await this.call(
      machine,
      "KV/Range",
      encodeRangeRequest(rangeRequest(key)),
      decodeRangeResponse,
    );
    return kvs[0] === undefined ? undefined : Buffer.from(kvs[0].value).toString("latin1");
  }

  async hashes(): Promise<number[]> {
    const newest = Math.max(...this.machines.map(({ member }) => member.store.currentRevision));
    await this.until("all have applied all", () =>
      this.machines.every(({ member }) => member.store.currentRevision === newest),
    );
    const request = encodeHashKVRequest({ revision: newest });
    const found: number[] = [];
    for (const machine of this.machines)
      found.push((await this.call(machine, "Maintenance/HashKV", request, decodeHashKVResponse)).hash);
    return found;
  }
}

export async function started(members = 3, settings: Partial<MemberOptions> = {}): Promise<Cluster> {
  const cluster = new Cluster(members, settings);
  await cluster.start();
  return cluster;
}

export const others = (cluster: Cluster, one: Machine): Machine[] =>
  cluster.machines.filter((machine) => machine !== one);
