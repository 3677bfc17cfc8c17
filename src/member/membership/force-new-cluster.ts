// --force-new-cluster: what this member has, as a cluster of itself alone, for the day when the others will not come back. As etcd does it:
// what is not known to be committed is dropped, and committed entries take the other members out, so that everything that follows from
// a removal happens by itself. open.ts calls it before there is raft; nobody may ask this of two members of one cluster.
import { type Index, memberId, type Term } from "../../base/brand.ts";
import { EMPTY } from "../../base/bytes.ts";
import { hexId } from "../../cluster/ids.ts";
import type { ClusterMember, Membership } from "../../cluster/membership.ts";
import { type Entry, EntryType } from "../../log/contract.ts";
import { LogOpenError } from "../../log/errors.ts";
import type { Log } from "../../log/log.ts";
import type { Logger } from "../../ports/logger.ts";
import { ConfChangeType } from "../../raft/conf-change.ts";
import { decodeConfChange } from "../../raft/conf-change-codec.ts";
import type { ConfState } from "../../raft/message.ts";
import { memberChangeEntry } from "./member-change.ts";

/** etcd's word for a member that is told nothing about itself. */
const PEER_URL_DEFAULT = "http://localhost:2380";
/** Entries read at once while conf changes are looked for. */
const READ_BYTES = 1 << 20;

export type ForcedState = {
  readonly membership: Membership;
  readonly confState: ConfState;
  readonly applied: Index;
};

/**
 * Appends to a started log that has data. A crash before the flush leaves the directory as it was; after it, the member is alone whether or
 * not it is started with the flag again.
 */
export function forceNewCluster(log: Log, state: ForcedState, directory: string, logger: Logger): void {
  const { localId, clusterId } = state.membership;
  const hardState = log.hardState ?? { term: 0 as Term, vote: 0n, commit: 0 as Index };
  // What was applied is committed, even when the hard state that said so was not written yet.
  const known = Math.max(hardState.commit, state.applied) as Index;
  const members = membersAt(log, state, known);
  const commit = committedAlone(log, members, localId, known);
  refuseRemoved(members, state.membership, directory);
  const last = log.raft.lastIndex();
  if (last > commit) {
    logger.info("discarding uncommitted WAL entries", {
      "entry-index": commit + 1,
      "commit-index-from-wal": commit,
      "number-of-discarded-entries": last - commit,
    });
  }
  const data = changes(members, state.membership);
  // Our log is cut by writing over it; an empty entry does no more than that.
  if (data.length === 0 && last > commit) data.push(EMPTY);
  const term = Math.max(hardState.term, termAt(log, commit)) as Term;
  const entries = data.map(
    (each, at): Entry => ({
      term,
      index: (commit + 1 + at) as Index,
      type: each.length === 0 ? EntryType.Normal : EntryType.ConfChange,
      data: each,
    }),
  );
  const committed = (commit + entries.length) as Index;
  // The vote is of a term in which others took part; it stays, as in etcd.
  log.writer.append(entries, { term, vote: hardState.vote, commit: committed });
  log.writer.flushSync();
  logger.info("forcing restart member", {
    "cluster-id": hexId(clusterId),
    "local-member-id": hexId(localId),
    "wal-commit-index": hardState.commit,
    "commit-index": committed,
  });
}

type Standing = "voter" | "learner" | "removed";

/** Everybody in the configuration as of `commit`, and whom its last entries removed. */
function membersAt(log: Log, { confState, applied }: ForcedState, commit: Index): Map<bigint, Standing> {
  const members = new Map<bigint, Standing>();
  for (const id of [...confState.voters, ...confState.votersOutgoing]) members.set(id, "voter");
  for (const id of [...confState.learners, ...confState.learnersNext]) members.set(id, "learner");
  for (let from: number = applied + 1; from <= commit; ) {
    const entries = log.raft.entries(from as Index, (commit + 1) as Index, READ_BYTES);
    if (typeof entries === "string") break;
    for (const entry of entries) if (entry.type === EntryType.ConfChange) follow(members, entry.data);
    from += entries.length;
  }
  return members;
}

/**
 * What the only voter has on disk is committed by that alone, so a member that is forced twice loses nothing of what it acknowledged in
 * between. Ends with the change that takes in another.
 */
function committedAlone(log: Log, members: Map<bigint, Standing>, localId: bigint, known: Index): Index {
  const last = log.raft.lastIndex();
  let commit: number = known;
  while (commit < last && isSoleVoter(members, localId)) {
    const entries = log.raft.entries((commit + 1) as Index, (commit + 2) as Index, READ_BYTES);
    if (typeof entries === "string") break;
    commit++;
    if (entries[0]!.type === EntryType.ConfChange) follow(members, entries[0]!.data);
  }
  return commit as Index;
}

function isSoleVoter(members: ReadonlyMap<bigint, Standing>, localId: bigint): boolean {
  for (const [id, standing] of members) if (standing === "voter" && id !== localId) return false;
  return members.get(localId) === "voter";
}

function follow(members: Map<bigint, Standing>, data: Uint8Array): void {
  const change = decodeConfChange(data);
  if (change === undefined) return;
  if (change.type === ConfChangeType.RemoveNode) members.set(change.nodeId, "removed");
  else if (change.type === ConfChangeType.AddLearnerNode) members.set(change.nodeId, "learner");
  else if (change.type === ConfChangeType.AddNode) members.set(change.nodeId, "voter");
}

/** First this member becomes the voter that it must be, then the others go: a configuration never runs out of voters. */
function changes(members: ReadonlyMap<bigint, Standing>, membership: Membership): Uint8Array[] {
  const { localId } = membership;
  const data: Uint8Array[] = [];
  const own = members.get(localId);
  if (own === undefined) data.push(memberChangeEntry({ kind: "add", member: unknownMember(membership) }));
  else if (own === "learner") data.push(memberChangeEntry({ kind: "promote", id: localId }));
  const others = [...members].filter(([id, standing]) => id !== localId && standing !== "removed");
  for (const [id] of others.sort(([a], [b]) => (a < b ? -1 : 1)))
    data.push(memberChangeEntry({ kind: "remove", id: memberId(id) }));
  return data;
}

function unknownMember({ localId }: Membership): ClusterMember {
  return { id: localId, peerUrls: [PEER_URL_DEFAULT], isLearner: false, name: "", clientUrls: [] };
}

/** etcd's raft panics here: an id that was removed cannot come back, so nobody would be left to vote. */
function refuseRemoved(
  members: ReadonlyMap<bigint, Standing>,
  membership: Membership,
  directory: string,
): void {
  const { localId } = membership;
  if (members.get(localId) !== "removed" && !membership.isRemoved(localId)) return;
  const what = `${directory} is of member ${hexId(localId)}, which was removed from its cluster`;
  const next = "force a member that still belongs to it, or restore a snapshot of this one's data";
  throw new LogOpenError(
    "other-cluster",
    directory,
    `${what}; --force-new-cluster cannot go on with it: ${next}`,
    undefined,
  );
}

function termAt(log: Log, index: Index): number {
  const term = log.raft.term(index);
  return typeof term === "number" ? term : 0;
}
