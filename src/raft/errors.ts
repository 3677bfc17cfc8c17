// The three things that step and propose can answer instead of doing what was asked, and the logger that raft writes to.
// The texts are etcd's: clients and logs carry them. Values, not exceptions: a dropped proposal is ordinary.
import { assert } from "../base/assert.ts";

export type RaftError = { readonly message: string };

/** Nobody to lead, a transfer under way, or too many bytes uncommitted: the proposer may try again. */
export const PROPOSAL_DROPPED: RaftError = Object.freeze({ message: "raft proposal dropped" });
/** A message of the member's own clock or storage came in from the network. */
export const STEP_LOCAL_MESSAGE: RaftError = Object.freeze({
  message: "raft: cannot step raft local message",
});
/** A response from somebody outside the configuration. */
export const STEP_PEER_NOT_FOUND: RaftError = Object.freeze({
  message: "raft: cannot step as peer not found",
});

/** Where raft's log lines go. The member's Logger fits; texts are built only for lines that are not debug or when debugEnabled. */
export interface RaftLogger {
  debug(message: string): void;
  info(message: string): void;
  warn(message: string): void;
  error(message: string): void;
  readonly debugEnabled: boolean;
}

/** Ends the process: going on would break what raft promises. */
export function panic(logger: RaftLogger, message: string): never {
  logger.error(message);
  assert(false, message);
}
