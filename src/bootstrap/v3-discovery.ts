// v3 discovery: members that do not know each other find each other through keys in an etcd cluster that runs already. The keys, their
// order and the errors are etcd's, so that Cairn and etcd members can be brought together by one token.

import { utf8FromBytes } from "../base/bytes.ts";
import { errorText } from "../base/error-text.ts";
import type { Client } from "../client/client.ts";
import { parseInitialCluster } from "../config/urls.ts";
import type { Logger } from "../ports/logger.ts";
import type { WatchResponse } from "../wire/generated/etcdserverpb.ts";
import type { KeyValue } from "../wire/generated/mvccpb.ts";

const BACKOFF_EXPONENT_MAX = 8;

export class DiscoveryError extends Error {
  override readonly name = "DiscoveryError";
}

/** Errors that no repetition mends. */
class FinalError extends DiscoveryError {}

export type DiscoveryOptions = {
  readonly client: Client;
  readonly token: string;
  readonly requestTimeoutMillis: number;
  readonly logger: Logger;
  wait(millis: number): Promise<void>;
};

type Found = { readonly key: string; readonly pairs: string; readonly createRevision: number };
type Registry = { readonly size: number; readonly members: Found[]; readonly revision: number };

/** Registers `pairs` (`name=url,…`) under this member's id (hex) and waits for the others. Gives the text of an --initial-cluster. */
export async function discoverCluster(options: DiscoveryOptions, id: string, pairs: string): Promise<string> {
  const discovery = new Discovery(options, id);
  await discovery.check();
  await discovery.register(pairs);
  const registry = await discovery.check();
  await discovery.waitForPeers(registry);
  const whole = registry.members
    .slice(0, registry.size)
    .map((found) => found.pairs)
    .join(",");
  if (!parseInitialCluster(whole).ok) throw new DiscoveryError("discovery: invalid peer URL");
  return whole;
}

class Discovery {
  readonly #options: DiscoveryOptions;
  readonly #prefix: string;
  readonly #own: string;

  constructor(options: DiscoveryOptions, id: string) {
    this.#options = options;
    this.#prefix = `/_etcd/registry/${options.token}`;
    this.#own = `${this.#prefix}/members/${id}`;
  }

  /** The registry as it stands; fails when this member has no place in it. */
  check(): Promise<Registry> {
    return this.#retried("cluster status check", async () => {
      const size = await this.#size();
      const { members, revision } = await this.#members();
      const place = members.findIndex(({ key }) => key === this.#own);
      const before = place < 0 ? members.length : place;
      if (before > size - 1) throw new FinalError("discovery: cluster is full");
      return { size, members, revision };
    });
  }

  register(pairs: string): Promise<void> {
    const { client, requestTimeoutMillis, logger } = this.#options;
    return this.#retried("register member itself", async () => {
      await client.kv.put(this.#own, pairs, { timeoutMillis: requestTimeoutMillis });
      logger.info("register member itself successfully", { memberKey: this.#own, memberInfo: pairs });
    });
  }

  async waitForPeers(registry: Registry): Promise<void> {
    const { client, logger } = this.#options;
    const { size, members } = registry;
    const fields = (): object => ({ clusterSize: size, "found-peers": members.length });
    if (members.length >= size) return;
    logger.info("waiting for peers from discovery service", { ...fields() });
    const watcher = client.watch(`${this.#prefix}/members`, {
      prefix: true,
      revision: registry.revision + 1,
    });
    for await (const response of watcher as AsyncIterable<WatchResponse>) {
      for (const { kv } of response.events) if (kv !== undefined) this.#add(members, kv);
      if (members.length >= size) break;
    }
    if (members.length < size)
      throw new DiscoveryError(watcher.error?.message ?? "discovery: the watch ended");
    logger.info("found all needed peers from discovery service", { ...fields() });
  }

  async #size(): Promise<number> {
    const { client, requestTimeoutMillis } = this.#options;
    const reply = await client.kv.get(`${this.#prefix}/_config/size`, {
      timeoutMillis: requestTimeoutMillis,
    });
    const value = reply.kvs[0]?.value;
    if (value === undefined) throw new FinalError("discovery: size key not found");
    const text = utf8FromBytes(value);
    const size = /^\+?\d{1,9}$/.test(text) ? Number(text) : 0;
    if (size <= 0) throw new FinalError("discovery: size key is bad");
    return size;
  }

  async #members(): Promise<{ members: Found[]; revision: number }> {
    const { client, requestTimeoutMillis } = this.#options;
    const reply = await client.kv.get(`${this.#prefix}/members`, {
      prefix: true,
      timeoutMillis: requestTimeoutMillis,
    });
    const members: Found[] = [];
    for (const kv of reply.kvs) this.#add(members, kv);
    return { members, revision: Number(reply.header?.revision ?? 0) };
  }

  /** In order of registration: when too many register at once, the first ones are the cluster. */
  #add(members: Found[], kv: KeyValue): void {
    const { logger } = this.#options;
    const key = utf8FromBytes(kv.key).trim();
    const pairs = utf8FromBytes(kv.value).trim();
    const fields = { memberKey: key, memberInfo: pairs };
    if (!pairs.includes("=")) logger.warn("invalid peer info returned from discovery service", fields);
    else if (members.some((found) => found.key === key))
      logger.warn("found duplicate peer from discovery service", fields);
    else {
      members.push({ key, pairs, createRevision: Number(kv.createRevision) });
      members.sort((a, b) => a.createRevision - b.createRevision);
      logger.info("found peer from discovery service", fields);
    }
  }

  async #retried<T>(step: string, attempt: () => Promise<T>): Promise<T> {
    const { logger, wait } = this.#options;
    for (let retries = 1; ; retries++) {
      try {
        return await attempt();
      } catch (error) {
        if (error instanceof FinalError) throw error;
        const seconds = 2 ** Math.min(retries, BACKOFF_EXPONENT_MAX);
        const text = errorText(error);
        logger.warn("retry connecting to discovery service", {
          reason: step,
          backoff: `${seconds}s`,
          error: text,
        });
        await wait(seconds * 1000);
      }
    }
  }
}
