// The window of MsgApp messages sent to a follower and not yet acknowledged, limited in messages and in bytes. A ring buffer
// that grows on demand, because most members never fill their window. Owned by a Progress; nobody else changes it.
import { assert } from "../../base/assert.ts";

export class Inflights {
  readonly #messagesMax: number;
  /** 0 = no limit. Soft: the message that crosses it is still sent. */
  readonly #bytesMax: number;
  /** Last index of each message, and its bytes: two columns of one ring. */
  #indexes: number[] = [];
  #sizes: number[] = [];
  #start = 0;
  #count = 0;
  #bytes = 0;

  constructor(messagesMax: number, bytesMax: number) {
    this.#messagesMax = messagesMax;
    this.#bytesMax = bytesMax;
  }

  get count(): number {
    return this.#count;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get full(): boolean {
    return this.#count === this.#messagesMax || (this.#bytesMax !== 0 && this.#bytes >= this.#bytesMax);
  }

  /** Notes a message whose last entry is `index`. Indexes must not fall, and the window must not be full. */
  add(index: number, bytes: number): void {
    assert(!this.full, "cannot add into a Full inflights");
    if (this.#count === this.#indexes.length) this.#grow();
    const at = (this.#start + this.#count) % this.#indexes.length;
    this.#indexes[at] = index;
    this.#sizes[at] = bytes;
    this.#count++;
    this.#bytes += bytes;
  }

  /** Forgets all messages whose last index is at most `index`: the follower has them. */
  freeTo(index: number): void {
    const capacity = this.#indexes.length;
    while (this.#count > 0 && this.#indexes[this.#start]! <= index) {
      this.#bytes -= this.#sizes[this.#start]!;
      this.#start = (this.#start + 1) % capacity;
      this.#count--;
    }
    if (this.#count === 0) this.#start = 0;
  }

  reset(): void {
    this.#start = 0;
    this.#count = 0;
    this.#bytes = 0;
  }

  clone(): Inflights {
    const copy = new Inflights(this.#messagesMax, this.#bytesMax);
    copy.#indexes = this.#indexes.slice();
    copy.#sizes = this.#sizes.slice();
    copy.#start = this.#start;
    copy.#count = this.#count;
    copy.#bytes = this.#bytes;
    return copy;
  }

  #grow(): void {
    const capacity = this.#indexes.length;
    const indexes: number[] = [];
    const sizes: number[] = [];
    for (let i = 0; i < capacity; i++) {
      indexes.push(this.#indexes[(this.#start + i) % capacity]!);
      sizes.push(this.#sizes[(this.#start + i) % capacity]!);
    }
    const room = Math.min(Math.max(1, capacity * 2), this.#messagesMax);
    for (let i = capacity; i < room; i++) {
      indexes.push(0);
      sizes.push(0);
    }
    this.#indexes = indexes;
    this.#sizes = sizes;
    this.#start = 0;
  }
}
