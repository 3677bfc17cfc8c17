// What members ask each other besides raft's messages: members, promotion of learners, leases, hashes, downgrade, version. Codes, headers
// and texts are etcd's (etcdhttp/peer.go, leasehttp, corrupt.go, server.go); what is answered comes from the PeerService.
import type { IncomingMessage, ServerResponse } from "node:http";
import { formatBigJson, jsonObject, parseBigJson } from "../base/big-json.ts";
import { type LeaseId, memberId } from "../base/brand.ts";
import { type EtcdError, errors } from "../base/errors.ts";
import { FormatError } from "../base/format-error.ts";
import { hexId } from "../cluster/ids.ts";
import type { ClusterMember } from "../cluster/membership.ts";
import { memberJson } from "../etcdfile/member-json.ts";
import { etcdErrorOf } from "../member/fault.ts";
import { send, sendError, sendJson } from "../node/http-reply.ts";
import { DecodeError } from "../wire/decode-error.ts";
import {
  createLeaseKeepAliveResponse,
  createLeaseTimeToLiveResponse,
  createResponseHeader,
  decodeLeaseKeepAliveRequest,
  encodeLeaseKeepAliveResponse,
} from "../wire/generated/etcdserverpb.ts";
import { decodeLeaseInternalRequest, encodeLeaseInternalResponse } from "../wire/generated/leasepb.ts";
import {
  CAIRN_COPY_HEADER,
  CAIRN_DEVICE_HEADER,
  CAIRN_VERSION_HEADER,
  CLUSTER_ID_MISMATCH,
  headerText,
} from "./compatibility.ts";
import { LEASE_REQUEST_BYTES_MAX, SMALL_BODY_BYTES_MAX } from "./limits.ts";
import { type PeerHost, sendHttpError, setClusterId } from "./peer-host.ts";
import { allows, remoteAddress } from "./raft-handlers.ts";
import { BodyError, wholeBody } from "./request-body.ts";

/** The texts of etcd's packages that stand behind the errors clients see. */
export const PeerTexts = {
  leaseNotFound: "lease not found",
  leaseTimeout: "waiting for node to catch up its applied index has timed out",
  memberNotFound: "membership: ID not found",
  memberNotLearner: "membership: can only promote a learner member",
} as const;

function membersJson(members: readonly ClusterMember[]): string {
  return `${formatBigJson(members.map(memberJson))}\n`;
}

/** GET /members. */
export function handleMembers(host: PeerHost, request: IncomingMessage, response: ServerResponse): void {
  if (!allows("GET", request, response)) return;
  setClusterId(host, response);
  sendJson(response, 200, membersJson(host.service.members()));
}

export const PROMOTE_PREFIX = "/members/promote/";

/** POST /members/promote/ID, decimal. */
export async function handlePromote(
  host: PeerHost,
  request: IncomingMessage,
  response: ServerResponse,
  path: string,
): Promise<void> {
  if (!allows("POST", request, response)) return;
  setClusterId(host, response);
  const text = path.slice(PROMOTE_PREFIX.length);
  if (!/^\d{1,20}$/.test(text) || BigInt(text) >= 1n << 64n) {
    sendError(response, 404, `member ${text} not found in cluster`);
    return;
  }
  const id = memberId(BigInt(text));
  let members: readonly ClusterMember[];
  try {
    members = await host.service.promote(id);
  } catch (error) {
    const reason = etcdErrorOf(error);
    refusePromotion(host, request, response, reason);
    const fields = { "member-id": hexId(id), error: reason.message };
    host.logger.warn("failed to promote a member", fields);
    return;
  }
  sendJson(response, 200, membersJson(members));
}

function refusePromotion(
  host: PeerHost,
  request: IncomingMessage,
  response: ServerResponse,
  error: EtcdError,
): void {
  switch (error.message) {
    case errors.memberNotFound.message:
      sendError(response, 404, PeerTexts.memberNotFound);
      return;
    case errors.memberNotLearner.message:
      sendError(response, 412, PeerTexts.memberNotLearner);
      return;
    case errors.learnerNotReady.message:
      sendError(response, 412, errors.learnerNotReady.message);
      return;
    default:
      host.logger.warn("unexpected v2 response error", {
        "remote-addr": remoteAddress(request),
        "internal-server-error": error.message,
      });
      sendHttpError(response, 500, "Internal Server Error");
  }
}

/** POST /leases and /leases/internal. */
export async function handleLease(
  host: PeerHost,
  request: IncomingMessage,
  response: ServerResponse,
  internal: boolean,
): Promise<void> {
  if (request.method !== "POST") {
    sendError(response, 405, "Method Not Allowed");
    return;
  }
  let body: Buffer;
  try {
    body = await wholeBody(request, LEASE_REQUEST_BYTES_MAX, host.timings.readTimeoutMillis);
  } catch (error) {
    if (!(error instanceof BodyError)) throw error;
    if (error.tooLarge) sendError(response, 413, "request body too large");
    else sendError(response, 400, "error reading body");
    return;
  }
  let answer: Uint8Array | undefined;
  try {
    answer = internal ? await leaseTimeToLive(host, body) : await renewedLease(host, body);
  } catch (error) {
    if (error instanceof DecodeError) sendError(response, 400, "error unmarshalling request");
    else refuseLease(response, etcdErrorOf(error), internal);
    return;
  }
  if (answer === undefined) {
    sendError(response, 404, PeerTexts.leaseNotFound);
    return;
  }
  response.setHeader("Content-Type", "application/protobuf");
  send(response, 200, Buffer.from(answer.buffer, answer.byteOffset, answer.length));
}

async function renewedLease(host: PeerHost, body: Buffer): Promise<Uint8Array | undefined> {
  const { id } = decodeLeaseKeepAliveRequest(body);
  const ttl = await host.service.renewLease(id as LeaseId);
  if (ttl <= 0) return undefined;
  const answer = createLeaseKeepAliveResponse();
  answer.id = id;
  answer.ttl = ttl;
  return encodeLeaseKeepAliveResponse(answer);
}

async function leaseTimeToLive(host: PeerHost, body: Buffer): Promise<Uint8Array | undefined> {
  const asked = decodeLeaseInternalRequest(body).leaseTimeToLiveRequest;
  const id = (asked?.id ?? 0n) as LeaseId;
  const lease = await host.service.leaseTimeToLive(id, asked?.keys === true);
  if (lease.ttl < 0) return undefined;
  const answer = createLeaseTimeToLiveResponse();
  answer.header = createResponseHeader();
  answer.id = id;
  answer.ttl = lease.ttl;
  answer.grantedTtl = lease.grantedTtl;
  answer.keys = [...lease.keys];
  return encodeLeaseInternalResponse({ leaseTimeToLiveResponse: answer });
}

function refuseLease(response: ServerResponse, error: EtcdError, internal: boolean): void {
  switch (error.message) {
    case errors.leaseNotFound.message:
      sendError(response, 404, PeerTexts.leaseNotFound);
      return;
    case errors.timeout.message:
    case errors.timeoutWaitAppliedIndex.message:
      sendError(response, 408, PeerTexts.leaseTimeout);
      return;
    default:
      sendError(response, internal ? 500 : 400, error.message);
  }
}

/** GET /members/hashkv, with a JSON body. */
export async function handleHashKv(
  host: PeerHost,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  if (!allows("GET", request, response)) return;
  const cluster = headerText(request.headers, "x-etcd-cluster-id");
  if (cluster !== "" && cluster !== hexId(host.introduction.clusterId)) {
    sendError(response, 412, CLUSTER_ID_MISMATCH);
    return;
  }
  let revision: number;
  try {
    const body = await wholeBody(request, SMALL_BODY_BYTES_MAX, host.timings.readTimeoutMillis);
    revision = requestedRevision(body.toString());
  } catch (error) {
    if (error instanceof BodyError) {
      sendError(response, 400, "error reading body");
    } else if (error instanceof FormatError) {
      host.logger.warn("failed to unmarshal request", { error: error.message });
      sendError(response, 400, "error unmarshalling request");
    } else {
      throw error;
    }
    return;
  }
  try {
    const hash = await host.service.hashKv(revision);
    setClusterId(host, response);
    // The fields that etcd's handler fills in, and none that are zero.
    const zero = (value: number): number | undefined => (value === 0 ? undefined : value);
    const answer = {
      header: { revision: zero(hash.revision) },
      hash: zero(hash.hash),
      compact_revision: zero(hash.compactRevision),
      hash_revision: zero(hash.hashRevision),
    };
    sendJson(response, 200, formatBigJson(answer));
  } catch (error) {
    const text = etcdErrorOf(error).message.replace(/^etcdserver: (?=mvcc: )/, "");
    host.logger.warn("failed to get hashKV", { "requested-revision": revision, error: text });
    sendError(response, 400, text);
  }
}

function requestedRevision(text: string): number {
  const value = jsonObject(parseBigJson(text), "the request")["revision"];
  if (value === undefined || value === null) return 0;
  if (typeof value !== "bigint" || BigInt.asIntN(64, value) !== value) {
    throw new FormatError(0, "the revision is not an int64");
  }
  return Number(value);
}

/** GET /downgrade/enabled. */
export async function handleDowngradeEnabled(
  host: PeerHost,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  if (!allows("GET", request, response)) return;
  setClusterId(host, response);
  try {
    const enabled = await host.service.downgradeEnabled();
    response.setHeader("Content-Type", "text/plain");
    send(response, 200, String(enabled));
  } catch (error) {
    sendError(response, 500, `failed linearized read: ${etcdErrorOf(error).message}`);
  }
}

/** GET /version. */
export function handleVersion(host: PeerHost, request: IncomingMessage, response: ServerResponse): void {
  if (!allows("GET", request, response)) return;
  const { clusterVersion, storageVersion, traits } = host.service;
  if (traits !== undefined) {
    response.setHeader(CAIRN_VERSION_HEADER, traits.version);
    if (traits.deviceFull) response.setHeader(CAIRN_DEVICE_HEADER, "full");
    if (traits.copyFormat > 0) response.setHeader(CAIRN_COPY_HEADER, traits.copyFormat);
  }
  const versions = {
    etcdserver: host.introduction.serverVersion,
    etcdcluster: clusterVersion ?? "not_decided",
    storage: storageVersion ?? "unknown",
  };
  sendJson(response, 200, JSON.stringify(versions));
}
