// What somebody can do about a member that cannot go on as it is: why, and the very commands, as further fields of etcd's own log lines.
// Pure texts; called where a start is refused (src/bootstrap), where raft finds its log too short, and where a member was removed.
import type { MemberId } from "../../base/brand.ts";
import { hexId } from "../../cluster/ids.ts";
import type { Fields } from "../../ports/logger.ts";
import type { Member } from "../member.ts";

/** Why a member ends for good, with the advice for its last log line. */
export class CannotGoOnError extends Error {
  override readonly name = "CannotGoOnError";
  readonly fields: Fields;

  constructor(message: string, fields: Fields) {
    super(message);
    this.fields = fields;
  }
}

export type Rejoining = {
  readonly id: MemberId;
  readonly name: string;
  readonly peerUrls: readonly string[];
  /** Client URLs of members that go on; may be empty. */
  readonly endpoints: readonly string[];
  readonly dataDirectory: string;
};

/** Fields of a log line: the reason, and the steps that follow from it. */
export function advice(why: string, steps: readonly string[]): Fields {
  return { why, "next-steps": steps.map((step, at) => `${at + 1}. ${step}`) };
}

/** How a member whose log is lost comes back: under a new id, with the others' data. */
export function rejoinSteps(member: Rejoining): string[] {
  const { id, dataDirectory } = member;
  const etcdctl = `etcdctl --endpoints=${endpointsOf(member)}`;
  return [
    `${etcdctl} member remove ${hexId(id)}`,
    addStep(member),
    `move ${dataDirectory} away if anything is in it, and start this member with --initial-cluster-state=existing and ` +
      `the --initial-cluster that "member add" has printed`,
  ];
}

/** The same for a member that was removed already. */
export function returnSteps(member: Rejoining): string[] {
  const [, add, start] = rejoinSteps(member);
  return [
    `if it was meant to go: move ${member.dataDirectory} away, nothing else`,
    `if not: ${add}; then ${start}`,
  ];
}

function addStep(member: Rejoining): string {
  return `etcdctl --endpoints=${endpointsOf(member)} member add ${member.name || "NAME"} --peer-urls=${member.peerUrls.join(",")}`;
}

function endpointsOf({ endpoints }: Rejoining): string {
  return endpoints.length === 0 ? "CLIENT-URLS-OF-A-MEMBER-THAT-RUNS" : endpoints.join(",");
}

/** Of a member that knows its cluster. */
export function rejoiningOf({ membership, options }: Pick<Member, "membership" | "options">): Rejoining {
  const { localId } = membership;
  const others = membership.members().filter(({ id }) => id !== localId);
  return {
    id: localId,
    name: options.name,
    peerUrls: options.peerUrls,
    endpoints: others.flatMap(({ clientUrls }) => clientUrls),
    dataDirectory: options.dataDirectory,
  };
}

/** In etcd's words, and what it leaves to be found out. */
export function tellRemoved(member: Pick<Member, "membership" | "options" | "logger">): void {
  const { logger } = member;
  const error = "the member has been permanently removed from the cluster";
  logger.warn("server error", { error });
  const why =
    "a removed id never comes back: a member that shall be here again is added anew and gets another one";
  logger.warn("data-dir used by this member must be removed", advice(why, returnSteps(rejoiningOf(member))));
}
