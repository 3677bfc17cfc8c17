// Proposals on their way into raft: those of one turn, which leave together, and those that nobody can take yet, because there is no
// leader or leadership is being handed over. The engine empties it at the end of each turn; the callers' deadlines bound what is held.
import type { Entry } from "../../log/contract.ts";
import { EntryType } from "../../raft/message.ts";

/** Payload bytes in one message. */
const MESSAGE_BYTES_MAX = 1 << 20;
/** Proposals of other members are held only while there are fewer than so many. */
const HELD_FORWARDED_MAX = 10_000;

type Held = { readonly data: Uint8Array; readonly deadline: number };

export class ProposalBatch {
  /** Gives several entries to raft; false = not taken. */
  readonly #propose: (list: readonly Uint8Array[]) => boolean;
  readonly #timeoutMillis: number;
  #batch: Uint8Array[] = [];
  #held: Held[] = [];

  constructor(propose: (list: readonly Uint8Array[]) => boolean, timeoutMillis: number) {
    this.#propose = propose;
    this.#timeoutMillis = timeoutMillis;
  }

  add(data: Uint8Array): void {
    this.#batch.push(data);
  }

  /** A MsgProp of another member that came while nobody takes proposals. */
  holdForwarded(entries: readonly Entry[], now: number): void {
    if (this.#held.length + entries.length > HELD_FORWARDED_MAX) return;
    this.#hold(
      entries.filter(({ type }) => type === EntryType.Normal).map(({ data }) => data),
      now,
    );
  }

  /** The turn is over: everything leaves, or is held when `taken` says that nobody takes it. */
  flush(taken: boolean, now: number): void {
    if (taken && this.#held.length > 0) {
      const held = this.#held;
      this.#held = [];
      this.#proposeAll(
        held.map(({ data }) => data),
        now,
      );
    }
    if (this.#batch.length === 0) return;
    const batch = this.#batch;
    this.#batch = [];
    if (taken) this.#proposeAll(batch, now);
    else this.#hold(batch, now);
  }

  /** Forgets those whose callers have been told that it took too long. */
  expire(now: number): void {
    const first = this.#held[0];
    if (first === undefined || first.deadline > now) return;
    this.#held = this.#held.filter(({ deadline }) => deadline > now);
  }

  /** Cut into messages of bounded size. */
  #proposeAll(list: readonly Uint8Array[], now: number): void {
    for (let from = 0; from < list.length; ) {
      let bytes = list[from]!.length;
      let to = from + 1;
      for (; to < list.length; to++) {
        bytes += list[to]!.length;
        if (bytes > MESSAGE_BYTES_MAX) break;
      }
      const part = from === 0 && to === list.length ? list : list.slice(from, to);
      if (!this.#propose(part)) this.#hold(part, now);
      from = to;
    }
  }

  #hold(list: readonly Uint8Array[], now: number): void {
    const deadline = now + this.#timeoutMillis;
    for (const data of list) this.#held.push({ data, deadline });
  }
}
