// Membership changes as they are proposed: ConfChange (one member at a time) and ConfChangeV2 (several at once, through a joint
// configuration). Pure data and the questions asked about it; conf-change-codec.ts knows the bytes.
import type { MemberId } from "../base/brand.ts";

/** raftpb.ConfChangeType. */
export const ConfChangeType = { AddNode: 0, RemoveNode: 1, UpdateNode: 2, AddLearnerNode: 3 } as const;
export type ConfChangeType = (typeof ConfChangeType)[keyof typeof ConfChangeType];

/** raftpb.ConfChangeTransition: when joint consensus is used, and who ends it. */
export const ConfChangeTransition = { Auto: 0, JointImplicit: 1, JointExplicit: 2 } as const;
export type ConfChangeTransition = (typeof ConfChangeTransition)[keyof typeof ConfChangeTransition];

/** The type and transition come from other members' bytes, so any number is possible; an unknown one is refused when applied. */
export type ConfChangeSingle = { readonly type: number; readonly nodeId: MemberId };

export type ConfChange = {
  readonly version: 1;
  /** etcd's own request id, 0 for none. Raft does not look at it. */
  readonly id: bigint;
  readonly type: number;
  readonly nodeId: MemberId;
  readonly context: Uint8Array;
};

export type ConfChangeV2 = {
  readonly version: 2;
  readonly transition: number;
  readonly changes: readonly ConfChangeSingle[];
  readonly context: Uint8Array;
};

/** The same operation as a ConfChangeV2. */
export function confChangeAsV2(change: ConfChange | ConfChangeV2): ConfChangeV2 {
  if (change.version === 2) return change;
  return {
    version: 2,
    transition: ConfChangeTransition.Auto,
    changes: [{ type: change.type, nodeId: change.nodeId }],
    context: change.context,
  };
}

/** A change without changes ends the joint configuration. */
export function leavesJoint(change: ConfChangeV2): boolean {
  return change.transition === ConfChangeTransition.Auto && change.changes.length === 0;
}

/** More than one change, or an explicit wish, takes the way through a joint configuration. */
export function entersJoint(change: ConfChangeV2): boolean {
  return change.transition !== ConfChangeTransition.Auto || change.changes.length > 1;
}

export function autoLeavesJoint(change: ConfChangeV2): boolean {
  return change.transition !== ConfChangeTransition.JointExplicit;
}

const TYPE_NAMES = [
  "ConfChangeAddNode",
  "ConfChangeRemoveNode",
  "ConfChangeUpdateNode",
  "ConfChangeAddLearnerNode",
];
const TRANSITION_NAMES = [
  "ConfChangeTransitionAuto",
  "ConfChangeTransitionJointImplicit",
  "ConfChangeTransitionJointExplicit",
];
const TYPE_LETTERS = ["v", "r", "u", "l"];

export function describeConfChangeType(type: number): string {
  return TYPE_NAMES[type] ?? String(type);
}

export function describeTransition(transition: number): string {
  return TRANSITION_NAMES[transition] ?? String(transition);
}

/** "v1 l2 r3": make 1 a voter, 2 a learner, remove 3 ("u": update). */
export function confChangesToString(changes: readonly ConfChangeSingle[]): string {
  return changes.map((change) => `${TYPE_LETTERS[change.type] ?? "unknown"}${change.nodeId}`).join(" ");
}

/** The inverse; a string says what was wrong with the text. */
export function confChangesFromString(text: string): ConfChangeSingle[] | string {
  const changes: ConfChangeSingle[] = [];
  for (const token of text.trim().split(" ")) {
    if (token === "" && changes.length === 0) continue;
    if (token.length < 2) return `unknown token ${token}`;
    const type = TYPE_LETTERS.indexOf(token.charAt(0));
    if (type < 0) return `unknown input: ${token}`;
    if (!/^[0-9]+$/.test(token.slice(1)))
      return `strconv.ParseUint: parsing "${token.slice(1)}": invalid syntax`;
    changes.push({ type, nodeId: BigInt(token.slice(1)) as MemberId });
  }
  return changes;
}
