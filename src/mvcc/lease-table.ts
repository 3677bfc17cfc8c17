// Lease ids of rows, each once, with a count of the rows that name it, so that a row spends four bytes. Used by the store's
// write path, compaction and restore; it does not know whether a lease exists (src/lease does). Index 0 is "no lease".
import { type LeaseId, NO_LEASE } from "../base/brand.ts";

const BUCKETS = 256;

export class LeaseTable {
  /** By index. */
  readonly ids: LeaseId[] = [NO_LEASE];
  readonly #counts: number[] = [0];
  readonly #free: number[] = [];
  /** Many small maps, because one big one stops the world when it grows. */
  readonly #buckets: (Map<LeaseId, number> | undefined)[] = new Array(BUCKETS).fill(undefined);

  /** The index of `id`, counted once more. */
  retain(id: LeaseId): number {
    if (id === NO_LEASE) return 0;
    const bucket = this.#bucketOf(id);
    let index = bucket.get(id);
    if (index === undefined) {
      index = this.#free.pop() ?? this.ids.length;
      this.ids[index] = id;
      this.#counts[index] = 0;
      bucket.set(id, index);
    }
    this.#counts[index]!++;
    return index;
  }

  /** Takes over the ids of a checkpoint by index; adopt() counts their rows, seal() frees those without any. */
  restore(ids: readonly LeaseId[]): void {
    for (let index = 1; index < ids.length; index++) {
      const id = ids[index]!;
      this.ids[index] = id;
      this.#counts[index] = 0;
      if (id !== NO_LEASE) this.#bucketOf(id).set(id, index);
    }
  }

  adopt(index: number): void {
    this.#counts[index]!++;
  }

  seal(): void {
    for (let index = 1; index < this.ids.length; index++) {
      if (this.#counts[index] !== 0) continue;
      this.#bucketOf(this.ids[index]!).delete(this.ids[index]!);
      this.ids[index] = NO_LEASE;
      this.#free.push(index);
    }
  }

  release(index: number): void {
    if (index === 0 || --this.#counts[index]! > 0) return;
    this.#bucketOf(this.ids[index]!).delete(this.ids[index]!);
    this.ids[index] = NO_LEASE;
    this.#free.push(index);
  }

  #bucketOf(id: LeaseId): Map<LeaseId, number> {
    const number = Number(BigInt.asUintN(8, id));
    let bucket = this.#buckets[number];
    if (bucket === undefined) {
      bucket = new Map();
      this.#buckets[number] = bucket;
    }
    return bucket;
  }
}
