// Linearizable reads: asks raft for a read index, one round at a time, and lets go who waited once so much is applied here. All reads that
// wait when a round begins share its index; who comes later waits for the next. As etcd's linearizableReadLoop, without its
// loop: the engine calls it at the end of each turn, on each answer, at each tick, and after each batch that was applied.
import type { MemberId } from "../../base/brand.ts";
import { type EtcdError, errors } from "../../base/errors.ts";
import type { Clock } from "../../ports/clock.ts";
import type { Logger } from "../../ports/logger.ts";
import { NONE } from "../../raft/message.ts";
import type { ReadState } from "../../raft/read-only.ts";

/** etcd's readIndexRetryTime. */
const RETRY_MILLIS = 500;
/** Readers that wait for their index at the same time; whoever comes then is told to come later. */
const READERS_MAX = 200_000;
const CONTEXT_BYTES = 8;

export type ReadRoundsOptions = {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Unique among the members of the cluster: the leader tells requests apart by them. */
  readonly nextId: () => bigint;
  /** A read that got no index for so long is refused. */
  readonly timeoutMillis: number;
  /** Asks raft; the answer comes as a read state with the same context, or never. */
  readonly ask: (context: Uint8Array) => void;
  /** A round without an index after the whole timeout, and an answer nobody waits for any more: etcd's slow_read_indexes. */
  readonly onSlow: () => void;
  /** A round ended because the leader changed: etcd's read_indexes_failed. */
  readonly onFailed: () => void;
};

type Reader = {
  readonly ready: () => void;
  readonly failed: (error: EtcdError) => void;
  readonly deadline: number;
};

type Round = {
  readonly ids: Set<bigint>;
  readonly readers: Reader[];
  /** Who led when it was asked for; NONE until there is somebody to ask. */
  leader: MemberId;
  askedAt: number;
};
type Confirmed = { readonly index: number; readonly readers: readonly Reader[] };

export class ReadRounds {
  readonly #options: ReadRoundsOptions;
  /** Who waits for the next round. Deadlines ascend. */
  #waiting: Reader[] = [];
  #round: Round | undefined;
  /** Whose index is known and not applied yet. */
  #confirmed: Confirmed[] = [];
  #size = 0;

  constructor(options: ReadRoundsOptions) {
    this.#options = options;
  }

  add(ready: () => void, failed: (error: EtcdError) => void): void {
    if (this.#size >= READERS_MAX) {
      failed(errors.tooManyRequests);
      return;
    }
    this.#size++;
    const deadline = this.#options.clock.now() + this.#options.timeoutMillis;
    this.#waiting.push({ ready, failed, deadline });
  }

  /** Begins a round for all that wait, when none is under way. */
  begin(leader: MemberId): void {
    if (this.#waiting.length === 0 || this.#round !== undefined) return;
    const round = { ids: new Set<bigint>(), readers: this.#waiting, leader, askedAt: 0 };
    this.#waiting = [];
    this.#round = round;
    this.#ask(round);
  }

  /** Somebody leads: a round that another was asked for is over, one that nobody was asked for can be asked now. */
  leaderIs(leader: MemberId): void {
    const round = this.#round;
    if (round === undefined || leader === NONE) return;
    if (round.leader === NONE || round.leader === leader) {
      round.leader = leader;
      this.#ask(round);
      return;
    }
    this.#round = undefined;
    this.#options.onFailed();
    this.#refuse(round.readers, errors.leaderChanged);
  }

  answered({ index, requestContext }: ReadState, applied: number): void {
    const round = this.#round;
    if (round === undefined || !round.ids.has(idOf(requestContext))) {
      this.#options.onSlow();
      this.#options.logger.warn(
        "ignored out-of-date read index response; local node read indexes queueing up and waiting to be in sync with leader",
        { "received-request-id": idOf(requestContext) },
      );
      return;
    }
    this.#round = undefined;
    this.#confirmed.push({ index, readers: round.readers });
    this.applied(applied);
  }

  /** Everything up to `index` is applied here. */
  applied(index: number): void {
    if (this.#confirmed.length === 0) return;
    const confirmed = this.#confirmed;
    this.#confirmed = [];
    for (const each of confirmed) {
      if (each.index > index) this.#confirmed.push(each);
      else this.#letGo(each.readers);
    }
  }

  /** This member can vouch for everything by itself. */
  releaseAll(): void {
    const readers = this.#takeAll();
    this.#letGo(readers);
  }

  failAll(error: EtcdError): void {
    this.#refuse(this.#takeAll(), error);
  }

  /** Asks again what was asked too long ago, and gives up what waited too long. */
  tick(): void {
    if (this.#size === 0) return;
    const now = this.#options.clock.now();
    this.#expire(now);
    const round = this.#round;
    if (round === undefined || now < round.askedAt + RETRY_MILLIS) return;
    this.#options.logger.warn("waiting for ReadIndex response took too long, retrying", {
      "sent-request-id": [...round.ids].at(-1),
      "retry-timeout": "500ms",
    });
    this.#ask(round);
  }

  #ask(round: Round): void {
    const { clock, nextId, ask } = this.#options;
    const id = nextId();
    round.ids.add(id);
    round.askedAt = clock.now();
    const context = new Uint8Array(CONTEXT_BYTES);
    new DataView(context.buffer).setBigUint64(0, id);
    ask(context);
  }

  #expire(now: number): void {
    const late: Reader[] = [];
    const inTime = (readers: readonly Reader[]): Reader[] => {
      if (readers[0] === undefined || readers[0].deadline > now) return readers as Reader[];
      for (const reader of readers) if (reader.deadline <= now) late.push(reader);
      return readers.filter((reader) => reader.deadline > now);
    };
    this.#waiting = inTime(this.#waiting);
    const round = this.#round;
    if (round !== undefined) {
      const readers = inTime(round.readers);
      if (readers !== round.readers) {
        this.#options.onSlow();
        this.#round = readers.length === 0 ? undefined : { ...round, readers };
      }
    }
    this.#confirmed = this.#confirmed
      .map(({ index, readers }) => ({ index, readers: inTime(readers) }))
      .filter(({ readers }) => readers.length > 0);
    if (late.length === 0) return;
    this.#options.logger.warn(
      "timed out waiting for read index response (local node might have slow network)",
      { timeout: `${this.#options.timeoutMillis / 1000}s` },
    );
    this.#refuse(late, errors.timeout);
  }

  #takeAll(): Reader[] {
    const readers = this.#confirmed.flatMap((each) => [...each.readers]);
    if (this.#round !== undefined) readers.push(...this.#round.readers);
    for (const reader of this.#waiting) readers.push(reader);
    this.#confirmed = [];
    this.#round = undefined;
    this.#waiting = [];
    return readers;
  }

  #letGo(readers: readonly Reader[]): void {
    this.#size -= readers.length;
    for (let i = 0; i < readers.length; i++) readers[i]!.ready();
  }

  #refuse(readers: readonly Reader[], error: EtcdError): void {
    this.#size -= readers.length;
    for (let i = 0; i < readers.length; i++) readers[i]!.failed(error);
  }
}

function idOf(context: Uint8Array): bigint {
  if (context.length !== CONTEXT_BYTES) return 0n;
  return new DataView(context.buffer, context.byteOffset, CONTEXT_BYTES).getBigUint64(0);
}
