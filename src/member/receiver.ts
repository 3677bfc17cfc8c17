// What the network may tell a member: raft's messages, snapshots, and what it could not deliver. Checked here as far as the membership
// can tell; everything else is raft's.
import { type Message, MessageType } from "../raft/message.ts";
import type { Member } from "./member.ts";
import type { PeerSnapshots } from "./peer-snapshots.ts";
import type { RaftEngine } from "./raft-engine.ts";
import type { TransportReceiver } from "./transport.ts";

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
      if (message.type !== MessageType.MsgSnap) engine.receive(message);
      return undefined;
    },
    receiveSnapshot: (message, body) => snapshots.receive(message, body),
    reportUnreachable: (id) => engine.reportUnreachable(id),
    reportSnapshot: (id, failed) => engine.reportSnapshot(id, failed),
  };
}
