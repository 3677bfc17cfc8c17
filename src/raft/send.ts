// The one way out for messages: fills in sender and term, and decides whether a message may leave at once or must wait for the
// disk. Every handler calls it; it looks at nothing but the message's type.
import { assert } from "../base/assert.ts";
import { type Message, MessageType, NONE } from "./message.ts";
import type { Raft } from "./raft.ts";

export function send(raft: Raft, message: Message): void {
  if (message.from === NONE) message.from = raft.id;
  switch (message.type) {
    case MessageType.MsgVote:
    case MessageType.MsgPreVote:
      assert(message.term !== 0, "term should be set when sending a vote request");
      sendNow(raft, message);
      return;
    case MessageType.MsgVoteResp:
    case MessageType.MsgPreVoteResp:
      assert(message.term !== 0, "term should be set when sending a vote response");
      // A vote must be on disk before anybody hears of it (thesis 3.8).
      raft.messagesAfterAppend.push(message);
      return;
    case MessageType.MsgAppResp:
      assert(message.term === 0, "term should not be set when sending MsgAppResp");
      message.term = raft.term;
      // Entries must be on disk before they count towards a quorum.
      raft.messagesAfterAppend.push(message);
      return;
    case MessageType.MsgProp:
    case MessageType.MsgReadIndex:
      // Forwarded to the leader as if proposed there: without a term, a change of term on the way does not lose them.
      assert(message.term === 0, "term should not be set when forwarding");
      sendNow(raft, message);
      return;
    default:
      assert(message.term === 0, "term should not be set when sending");
      message.term = raft.term;
      sendNow(raft, message);
  }
}

function sendNow(raft: Raft, message: Message): void {
  assert(message.to !== raft.id, "message should not be self-addressed when sending");
  raft.messages.push(message);
}
