// One file of the simulated disk: what a reader sees, and what would be left after a power loss. Used by disk.ts only.
import type { Random } from "../ports/random.ts";

/** What reaches the platter as a whole or not at all. */
export const SECTOR_BYTES = 512;

export class Inode {
  data: Uint8Array = new Uint8Array(0);
  size = 0;
  #durable: Uint8Array = new Uint8Array(0);
  #durableSize = 0;
  readonly #dirty = new Set<number>();

  write(bytes: Uint8Array, position: number): void {
    const end = position + bytes.length;
    this.#grow(end);
    this.data.set(bytes, position);
    this.size = Math.max(this.size, end);
    for (let s = Math.floor(position / SECTOR_BYTES); s * SECTOR_BYTES < end; s++) this.#dirty.add(s);
  }

  truncate(size: number): void {
    this.#grow(size);
    if (size < this.size) this.data.fill(0, size, this.size);
    this.size = size;
    // A shorter file forgets what stood beyond; when that becomes durable is as undecided as a write.
    this.#dirty.add(Math.floor(size / SECTOR_BYTES));
  }

  /** Zeros that are durable at once, as allocate promises. */
  extend(size: number): void {
    this.#grow(size);
    this.size = Math.max(this.size, size);
    this.sync();
  }

  /** The sectors that a flush which begins now is about. */
  dirty(): ReadonlySet<number> {
    return new Set(this.#dirty);
  }

  /** Makes `sectors` durable, or all: a flush owes nothing to what was written after it began. */
  sync(sectors: ReadonlySet<number> = new Set(this.#dirty)): void {
    if (this.#durable.length < this.size) {
      const larger = new Uint8Array(this.data.length);
      larger.set(this.#durable.subarray(0, this.#durableSize));
      this.#durable = larger;
    }
    if (this.size < this.#durableSize) this.#durable.fill(0, this.size, this.#durableSize);
    for (const sector of sectors) {
      this.#copySector(sector);
      this.#dirty.delete(sector);
    }
    this.#durableSize = this.size;
  }

  /** After a power loss: each unsynced sector is there or not, as the dice say; a longer size only as far as a sector needs it. */
  crash(random: Random, keepNone: boolean): void {
    const kept: number[] = [];
    for (const sector of this.#dirty) if (!keepNone && random.below(2) === 1) kept.push(sector);
    let size = this.#durableSize;
    for (const sector of kept) size = Math.max(size, Math.min(this.size, (sector + 1) * SECTOR_BYTES));
    const data = new Uint8Array(size);
    data.set(this.#durable.subarray(0, Math.min(size, this.#durableSize)));
    for (const sector of kept) {
      const from = sector * SECTOR_BYTES;
      data.set(this.data.subarray(from, Math.min(from + SECTOR_BYTES, this.size, size)), from);
    }
    this.data = data;
    this.size = size;
    this.#durable = data.slice();
    this.#durableSize = size;
    this.#dirty.clear();
  }

  /** Changes one bit, on the platter too. */
  flip(offset: number, bit: number): void {
    this.data[offset] = this.data[offset]! ^ (1 << bit);
    if (offset < this.#durableSize) this.#durable[offset] = this.data[offset]!;
  }

  #copySector(sector: number): void {
    const from = sector * SECTOR_BYTES;
    const to = Math.min(from + SECTOR_BYTES, this.size);
    if (to > from) this.#durable.set(this.data.subarray(from, to), from);
  }

  #grow(size: number): void {
    if (size <= this.data.length) return;
    const larger = new Uint8Array(
      Math.max(size, Math.min(2 * this.data.length, this.data.length + (1 << 20))),
    );
    larger.set(this.data.subarray(0, this.size));
    this.data = larger;
  }
}
