// A member that has been of the cluster before, as others remember it, and comes without its data: why it is not let in again, and what
// to do instead. Used by both kinds of first starts.

import { hexId } from "../cluster/ids.ts";
import type { ClusterMember } from "../cluster/membership.ts";
import { advice, rejoinSteps } from "../member/membership/advice.ts";
import type { Fields } from "../ports/logger.ts";

/** A start that was refused, in etcd's words, and what etcd does not say. */
export type Refusal = { readonly kind: "refused"; readonly error: string; readonly fields: Fields };

/** It has told the others its name and where it serves, which is done once a member has a log of its own. */
export function hasPublished({ name, clientUrls }: ClusterMember): boolean {
  return clientUrls.length > 0 || name !== "";
}

/** `members`: as the running cluster lists them, `lost` among them. */
export function bootstrapped(
  lost: ClusterMember,
  members: readonly ClusterMember[],
  dataDirectory: string,
): Refusal {
  const { id, name, peerUrls } = lost;
  const endpoints = members.filter((each) => each.id !== id).flatMap((each) => each.clientUrls);
  const why =
    `the cluster remembers member ${hexId(id)} (${name}) with data, and ${dataDirectory} holds none: it was wiped or is another ` +
    "directory. What this member voted for and acknowledged is lost with its log, so under its old id it could make the cluster lose " +
    "writes; it must come back under a new id, or with its old directory";
  const steps = rejoinSteps({ id, name, peerUrls, endpoints, dataDirectory });
  return {
    kind: "refused",
    error: `member ${hexId(id)} has already been bootstrapped`,
    fields: advice(why, [
      `if the old directory still exists: start with it (--data-dir, --wal-dir); else`,
      ...steps,
    ]),
  };
}
