// The JSON of etcd's old v2 store, which a raft snapshot's data must be: etcd 3.6 rebuilds its members from it when a leader sends
// one, and panics when it cannot; 3.7 writes it and reads it no more. Only members, removed members and the cluster version live in it.
// The watcher hub is left out: the reader's own stays.
import { formatBigJson, type JsonObject } from "../base/big-json.ts";
import type { MemberId } from "../base/brand.ts";
import { hexId } from "../cluster/ids.ts";
import type { ClusterMember } from "../cluster/membership.ts";

/** Go's zero time: the node never expires. */
const PERMANENT = "0001-01-01T00:00:00Z";
const STORE_VERSION = 2n;

class Tree {
  index = 0n;
  readonly root: JsonObject = this.#node("/", "", {});

  #node(path: string, value: string, children: JsonObject | null): JsonObject {
    const { index } = this;
    return {
      Path: path,
      CreatedIndex: index,
      ModifiedIndex: index,
      ExpireTime: PERMANENT,
      Value: value,
      Children: children,
    };
  }

  /** Makes a value at /a/b/c with its directories; each value counts the store's index up. */
  set(path: string, value: string): void {
    this.index++;
    const leaf = path.lastIndexOf("/");
    this.#directory(path.slice(0, leaf))[path.slice(leaf + 1)] = this.#node(path, value, null);
  }

  /** The children of a directory, made on the way. */
  #directory(path: string): JsonObject {
    let children = this.root["Children"] as JsonObject;
    let at = "";
    for (const name of path.split("/").slice(1)) {
      at += `/${name}`;
      const known = children[name] as JsonObject | undefined;
      const node = known ?? this.#node(at, "", {});
      children[name] = node;
      children = node["Children"] as JsonObject;
    }
    return children;
  }

  /** An empty directory of the root. */
  namespace(name: string): void {
    this.#directory(`/${name}`);
  }
}

/** What Snapshot.data holds. `version` is the cluster version, X.Y.Z. */
export function encodeV2Store(
  members: readonly ClusterMember[],
  removed: readonly MemberId[],
  version: string | undefined,
): string {
  const tree = new Tree();
  tree.namespace("0");
  tree.namespace("1");
  for (const member of members) {
    const at = `/0/members/${hexId(member.id)}`;
    const raft: JsonObject = {
      peerURLs: [...member.peerUrls],
      isLearner: member.isLearner ? true : undefined,
    };
    tree.set(`${at}/raftAttributes`, formatBigJson(raft));
    // etcd tells a member that has not started yet by the client URLs that it has not published.
    if (member.clientUrls.length === 0) continue;
    const attributes: JsonObject = {
      name: member.name === "" ? undefined : member.name,
      clientURLs: [...member.clientUrls],
    };
    tree.set(`${at}/attributes`, formatBigJson(attributes));
  }
  for (const id of removed) tree.set(`/0/removed_members/${hexId(id)}`, "");
  if (version !== undefined) tree.set("/0/version", version);
  return formatBigJson({
    Root: tree.root,
    CurrentIndex: tree.index,
    Stats: {},
    CurrentVersion: STORE_VERSION,
  });
}
