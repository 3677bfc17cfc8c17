// What happens when the device is full: a reserve file is given back so that what is in flight can finish, the member is told (it
// raises NOSPACE and takes no more writes), and free space is watched until the reserve can be made again. Owned by Log.

import { type Millis, millis } from "../base/brand.ts";
import { errorText } from "../base/error-text.ts";
import type { Clock, Timer } from "../ports/clock.ts";
import type { Disk } from "../ports/disk.ts";
import type { Logger } from "../ports/logger.ts";
import { isDiskErrorCode } from "./errors.ts";
import { RESERVE_NAME } from "./paths.ts";

const WATCH_MILLIS: Millis = millis(2_000);
/** The reserve grows only while so many times its new size is free. */
const GROWTH_ROOM = 4;

export type SpaceOptions = {
  readonly directory: string;
  readonly disk: Disk;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly reserveBytes: number;
  /** Room that must be free besides the reserve before the device counts as usable again. */
  readonly wantedBytes: () => number;
  readonly onSpace: (full: boolean) => void;
};

export class Space {
  readonly #options: SpaceOptions;
  readonly #path: string;
  #reserveBytes: number;
  #full = false;
  #held = false;
  #growing = false;
  #timer: Timer | undefined;
  #closed = false;
  #waiting: (() => void)[] = [];
  #working: Promise<void> = Promise.resolve();

  constructor(options: SpaceOptions) {
    this.#options = options;
    this.#reserveBytes = options.reserveBytes;
    this.#path = `${options.directory}/${RESERVE_NAME}`;
  }

  get full(): boolean {
    return this.#full;
  }

  /** Makes the reserve if it is not there; in the background, a start does not wait for it. */
  start(): void {
    this.#working = this.#makeReserve().then((made) => {
      if (!made) this.#becomeFull();
    });
  }

  /** A bigger log wants a bigger reserve, if there is plenty of room; a shrinking one keeps what it has. In the background. */
  reserve(bytes: number): void {
    if (bytes <= this.#reserveBytes || this.#full || !this.#held || this.#growing) return;
    this.#growing = true;
    this.#working = this.#growReserve(bytes).finally(() => {
      this.#growing = false;
    });
  }

  /** A write found no room. True when the reserve was given back, so that trying again may help. */
  async release(): Promise<boolean> {
    this.#becomeFull();
    await this.#working;
    if (!this.#held) return false;
    this.#held = false;
    try {
      await this.#options.disk.remove(this.#path);
      return true;
    } catch (error) {
      this.#options.logger.error("could not release the reserve", { error: errorText(error) });
      return false;
    }
  }

  /** Resolves after the next look for free space. After close() nobody looks any more, and who waits is forgotten. */
  nextLook(): Promise<void> {
    if (!this.#full) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#timer?.cancel();
    await this.#working;
  }

  #becomeFull(): void {
    if (this.#full) return;
    this.#full = true;
    this.#options.logger.warn("no space left on the device; writes are refused until there is", {
      directory: this.#options.directory,
    });
    this.#options.onSpace(true);
    this.#watch();
  }

  #watch(): void {
    if (this.#closed) return;
    this.#timer = this.#options.clock.after(WATCH_MILLIS, () => {
      this.#working = this.#look();
    });
  }

  async #look(): Promise<void> {
    const { disk, directory, wantedBytes } = this.#options;
    let back = false;
    try {
      const missing = this.#held ? 0 : this.#reserveBytes;
      back = (await disk.freeBytes(directory)) >= missing + wantedBytes() && (await this.#makeReserve());
    } catch (error) {
      this.#options.logger.warn("could not look for free space", { error: errorText(error) });
    }
    if (this.#closed) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
    if (!back) return this.#watch();
    this.#full = false;
    this.#options.logger.info("there is space on the device again", { directory });
    this.#options.onSpace(false);
  }

  async #growReserve(bytes: number): Promise<void> {
    const { disk, directory } = this.#options;
    try {
      if ((await disk.freeBytes(directory)) < GROWTH_ROOM * bytes) return;
      const file = await disk.open(this.#path, "write");
      try {
        await file.allocate(bytes);
        this.#reserveBytes = bytes;
      } catch (error) {
        await file.truncate(this.#reserveBytes);
        throw error;
      } finally {
        await file.close();
      }
    } catch (error) {
      this.#options.logger.warn("could not make the reserve bigger", { error: errorText(error) });
    }
  }

  /** True when the reserve stands with its full size. */
  async #makeReserve(): Promise<boolean> {
    const { disk } = this.#options;
    const reserveBytes = this.#reserveBytes;
    if (this.#held) return true;
    try {
      const file = await disk.open(this.#path, "write");
      try {
        if (file.sizeSync() < reserveBytes) await file.allocate(reserveBytes);
      } finally {
        await file.close();
      }
      this.#held = true;
      return true;
    } catch (error) {
      if (!isDiskErrorCode(error, "ENOSPC")) {
        this.#options.logger.warn("could not make the reserve", { error: errorText(error) });
      }
      // A part of a reserve takes room and helps nobody.
      await disk.remove(this.#path).catch(() => undefined);
      return !isDiskErrorCode(error, "ENOSPC");
    }
  }
}
