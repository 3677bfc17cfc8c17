// The watch hub: brings each event to each watcher that asked for it, once and in order. The store is the buffer: a synced watcher
// gets events as they happen; one whose sink is full goes back to the store ("unsynced") and reads on from the first revision that
// it has not seen, in bites, when its sink has room again. Nothing is dropped, and a slow watcher holds no event in memory.
// Called by apply (notify), by the member's pump (flush, catchUp) and by the watch service (add, remove).
import { assert } from "../base/assert.ts";
import { concatBytes } from "../base/bytes.ts";
import { type Key, keyFromBytes } from "../base/key.ts";
import type { ReadView, Slot, SlotList } from "../mvcc/contract.ts";
import { type Group, WatcherGroups, type WatchRange } from "./watcher-group.ts";

/** Bits of a watcher's filters. */
export const Filter = { NoPut: 1, NoDelete: 2 } as const;

/** Where a watcher's events go: one stream of the watch service. Contract: neither method calls back into the hub. */
export interface WatchSink {
  /** True while the peer does not take what it was given: events wait in the store from then on. */
  readonly full: boolean;
  events(watcher: Watcher, batch: EventBatch): void;
  /** The watcher's next revision was compacted away; it is removed already. */
  compacted(watcher: Watcher, compactedRevision: number): void;
}

/** Whole revisions' events for one watcher. */
export type EventBatch = {
  /** For the reply's header: the last event's revision, or the store's for a watcher that catches up. */
  readonly revision: number;
  /** Each event as an encoded `events` field of a WatchResponse; shared between watchers, never changed. */
  readonly parts: readonly Uint8Array[];
  /** All parts in one; shared too. */
  readonly bytes: Uint8Array;
};

export type Watcher = {
  readonly id: bigint;
  readonly sink: WatchSink;
  readonly range: WatchRange;
  /** OR of Filter bits. */
  readonly filters: number;
  readonly prevKv: boolean;
  /** The revision that the client asked to start from; 0 = now. */
  readonly startRevision: number;
  state: "synced" | "unsynced" | "gone";
  /** The first revision that this watcher has not seen. */
  minRevision: number;
};

/** Encodes one row as a WatchResponse's `events` field, with the row before it when asked. The bytes are the caller's. */
export type EventEncoder = (slot: Slot, withPrevious: boolean) => Uint8Array;

type PendingEvent = {
  readonly revision: number;
  readonly filterBit: number;
  plain: Uint8Array | undefined;
  withPrevious: Uint8Array | undefined;
};
type Pending = { readonly group: Group<Watcher>; readonly events: PendingEvent[] };

/** Watchers served by one catch-up bite (etcd's maxWatchersPerSync). */
const WATCHERS_PER_BITE = 512;
/** Revisions in one response to a watcher that catches up (etcd's watchBatchMaxRevs). */
export const REVISIONS_PER_BITE = 1000;
/** Value bytes read in one bite, so that big values do not make a big pause. */
const BITE_BYTES_MAX = 1 << 20;

export class WatchHub {
  #view: ReadView;
  #encode: EventEncoder;
  readonly #synced = new WatcherGroups<Watcher>();
  readonly #unsynced = new Set<Watcher>();
  #pending = new Map<Group<Watcher>, Pending>();
  readonly #matched: Group<Watcher>[] = [];
  readonly #bite: SlotList;
  #nearestFirst = false;
  #eventsTotal = 0;

  constructor(view: ReadView, encode: EventEncoder, scratch: SlotList) {
    this.#view = view;
    this.#encode = encode;
    this.#bite = scratch;
  }

  get watcherCount(): number {
    return this.#synced.size + this.#unsynced.size;
  }

  get slowWatcherCount(): number {
    return this.#unsynced.size;
  }

  /** Events handed to watchers since the start, each watcher counted. */
  get eventsTotal(): number {
    return this.#eventsTotal;
  }

  /** Starts a watcher. One that asks for the past starts unsynced, one for now or the future synced. */
  add(sink: WatchSink, id: bigint, range: WatchRange, options: WatchOptions): Watcher {
    const next = this.#view.currentRevision + 1;
    const synced = options.startRevision === 0 || options.startRevision > this.#view.currentRevision;
    const watcher: Watcher = {
      id,
      sink,
      range,
      filters: options.filters,
      prevKv: options.prevKv,
      startRevision: options.startRevision,
      state: synced ? "synced" : "unsynced",
      minRevision: options.startRevision === 0 ? next : options.startRevision,
    };
    if (synced) this.#synced.add(watcher);
    else this.#unsynced.add(watcher);
    return watcher;
  }

  remove(watcher: Watcher): void {
    if (watcher.state === "synced") this.#synced.remove(watcher);
    else this.#unsynced.delete(watcher);
    watcher.state = "gone";
  }

  /** Queues the rows of one finished txn for the synced watchers. The slots are read before it returns. */
  notify(slots: SlotList): void {
    if (this.#synced.size === 0) return;
    for (let i = 0; i < slots.length; i++) {
      const slot = slots.slots[i]! as Slot;
      const matched = this.#matched;
      matched.length = 0;
      this.#synced.match(keyFromBytes(this.#view.keyOf(slot)), matched);
      if (matched.length > 0) this.#queue(slot, matched);
    }
  }

  /** Hands out what notify has queued. Called once at the end of a batch of txns. */
  flush(): void {
    if (this.#pending.size === 0) return;
    const pending = this.#pending;
    this.#pending = new Map();
    for (const each of pending.values()) this.#flushGroup(each);
  }

  /** True when some unsynced watcher could be served now. */
  get hasWork(): boolean {
    for (const watcher of this.#unsynced) if (!watcher.sink.full) return true;
    return false;
  }

  /** Serves one bite to the watchers that are behind. Must not run between notify and flush. Returns whether it did anything. */
  catchUp(): boolean {
    assert(this.#pending.size === 0, "nothing is queued while watchers catch up");
    const chosen = this.#choose();
    if (chosen.length === 0) return false;
    const current = this.#view.currentRevision;
    const from = this.#startOfBite(chosen);
    const until = from > current ? from : this.#readBite(from);
    const collected = this.#collect(chosen, from, until);
    for (const watcher of chosen) this.#advance(watcher, from, until, collected.get(watcher));
    return true;
  }

  /**
   * A snapshot has replaced the store: every watcher reads on in the new one, from the first revision that it has not seen. Those whose
   * revisions were compacted meanwhile learn it when they catch up.
   */
  replaceView(view: ReadView, encode: EventEncoder): void {
    assert(this.#pending.size === 0, "nothing is queued while the store is replaced");
    const next = this.#view.currentRevision + 1;
    this.#view = view;
    this.#encode = encode;
    // A synced watcher has seen all there was, also when none of it was for it.
    for (const watcher of this.#everySynced()) this.#fallBehind(watcher, Math.max(watcher.minRevision, next));
  }

  describe(): string {
    return `watch hub: ${this.#synced.size} synced, ${this.#unsynced.size} unsynced`;
  }

  *#everySynced(): Iterable<Watcher> {
    const groups: Group<Watcher>[] = [];
    this.#synced.forEachGroup((group) => groups.push(group));
    for (const group of groups) for (const watcher of [...group.watchers]) yield watcher;
  }

  #queue(slot: Slot, groups: readonly Group<Watcher>[]): void {
    const event: PendingEvent = {
      revision: this.#view.mainOf(slot),
      filterBit: this.#view.isTombstone(slot) ? Filter.NoDelete : Filter.NoPut,
      plain: undefined,
      withPrevious: undefined,
    };
    for (const group of groups) {
      for (const watcher of group.watchers) {
        if (watcher.prevKv) event.withPrevious ??= this.#encode(slot, true);
        else event.plain ??= this.#encode(slot, false);
        if (event.plain !== undefined && event.withPrevious !== undefined) break;
      }
      const pending = this.#pending.get(group);
      if (pending === undefined) this.#pending.set(group, { group, events: [event] });
      else pending.events.push(event);
    }
  }

  #flushGroup({ group, events }: Pending): void {
    const first = events[0]!.revision;
    const last = events[events.length - 1]!.revision;
    let plain: EventBatch | undefined;
    let withPrevious: EventBatch | undefined;
    for (const watcher of [...group.watchers]) {
      if (watcher.minRevision > last) continue;
      if (watcher.sink.full) {
        this.#fallBehind(watcher, Math.max(first, watcher.minRevision));
        continue;
      }
      let batch: EventBatch | undefined;
      if (watcher.filters !== 0 || watcher.minRevision > first) batch = batchFor(watcher, events, last);
      else if (watcher.prevKv) batch = withPrevious ??= batchOf(events, true, last);
      else batch = plain ??= batchOf(events, false, last);
      watcher.minRevision = last + 1;
      if (batch === undefined) continue;
      this.#eventsTotal += batch.parts.length;
      watcher.sink.events(watcher, batch);
    }
  }

  /** The watcher's sink is full: it reads on from the store at the first revision that it has not seen. */
  #fallBehind(watcher: Watcher, at: number): void {
    assert(watcher.state === "synced", "only a synced watcher can fall behind");
    this.#synced.remove(watcher);
    watcher.state = "unsynced";
    watcher.minRevision = at;
    this.#unsynced.add(watcher);
  }

  /** Watchers with room; those whose revisions are gone are told so and leave. Each bite moves the chosen to the queue's end. */
  #choose(): Watcher[] {
    const chosen: Watcher[] = [];
    for (const watcher of this.#unsynced) {
      if (watcher.sink.full) continue;
      if (watcher.minRevision < this.#view.compactedRevision) {
        this.remove(watcher);
        watcher.sink.compacted(watcher, this.#view.compactedRevision);
        continue;
      }
      chosen.push(watcher);
      if (chosen.length === WATCHERS_PER_BITE) break;
    }
    return chosen;
  }

  /** Bites start in turn at the watcher furthest behind and at the one nearest to now, so that neither starves the other. */
  #startOfBite(chosen: readonly Watcher[]): number {
    this.#nearestFirst = !this.#nearestFirst;
    let from = chosen[0]!.minRevision;
    for (const watcher of chosen) {
      from = this.#nearestFirst ? Math.max(from, watcher.minRevision) : Math.min(from, watcher.minRevision);
    }
    return from;
  }

  /** Fills #bite with whole revisions from `from` on and returns the first revision not in it. */
  #readBite(from: number): number {
    const view = this.#view;
    const bite = this.#bite;
    bite.length = 0;
    const until = view.revisionsSince(from as never, REVISIONS_PER_BITE, bite);
    let bytes = 0;
    for (let i = 0; i < bite.length; i++) {
      const slot = bite.slots[i]! as Slot;
      bytes += view.valueLengthOf(slot);
      if (bytes <= BITE_BYTES_MAX) continue;
      const cut = view.mainOf(slot);
      if (cut === view.mainOf(bite.slots[0]! as Slot)) continue;
      while (i > 0 && view.mainOf(bite.slots[i - 1]! as Slot) === cut) i--;
      bite.length = i;
      return cut;
    }
    return until;
  }

  #collect(chosen: readonly Watcher[], from: number, until: number): Map<Watcher, Uint8Array[]> {
    const collected = new Map<Watcher, Uint8Array[]>();
    if (from >= until) return collected;
    const groups = new WatcherGroups<Watcher>();
    for (const watcher of chosen) if (watcher.minRevision < until) groups.add(watcher);
    const view = this.#view;
    const matched: Group<Watcher>[] = [];
    for (let i = 0; i < this.#bite.length; i++) {
      const slot = this.#bite.slots[i]! as Slot;
      matched.length = 0;
      groups.match(keyFromBytes(view.keyOf(slot)), matched);
      if (matched.length > 0) this.#collectRow(slot, matched, from, collected);
    }
    return collected;
  }

  #collectRow(
    slot: Slot,
    groups: readonly Group<Watcher>[],
    from: number,
    collected: Map<Watcher, Uint8Array[]>,
  ): void {
    const revision = this.#view.mainOf(slot);
    const filterBit = this.#view.isTombstone(slot) ? Filter.NoDelete : Filter.NoPut;
    let plain: Uint8Array | undefined;
    let withPrevious: Uint8Array | undefined;
    for (const group of groups) {
      for (const watcher of group.watchers) {
        // A watcher that is further behind than this bite's start must not see a later event before the earlier ones.
        if (watcher.minRevision > revision || watcher.minRevision < from) continue;
        if ((watcher.filters & filterBit) !== 0) continue;
        let part: Uint8Array;
        if (watcher.prevKv) part = withPrevious ??= this.#encode(slot, true);
        else part = plain ??= this.#encode(slot, false);
        const parts = collected.get(watcher);
        if (parts === undefined) collected.set(watcher, [part]);
        else parts.push(part);
      }
    }
  }

  #advance(watcher: Watcher, from: number, until: number, parts: Uint8Array[] | undefined): void {
    this.#unsynced.delete(watcher);
    const covered = watcher.minRevision >= from && watcher.minRevision <= until;
    if (covered) watcher.minRevision = until;
    if (covered && until > this.#view.currentRevision) {
      watcher.state = "synced";
      this.#synced.add(watcher);
    } else {
      this.#unsynced.add(watcher);
    }
    if (parts === undefined) return;
    this.#eventsTotal += parts.length;
    watcher.sink.events(watcher, { revision: this.#view.currentRevision, parts, bytes: concatBytes(parts) });
  }
}

export type WatchOptions = {
  /** 0 = now. */
  readonly startRevision: number;
  readonly filters: number;
  readonly prevKv: boolean;
};

function batchOf(events: readonly PendingEvent[], withPrevious: boolean, revision: number): EventBatch {
  const parts = events.map((event) => (withPrevious ? event.withPrevious! : event.plain!));
  return { revision, parts, bytes: parts.length === 1 ? parts[0]! : concatBytes(parts) };
}

/** For a watcher with filters, or one that starts within the batch. Undefined when nothing is left for it. */
function batchFor(
  watcher: Watcher,
  events: readonly PendingEvent[],
  revision: number,
): EventBatch | undefined {
  const wanted = events.filter(
    (event) => event.revision >= watcher.minRevision && (event.filterBit & watcher.filters) === 0,
  );
  if (wanted.length === 0) return undefined;
  return batchOf(wanted, watcher.prevKv, revision);
}

/** The range of a watch request: an empty key means the least key, an end of one zero byte "everything from there on". */
export function watchRange(key: Uint8Array, end: Uint8Array): WatchRange {
  const start = key.length === 0 ? ("\0" as Key) : keyFromBytes(key);
  return { start, end: end.length === 0 ? undefined : keyFromBytes(end) };
}
