// Goal: a member joins exactly the cluster that it was told of, takes its ids from it, and is refused in etcd's words otherwise.
import assert from "node:assert/strict";
import { test } from "node:test";
import { type ClusterId, type MemberId, memberId } from "../base/brand.ts";
import type { ClusterMember } from "../cluster/membership.ts";
import { parseInitialCluster } from "../config/urls.ts";
import type { PeerClient, PeerVersions } from "../member/network/transport.ts";
import { silentLogger } from "../ports/logger.ts";
import { joinCluster } from "./join.ts";

const A = "http://127.0.0.1:1";
const B = "http://127.0.0.1:2";

function member(id: bigint, url: string, name = ""): ClusterMember {
  return { id: memberId(id), peerUrls: [url], isLearner: false, name, clientUrls: [] };
}

type Remote = { members: ClusterMember[]; versions?: PeerVersions; downgrade?: boolean };

function peers(remote: Remote | undefined): PeerClient {
  const unused = (): never => {
    throw new Error("nobody asks this while joining");
  };
  return {
    members: async () => {
      if (remote === undefined) throw new Error("connection refused");
      return { clusterId: 77n as ClusterId, members: remote.members };
    },
    versions: async () => remote?.versions ?? { server: "3.7.1", cluster: "3.7.0" },
    downgradeEnabled: async () => remote?.downgrade ?? false,
    promote: unused,
    renewLease: unused,
    leaseTimeToLive: unused,
    hashKv: unused,
  };
}

async function join(listed: string, remote: Remote | undefined) {
  const parsed = parseInitialCluster(listed);
  assert(parsed.ok);
  const names = {
    lookup: (hostname: string) => Promise.resolve(hostname),
    wait: () => Promise.resolve(),
    logger: silentLogger,
  };
  return joinCluster(parsed.value, "b", {
    peers: peers(remote),
    names,
    logger: silentLogger,
    requestTimeoutMillis: 1000,
    learnersMax: 1,
    dataDirectory: "/data",
  });
}

test("ids are those of the running cluster, found by peer URLs", async () => {
  const cluster = await join(`a=${A},b=${B}`, { members: [member(5n, A, "a"), member(9n, B)] });
  assert(typeof cluster === "object" && cluster.kind !== "refused");
  assert.equal(cluster.kind, "join");
  assert.equal(cluster.clusterId, 77n);
  assert.equal(cluster.localId, 9n as MemberId);
});

test("a cluster that does not answer, or has other members, is not joined", async () => {
  assert.equal(
    await join(`a=${A},b=${B}`, undefined),
    "cannot fetch cluster info from peer urls: could not retrieve cluster information from the given URLs",
  );
  assert.match(
    String(await join(`a=${A},b=${B}`, { members: [member(5n, A)] })),
    /: member count is unequal$/,
  );
  assert.match(
    String(await join(`a=${A},b=${B}`, { members: [member(5n, A), member(9n, "http://127.0.0.1:3")] })),
    /PeerURLs: no match found for existing member \(9, \[http:\/\/127.0.0.1:3\]\), last resolver error \(resolved urls: /,
  );
});

test("a member that the cluster knows with data is not let in without it, and is told the commands", async () => {
  const ours = { ...member(9n, B, "b"), clientUrls: ["http://127.0.0.1:12"] };
  const refused = await join(`a=${A},b=${B}`, {
    members: [{ ...member(5n, A, "a"), clientUrls: ["http://127.0.0.1:11"] }, ours],
  });
  assert(typeof refused === "object" && refused.kind === "refused");
  assert.equal(refused.error, "member 9 has already been bootstrapped");
  const steps = refused.fields["next-steps"] as string[];
  assert.match(String(refused.fields["why"]), /remembers member 9 \(b\) with data, and \/data holds none/);
  assert.equal(steps[1], "2. etcdctl --endpoints=http://127.0.0.1:11 member remove 9");
  assert.equal(steps[2], `3. etcdctl --endpoints=http://127.0.0.1:11 member add b --peer-urls=${B}`);
  assert.match(steps[3]!, /--initial-cluster-state=existing/);
});

test("a cluster of a version that this server cannot follow is not joined", async () => {
  const members = [member(5n, A, "a"), member(9n, B)];
  const refused = "incompatible with current running cluster";
  const versions = { server: "3.8.0", cluster: "3.8.0" };
  assert.equal(await join(`a=${A},b=${B}`, { members, versions }), refused);
  assert.equal(await join(`a=${A},b=${B}`, { members, downgrade: true }), refused);
  assert.equal(typeof (await join(`a=${A},b=${B}`, { members, versions, downgrade: true })), "object");
  const undecided = { server: "3.7.1", cluster: "not_decided" };
  assert.equal(await join(`a=${A},b=${B}`, { members, versions: undecided }), refused);
});
