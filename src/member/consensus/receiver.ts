// What the network may tell a member: raft's messages, snapshots, and what it could not deliver. Checked here as far as the membership
// can tell; everything else is raft's.
import { LostEntriesError } from "../../base/assert.ts";
import { type Message, MessageType } from "../../raft/message.ts";
import type { Member } from "../member.ts";
import { advice, CannotGoOnError, rejoiningOf, rejoinSteps } from "../membership/advice.ts";
import type { TransportReceiver } from "../network/transport.ts";
import type { PeerSnapshots } from "../snapshot/peer-snapshots.ts";
import type { RaftEngine } from "./raft-engine.ts";

export function newReceiver(member: Member, engine: RaftEngine, snapshots: PeerSnapshots): TransportReceiver {
  const { membership } = member;
  return {
    clusterId: membership.clusterId,
    localId: membership.localId,
    serverVersion: member.options.serverVersion,
    isRemoved: (id) => membership.isRemoved(id),
    receive: (message: Message) => {
      if (membership.isRemoved(message.from)) return "removed";
      // A snapshot without its body is of no use.
      if (message.type !== MessageType.MsgSnap) receive(member, engine, message);
      return undefined;
    },
    receiveSnapshot: (message, body) => snapshots.receive(message, body),
    reportUnreachable: (id) => engine.reportUnreachable(id),
    reportSnapshot: (id, failed) => engine.reportSnapshot(id, failed),
  };
}

/** What raft cannot go on from ends the process before anything is written, with etcd's text and what to do. */
function receive(member: Member, engine: RaftEngine, message: Message): void {
  try {
    engine.receive(message);
  } catch (error) {
    if (!(error instanceof LostEntriesError)) throw error;
    const { dataDirectory } = member.options;
    const why =
      `the leader counts on entries that this member acknowledged, and ${dataDirectory} does not hold them: it was restored from an ` +
      "old copy, or its device lost what it said was written";
    member.fatal(new CannotGoOnError(error.message, advice(why, rejoinSteps(rejoiningOf(member)))));
  }
}
