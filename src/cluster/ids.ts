// Member and cluster ids, computed as etcd computes them, so that a Cairn member and a real one agree on who is who.
import { type ClusterId, clusterId, type MemberId, memberId } from "../base/brand.ts";
import { utf8ToBytes } from "../base/bytes.ts";

/** SHA-1 of the chunks, one after the other: the Digest port's. */
export type Sha1 = (chunks: readonly Uint8Array[]) => Uint8Array;

/**
 * The first eight bytes of SHA-1 over the sorted peer URLs, the cluster token and, for a member added to a running cluster, the
 * time in Unix seconds. A member add passes an empty token.
 */
export function computeMemberId(
  peerUrls: readonly string[],
  token: string,
  unixSeconds: number | undefined,
  sha1: Sha1,
): MemberId {
  const text = [...peerUrls].sort().join("") + token + (unixSeconds === undefined ? "" : String(unixSeconds));
  return memberId(firstEight(sha1([utf8ToBytes(text)])));
}

/** The first eight bytes of SHA-1 over the initial members' ids in ascending order, eight bytes each. */
export function computeClusterId(members: readonly MemberId[], sha1: Sha1): ClusterId {
  const sorted = [...members].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  const bytes = new Uint8Array(8 * sorted.length);
  const view = new DataView(bytes.buffer);
  sorted.forEach((id, i) => {
    view.setBigUint64(8 * i, id);
  });
  return clusterId(firstEight(sha1([bytes])));
}

function firstEight(digest: Uint8Array): bigint {
  return new DataView(digest.buffer, digest.byteOffset, 8).getBigUint64(0);
}

/** As etcd prints ids: lower-case hex without leading zeros. */
export function hexId(id: bigint): string {
  return id.toString(16);
}
