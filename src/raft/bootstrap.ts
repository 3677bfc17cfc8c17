// The first start of a cluster: writes the members as already committed membership changes, so that every member begins with the
// same log. Called once per life of a member, on an empty storage, through RawNode.

import type { MemberId } from "../base/brand.ts";
import { EMPTY } from "../base/bytes.ts";
import { type ConfChange, ConfChangeType, confChangeAsV2 } from "./conf-change.ts";
import { encodeConfChange } from "./conf-change-codec.ts";
import { applyConfChange } from "./membership.ts";
import { EntryType, NONE, newEntry } from "./message.ts";
import type { Raft } from "./raft.ts";
import { becomeFollower } from "./role.ts";

/** `context` is what etcd keeps in the change: the member as JSON. */
export type Peer = { readonly id: MemberId; readonly context: Uint8Array };

/** What is wrong, or undefined when done. */
export function bootstrap(raft: Raft, peers: readonly Peer[]): string | undefined {
  if (peers.length === 0) return "must provide at least one peer to Bootstrap";
  if (raft.log.storage.lastIndex() !== 0) return "can't bootstrap a nonempty Storage";
  becomeFollower(raft, 1, NONE);
  const entries = peers.map((peer, i) =>
    newEntry(1, i + 1, EntryType.ConfChange, encodeConfChange(addition(peer.id, peer.context))),
  );
  raft.log.append(entries, 0);
  raft.log.committed = entries.length;
  // In force at once, so that this member can campaign; the application sees and applies the same changes again, without effect.
  for (const peer of peers) applyConfChange(raft, confChangeAsV2(addition(peer.id, EMPTY)));
  return undefined;
}

function addition(nodeId: MemberId, context: Uint8Array): ConfChange {
  return { version: 1, id: 0n, type: ConfChangeType.AddNode, nodeId, context };
}
