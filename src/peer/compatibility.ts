// The headers with which members introduce themselves, and what they must say to be answered: the same cluster, and versions that can
// speak to each other (rafthttp's util.go and http.go). Both directions use it.
import type { IncomingHttpHeaders, OutgoingHttpHeaders } from "node:http";
import type { ClusterId, MemberId } from "../base/brand.ts";
import { MIN_CLUSTER_VERSION } from "../base/version.ts";
import { hexId } from "../cluster/ids.ts";
import type { Logger } from "../ports/logger.ts";

export const INCOMPATIBLE_VERSION = "incompatible version";
export const CLUSTER_ID_MISMATCH = "cluster ID mismatch";

/** Who this member is, for headers and log lines. */
export type Introduction = {
  readonly clusterId: ClusterId;
  readonly localId: MemberId;
  readonly serverVersion: string;
  /** Where this member is called: who does not know us yet learns it from here. */
  readonly peerUrls: readonly string[];
};

/** Of every request to /raft. */
export function introductionHeaders(introduction: Introduction): OutgoingHttpHeaders {
  const { clusterId, localId, serverVersion, peerUrls } = introduction;
  const headers: OutgoingHttpHeaders = {
    "X-Server-From": hexId(localId),
    "X-Server-Version": serverVersion,
    "X-Min-Cluster-Version": MIN_CLUSTER_VERSION,
    "X-Etcd-Cluster-ID": hexId(clusterId),
  };
  if (peerUrls.length > 0) headers["X-PeerURLs"] = peerUrls.join(",");
  return headers;
}

export function headerText(headers: IncomingHttpHeaders, name: string): string {
  const value = headers[name];
  return typeof value === "string" ? value : "";
}

/** Major and minor, or undefined for what is no version. Members before 2.1 send none: they are 2.0. */
function majorMinor(text: string): readonly [number, number] | undefined {
  const match = /^(\d{1,9})\.(\d{1,9})\.\d+(?:[-+].*)?$/.exec(text === "" ? "2.0.0" : text);
  return match === null ? undefined : [Number(match[1]), Number(match[2])];
}

/** Below zero: `a` is older than `b`. Patches do not count; what is no version is oldest. */
export function compareVersions(a: string, b: string): number {
  const left = majorMinor(a) ?? [-1, -1];
  const right = majorMinor(b) ?? [-1, -1];
  return left[0] - right[0] || left[1] - right[1];
}

/** Why who sent these headers is refused, in etcd's words, or undefined. */
export function incompatibility(
  headers: IncomingHttpHeaders,
  local: Introduction,
  logger: Logger,
): string | undefined {
  const remoteVersion = headerText(headers, "x-server-version") || "2.0.0";
  const remoteMinimum = headerText(headers, "x-min-cluster-version") || "2.0.0";
  const name = headerText(headers, "x-server-from");
  const fields = {
    "local-member-id": hexId(local.localId),
    "local-member-cluster-id": hexId(local.clusterId),
    "local-member-server-version": local.serverVersion,
    "local-member-server-minimum-cluster-version": MIN_CLUSTER_VERSION,
    "remote-peer-server-name": name,
    "remote-peer-server-version": remoteVersion,
    "remote-peer-server-minimum-cluster-version": remoteMinimum,
  };
  const side =
    compareVersions(remoteVersion, MIN_CLUSTER_VERSION) < 0
      ? "remote"
      : compareVersions(remoteMinimum, local.serverVersion) > 0
        ? "local"
        : undefined;
  if (side !== undefined) {
    const error = `${side} version is too low: remote[${name}]=${remoteVersion}, local=${local.serverVersion}`;
    logger.warn("failed version compatibility check", { ...fields, error });
    return INCOMPATIBLE_VERSION;
  }
  const cluster = headerText(headers, "x-etcd-cluster-id");
  if (cluster === hexId(local.clusterId)) return undefined;
  logger.warn("request cluster ID mismatch", { ...fields, "remote-peer-cluster-id": cluster });
  return CLUSTER_ID_MISMATCH;
}

/** With which members of Cairn know each other; etcd ignores them. */
export const CAIRN_VERSION_HEADER = "x-cairn-version";
/** "full": this member's device has no room. */
export const CAIRN_DEVICE_HEADER = "x-cairn-device";
/** Of a stream's answer, in milliseconds: it is never silent for longer. */
export const CAIRN_HEARTBEAT_HEADER = "x-cairn-heartbeat";
/** A number: the form of copies that this member takes. */
export const CAIRN_COPY_HEADER = "x-cairn-copy-form";

/** types.IDFromString, or undefined. */
export function idFromHex(text: string): MemberId | undefined {
  return /^[0-9a-fA-F]{1,16}$/.test(text) ? (BigInt(`0x${text}`) as MemberId) : undefined;
}

export const MEMBER_REMOVED = "the member has been permanently removed from the cluster";

/** What an answer to a POST of raft means: undefined = taken, else why not (checkPostResponse). */
export function postFailure(
  status: number,
  statusText: string,
  headers: IncomingHttpHeaders,
  body: Uint8Array,
  request: {
    readonly url: string;
    readonly to: MemberId;
    readonly local: Introduction;
    readonly logger: Logger;
  },
): string | undefined {
  const { logger } = request;
  const to = hexId(request.to);
  if (status === 204) return undefined;
  if (status === 403) return MEMBER_REMOVED;
  if (status !== 412)
    return `unexpected http status ${statusText} while posting to ${JSON.stringify(request.url)}`;
  const text = Buffer.from(body).toString();
  switch (text.replace(/\n$/, "")) {
    case INCOMPATIBLE_VERSION:
      logger.error("request sent was ignored by peer", { "remote-peer-id": to });
      return INCOMPATIBLE_VERSION;
    case CLUSTER_ID_MISMATCH:
      logger.error("request sent was ignored due to cluster ID mismatch", {
        "remote-peer-id": to,
        "remote-peer-cluster-id": headerText(headers, "x-etcd-cluster-id"),
        "local-member-cluster-id": hexId(request.local.clusterId),
      });
      return CLUSTER_ID_MISMATCH;
    default:
      return `unhandled error ${JSON.stringify(text)} when precondition failed`;
  }
}
