// Membership changes on their way through the log: as etcd encodes them (raftpb.ConfChange with the member as JSON), and what a
// committed one does to raft and to the membership.

import { assert } from "../../base/assert.ts";
import { type MemberId, memberId, type RequestId, requestId } from "../../base/brand.ts";
import { EMPTY, utf8FromBytes, utf8ToBytes } from "../../base/bytes.ts";
import { type EtcdError, errors } from "../../base/errors.ts";
import { hexId } from "../../cluster/ids.ts";
import type { ClusterMember, MemberChange, Membership } from "../../cluster/membership.ts";
import { decodeConfChangeContext, encodeMember, encodePromotion } from "../../etcdfile/member-json.ts";
import { type Entry, EntryType } from "../../log/contract.ts";
import type { Logger } from "../../ports/logger.ts";
import { type ConfChange, ConfChangeType } from "../../raft/conf-change.ts";
import { decodeConfChange, decodeConfChangeV2, encodeConfChange } from "../../raft/conf-change-codec.ts";
import type { RaftEngine } from "../consensus/raft-engine.ts";
import type { Member } from "../member.ts";

const NOBODY = 0n as MemberId;

export function proposeMemberChange(
  raft: RaftEngine,
  change: MemberChange,
  id: RequestId,
): EtcdError | undefined {
  return raft.proposeConfChange(encodeConfChange(encodeMemberChange(change, id)));
}

/** The data of an entry with a change that nobody proposed and nobody waits for. */
export function memberChangeEntry(change: MemberChange): Uint8Array {
  return encodeConfChange(encodeMemberChange(change, requestId(0n)));
}

function encodeMemberChange(change: MemberChange, id: RequestId): ConfChange {
  switch (change.kind) {
    case "add": {
      const type = change.member.isLearner ? ConfChangeType.AddLearnerNode : ConfChangeType.AddNode;
      return {
        version: 1,
        id,
        type,
        nodeId: change.member.id,
        context: utf8ToBytes(encodeMember(change.member)),
      };
    }
    case "promote": {
      const context = utf8ToBytes(encodePromotion(change.id));
      return { version: 1, id, type: ConfChangeType.AddNode, nodeId: change.id, context };
    }
    case "update": {
      const { peerUrls } = change;
      const context = utf8ToBytes(
        encodeMember({ id: change.id, peerUrls, isLearner: false, name: "", clientUrls: [] }),
      );
      return { version: 1, id, type: ConfChangeType.UpdateNode, nodeId: change.id, context };
    }
    case "remove":
      return { version: 1, id, type: ConfChangeType.RemoveNode, nodeId: change.id, context: EMPTY };
  }
}

/** What a committed change works on. */
type ChangeHost = Pick<Member, "raft" | "membership" | "logger" | "memberChanged">;

/** Applies a committed change, or tells raft that it is refused (a change of nobody). */
export function applyMemberChange(
  host: ChangeHost,
  entry: Entry,
): { readonly id: bigint; readonly error: EtcdError | undefined } {
  const { raft, membership, logger } = host;
  if (entry.type === EntryType.ConfChangeV2) {
    const change = decodeConfChangeV2(entry.data);
    assert(change !== undefined, "a committed membership change can be decoded");
    raft.applyConfChange(change);
    return { id: 0n, error: undefined };
  }
  const change = decodeConfChange(entry.data);
  assert(change !== undefined, "a committed membership change can be decoded");
  const meant = decodeMemberChange(change);
  const error = membership.validate(meant);
  if (error !== undefined) {
    logger.error("Validation on configuration change failed", {
      shouldApplyV3: true,
      error: REFUSALS.get(error) ?? error.message,
    });
    raft.applyConfChange({ ...change, nodeId: NOBODY });
    return { id: change.id, error };
  }
  raft.applyConfChange(change);
  const before = membership.member(change.nodeId as MemberId);
  membership.apply(meant);
  tell(logger, membership, meant, before);
  host.memberChanged(meant);
  return { id: change.id, error: undefined };
}

/** etcd's membership package has words of its own for what the API reports otherwise. */
const REFUSALS: ReadonlyMap<EtcdError, string> = new Map([
  [errors.memberNotFound, "membership: ID not found"],
  [errors.memberExist, "membership: ID exists"],
  [errors.peerUrlExist, "membership: peerURL exists"],
  [errors.memberNotLearner, "membership: can only promote a learner member"],
  [errors.tooManyLearners, "membership: too many learner members in cluster"],
]);

/** In etcd's words. */
function tell(
  logger: Logger,
  { clusterId, localId }: Membership,
  change: MemberChange,
  before: ClusterMember | undefined,
): void {
  const fields = { "cluster-id": hexId(clusterId), "local-member-id": hexId(localId) };
  switch (change.kind) {
    case "add":
      logger.info("added member", {
        ...fields,
        "added-peer-id": hexId(change.member.id),
        "added-peer-peer-urls": change.member.peerUrls,
        "added-peer-is-learner": change.member.isLearner,
      });
      break;
    case "remove":
      logger.info("removed member", {
        ...fields,
        "removed-remote-peer-id": hexId(change.id),
        "removed-remote-peer-urls": before?.peerUrls ?? [],
        "removed-remote-peer-is-learner": before?.isLearner ?? false,
      });
      break;
    case "promote":
      logger.info("promote member", { ...fields, "promoted-member-id": hexId(change.id) });
      break;
    case "update":
      logger.info("updated member", {
        ...fields,
        "updated-remote-peer-id": hexId(change.id),
        "updated-remote-peer-urls": change.peerUrls,
        "updated-remote-peer-is-learner": false,
      });
      break;
  }
}

function decodeMemberChange(change: ConfChange): MemberChange {
  const id = memberId(change.nodeId);
  if (change.type === ConfChangeType.RemoveNode) return { kind: "remove", id };
  const { member, isPromote } = decodeConfChangeContext(utf8FromBytes(change.context));
  if (change.type === ConfChangeType.UpdateNode) return { kind: "update", id, peerUrls: member.peerUrls };
  if (isPromote) return { kind: "promote", id };
  return { kind: "add", member: { ...member, id, isLearner: change.type === ConfChangeType.AddLearnerNode } };
}
