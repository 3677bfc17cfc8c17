// Questions to other members over their peer URLs, and what their answers mean: etcd's own errors where a code or a text says so, a fault
// with the text otherwise. Tries one URL after the other; what a member has decided is not asked again elsewhere.

import type { IncomingHttpHeaders, IncomingMessage, OutgoingHttpHeaders } from "node:http";
import { jsonObject, jsonText, jsonUint64, parseBigJson } from "../base/big-json.ts";
import { type ClusterId, clusterId, type LeaseId, type MemberId, memberId } from "../base/brand.ts";
import { errorText } from "../base/error-text.ts";
import { Code, type EtcdError, errors, etcdError } from "../base/errors.ts";
import { hexId } from "../cluster/ids.ts";
import type { ClusterMember } from "../cluster/membership.ts";
import { memberFromJson } from "../etcdfile/member-json.ts";
import { EtcdFault } from "../member/fault.ts";
import type {
  LeaseTimeToLive,
  PeerClient,
  PeerHash,
  PeerMembers,
  PeerVersions,
} from "../member/network/transport.ts";
import type { Logger } from "../ports/logger.ts";
import {
  createLeaseKeepAliveRequest,
  createLeaseTimeToLiveRequest,
  decodeLeaseKeepAliveResponse,
  encodeLeaseKeepAliveRequest,
} from "../wire/generated/etcdserverpb.ts";
import { decodeLeaseInternalResponse, encodeLeaseInternalRequest } from "../wire/generated/leasepb.ts";
import {
  CAIRN_COPY_HEADER,
  CAIRN_DEVICE_HEADER,
  CAIRN_VERSION_HEADER,
  CLUSTER_ID_MISMATCH,
  headerText,
  idFromHex,
} from "./compatibility.ts";
import { type Dialer, readBody } from "./dialer.ts";
import { LEASE_RESPONSE_BYTES_MAX, SMALL_BODY_BYTES_MAX } from "./limits.ts";
import { PeerTexts } from "./service-handlers.ts";

type Question = {
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly headers: OutgoingHttpHeaders;
  readonly body: Uint8Array | undefined;
  readonly bytesMax: number;
  /** Not to be asked twice: uses no kept connection, whose end would leave open whether it was heard. */
  readonly once: boolean;
};

type Answer = {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  readonly body: Buffer;
};

/** What one member said: a value, an error that holds wherever else one asks, or one that another URL may not have. */
type Verdict<T> =
  | { readonly kind: "value"; readonly value: T }
  | { readonly kind: "final"; readonly error: EtcdError }
  | { readonly kind: "failed"; readonly text: string };

const PROTOBUF = { "Content-Type": "application/protobuf" };

export class HttpPeerClient implements PeerClient {
  readonly #dialer: Dialer;
  readonly #logger: Logger;
  /** Known once there is a member: hashes of another cluster are refused. */
  clusterId: ClusterId | undefined = undefined;

  constructor(dialer: Dialer, logger: Logger) {
    this.#dialer = dialer;
    this.#logger = logger;
  }

  members(peerUrls: readonly string[], timeoutMillis: number): Promise<PeerMembers> {
    return this.#ask(peerUrls, timeoutMillis, get("/members"), ({ status, headers, body }) => {
      const id = idFromHex(headerText(headers, "x-etcd-cluster-id"));
      if (status !== 200 || id === undefined)
        return failed(`failed to parse cluster ID (http status ${status})`);
      const members = parseMembers(body);
      if (members.length === 0) return failed("failed to get raft cluster member(s) from the given URLs");
      return value({ clusterId: clusterId(id), members });
    });
  }

  versions(peerUrls: readonly string[], timeoutMillis: number): Promise<PeerVersions> {
    return this.#ask(peerUrls, timeoutMillis, get("/version"), ({ status, headers, body }) => {
      if (status !== 200) return failed(`unexpected http status ${status}`);
      const fields = jsonObject(parseBigJson(body.toString()), "the versions");
      return value({
        server: jsonText(fields["etcdserver"], "etcdserver"),
        cluster: jsonText(fields["etcdcluster"], "etcdcluster"),
        ...cairnTraits(headers),
      });
    });
  }

  promote(
    peerUrls: readonly string[],
    id: MemberId,
    timeoutMillis: number,
  ): Promise<readonly ClusterMember[]> {
    const question = post(`/members/promote/${id}`, undefined, {}, SMALL_BODY_BYTES_MAX);
    return this.#ask(peerUrls, timeoutMillis, question, ({ status, body }) => {
      const text = body.toString();
      switch (status) {
        case 200:
          return value<readonly ClusterMember[]>(parseMembers(body));
        case 404:
          return final(errors.memberNotFound);
        case 408:
          return failed(errors.timeout.message);
        case 412:
          if (text.includes(errors.learnerNotReady.message)) return final(errors.learnerNotReady);
          if (text.includes(PeerTexts.memberNotLearner)) return final(errors.memberNotLearner);
          break;
      }
      return failed(`member promote: unknown error(${text})`);
    });
  }

  renewLease(peerUrls: readonly string[], id: LeaseId, timeoutMillis: number): Promise<number> {
    const request = createLeaseKeepAliveRequest();
    request.id = id;
    const question = post(
      "/leases",
      encodeLeaseKeepAliveRequest(request),
      PROTOBUF,
      LEASE_RESPONSE_BYTES_MAX,
    );
    return this.#ask(peerUrls, timeoutMillis, question, ({ status, body }) => {
      const refused = leaseRefusal(status, body);
      if (refused === "notFound") return value(0);
      if (refused !== undefined) return failed(refused);
      const answer = decodeLeaseKeepAliveResponse(body);
      return answer.id === id ? value(answer.ttl) : failed("lease: renew id mismatch");
    });
  }

  leaseTimeToLive(
    peerUrls: readonly string[],
    id: LeaseId,
    withKeys: boolean,
    timeoutMillis: number,
  ): Promise<LeaseTimeToLive> {
    const request = createLeaseTimeToLiveRequest();
    request.id = id;
    request.keys = withKeys;
    const bytes = encodeLeaseInternalRequest({ leaseTimeToLiveRequest: request });
    const question = post("/leases/internal", bytes, PROTOBUF, LEASE_RESPONSE_BYTES_MAX);
    return this.#ask<LeaseTimeToLive>(peerUrls, timeoutMillis, question, ({ status, body }) => {
      const refused = leaseRefusal(status, body);
      if (refused === "notFound") return value({ ttl: -1, grantedTtl: 0, keys: [] });
      if (refused !== undefined) return failed(refused);
      const answer = decodeLeaseInternalResponse(body).leaseTimeToLiveResponse;
      if (answer === undefined || answer.id !== id) return failed("lease: TTL id mismatch");
      return value({ ttl: answer.ttl, grantedTtl: answer.grantedTtl, keys: answer.keys });
    });
  }

  hashKv(peerUrls: readonly string[], revision: number, timeoutMillis: number): Promise<PeerHash> {
    const own = this.clusterId;
    const question: Question = {
      method: "GET",
      path: "/members/hashkv",
      headers: {
        "Content-Type": "application/json",
        ...(own === undefined ? {} : { "X-Etcd-Cluster-ID": hexId(own) }),
      },
      body: Buffer.from(revision === 0 ? "{}" : `{"revision":${revision}}`),
      bytesMax: SMALL_BODY_BYTES_MAX,
      once: false,
    };
    return this.#ask(peerUrls, timeoutMillis, question, ({ status, headers, body }) => {
      const text = body.toString();
      if (status === 400 && text.includes("mvcc: required revision has been compacted"))
        return final(errors.compacted);
      if (status === 400 && text.includes("mvcc: required revision is a future revision"))
        return final(errors.futureRevision);
      if (status === 412 && text.includes(CLUSTER_ID_MISMATCH)) return final(errors.clusterIdMismatch);
      if (status !== 200) return failed(`unknown error: ${text}`);
      return value(parseHash(text, idFromHex(headerText(headers, "x-etcd-cluster-id")) ?? 0n));
    });
  }

  downgradeEnabled(peerUrls: readonly string[], timeoutMillis: number): Promise<boolean> {
    return this.#ask(peerUrls, timeoutMillis, get("/downgrade/enabled"), ({ body }) => {
      const text = body.toString();
      // What Go's strconv.ParseBool takes.
      if (/^(1|t|T|TRUE|true|True)$/.test(text)) return value(true);
      if (/^(0|f|F|FALSE|false|False)$/.test(text)) return value(false);
      return failed(`strconv.ParseBool: parsing ${JSON.stringify(text)}: invalid syntax`);
    });
  }

  async #ask<T>(
    peerUrls: readonly string[],
    timeoutMillis: number,
    question: Question,
    judge: (answer: Answer) => Verdict<T>,
  ): Promise<T> {
    const until = performance.now() + timeoutMillis;
    let text = "no peer URL to ask";
    for (const url of peerUrls) {
      const left = until - performance.now();
      if (left <= 0) throw new EtcdFault(errors.timeout);
      const verdict = await this.#askOne(url, left, question, judge);
      if (verdict.kind === "value") return verdict.value;
      if (verdict.kind === "final") throw new EtcdFault(verdict.error);
      text = verdict.text;
      this.#logger.warn("failed to reach the peer URL", { address: url + question.path, error: text });
    }
    if (performance.now() >= until) throw new EtcdFault(errors.timeout);
    throw new EtcdFault(etcdError(Code.Unknown, text));
  }

  async #askOne<T>(
    url: string,
    timeoutMillis: number,
    question: Question,
    judge: (answer: Answer) => Verdict<T>,
  ): Promise<Verdict<T>> {
    try {
      return judge(await this.#roundTrip(url, timeoutMillis, question));
    } catch (error) {
      return failed(errorText(error));
    }
  }

  #roundTrip(url: string, timeoutMillis: number, question: Question, again = false): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const { method, path, body, bytesMax, once } = question;
      const length = body === undefined ? {} : { "Content-Length": body.length };
      const headers = { ...question.headers, ...length };
      let answered = false;
      let late = false;
      const call = this.#dialer.call(
        { method, url, path, headers, stream: once },
        (response) => {
          answered = true;
          readBody(response, bytesMax).then(
            (bytes) => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: bytes }),
            reject,
          );
        },
        (error) => {
          // The other side has closed a kept connection just when we took it.
          if (call.reusedSocket && !again && !late)
            resolve(this.#roundTrip(url, timeoutMillis, question, true));
          else reject(error);
        },
      );
      const timer = setTimeout(() => {
        late = true;
        call.destroy(new Error("context deadline exceeded"));
      }, timeoutMillis).unref();
      call.once("close", () => {
        clearTimeout(timer);
        if (!answered) reject(new Error("connection closed"));
      });
      call.end(body);
    });
  }
}

function get(path: string): Question {
  return { method: "GET", path, headers: {}, body: undefined, bytesMax: SMALL_BODY_BYTES_MAX, once: false };
}

function post(
  path: string,
  body: Uint8Array | undefined,
  headers: OutgoingHttpHeaders,
  bytesMax: number,
): Question {
  return {
    method: "POST",
    path,
    headers,
    body: body ?? new Uint8Array(0),
    bytesMax,
    once: body === undefined,
  };
}

function value<T>(given: T): Verdict<T> {
  return { kind: "value", value: given };
}

function final(error: EtcdError): Verdict<never> {
  return { kind: "final", error };
}

function failed(text: string): Verdict<never> {
  return { kind: "failed", text };
}

/** Why a lease was not renewed or told about; undefined for an answer to decode. */
function leaseRefusal(status: number, body: Buffer): string | "notFound" | undefined {
  if (status === 404) return "notFound";
  if (status === 408) return PeerTexts.leaseTimeout;
  return status === 200 ? undefined : `lease: unknown error(${body})`;
}

function parseMembers(body: Buffer): ClusterMember[] {
  const json = parseBigJson(body.toString());
  if (json === null) return [];
  if (!Array.isArray(json)) throw new Error("the members are no list");
  return json.map(memberFromJson);
}

function parseHash(text: string, cluster: bigint): PeerHash {
  const fields = jsonObject(parseBigJson(text), "the hash");
  const header = jsonObject(fields["header"] ?? {}, "the header");
  const count = (from: typeof fields, name: string): number => {
    const found = from[name] ?? 0n;
    if (typeof found !== "bigint") throw new Error(`${name} is no number`);
    return Number(BigInt.asIntN(64, found));
  };
  return {
    hash: count(fields, "hash"),
    revision: count(header, "revision"),
    hashRevision: count(fields, "hash_revision"),
    compactRevision: count(fields, "compact_revision"),
    memberId: memberId(jsonUint64(header["member_id"], "member_id")),
    clusterId: clusterId(jsonUint64(header["cluster_id"], "cluster_id") || cluster),
    term: count(header, "raft_term"),
  };
}

function cairnTraits(headers: IncomingHttpHeaders): Pick<PeerVersions, "cairn"> {
  const version = headerText(headers, CAIRN_VERSION_HEADER);
  if (version === "") return {};
  const deviceFull = headerText(headers, CAIRN_DEVICE_HEADER) === "full";
  const copyFormat = Number.parseInt(headerText(headers, CAIRN_COPY_HEADER), 10) || 0;
  return { cairn: { version, deviceFull, copyFormat } };
}
