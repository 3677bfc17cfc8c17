// Joining a cluster that runs (--initial-cluster-state=existing): its members say who they are, and this member takes its id and the
// cluster's from them. Refused, in etcd's words, when the lists do not match or the versions do not fit.

import type { MemberId } from "../base/brand.ts";
import { errorText } from "../base/error-text.ts";
import { MIN_CLUSTER_VERSION, SERVER_CLUSTER_VERSION } from "../base/version.ts";
import { hexId } from "../cluster/ids.ts";
import type { ClusterMember } from "../cluster/membership.ts";
import { type EndpointUrl, parseUrls } from "../config/urls.ts";
import type { InitialCluster } from "../member/membership/initial-cluster.ts";
import type { PeerClient, PeerMembers } from "../member/network/transport.ts";
import { byteOrder } from "../node/metrics-format.ts";
import type { Logger } from "../ports/logger.ts";
import { bootstrapped, hasPublished, type Refusal } from "./bootstrapped.ts";
import type { InitialMembers } from "./initial-members.ts";
import { type Names, urlsDiffer } from "./same-urls.ts";

const MEMBERS_TIMEOUT_MILLIS = 10_000;

export type JoinWorld = {
  readonly peers: PeerClient;
  readonly names: Names;
  readonly logger: Logger;
  readonly requestTimeoutMillis: number;
  readonly learnersMax: number;
  readonly dataDirectory: string;
};

/** The running cluster as this member joins it, or why it cannot. */
export async function joinCluster(
  listed: InitialMembers,
  name: string,
  world: JoinWorld,
): Promise<InitialCluster | Refusal | string> {
  const urls = remoteUrls(listed, name);
  let running: PeerMembers;
  try {
    running = await world.peers.members(urls, MEMBERS_TIMEOUT_MILLIS);
  } catch {
    return "cannot fetch cluster info from peer urls: could not retrieve cluster information from the given URLs";
  }
  const ids = await assignIds(listed, running.members, world.names);
  if (typeof ids === "string") return `error validating peerURLs ${describe(running)}: ${ids}`;
  const localId = ids.get(name)!;
  // Stricter than etcd, whose member would start, and then panic or vote twice in one term.
  const own = running.members.find(({ id }) => id === localId)!;
  if (hasPublished(own)) return bootstrapped(own, running.members, world.dataDirectory);
  const others = running.members.filter(({ id }) => id !== localId);
  if (!(await isCompatible(others, world))) return "incompatible with current running cluster";
  const learners = running.members.filter(({ isLearner }) => isLearner).length;
  if (learners > world.learnersMax)
    return `etcdserver: number of learner members ${learners} exceeds the max value ${world.learnersMax}`;
  return { kind: "join", clusterId: running.clusterId, localId, members: running.members };
}

/** The peer URLs of all members but the own, ascending. */
export function remoteUrls(members: InitialMembers, name: string): string[] {
  const others = [...members].filter(([each]) => each !== name);
  return others.flatMap(([, urls]) => urls.map(({ text }) => text)).sort(byteOrder);
}

/** Name → id, where each member that runs has its URLs listed under some name. */
async function assignIds(
  listed: InitialMembers,
  running: readonly ClusterMember[],
  names: Names,
): Promise<ReadonlyMap<string, MemberId> | string> {
  if (listed.size !== running.length) return "member count is unequal";
  const ids = new Map<string, MemberId>();
  for (const member of running) {
    const urls = parseUrls(member.peerUrls);
    const name = urls.ok ? await nameOf(listed, urls.value, names) : { difference: urls.error };
    if (typeof name !== "string") {
      const who = `(${hexId(member.id)}, [${member.peerUrls.join(" ")}])`;
      return `PeerURLs: no match found for existing member ${who}, last resolver error (${name.difference})`;
    }
    ids.set(name, member.id);
  }
  return ids;
}

async function nameOf(
  listed: InitialMembers,
  urls: readonly EndpointUrl[],
  names: Names,
): Promise<string | { readonly difference: string }> {
  let difference = "";
  // First those that are equal as they stand: no name is looked up that need not be.
  const exact = [...listed].find(
    ([, own]) => own.map(({ text }) => text).join() === urls.map(({ text }) => text).join(),
  );
  if (exact !== undefined) return exact[0];
  for (const [name, own] of listed) {
    const problem = await urlsDiffer(urls, own, names);
    if (problem === undefined) return name;
    difference = problem;
  }
  return { difference };
}

/** At least one member answers with a cluster version that this server can follow, and none with one that it cannot. */
async function isCompatible(others: readonly ClusterMember[], world: JoinWorld): Promise<boolean> {
  const { peers, requestTimeoutMillis, logger } = world;
  const [least, most] = await allowedRange(others, world);
  let some = false;
  for (const member of others) {
    const fields = { "remote-member-id": hexId(member.id) };
    let cluster: string;
    try {
      cluster = (await peers.versions(member.peerUrls, requestTimeoutMillis)).cluster;
    } catch (error) {
      const text = errorText(error);
      logger.warn("failed to get version", { ...fields, error: text });
      continue;
    }
    const minor = minorOf(cluster);
    const versionFields = { ...fields, "remote-member-cluster-version": cluster };
    if (minor === undefined) {
      logger.warn("failed to parse cluster version of remote member", versionFields);
      continue;
    }
    if (minor < least || minor > most) {
      const side = minor < least ? "low" : "high";
      logger.warn(`cluster version of remote member is not compatible; too ${side}`, versionFields);
      return false;
    }
    some = true;
  }
  return some;
}

/** While the cluster is being downgraded only a member that was one minor version higher belongs to it. */
async function allowedRange(
  others: readonly ClusterMember[],
  { peers, requestTimeoutMillis }: JoinWorld,
): Promise<readonly [number, number]> {
  const own = minorOf(SERVER_CLUSTER_VERSION)!;
  for (const member of others) {
    try {
      const enabled = await peers.downgradeEnabled(member.peerUrls, requestTimeoutMillis);
      return enabled ? [own + 1, own + 1] : [minorOf(MIN_CLUSTER_VERSION)!, own];
    } catch {
      // Another member may know.
    }
  }
  return [minorOf(MIN_CLUSTER_VERSION)!, own];
}

/** 3.7.x → 307. */
function minorOf(version: string): number | undefined {
  const match = /^(\d+)\.(\d+)\.\d+/.exec(version);
  return match === null ? undefined : Number(match[1]) * 100 + Number(match[2]);
}

function describe({ clusterId, members }: PeerMembers): string {
  const texts = members.map(({ id, name, peerUrls, clientUrls, isLearner }) => {
    const urls = `PeerURLs:[${peerUrls.join(" ")}]`;
    return `{ID:${hexId(id)} ${urls} IsLearner:${isLearner} Name:${name} ClientURLs:[${clientUrls.join(" ")}]}`;
  });
  return `{ClusterID:${hexId(clusterId)} Members:[${texts.join(" ")}] RemovedMemberIDs:[]}`;
}
