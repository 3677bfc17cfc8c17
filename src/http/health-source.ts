// What the HTTP endpoints ask of the member: the contract between src/http and whoever answers for a member (main.ts wires it).
// Everything answers at once, except the probe.
import type { EtcdError } from "../base/errors.ts";

export type ActiveAlarm = {
  /** Hexadecimal, as etcd logs ids. */
  readonly memberId: string;
  /** etcd's name: NOSPACE, CORRUPT. */
  readonly name: string;
};

export interface HealthSource {
  alarms(): readonly ActiveAlarm[];
  hasLeader(): boolean;
  isLearner(): boolean;
  /** The device has no room: soon this member acknowledges nothing. */
  deviceFull(): boolean;
  /**
   * Reads one key as root, through the quorum unless `serializable`, and calls `done` exactly once, with the error if it failed.
   * The member bounds it by its own request timeout.
   */
  probe(serializable: boolean, done: (error: EtcdError | undefined) => void): void;
  /** Undefined = not decided yet, or unknown. As `3.7.0`. */
  clusterVersion(): string | undefined;
  storageVersion(): string | undefined;
  /** raft's status as JSON, in the form of /debug/vars. */
  raftStatus(): string;
  authEnabled(): boolean;
}
