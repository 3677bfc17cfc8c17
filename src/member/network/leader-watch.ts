// Notices that this member of several has had no leader for an election timeout, and says so once per loss: the wiring then sends its
// clients to other members. Looked at once a heartbeat; a short election, a member that is alone, and one that never had a leader stay
// unmentioned.
import { hexId } from "../../cluster/ids.ts";
import type { Logger } from "../../ports/logger.ts";

export interface WatchedMember {
  readonly localId: bigint;
  readonly raft: { readonly leader: bigint };
  readonly membership: { readonly voters: readonly unknown[] };
  readonly options: { readonly electionMillis: number };
  readonly logger: Logger;
}

type State =
  | { readonly kind: "led" }
  | { readonly kind: "lost"; readonly since: number }
  /** Told, or nothing to tell: until there is a leader again. */
  | { readonly kind: "quiet" };

export class LeaderWatch {
  readonly #member: WatchedMember;
  #state: State = { kind: "quiet" };
  onLeaderless: (() => void) | undefined;

  constructor(member: WatchedMember) {
    this.#member = member;
  }

  look(now: number): void {
    const { raft, membership, options, logger, localId } = this.#member;
    if (raft.leader !== 0n) {
      if (this.#state.kind !== "led") this.#state = { kind: "led" };
      return;
    }
    if (this.#state.kind === "led") this.#state = { kind: "lost", since: now };
    if (this.#state.kind !== "lost" || now - this.#state.since < options.electionMillis) return;
    this.#state = { kind: "quiet" };
    if (membership.voters.length <= 1 || this.onLeaderless === undefined) return;
    logger.warn("no leader for an election timeout; sending clients to other members", {
      "local-member-id": hexId(localId),
    });
    this.onLeaderless();
  }
}
