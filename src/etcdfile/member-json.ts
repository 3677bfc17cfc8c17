// Members and conf states as etcd writes them in JSON: the members bucket, the context of a ConfChange, GET /members, the meta
// bucket. Ids are bare 64-bit numbers. Fields and their order are those of membership.Member and raftpb.ConfState.

import {
  formatBigJson,
  type Json,
  type JsonObject,
  jsonBool,
  jsonObject,
  jsonStrings,
  jsonText,
  jsonUint64,
  parseBigJson,
} from "../base/big-json.ts";
import { type MemberId, memberId } from "../base/brand.ts";
import { malformed } from "../base/format-error.ts";
import type { ClusterMember, DowngradeJob } from "../cluster/membership.ts";
import type { ConfState } from "../wire/generated/raftpb.ts";

/** `urls` absent from the text and an empty list differ in Go: null against []. Members always have peer URLs. */
function omitEmpty<T extends string | readonly string[]>(value: T): T | undefined {
  return value.length === 0 ? undefined : value;
}

export function memberJson(member: ClusterMember): JsonObject {
  const clientUrls = omitEmpty(member.clientUrls);
  return {
    id: member.id,
    peerURLs: [...member.peerUrls],
    isLearner: member.isLearner ? true : undefined,
    name: omitEmpty(member.name),
    clientURLs: clientUrls === undefined ? undefined : [...clientUrls],
  };
}

/** As json.Marshal of a membership.Member. */
export function encodeMember(member: ClusterMember): string {
  return formatBigJson(memberJson(member));
}

/** Throws a FormatError when it is no member. */
export function memberFromJson(json: Json): ClusterMember {
  const fields = jsonObject(json, "a member");
  return {
    id: memberId(jsonUint64(fields["id"], "a member's id")),
    peerUrls: jsonStrings(fields["peerURLs"], "a member's peerURLs"),
    isLearner: jsonBool(fields["isLearner"], "a member's isLearner"),
    name: jsonText(fields["name"], "a member's name"),
    clientUrls: jsonStrings(fields["clientURLs"], "a member's clientURLs"),
  };
}

export function decodeMember(text: string): ClusterMember {
  return memberFromJson(parseBigJson(text));
}

/** The context of a committed ConfChange: a member, and whether it is an old learner that becomes a voter. */
export function decodeConfChangeContext(text: string): { member: ClusterMember; isPromote: boolean } {
  const json = parseBigJson(text);
  const isPromote = jsonBool(jsonObject(json, "a conf change context")["isPromote"], "isPromote");
  return { member: memberFromJson(json), isPromote };
}

/** The context of a ConfChange that promotes a learner. */
export function encodePromotion(id: MemberId): string {
  return formatBigJson({ id, peerURLs: null, isPromote: true });
}

/** A key of the members buckets: lower-case hex, not padded. */
export function memberIdFromHex(text: string): MemberId {
  if (!/^[0-9a-fA-F]{1,16}$/.test(text)) malformed(0, `"${text}" is not a member id`);
  return memberId(BigInt(`0x${text}`));
}

/** As json.Marshal of a raftpb.ConfState whose auto_leave is written always: what 3.6 writes, and 3.7 reads. */
export function encodeConfState(state: ConfState): string {
  return formatBigJson({
    voters: state.voters.length === 0 ? undefined : state.voters,
    learners: state.learners.length === 0 ? undefined : state.learners,
    voters_outgoing: state.votersOutgoing.length === 0 ? undefined : state.votersOutgoing,
    learners_next: state.learnersNext.length === 0 ? undefined : state.learnersNext,
    auto_leave: state.autoLeave,
  });
}

function ids(value: Json | undefined, what: string): bigint[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) malformed(0, `${what} is not a list`);
  return value.map((each) => jsonUint64(each, what));
}

export function decodeConfState(text: string): ConfState {
  const fields = jsonObject(parseBigJson(text), "the conf state");
  return {
    voters: ids(fields["voters"], "voters"),
    learners: ids(fields["learners"], "learners"),
    votersOutgoing: ids(fields["voters_outgoing"], "voters_outgoing"),
    learnersNext: ids(fields["learners_next"], "learners_next"),
    autoLeave: jsonBool(fields["auto_leave"], "auto_leave"),
  };
}

export function encodeDowngrade(job: DowngradeJob): string {
  return formatBigJson({ "target-version": job.targetVersion, enabled: job.enabled });
}

export function decodeDowngrade(text: string): DowngradeJob {
  const fields = jsonObject(parseBigJson(text), "the downgrade job");
  return {
    enabled: jsonBool(fields["enabled"], "enabled"),
    targetVersion: jsonText(fields["target-version"], "target-version"),
  };
}
