// Virtual time. Events wait in a heap; the runner pops one with step(), then drains all microtasks, then pops the next: nothing ever
// runs at the same time as anything else, and a minute of history costs as long as its work. A process sees the clock through
// attach(): when it dies, nothing that it waited for happens any more.
import type { Millis } from "../base/brand.ts";
import { Heap } from "../base/heap.ts";
import type { Clock, Timer } from "../ports/clock.ts";

type Event = {
  at: number;
  /** Events of one time happen in the order in which they were asked for. */
  readonly order: number;
  readonly life: Life | undefined;
  callback: (() => void) | undefined;
};

/** `held`: what was due while the process is stopped. Until `busyUntil` its thread does something, and hears nothing. */
type Life = { alive: boolean; held: Event[] | undefined; busyUntil: number };

/** The clock as one process sees it. */
export type ProcessClock = Clock & {
  kill(): void;
  /** The process is busy for so long: for itself time has gone on already, and what is due meanwhile is late. */
  spend(millis: number): void;
  /** SIGSTOP: nothing happens in this process, however late it gets. */
  pause(): void;
  /** SIGCONT: everything that was due happens now. */
  goOn(): void;
};

/** What makes one machine's clock differ from the true time: it goes so many times as fast, and its wall clock was set wrong. */
export type Quartz = { readonly rate: number; wallSkewMillis: number };

const GOOD_QUARTZ: Quartz = { rate: 1, wallSkewMillis: 0 };

/** 2026-01-01 in UTC: what the wall shows when a simulation begins. */
const WALL_START_MILLIS = 1_767_225_600_000;

export class SimClock implements Clock {
  readonly #events = new Heap<Event>((a, b) => (a.at === b.at ? a.order < b.order : a.at < b.at));
  #now = 0;
  #order = 0;

  now(): Millis {
    return this.#now as Millis;
  }

  wall(): Millis {
    return Math.floor(WALL_START_MILLIS + this.#now) as Millis;
  }

  after(delay: Millis, callback: () => void): Timer {
    return this.#push(this.#now + Math.max(0, delay), undefined, callback);
  }

  endOfTurn(callback: () => void): void {
    this.#push(this.#now, undefined, callback);
  }

  yield(): Promise<void> {
    return new Promise((resolve) => this.endOfTurn(resolve));
  }

  /** The clock of a process on a machine whose own clock may go wrong. */
  attach(quartz: Quartz = GOOD_QUARTZ): ProcessClock {
    const life: Life = { alive: true, held: undefined, busyUntil: 0 };
    const { rate } = quartz;
    const present = (): number => Math.max(this.#now, life.busyUntil);
    const push = (delay: number, callback: () => void): Timer =>
      this.#push(present() + Math.max(0, delay) / rate, life, callback);
    return {
      now: () => (present() * rate) as Millis,
      wall: () => Math.floor(this.wall() + present() * rate - this.#now + quartz.wallSkewMillis) as Millis,
      spend: (millis) => {
        life.busyUntil = present() + millis;
      },
      after: push,
      endOfTurn: (callback) => void push(0, callback),
      yield: () => new Promise((resolve) => push(0, resolve)),
      kill: () => {
        life.alive = false;
      },
      pause: () => {
        life.held ??= [];
      },
      goOn: () => {
        const held = life.held ?? [];
        life.held = undefined;
        for (const event of held) this.#events.push(event);
      },
    };
  }

  /** Lets the next thing happen. False when nothing is left to happen. */
  step(): boolean {
    for (;;) {
      const event = this.#events.pop();
      if (event === undefined) return false;
      const { callback, life } = event;
      if (callback === undefined || life?.alive === false) continue;
      if (life?.held !== undefined) {
        life.held.push(event);
        continue;
      }
      if (life !== undefined && event.at < life.busyUntil) {
        event.at = life.busyUntil;
        this.#events.push(event);
        continue;
      }
      this.#now = Math.max(this.#now, event.at);
      callback();
      return true;
    }
  }

  #push(at: number, life: Life | undefined, callback: () => void): Timer {
    const event: Event = { at, order: this.#order++, life, callback };
    this.#events.push(event);
    return {
      cancel: () => {
        event.callback = undefined;
      },
    };
  }
}
