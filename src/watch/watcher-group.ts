// Watchers by what they watch: one group for each distinct key or range. Watchers of one group see the same events, so what is
// encoded for one is shared by all. Used for the synced watchers and, for the length of one bite, for those that catch up.
import { type Interval, IntervalIndex } from "../base/interval-index.ts";
import type { Key } from "../base/key.ts";

/** What is watched. `end` undefined = the single key; "\0" = every key from `start` on. */
export type WatchRange = { readonly start: Key; readonly end: Key | undefined };

export const OPEN_END = "\0" as Key;

export type Group<W> = {
  readonly range: WatchRange;
  readonly watchers: Set<W>;
  readonly interval: Interval<Group<W>> | undefined;
};

export class WatcherGroups<W extends { readonly range: WatchRange }> {
  readonly #keys = new Map<Key, Group<W>>();
  /** Open end → its groups by start; other ends likewise. Two levels, so that no separator can be mistaken for a key byte. */
  readonly #ranges = new Map<Key, Map<Key, Group<W>>>();
  readonly #index = new IntervalIndex<Group<W>>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  add(watcher: W): Group<W> {
    const group = this.#find(watcher.range) ?? this.#create(watcher.range);
    group.watchers.add(watcher);
    this.#size++;
    return group;
  }

  remove(watcher: W): void {
    const group = this.#find(watcher.range);
    if (group === undefined || !group.watchers.delete(watcher)) return;
    this.#size--;
    if (group.watchers.size === 0) this.#drop(group);
  }

  /** Appends the groups that hold `key` to `out`. */
  match(key: Key, out: Group<W>[]): void {
    const exact = this.#keys.get(key);
    if (exact !== undefined) out.push(exact);
    if (this.#index.size > 0) this.#index.stab(key, out);
  }

  forEachGroup(callback: (group: Group<W>) => void): void {
    for (const group of this.#keys.values()) callback(group);
    for (const byStart of this.#ranges.values()) for (const group of byStart.values()) callback(group);
  }

  #find(range: WatchRange): Group<W> | undefined {
    if (range.end === undefined) return this.#keys.get(range.start);
    return this.#ranges.get(range.end)?.get(range.start);
  }

  #create(range: WatchRange): Group<W> {
    const { start, end } = range;
    if (end === undefined) {
      const group: Group<W> = { range, watchers: new Set(), interval: undefined };
      this.#keys.set(start, group);
      return group;
    }
    const watchers = new Set<W>();
    const group: { range: WatchRange; watchers: Set<W>; interval: Interval<Group<W>> | undefined } = {
      range,
      watchers,
      interval: undefined,
    };
    group.interval = { start, end: end === OPEN_END ? undefined : end, value: group };
    this.#index.add(group.interval);
    let byStart = this.#ranges.get(end);
    if (byStart === undefined) {
      byStart = new Map();
      this.#ranges.set(end, byStart);
    }
    byStart.set(start, group);
    return group;
  }

  #drop(group: Group<W>): void {
    const { start, end } = group.range;
    if (end === undefined) {
      this.#keys.delete(start);
      return;
    }
    const byStart = this.#ranges.get(end);
    byStart?.delete(start);
    if (byStart?.size === 0) this.#ranges.delete(end);
    if (group.interval !== undefined) this.#index.remove(group.interval);
  }
}
