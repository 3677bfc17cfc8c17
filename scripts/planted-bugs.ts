// Bugs to plant in the built program, for scripts/planted.ts: each replaces one piece of a compiled file. When the source moves on and a piece
// is not there any more, planting fails loudly: then the line here follows.

export type PlantedBug = {
  readonly name: string;
  /** Below dist/src. */
  readonly file: string;
  readonly from: string;
  readonly to: string;
};

export const PLANTED_BUGS: readonly PlantedBug[] = [
  {
    name: "an entry is committed as soon as one member has it",
    file: "raft/quorum/majority.js",
    from: "return sorted[n - ((n >> 1) + 1)];",
    to: "return sorted[n - 1];",
  },
  {
    name: "flushes return without fsync",
    file: "log/appender.js",
    from: "part.file.disk.syncSync();",
    to: "",
  },
  {
    name: "a follower acknowledges entries before they are flushed",
    file: "member/consensus/log-thread.js",
    from: "if (this.#mustSync)\n            join(this.#staged, message.responses);",
    to: "if (false)\n            join(this.#staged, message.responses);",
  },
  {
    name: "a vote is not written down",
    file: "raft/storage-messages.js",
    from: "message.vote = hardState.vote;",
    to: "message.vote = 0n;",
  },
  {
    name: "a vote goes to a candidate whose log is behind",
    file: "raft/raft-log.js",
    from: "return term > ours || (term === ours && index >= this.lastIndex());",
    to: "return true;",
  },
  {
    name: "a leader answers a read without asking a quorum",
    file: "raft/read-index.js",
    from: "if (raft.readOnlyOption === ReadOnlyOption.LeaseBased) {",
    to: "if (raft.readOnlyOption !== undefined) {",
  },
  {
    name: "a new leader answers reads before it has committed an entry of its own term",
    file: "raft/read-index.js",
    from: "if (!committedEntryInCurrentTerm(raft)) {\n        if (raft.pending",
    to: "if (raft.id === NONE) {\n        if (raft.pending",
  },
  {
    name: "a follower does not wait until it has applied the read index",
    file: "member/consensus/raft-engine.js",
    from: "this.#reads.answered(state, this.#appliedIndex);",
    to: "this.#reads.answered(state, Number.MAX_SAFE_INTEGER);",
  },
  {
    name: "watchers go on behind a snapshot that was installed, not where they were",
    file: "watch/hub.js",
    from: "Math.max(watcher.minRevision, next)",
    to: "Math.max(watcher.minRevision, view.currentRevision + 1)",
  },
  {
    name: "pages of a copy that a member is sent are written one byte beside their place",
    file: "log/run-copy.js",
    from: "disk.write(chunks, position)",
    to: "disk.write(chunks, position + 1)",
  },
  {
    name: "a snapshot is installed without its leases",
    file: "member/snapshot/replace-state.js",
    from: "lessor.replaceBy(staged.lessor);",
    to: "",
  },
  {
    name: "a snapshot is installed without its configuration",
    file: "raft/snapshot.js",
    from: "    restoreConfState(raft, confState);",
    to: "",
  },
  {
    name: "a snapshot is installed without its member list",
    file: "member/snapshot/replace-state.js",
    from: "    restoreMembership(membership, staged.membership);",
    to: "",
  },
  {
    name: "a learner is counted as a voter",
    file: "raft/confchange/changer.js",
    from: "draft.learners.add(id);\n        draft.progress.set(id, newProgress(draft, id, true));",
    to: "draft.incoming.add(id);\n        draft.progress.set(id, newProgress(draft, id, false));",
  },
  {
    name: "a member that was removed still votes",
    file: "raft/confchange/changer.js",
    from: "                remove(draft, change.nodeId);",
    to: "",
  },
  {
    name: "a change of members is applied to the list twice, the second time as a new one",
    file: "member/membership/member-change.js",
    from: "    membership.apply(meant);",
    to: '    membership.apply(meant);\n    if (meant.kind === "promote")\n        membership.apply({ kind: "remove", id: change.nodeId });',
  },
  {
    name: "a proposal that waited for a leader is sent twice",
    file: "member/consensus/proposal-batch.js",
    from: "if (!this.#propose(part))",
    to: "if (entries.length > 1)\n                this.#propose(part);\n            if (!this.#propose(part))",
  },
  {
    name: "a leader that stood still renews a lease without asking the others",
    file: "member/upkeep/lease-keeper.js",
    from: "else if (raft.isActive || this.#member.canReadNow)",
    to: "else if (raft.isLeader)",
  },
  {
    name: "a new leader counts a lease's time from its grant",
    file: "lease/lessor.js",
    from: "            this.#refresh(lease, now, extendMillis);",
    to: "            this.#refresh(lease, now, extendMillis - (lease.ttl * 1000) / 2);",
  },
  {
    name: "members apply the same put differently",
    file: "apply/key-space.js",
    from: "let lease = request.lease;",
    to: "let lease = request.lease;\n    if (entry.index % 60 === Number(context.localId % 60n))\n        length >>= 1;",
  },
];
