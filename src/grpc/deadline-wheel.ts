// The deadlines of all calls of a server: a wheel of linked lists and one timer, instead of a timer per call. Setting and
// clearing a deadline are a few assignments. It fires up to one tick late, never early. Nothing ticks while no call has one.

import { millis } from "../base/brand.ts";
import type { Clock, Timer } from "../ports/clock.ts";

export const TICK_MS = 16;
const SLOTS = 512;
const SLOT_MASK = SLOTS - 1;

/** What a call brings along: the wheel's links, and what to do. */
export interface Deadlined {
  /** Of the clock's now. */
  deadline: number;
  wheelSlot: number;
  wheelNext: Deadlined | undefined;
  wheelPrevious: Deadlined | undefined;
  deadlinePassed(): void;
}

export class DeadlineWheel {
  readonly #clock: Pick<Clock, "now" | "after">;
  readonly #slots: (Deadlined | undefined)[] = new Array<Deadlined | undefined>(SLOTS).fill(undefined);
  #count = 0;
  /** Ticks up to this one have been looked at. */
  #tick = 0;
  #timer: Timer | undefined = undefined;
  readonly #onTimer: () => void;

  constructor(clock: Pick<Clock, "now" | "after">) {
    this.#clock = clock;
    this.#onTimer = () => {
      this.#timer = undefined;
      this.#advance();
      if (this.#count > 0) this.#arm();
    };
  }

  get size(): number {
    return this.#count;
  }

  add(call: Deadlined): void {
    if (this.#count === 0) this.#tick = Math.floor(this.#clock.now() / TICK_MS);
    const tick = Math.max(Math.ceil(call.deadline / TICK_MS), this.#tick + 1);
    // Further away than one turn of the wheel: it is looked at once each turn until its time has come.
    const slot = tick & SLOT_MASK;
    const first = this.#slots[slot];
    call.wheelSlot = slot;
    call.wheelPrevious = undefined;
    call.wheelNext = first;
    if (first !== undefined) first.wheelPrevious = call;
    this.#slots[slot] = call;
    this.#count++;
    if (this.#timer === undefined) this.#arm();
  }

  remove(call: Deadlined): void {
    if (call.wheelSlot < 0) return;
    if (call.wheelPrevious === undefined) this.#slots[call.wheelSlot] = call.wheelNext;
    else call.wheelPrevious.wheelNext = call.wheelNext;
    if (call.wheelNext !== undefined) call.wheelNext.wheelPrevious = call.wheelPrevious;
    call.wheelSlot = -1;
    call.wheelNext = undefined;
    call.wheelPrevious = undefined;
    this.#count--;
  }

  /** Left armed when the last call goes: a cancelled and a new timer per call would cost more than one idle tick. */
  #arm(): void {
    this.#timer = this.#clock.after(millis(TICK_MS), this.#onTimer);
  }

  #advance(): void {
    const now = this.#clock.now();
    const tick = Math.floor(now / TICK_MS);
    const from = Math.max(this.#tick + 1, tick - SLOTS + 1);
    for (let t = from; t <= tick; t++) this.#expire(t & SLOT_MASK, now);
    this.#tick = tick;
  }

  #expire(slot: number, now: number): void {
    let due: Deadlined[] | undefined;
    for (let call = this.#slots[slot]; call !== undefined; call = call.wheelNext) {
      if (call.deadline > now) continue;
      if (due === undefined) due = [call];
      else due.push(call);
    }
    if (due === undefined) return;
    for (const call of due) {
      if (call.wheelSlot < 0) continue; // another one's end took it along
      this.remove(call);
      call.deadlinePassed();
    }
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }
}
