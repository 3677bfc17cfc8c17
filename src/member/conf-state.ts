// The configuration in force as the log keeps it beside a checkpoint: etcd's JSON, like in the meta bucket.
import { type MemberId, memberId } from "../base/brand.ts";
import { utf8FromBytes, utf8ToBytes } from "../base/bytes.ts";
import { decodeConfState, encodeConfState } from "../etcdfile/member-json.ts";
import type { ConfState } from "../raft/message.ts";

export function confStateToBytes(state: ConfState): Uint8Array {
  const { voters, learners, votersOutgoing, learnersNext, autoLeave } = state;
  return utf8ToBytes(
    encodeConfState({
      voters: [...voters],
      learners: [...learners],
      votersOutgoing: [...votersOutgoing],
      learnersNext: [...learnersNext],
      autoLeave,
    }),
  );
}

export function confStateFromBytes(bytes: Uint8Array): ConfState {
  const state = decodeConfState(utf8FromBytes(bytes));
  const ids = (list: readonly bigint[]): MemberId[] => list.map((id) => memberId(id));
  return {
    voters: ids(state.voters),
    learners: ids(state.learners),
    votersOutgoing: ids(state.votersOutgoing),
    learnersNext: ids(state.learnersNext),
    autoLeave: state.autoLeave,
  };
}
