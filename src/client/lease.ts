// Leases: grant, revoke, look up, and keeping them alive.
import { Code, errors } from "../base/errors.ts";
import {
  decodeLeaseGrantResponse,
  decodeLeaseKeepAliveResponse,
  decodeLeaseLeasesResponse,
  decodeLeaseRevokeResponse,
  decodeLeaseTimeToLiveResponse,
  encodeLeaseGrantRequest,
  encodeLeaseKeepAliveRequest,
  encodeLeaseLeasesRequest,
  encodeLeaseRevokeRequest,
  encodeLeaseTimeToLiveRequest,
  type LeaseGrantResponse,
  type LeaseKeepAliveResponse,
  type LeaseLeasesResponse,
  type LeaseRevokeResponse,
  type LeaseTimeToLiveResponse,
} from "../wire/generated/etcdserverpb.ts";
import { RpcError } from "./errors.ts";
import { type CallOptions, decodeMessage, MessageQueue, type Rpc, sleep } from "./rpc.ts";

const PATH = "/etcdserverpb.Lease/";
const RETRY_MILLIS = 500;
/** How long a lease whose time to live is not known yet is kept trying for. */
const FIRST_TTL_MILLIS = 5000;

export class Lease {
  readonly #rpc: Rpc;

  constructor(rpc: Rpc) {
    this.#rpc = rpc;
  }

  /** `id` 0 or absent: the server picks one. */
  async grant(
    ttlSeconds: number,
    options?: { readonly id?: bigint } & CallOptions,
  ): Promise<LeaseGrantResponse> {
    const bytes = encodeLeaseGrantRequest({ ttl: ttlSeconds, id: options?.id ?? 0n });
    return await this.#rpc.unary(`${PATH}LeaseGrant`, bytes, decodeLeaseGrantResponse, "repeatable", options);
  }

  async revoke(id: bigint, options?: CallOptions): Promise<LeaseRevokeResponse> {
    const bytes = encodeLeaseRevokeRequest({ id });
    return await this.#rpc.unary(
      `${PATH}LeaseRevoke`,
      bytes,
      decodeLeaseRevokeResponse,
      "repeatable",
      options,
    );
  }

  async timeToLive(
    id: bigint,
    options?: { readonly keys?: boolean } & CallOptions,
  ): Promise<LeaseTimeToLiveResponse> {
    const bytes = encodeLeaseTimeToLiveRequest({ id, keys: options?.keys ?? false });
    return await this.#rpc.unary(
      `${PATH}LeaseTimeToLive`,
      bytes,
      decodeLeaseTimeToLiveResponse,
      "repeatable",
      options,
    );
  }

  async list(options?: CallOptions): Promise<LeaseLeasesResponse> {
    const bytes = encodeLeaseLeasesRequest({});
    return await this.#rpc.unary(
      `${PATH}LeaseLeases`,
      bytes,
      decodeLeaseLeasesResponse,
      "repeatable",
      options,
    );
  }

  /** Renews a lease once. A lease that is gone is an error. */
  async keepAliveOnce(id: bigint, options?: CallOptions): Promise<LeaseKeepAliveResponse> {
    for (;;) {
      try {
        const stream = await this.#open(options);
        const response = await stream.renew(id);
        stream.close();
        if (response.ttl <= 0) throw new RpcError(errors.leaseNotFound.code, errors.leaseNotFound.message);
        return response;
      } catch (error) {
        if (!isPassing(error)) throw error;
        await sleep(RETRY_MILLIS, options?.signal);
      }
    }
  }

  /**
   * Renews a lease three times per time to live for as long as the loop over it runs. It ends when the lease is gone, or could
   * not be renewed in time.
   */
  async *keepAlive(
    id: bigint,
    options?: CallOptions,
  ): AsyncGenerator<LeaseKeepAliveResponse, void, undefined> {
    let deadline = Date.now() + FIRST_TTL_MILLIS;
    let stream: KeepAliveStream | undefined;
    try {
      while (Date.now() < deadline) {
        try {
          stream ??= await this.#open(options);
          const response = await stream.renew(id);
          if (response.ttl <= 0) return;
          deadline = Date.now() + response.ttl * 1000;
          yield response;
          await sleep((response.ttl * 1000) / 3, options?.signal);
        } catch (error) {
          if (options?.signal?.aborted === true) return;
          if (!isPassing(error)) throw error;
          stream?.close();
          stream = undefined;
          await sleep(Math.min(RETRY_MILLIS, Math.max(0, deadline - Date.now())), options?.signal).catch(
            () => {},
          );
        }
      }
    } finally {
      stream?.close();
    }
  }

  async #open(options: CallOptions | undefined): Promise<KeepAliveStream> {
    const queue = new MessageQueue();
    const call = await this.#rpc.stream(`${PATH}LeaseKeepAlive`, queue, options);
    queue.attach(call);
    return {
      async renew(id: bigint): Promise<LeaseKeepAliveResponse> {
        call.send(encodeLeaseKeepAliveRequest({ id }));
        const bytes = await queue.next();
        if (bytes === undefined) throw new RpcError(Code.Unavailable, "EOF");
        return decodeMessage(bytes, decodeLeaseKeepAliveResponse);
      },
      close: () => {
        call.endRequests();
        call.cancel();
      },
    };
  }
}

type KeepAliveStream = { renew(id: bigint): Promise<LeaseKeepAliveResponse>; close(): void };

/** Another member, or the same one later, may succeed. */
function isPassing(error: unknown): boolean {
  return error instanceof RpcError && (error.code === Code.Unavailable || error.code === Code.Internal);
}
