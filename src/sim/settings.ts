// What the members of a simulated history are started with: a seed chooses among what an operator may configure, and small limits make a
// short history meet them.
import { newCluster } from "../member/membership/initial-cluster.ts";
import type { MemberOptions } from "../member/options.ts";
import type { Digest } from "../ports/digest.ts";
import { SIM_MEMBER_OPTIONS } from "./machine.ts";
import type { SeededRandom } from "./random.ts";

export function memberOptions(random: SeededRandom, isCluster: boolean): MemberOptions {
  return {
    ...SIM_MEMBER_OPTIONS,
    ...(isCluster ? clusterSettings(random) : {}),
    quotaBytes: random.once(6) ? 600_000 : Number.POSITIVE_INFINITY,
    compactionBatchLimit: random.pick([1, 10, 1000]),
    watchProgressMillis: random.pick([300, 3000]),
    catchUpEntries: random.pick([0, 20, 1000]),
    checkpointEntries: random.pick([10, 300, 10_000]),
  };
}

function clusterSettings(random: SeededRandom): Partial<MemberOptions> {
  return {
    preVote: !random.once(4),
    strictReconfigCheck: random.once(4),
    leaseCheckpoint: random.once(2),
    fastLeaseKeepAlive: random.once(2),
    corruptCheckMillis: random.pick([0, 0, 1500]),
    compactHashCheckMillis: random.pick([0, 0, 1500]),
  };
}

/** The options of each member of a cluster: m1, m2, … */
export function clusterOptions(settings: MemberOptions, members: number, digest: Digest): MemberOptions[] {
  const names = Array.from({ length: members }, (_, n) => `m${n + 1}`);
  const urls = new Map(names.map((name, n) => [name, [`http://10.0.0.${n + 1}:2380`]]));
  return names.map((name) => ({
    ...settings,
    name,
    peerUrls: urls.get(name)!,
    initialCluster: newCluster(urls, name, settings.clusterToken, digest.sha1),
  }));
}
