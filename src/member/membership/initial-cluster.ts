// The cluster that a member without data begins with: a new one, whose members become the log's first entries, or one that runs
// already, whose members this one only needs to be found by. Made by src/embed from the configuration; ids are computed like etcd's.
import type { ClusterId, MemberId } from "../../base/brand.ts";
import { computeClusterId, computeMemberId, type Sha1 } from "../../cluster/ids.ts";
import { byId, type ClusterMember } from "../../cluster/membership.ts";

export type InitialCluster = {
  /** "join": the cluster runs; its log, or a snapshot, says who belongs to it. */
  readonly kind: "new" | "join";
  readonly clusterId: ClusterId;
  readonly localId: MemberId;
  /** Ascending by id; this member among them. */
  readonly members: readonly ClusterMember[];
};

/** A new cluster of the members in --initial-cluster: name → peer URLs. `local` is one of the names. */
export function newCluster(
  peerUrlsByName: ReadonlyMap<string, readonly string[]>,
  local: string,
  token: string,
  sha1: Sha1,
): InitialCluster {
  const members: ClusterMember[] = [];
  for (const [name, urls] of peerUrlsByName) {
    const peerUrls = [...urls].sort();
    const id = computeMemberId(peerUrls, token, undefined, sha1);
    members.push({ id, peerUrls, isLearner: false, name, clientUrls: [] });
  }
  members.sort(byId);
  const localId = members.find(({ name }) => name === local)!.id;
  const clusterId = computeClusterId(
    members.map(({ id }) => id),
    sha1,
  );
  return { kind: "new", clusterId, localId, members };
}
