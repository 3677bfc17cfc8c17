// Proposals as bytes: an InternalRaftRequest around the client's own bytes, which are taken over verbatim (a 64-bit number that a
// client chose is never decoded and encoded again), and the ids by which a proposal's result finds its caller.
import type { RequestId } from "../base/brand.ts";
import { allocate } from "../base/bytes.ts";
import { sizeBigint, sizeDelimited, sizeVarint32, writeBigint, writeVarint32 } from "../wire/writer.ts";

/** Field numbers of InternalRaftRequest. */
export const RequestField = {
  Put: 4,
  DeleteRange: 5,
  Txn: 6,
  Compaction: 7,
  LeaseGrant: 8,
  LeaseRevoke: 9,
  Alarm: 10,
  LeaseCheckpoint: 11,
  ClusterVersionSet: 1300,
  ClusterMemberAttrSet: 1301,
  DowngradeInfoSet: 1302,
} as const;
export type RequestField = (typeof RequestField)[keyof typeof RequestField];

const HEADER_FIELD = 100;
const LENGTH_DELIMITED = 2;

function tagOf(field: number): number {
  return field * 8 + LENGTH_DELIMITED;
}

/** The entry data: the request first, then the header with the id. The applier knows a put by this order. */
export function encodeRequest(field: RequestField, body: Uint8Array, id: RequestId): Uint8Array {
  const tag = tagOf(field);
  const headerTag = tagOf(HEADER_FIELD);
  const headerBytes = 1 + sizeBigint(id);
  const bodyBytes = sizeVarint32(tag) + sizeDelimited(body.length);
  const out = allocate(bodyBytes + sizeVarint32(headerTag) + sizeDelimited(headerBytes));
  let at = writeVarint32(tag, out, 0);
  at = writeVarint32(body.length, out, at);
  out.set(body, at);
  at = writeVarint32(headerTag, out, at + body.length);
  at = writeVarint32(headerBytes, out, at);
  out[at] = 0x08;
  writeBigint(id, out, at + 1);
  return out;
}

/** etcd's idutil: 2 bytes of the member's id, 5 bytes of its start time in ms, 1 byte that counts on into the time. */
export class RequestIds {
  #next: bigint;

  constructor(memberId: bigint, wallMillis: number) {
    const time = BigInt(Math.trunc(wallMillis)) & 0xff_ffff_ffffn;
    this.#next = (BigInt.asUintN(16, memberId) << 48n) | (time << 8n);
  }

  next(): RequestId {
    this.#next++;
    return this.#next as RequestId;
  }
}

const NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(RequestField).map(([name, field]) => [field, name]),
);

/** etcd's name of a request in metrics and logs. */
export function requestName(field: RequestField): string {
  return NAMES.get(field) ?? "Unknown";
}
