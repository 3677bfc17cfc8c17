// Requests of the old v2 API in a log of etcd 3.5: a member's first publication of its name and URLs, and the first cluster version,
// stand there in this form. The importer turns them into the requests of today, as etcd 3.6 does, so that nobody behind it needs to
// know the old ones.
import { jsonObject, jsonStrings, jsonText, parseBigJson } from "../base/big-json.ts";
import { latin1FromBytes, utf8FromBytes } from "../base/bytes.ts";
import { malformed } from "../base/format-error.ts";
import {
  createInternalRaftRequest,
  encodeInternalRaftRequest,
  type InternalRaftRequest,
} from "../wire/generated/raft-internal.ts";
import { Reader } from "../wire/reader.ts";
import { memberIdFromHex } from "./member-json.ts";

const Tag = { Id: 0x08, Method: 0x12, Path: 0x1a, Value: 0x22 } as const;
const METHODS = new Set(["PUT", "POST", "DELETE", "GET", "QGET", "HEAD", "SYNC"]);
/** These change the v2 store; the others only read it, or expire its keys. */
const WRITES = new Set(["PUT", "POST", "DELETE"]);
const ATTRIBUTES = /^\/0\/members\/([0-9a-f]{1,16})\/attributes$/;
const CLUSTER_VERSION = "/0/version";
const NO_OP = new Uint8Array(0);

type V2Request = { id: bigint; method: string; path: string; value: string };

/** The old request in an entry's data, or undefined when it is none: today's requests have no field 2. */
function readV2Request(data: Uint8Array): V2Request | undefined {
  const reader = new Reader(data, 0, data.length);
  const request: V2Request = { id: 0n, method: "", path: "", value: "" };
  if (data.length === 0 || reader.tag() !== Tag.Id) return undefined;
  request.id = reader.uint64Bigint();
  if (reader.at === reader.end || reader.tag() !== Tag.Method) return undefined;
  request.method = latin1FromBytes(reader.bytesField());
  if (!METHODS.has(request.method)) return undefined;
  while (reader.at < reader.end) {
    const tag = reader.tag();
    if (tag === Tag.Path) request.path = utf8FromBytes(reader.bytesField());
    else if (tag === Tag.Value) request.value = utf8FromBytes(reader.bytesField());
    else reader.skip(tag);
  }
  return request;
}

export function isV2Request(data: Uint8Array): boolean {
  return readV2Request(data) !== undefined;
}

function withHeader(request: V2Request, change: Partial<InternalRaftRequest>): Uint8Array {
  const header = { id: request.id, username: "", authRevision: 0 };
  return encodeInternalRaftRequest({ ...createInternalRaftRequest(), header, ...change });
}

/**
 * The entry's data as today's request; data that is one already comes back as it is. Throws a FormatError for a write to the v2
 * store proper, which no etcd since 3.6 takes, and a DecodeError for what is no request at all.
 */
export function modernRequest(data: Uint8Array): Uint8Array {
  const request = readV2Request(data);
  if (request === undefined) return data;
  const { method, path, value } = request;
  const member = ATTRIBUTES.exec(path);
  if (method === "PUT" && member !== null) {
    const fields = jsonObject(parseBigJson(value), "a member's attributes");
    const memberAttributes = {
      name: jsonText(fields["name"], "a member's name"),
      clientUrls: jsonStrings(fields["clientURLs"], "a member's clientURLs"),
    };
    return withHeader(request, {
      clusterMemberAttrSet: { memberId: memberIdFromHex(member[1]!), memberAttributes },
    });
  }
  if (method === "PUT" && path === CLUSTER_VERSION) {
    return withHeader(request, { clusterVersionSet: { ver: value } });
  }
  if (WRITES.has(method)) malformed(0, `the log holds a request of the v2 API (${method} ${path})`);
  return NO_OP;
}
