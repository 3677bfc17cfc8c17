// What a member says of itself once there is a leader: its name and client URLs. Only then is it started in the eyes of the others, and
// ready in those of its own wiring. Tools wait for these log lines.
import type { Millis } from "../../base/brand.ts";
import { goDuration } from "../../base/go-duration.ts";
import { hexId } from "../../cluster/ids.ts";
import { encodeClusterMemberAttrSetRequest } from "../../wire/generated/membershippb.ts";
import type { Member } from "../member.ts";
import { requestTimeoutMillis } from "../options.ts";
import { RequestField } from "../request.ts";

/** A refusal comes at once; a proposal that is lost, after the time of a request. */
const RETRY_MILLIS = 100 as Millis;

/** Resolves when the cluster knows this member's name and URLs. Tried again until then, or until the member stops. */
export function publish(member: Member): Promise<void> {
  const { options, localId, clusterId, logger, clock } = member;
  const body = encodeClusterMemberAttrSetRequest({
    memberId: localId,
    memberAttributes: { name: options.name, clientUrls: [...options.clientUrls] },
  });
  const fields = {
    "local-member-id": hexId(localId),
    "local-member-attributes": `{Name:${options.name} ClientURLs:[${options.clientUrls.join(" ")}]}`,
  };
  const timeout = { "publish-timeout": goDuration(requestTimeoutMillis(options)) };
  member.settled = false;
  return new Promise((resolve) => {
    let done = false;
    const published = (): void => {
      if (done) return;
      done = true;
      logger.info("published local member to cluster through raft", {
        ...fields,
        "cluster-id": hexId(clusterId),
        ...timeout,
      });
      member.onReplaced = undefined;
      member.settled = true;
      resolve();
    };
    // A snapshot that holds the entry already: nobody will tell who proposed it.
    member.onReplaced = () => {
      const known = member.membership.member(localId);
      if (known?.name === options.name && String(known.clientUrls) === String(options.clientUrls))
        published();
    };
    const attempt = (): void => {
      if (done) return;
      if (member.stopped) {
        logger.warn("stopped publish because server is stopping", { ...fields, ...timeout });
        return;
      }
      member.propose(RequestField.ClusterMemberAttrSet, body, {
        applied: published,
        failed: (error) => {
          if (done) return;
          logger.warn("failed to publish local member to cluster through raft", {
            ...fields,
            ...timeout,
            error: error.message,
          });
          clock.after(RETRY_MILLIS, attempt);
        },
      });
    };
    attempt();
  });
}
