// What a member says of itself and of the cluster once there is a leader: its name and client URLs, and, as the leader of a cluster
// without a version, the version. Tools wait for these log lines.

import { hexId } from "../cluster/ids.ts";
import {
  encodeClusterMemberAttrSetRequest,
  encodeClusterVersionSetRequest,
} from "../wire/generated/membershippb.ts";
import type { Member } from "./member.ts";
import { RequestField } from "./request.ts";

/** Resolves when the cluster knows this member's name and URLs. Tried again for as long as it takes. */
export function publish(member: Member): Promise<void> {
  const { options, localId, clusterId, logger } = member;
  const body = encodeClusterMemberAttrSetRequest({
    memberId: localId,
    memberAttributes: { name: options.name, clientUrls: [...options.clientUrls] },
  });
  return new Promise((resolve) => {
    const attempt = (): void => {
      member.propose(RequestField.ClusterMemberAttrSet, body, {
        applied: () => {
          logger.info("published local member to cluster through raft", {
            "local-member-id": hexId(localId),
            "local-member-attributes": `{Name:${options.name} ClientURLs:[${options.clientUrls.join(" ")}]}`,
            "cluster-id": hexId(clusterId),
          });
          resolve();
        },
        failed: (error) => {
          if (member.stopped) return;
          logger.warn("failed to publish local member to cluster through raft", { error: error.message });
          attempt();
        },
      });
    };
    attempt();
  });
}

/** The leader's part: a cluster without a version, or with an older one, takes this server's. */
export function decideClusterVersion(member: Member): void {
  const wanted = `${member.options.serverVersion.split(".").slice(0, 2).join(".")}.0`;
  const { membership, logger } = member;
  if (membership.version === wanted || membership.downgrade.enabled) return;
  const before = membership.version;
  if (before === undefined)
    logger.info("setting up initial cluster version using v3 API", {
      "cluster-version": shortVersion(wanted),
    });
  member.propose(RequestField.ClusterVersionSet, encodeClusterVersionSetRequest({ ver: wanted }), {
    applied: () => {
      const fields = { "cluster-id": hexId(member.clusterId), "local-member-id": hexId(member.localId) };
      const version = { "cluster-version": shortVersion(wanted) };
      if (before === undefined) logger.info("set initial cluster version", { ...fields, ...version });
      else {
        const change = { from: shortVersion(before), to: shortVersion(wanted) };
        logger.info("updated cluster version", { ...fields, ...change });
      }
      logger.info("enabled capabilities for version", version);
      logger.info("cluster version is updated", version);
    },
    failed: (error) => logger.warn("failed to update cluster version", { error: error.message }),
  });
}

/** `3.7` of `3.7.0`: how etcd writes the cluster's version in its log. */
function shortVersion(version: string): string {
  return version.split(".").slice(0, 2).join(".");
}
