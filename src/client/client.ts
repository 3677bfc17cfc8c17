// The client of Cairn and etcd for TypeScript: one object per cluster, all services on it. Public: package entry "./client".
import { Auth } from "./auth.ts";
import { Cluster } from "./cluster.ts";
import type { Bytes } from "./keys.ts";
import { Kv } from "./kv.ts";
import { Lease } from "./lease.ts";
import { Maintenance } from "./maintenance.ts";
import { type CallOptions, type ClientOptions, Rpc } from "./rpc.ts";
import { Watch, type Watcher, type WatchOptions } from "./watch.ts";

/**
 * ```ts
 * const client = new Client({ endpoints: ["127.0.0.1:2379"] });
 * await client.kv.put("greeting", "hello");
 * for await (const { events } of client.watch("greeting", { revision: 1 })) console.log(events);
 * client.close();
 * ```
 */
export class Client {
  readonly #rpc: Rpc;
  readonly #watch: Watch;
  readonly kv: Kv;
  readonly lease: Lease;
  readonly cluster: Cluster;
  readonly maintenance: Maintenance;
  readonly auth: Auth;

  constructor(options: ClientOptions) {
    this.#rpc = new Rpc(options);
    this.#watch = new Watch(this.#rpc);
    this.kv = new Kv(this.#rpc);
    this.lease = new Lease(this.#rpc);
    this.cluster = new Cluster(this.#rpc);
    this.maintenance = new Maintenance(this.#rpc);
    this.auth = new Auth(this.#rpc);
  }

  get endpoints(): readonly string[] {
    return this.#rpc.channel.endpoints;
  }

  setEndpoints(endpoints: readonly string[]): void {
    this.#rpc.channel.setEndpoints(endpoints);
  }

  /** Takes the endpoints that the members advertise. */
  async sync(options?: CallOptions): Promise<void> {
    const { members } = await this.cluster.memberList(options);
    const urls = members
      .filter((member) => member.name !== "" && !member.isLearner)
      .flatMap((member) => member.clientUrls);
    if (urls.length > 0) this.setEndpoints(urls);
  }

  /** Logs in now, so that a wrong password shows here and not at the first call. */
  authenticate(): Promise<void> {
    return this.#rpc.authenticate();
  }

  watch(key: Bytes, options?: WatchOptions): Watcher {
    return this.#watch.watch(key, options);
  }

  requestProgress(options?: { readonly requireLeader?: boolean }): void {
    this.#watch.requestProgress(options);
  }

  close(): void {
    this.#watch.close();
    this.#rpc.close();
  }
}
