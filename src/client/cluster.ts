// Members of the cluster.
import {
  decodeMemberAddResponse,
  decodeMemberListResponse,
  decodeMemberPromoteResponse,
  decodeMemberRemoveResponse,
  decodeMemberUpdateResponse,
  encodeMemberAddRequest,
  encodeMemberListRequest,
  encodeMemberPromoteRequest,
  encodeMemberRemoveRequest,
  encodeMemberUpdateRequest,
  type MemberAddResponse,
  type MemberListResponse,
  type MemberPromoteResponse,
  type MemberRemoveResponse,
  type MemberUpdateResponse,
} from "../wire/generated/etcdserverpb.ts";
import { clientError } from "./errors.ts";
import type { CallOptions, Rpc } from "./rpc.ts";

const PATH = "/etcdserverpb.Cluster/";

/** What Go's types.NewURLs refuses, which clientv3 checks before it asks. */
function checkUrls(urls: readonly string[]): void {
  for (const text of urls) {
    const match = /^([a-z][a-z0-9+.-]*):\/\/([^/?#]*)(.*)$/i.exec(text.trim());
    const scheme = match?.[1]?.toLowerCase() ?? "";
    const shown = text.trim();
    if (match === null && /^[^/]*:/.test(shown) && !/^[a-z][a-z0-9+.-]*:/i.test(shown)) {
      throw clientError(`parse "${shown}": first path segment in URL cannot contain colon`);
    }
    if (!["http", "https", "unix", "unixs"].includes(scheme)) {
      throw clientError(`URL scheme must be http, https, unix, or unixs: ${shown}`);
    }
    if (scheme === "http" || scheme === "https") {
      if (!/^(\[[^\]]*\]|[^:]*):\d*$/.test(match![2]!)) {
        throw clientError(`URL address does not have the form "host:port": ${shown}`);
      }
    }
    if (match![3] !== "") throw clientError(`URL must not contain a path: ${shown}`);
  }
}

export class Cluster {
  readonly #rpc: Rpc;

  constructor(rpc: Rpc) {
    this.#rpc = rpc;
  }

  async memberAdd(
    peerUrls: readonly string[],
    options?: { readonly isLearner?: boolean } & CallOptions,
  ): Promise<MemberAddResponse> {
    checkUrls(peerUrls);
    const bytes = encodeMemberAddRequest({ peerUrls: [...peerUrls], isLearner: options?.isLearner ?? false });
    return await this.#rpc.unary(`${PATH}MemberAdd`, bytes, decodeMemberAddResponse, "once", options);
  }

  async memberRemove(id: bigint, options?: CallOptions): Promise<MemberRemoveResponse> {
    const bytes = encodeMemberRemoveRequest({ id });
    return await this.#rpc.unary(`${PATH}MemberRemove`, bytes, decodeMemberRemoveResponse, "once", options);
  }

  async memberUpdate(
    id: bigint,
    peerUrls: readonly string[],
    options?: CallOptions,
  ): Promise<MemberUpdateResponse> {
    checkUrls(peerUrls);
    const bytes = encodeMemberUpdateRequest({ id, peerUrls: [...peerUrls] });
    return await this.#rpc.unary(`${PATH}MemberUpdate`, bytes, decodeMemberUpdateResponse, "once", options);
  }

  async memberList(options?: { readonly serializable?: boolean } & CallOptions): Promise<MemberListResponse> {
    const bytes = encodeMemberListRequest({ linearizable: options?.serializable !== true });
    return await this.#rpc.unary(`${PATH}MemberList`, bytes, decodeMemberListResponse, "repeatable", options);
  }

  async memberPromote(id: bigint, options?: CallOptions): Promise<MemberPromoteResponse> {
    const bytes = encodeMemberPromoteRequest({ id });
    return await this.#rpc.unary(`${PATH}MemberPromote`, bytes, decodeMemberPromoteResponse, "once", options);
  }
}
