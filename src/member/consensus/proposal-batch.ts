// Proposals on their way into raft: those of one turn, which leave together, and those that nobody can take yet, because there is no
// leader or leadership is being handed over. The engine empties it at the end of each turn; the callers' deadlines bound what is held.
import type { Entry } from "../../log/contract.ts";
import { decodeConfChangeEntry } from "../../raft/conf-change-codec.ts";
import { EntryType, newEntry } from "../../raft/message.ts";

/** Payload bytes in one message. */
const MESSAGE_BYTES_MAX = 1 << 20;
/** Proposals of other members are held only while there are fewer than so many. */
const HELD_FORWARDED_MAX = 10_000;

/** What came in one turn, or in one message. */
type Held = { readonly entries: readonly Entry[]; readonly deadline: number };

export class ProposalBatch {
  /** Gives several entries to raft; false = not taken. */
  readonly #propose: (entries: readonly Entry[]) => boolean;
  readonly #timeoutMillis: number;
  #batch: Entry[] = [];
  #held: Held[] = [];
  #heldEntries = 0;

  constructor(propose: (entries: readonly Entry[]) => boolean, timeoutMillis: number) {
    this.#propose = propose;
    this.#timeoutMillis = timeoutMillis;
  }

  /** Its term and index are the leader's to give. */
  add(type: EntryType, data: Uint8Array): void {
    this.#batch.push(newEntry(0, 0, type, data));
  }

  /** A MsgProp of another member that came while nobody takes proposals. What raft cannot read would keep the others from it. */
  holdForwarded(entries: readonly Entry[], now: number): void {
    if (this.#heldEntries + entries.length > HELD_FORWARDED_MAX) return;
    const readable = entries.filter(
      ({ type, data }) => type === EntryType.Normal || decodeConfChangeEntry(type, data) !== undefined,
    );
    this.#hold({ entries: readable, deadline: now + this.#timeoutMillis });
  }

  /** The turn is over: everything leaves, or is held when `taken` says that nobody takes it. */
  flush(taken: boolean, now: number): void {
    if (taken && this.#held.length > 0) {
      const held = this.#held;
      this.#held = [];
      this.#heldEntries = 0;
      for (const one of held) this.#proposeAll(one);
    }
    if (this.#batch.length === 0) return;
    const batch = { entries: this.#batch, deadline: now + this.#timeoutMillis };
    this.#batch = [];
    if (taken) this.#proposeAll(batch);
    else this.#hold(batch);
  }

  /** Forgets those whose callers have been told that it took too long. */
  expire(now: number): void {
    const first = this.#held[0];
    if (first === undefined || first.deadline > now) return;
    const held = this.#held;
    this.#held = [];
    this.#heldEntries = 0;
    for (const one of held) if (one.deadline > now) this.#hold(one);
  }

  /** Cut into messages of bounded size. */
  #proposeAll({ entries, deadline }: Held): void {
    for (let from = 0; from < entries.length; ) {
      let bytes = entries[from]!.data.length;
      let to = from + 1;
      for (; to < entries.length; to++) {
        bytes += entries[to]!.data.length;
        if (bytes > MESSAGE_BYTES_MAX) break;
      }
      const part = from === 0 && to === entries.length ? entries : entries.slice(from, to);
      if (!this.#propose(part)) this.#hold({ entries: part, deadline });
      from = to;
    }
  }

  #hold(held: Held): void {
    this.#held.push(held);
    this.#heldEntries += held.entries.length;
  }
}
