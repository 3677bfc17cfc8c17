// Sessions, locks and elections, made of leases, transactions and watches as clientv3's concurrency package makes them: the two
// clients can compete for the same lock.

import {
  createTxnRequest,
  type RangeResponse,
  type RequestOp,
  type ResponseHeader,
  SortOrder,
  SortTarget,
  type TxnResponse,
} from "../wire/generated/etcdserverpb.ts";
import { EventType, type KeyValue } from "../wire/generated/mvccpb.ts";
import type { Client } from "./client.ts";
import { canceled, clientError } from "./errors.ts";
import { type Bytes, toBytes } from "./keys.ts";
import { compare, op } from "./kv.ts";
import { watchError } from "./watch.ts";

const DEFAULT_TTL_SECONDS = 60;

/** A lease that is kept alive until the session is closed or lost. */
export class Session {
  readonly client: Client;
  readonly lease: bigint;
  /** Settles when the lease is not kept any more, for whatever reason. */
  readonly done: Promise<void>;
  readonly #stop = new AbortController();

  private constructor(client: Client, lease: bigint) {
    this.client = client;
    this.lease = lease;
    this.done = this.#keep();
  }

  static async open(
    client: Client,
    options?: { readonly ttlSeconds?: number; readonly lease?: bigint },
  ): Promise<Session> {
    const wanted = options?.ttlSeconds ?? 0;
    const lease =
      options?.lease ??
      (await client.lease.grant(wanted > 0 ? wanted : DEFAULT_TTL_SECONDS, { timeoutMillis: 0 })).id;
    return new Session(client, lease);
  }

  async #keep(): Promise<void> {
    try {
      for await (const renewed of this.client.lease.keepAlive(this.lease, { signal: this.#stop.signal }))
        void renewed;
    } catch {
      // The session ends; why is of no use to its owner.
    }
  }

  /** Stops keeping the lease, and leaves it to expire. */
  orphan(): void {
    this.#stop.abort();
  }

  async close(): Promise<void> {
    this.orphan();
    await this.client.lease.revoke(this.lease);
  }
}

async function commit(
  client: Client,
  conditions: readonly ReturnType<typeof compare.version>[],
  success: readonly RequestOp[],
  failure: readonly RequestOp[],
): Promise<TxnResponse> {
  const txn = createTxnRequest();
  txn.compare.push(...conditions);
  txn.success.push(...success);
  txn.failure.push(...failure);
  return await client.kv.txn(txn, { timeoutMillis: 0 });
}

function firstCreated(prefix: string): RequestOp {
  return op.get(prefix, {
    prefix: true,
    sortTarget: SortTarget.CREATE,
    sortOrder: SortOrder.ASCEND,
    limit: 1,
  });
}

function rangeIn(response: TxnResponse, index: number): RangeResponse | undefined {
  const item = response.responses[index]?.response;
  return item?.case === "responseRange" ? item.value : undefined;
}

/** Waits until every key under the prefix that was created up to a revision is gone. */
async function waitDeletes(
  client: Client,
  prefix: string,
  maxCreateRevision: number,
  signal?: AbortSignal,
): Promise<void> {
  for (;;) {
    const last = await client.kv.get(prefix, {
      prefix: true,
      sortTarget: SortTarget.CREATE,
      sortOrder: SortOrder.DESCEND,
      limit: 1,
      maxCreateRevision,
      timeoutMillis: 0,
    });
    if (last.kvs.length === 0) return;
    await waitDelete(client, last.kvs[0]!.key, last.header!.revision, signal);
  }
}

async function waitDelete(client: Client, key: Bytes, revision: number, signal?: AbortSignal): Promise<void> {
  const watcher = client.watch(key, { revision });
  const stop = (): void => watcher.cancel();
  signal?.addEventListener("abort", stop);
  try {
    for await (const response of watcher) {
      const error = watchError(response);
      if (error !== undefined) throw error;
      if (response.events.some((event) => event.type === EventType.DELETE)) return;
    }
  } finally {
    signal?.removeEventListener("abort", stop);
    watcher.cancel();
  }
  if (signal?.aborted === true) throw canceled();
  throw clientError("lost watcher waiting for delete");
}

/** A named lock: whoever has the oldest key under the name holds it. */
export class Mutex {
  readonly #session: Session;
  readonly #prefix: string;
  #key = "";
  #revision = -1;
  header: ResponseHeader | undefined;

  constructor(session: Session, name: string) {
    this.#session = session;
    this.#prefix = `${name}/`;
  }

  get key(): string {
    return this.#key;
  }

  /** Waits for the lock; an abort of the signal gives up the place in the queue. */
  async lock(signal?: AbortSignal): Promise<void> {
    const { client, lease } = this.#session;
    this.#key = `${this.#prefix}${BigInt.asUintN(64, lease).toString(16)}`;
    const owner = firstCreated(this.#prefix);
    const response = await commit(
      client,
      [compare.createRevision(this.#key, "=", 0)],
      [op.put(this.#key, "", { lease }), owner],
      [op.get(this.#key), owner],
    );
    this.#revision = response.succeeded
      ? response.header!.revision
      : rangeIn(response, 0)!.kvs[0]!.createRevision;
    const first = rangeIn(response, 1)?.kvs[0];
    this.header = response.header;
    if (first === undefined || first.createRevision === this.#revision) return;
    try {
      await waitDeletes(client, this.#prefix, this.#revision - 1, signal);
      const own = await client.kv.get(this.#key, { timeoutMillis: 0 });
      if (own.kvs.length === 0) throw clientError("mutex: session is expired");
      this.header = own.header;
    } catch (error) {
      if (this.#revision > 0) await this.unlock().catch(() => {});
      throw error;
    }
  }

  async unlock(): Promise<void> {
    if (this.#key === "" || this.#revision <= 0) throw clientError("mutex: lock has already been released");
    await this.#session.client.kv.delete(this.#key, { timeoutMillis: 0 });
    this.#key = "";
    this.#revision = -1;
  }
}

/** A named election: the oldest key under the name leads; its value is the leader's proposal. */
export class Election {
  readonly #session: Session;
  readonly #prefix: string;
  #leaderKey = "";
  #leaderRevision = 0;
  #leads = false;

  constructor(session: Session, name: string) {
    this.#session = session;
    this.#prefix = `${name}/`;
  }

  get key(): string {
    return this.#leaderKey;
  }

  /** Stands for election and waits until elected. */
  async campaign(value: Bytes, signal?: AbortSignal): Promise<void> {
    const { client, lease } = this.#session;
    const key = `${this.#prefix}${BigInt.asUintN(64, lease).toString(16)}`;
    const conditions = [compare.createRevision(key, "=", 0)];
    const response = await commit(client, conditions, [op.put(key, value, { lease })], [op.get(key)]);
    this.#leaderKey = key;
    this.#leaderRevision = response.header!.revision;
    this.#leads = true;
    if (!response.succeeded) {
      const own = rangeIn(response, 0)!.kvs[0]!;
      this.#leaderRevision = own.createRevision;
      if (Buffer.compare(own.value, toBytes(value)) !== 0) await this.proclaim(value);
    }
    try {
      await waitDeletes(client, this.#prefix, this.#leaderRevision - 1, signal);
    } catch (error) {
      if (signal?.aborted === true) await this.resign();
      else this.#leads = false;
      throw error;
    }
  }

  /** Changes the value without a new election. */
  async proclaim(value: Bytes): Promise<void> {
    if (!this.#leads) throw clientError("election: not leader");
    const conditions = [compare.createRevision(this.#leaderKey, "=", this.#leaderRevision)];
    const put = op.put(this.#leaderKey, value, { lease: this.#session.lease });
    const response = await commit(this.#session.client, conditions, [put], []);
    if (response.succeeded) return;
    this.#leaderKey = "";
    throw clientError("election: not leader");
  }

  async resign(): Promise<void> {
    if (!this.#leads) return;
    this.#leads = false;
    const conditions = [compare.createRevision(this.#leaderKey, "=", this.#leaderRevision)];
    await commit(this.#session.client, conditions, [op.delete(this.#leaderKey)], []);
    this.#leaderKey = "";
  }

  /** The leader and every change of leader or value, one response with one key-value each. */
  async *observe(signal?: AbortSignal): AsyncGenerator<RangeResponse, void, undefined> {
    const { client } = this.#session;
    while (signal?.aborted !== true) {
      const found = await client.kv.get(this.#prefix, {
        prefix: true,
        sortTarget: SortTarget.CREATE,
        sortOrder: SortOrder.ASCEND,
        limit: 1,
        timeoutMillis: 0,
      });
      let leader = found.kvs[0];
      let header = found.header!;
      if (leader === undefined) {
        const elected = await this.#firstPut(header.revision, signal);
        if (elected === undefined) return;
        leader = elected.kv;
        header = { ...elected.header, revision: leader.modRevision };
      }
      yield { header, kvs: [leader], more: false, count: 0 };
      if (!(yield* this.#follow(leader.key, header.revision + 1, signal))) return;
    }
  }

  async #firstPut(
    revision: number,
    signal: AbortSignal | undefined,
  ): Promise<{ kv: KeyValue; header: ResponseHeader } | undefined> {
    const watcher = this.#session.client.watch(this.#prefix, { prefix: true, revision });
    const stop = (): void => watcher.cancel();
    signal?.addEventListener("abort", stop);
    try {
      for await (const response of watcher) {
        if (watchError(response) !== undefined) return undefined;
        const put = response.events.find((event) => event.type === EventType.PUT);
        if (put?.kv !== undefined) return { kv: put.kv, header: response.header! };
      }
      return undefined;
    } finally {
      signal?.removeEventListener("abort", stop);
    }
  }

  /** The values of one leader until its key is gone; false when the watch is lost. */
  async *#follow(
    key: Bytes,
    revision: number,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<RangeResponse, boolean, undefined> {
    const watcher = this.#session.client.watch(key, { revision });
    const stop = (): void => watcher.cancel();
    signal?.addEventListener("abort", stop);
    try {
      for await (const response of watcher) {
        for (const event of response.events) {
          if (event.type === EventType.DELETE) return true;
          yield { header: response.header, kvs: [event.kv!], more: false, count: 0 };
        }
      }
      return false;
    } finally {
      signal?.removeEventListener("abort", stop);
      watcher.cancel();
    }
  }
}
