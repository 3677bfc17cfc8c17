// Every limit and every interval of the network between members, with etcd's values and their reasons. Tests shrink the intervals;
// nobody else sets them.

/** A message of a stream; what claims to be longer ends the stream. */
export const STREAM_MESSAGE_BYTES_MAX = 512 * 1024 * 1024;
/** The message in front of a snapshot's body. The body itself has no limit. */
export const SNAPSHOT_MESSAGE_BYTES_MAX = 64 * 1024 * 1024;
/** A message of POST /raft. etcd sets none; raft itself splits appends at 1 MiB. */
export const PIPELINE_MESSAGE_BYTES_MAX = STREAM_MESSAGE_BYTES_MAX;
/** Messages that wait for one stream's socket; more are dropped and reported. */
export const STREAM_QUEUE_MESSAGES_MAX = 4096;
/** Bytes that wait for one stream's socket: a follower that reads nothing must not cost more memory than this. */
export const STREAM_QUEUE_BYTES_MAX = 64 * 1024 * 1024;
/** Messages that wait for one of the pipeline's connections. */
export const PIPELINE_QUEUE_MAX = 64;
export const PIPELINE_QUEUE_BYTES_MAX = 64 * 1024 * 1024;
export const PIPELINE_CONNECTIONS = 4;
/** Members that are not known yet but have called us; they are answered through pipelines. */
export const REMOTES_MAX = 64;
/** Snapshots under way to one member: raft sends one at a time, and asks again only after the report. */
export const SNAPSHOTS_PER_PEER_MAX = 2;

/** Snapshots that are received at a time, from whomever. */
export const SNAPSHOTS_RECEIVED_MAX = 8;

/** Bodies of requests to /leases. */
export const LEASE_REQUEST_BYTES_MAX = 64 * 1024;
/** Answers of /leases: all keys of a lease. */
export const LEASE_RESPONSE_BYTES_MAX = 100 * 1024 * 1024;
/** Any other small body: hashkv requests, members, versions, error texts. */
export const SMALL_BODY_BYTES_MAX = 4 * 1024 * 1024;

export type PeerTimings = {
  /** Within it something must come over a connection that waits: --raft-read-timeout. */
  readonly readTimeoutMillis: number;
  /** Within it a stream's bytes must leave: --raft-write-timeout. */
  readonly writeTimeoutMillis: number;
  /** A stream's writer lets nothing be silent for longer: at most a third of the read timeout, so that two may be lost. */
  readonly heartbeatIntervalMillis: number;
  /** Between two attempts to dial the same stream. */
  readonly redialIntervalMillis: number;
  /** Shorter than the read timeout: it keeps the pipeline's connection open. */
  readonly probeIntervalMillis: number;
  /** How long the answer to a snapshot's last byte may be under way, once it has begun. */
  readonly snapshotAnswerTimeoutMillis: number;
  /** How long a member may refuse to take the next piece of a snapshot. etcd waits for TCP to give up. */
  readonly snapshotStallMillis: number;
  readonly handshakeTimeoutMillis: number;
};

/**
 * Far more often than etcd's 1.7 s, and told to readers of Cairn: after a partition TCP tries its lost bytes again ever more seldom, so that a
 * connection may be silent for as long again as the network was cut. A new one is there at once.
 */
const HEARTBEAT_MILLIS_MAX = 500;
/** Heartbeats of a writer that says how often they come, until its silence is the end of the stream. */
export const HEARTBEATS_MISSED_MAX = 3;

export const PEER_TIMINGS: PeerTimings = {
  readTimeoutMillis: 5000,
  writeTimeoutMillis: 5000,
  heartbeatIntervalMillis: HEARTBEAT_MILLIS_MAX,
  redialIntervalMillis: 100,
  probeIntervalMillis: 4000,
  snapshotAnswerTimeoutMillis: 5000,
  snapshotStallMillis: 60_000,
  handshakeTimeoutMillis: 10_000,
};

/** What was given, and the usual values for the rest: heartbeats go by the read timeout. */
export function peerTimings(given: Partial<PeerTimings>): PeerTimings {
  const { readTimeoutMillis = PEER_TIMINGS.readTimeoutMillis } = given;
  const heartbeatIntervalMillis = Math.min(readTimeoutMillis / 3, HEARTBEAT_MILLIS_MAX);
  return { ...PEER_TIMINGS, heartbeatIntervalMillis, ...given };
}
