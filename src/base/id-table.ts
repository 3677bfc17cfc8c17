// What is under way, by number: the streams of a connection, the proposals of a member. A hundred thousand come and go in a second, so
// it is built for the collector. With a Map in its place three MB of every sixteen survived each collection of the young
// generation (a Map leaves an old table, with all that stood in it, behind each time it changes its size), and the pauses were
// three to five times as long. Here a table is only replaced to grow, and a deleted value is let go of at once.

const SLOTS_MIN = 8;
/** An empty table with more slots than this gives them back. */
const SLOTS_KEPT = 4096;
/** 2^32 by the golden ratio: neighbours are spread. */
const SPREAD = 0x9e3779b1;

/** Open addressing, at most half full. Numbers are taken as 32 bits; `seed` keeps a peer that chooses them from foreseeing their places. */
export class IdTable<T extends object> {
  readonly #seed: number;
  #keys: number[] = [];
  #values: (T | undefined)[] = [];
  #mask = 0;
  /** How far a spread number is shifted to make a slot. */
  #shift = 0;
  #size = 0;

  constructor(seed = 0) {
    this.#seed = seed | 0;
    this.#make(SLOTS_MIN);
  }

  get size(): number {
    return this.#size;
  }

  get(id: number): T | undefined {
    return this.#values[this.#slotOf(id | 0)];
  }

  /** Adds a value whose number is not there, or takes the place of the one that is. */
  set(id: number, value: T): void {
    const key = id | 0;
    let slot = this.#slotOf(key);
    if (this.#values[slot] === undefined) {
      if (++this.#size * 2 > this.#mask) {
        this.#grow();
        slot = this.#slotOf(key);
      }
      this.#keys[slot] = key;
    }
    this.#values[slot] = value;
  }

  /** Returns what was there. */
  delete(id: number): T | undefined {
    const values = this.#values;
    const slot = this.#slotOf(id | 0);
    const value = values[slot];
    if (value === undefined) return undefined;
    this.#size--;
    if (this.#size === 0 && this.#mask >= SLOTS_KEPT) this.#make(SLOTS_MIN);
    else this.#close(slot);
    return value;
  }

  /** A list of the caller's own, in no order. */
  values(): T[] {
    const all: T[] = [];
    for (const value of this.#values) if (value !== undefined) all.push(value);
    return all;
  }

  clear(): void {
    this.#size = 0;
    this.#make(SLOTS_MIN);
  }

  /** Where the number stands, or the free slot where it would. */
  #slotOf(key: number): number {
    const keys = this.#keys;
    const values = this.#values;
    let slot = this.#homeOf(key);
    while (values[slot] !== undefined && keys[slot] !== key) slot = (slot + 1) & this.#mask;
    return slot;
  }

  #homeOf(key: number): number {
    return Math.imul(key ^ this.#seed, SPREAD) >>> this.#shift;
  }

  /** Empties a slot, and moves up what stands behind it only because the slot was taken. */
  #close(slot: number): void {
    const keys = this.#keys;
    const values = this.#values;
    const mask = this.#mask;
    let free = slot;
    for (let next = (free + 1) & mask; values[next] !== undefined; next = (next + 1) & mask) {
      const home = this.#homeOf(keys[next]!);
      if (((next - home) & mask) < ((next - free) & mask)) continue;
      keys[free] = keys[next]!;
      values[free] = values[next];
      free = next;
    }
    values[free] = undefined;
  }

  #make(slots: number): void {
    this.#keys = new Array<number>(slots).fill(0);
    this.#values = new Array<T | undefined>(slots).fill(undefined);
    this.#mask = slots - 1;
    this.#shift = Math.clz32(this.#mask);
  }

  #grow(): void {
    const keys = this.#keys;
    const values = this.#values;
    this.#make(2 * values.length);
    for (let from = 0; from < values.length; from++) {
      const value = values[from];
      if (value === undefined) continue;
      const slot = this.#slotOf(keys[from]!);
      this.#keys[slot] = keys[from]!;
      this.#values[slot] = value;
    }
  }
}
