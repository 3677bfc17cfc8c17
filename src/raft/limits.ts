// Limits of raft's own queues. What a configuration may set (message size, window, uncommitted bytes) is in config.ts.

/**
 * Linearizable reads waiting for a quorum's word, or for a new leader's first commit. etcd sets no limit; its members ask for one
 * read index at a time, so even a large cluster stays far below. A request beyond it is dropped, as by a network: the asker repeats.
 */
export const PENDING_READS_MAX = 65_536;
