// The files that values are read from, and when one of them may go. A file dropped by the last manifest stays open and on disk until
// everyone who pinned the files before that has let go. Log, checkpoint and reclaim share it.

import { assert } from "../base/assert.ts";
import { errorText } from "../base/error-text.ts";
import type { Disk } from "../ports/disk.ts";
import type { Logger } from "../ports/logger.ts";
import type { BlockCache } from "./block-cache.ts";
import type { LogFile } from "./log-file.ts";

export class FileSet {
  readonly #disk: Disk;
  readonly #cache: BlockCache;
  readonly #logger: Logger;
  readonly #files: LogFile[] = [];
  /** Pins in the order they were taken: the epoch of each, and how many still hold it. */
  readonly #pins = new Map<number, number>();
  #epoch = 0;
  #retired: { file: LogFile; epoch: number }[] = [];
  #removing: Promise<void> = Promise.resolve();

  constructor(disk: Disk, cache: BlockCache, logger: Logger) {
    this.#disk = disk;
    this.#cache = cache;
    this.#logger = logger;
  }

  /** In the order they were added: ascending numbers within a kind. */
  get files(): readonly LogFile[] {
    return this.#files;
  }

  add(file: LogFile): LogFile {
    this.#files.push(file);
    this.#cache.addFile(file);
    return file;
  }

  /** From now on no file goes away until the returned function is called (once). For places kept over a turn. */
  pin(): () => void {
    const epoch = this.#epoch;
    this.#pins.set(epoch, (this.#pins.get(epoch) ?? 0) + 1);
    let held = true;
    return () => {
      assert(held, "a pin is released once");
      held = false;
      const left = this.#pins.get(epoch)! - 1;
      if (left > 0) this.#pins.set(epoch, left);
      else this.#pins.delete(epoch);
      this.#sweep();
    };
  }

  /** No manifest names these any more: they go as soon as no older pin is left. */
  retire(files: readonly LogFile[]): void {
    for (const file of files) {
      const at = this.#files.indexOf(file);
      assert(at >= 0, "a retired file was there");
      this.#files.splice(at, 1);
      this.#retired.push({ file, epoch: this.#epoch });
    }
    this.#epoch++;
    this.#sweep();
  }

  /** Gives the unused end of a sealed segment back. Harmless when it fails: it is done at the next start. */
  trim(file: LogFile, size: number): void {
    file.disk.truncate(size).then(
      () => {
        file.diskBytes = size;
      },
      (error) => {
        this.#logger.warn("could not shorten a segment", { path: file.disk.path, error: errorText(error) });
      },
    );
  }

  /** Resolves when what could go has gone. */
  settled(): Promise<void> {
    return this.#removing;
  }

  async close(): Promise<void> {
    await this.#removing;
    for (const { file } of this.#retired) await file.disk.close();
    for (const file of this.#files) await file.disk.close();
  }

  #sweep(): void {
    if (this.#retired.length === 0) return;
    const oldest = Math.min(...this.#pins.keys());
    const free = this.#retired.filter(({ epoch }) => epoch < oldest);
    if (free.length === 0) return;
    this.#retired = this.#retired.filter(({ epoch }) => epoch >= oldest);
    for (const { file } of free) {
      this.#cache.removeFile(file);
      this.#removing = this.#removing.then(() => this.#remove(file));
    }
  }

  /** A file that cannot be removed now is a leftover that the next start removes. */
  async #remove(file: LogFile): Promise<void> {
    try {
      await file.disk.close();
      await this.#disk.remove(file.disk.path);
    } catch (error) {
      this.#logger.warn("could not remove a file", { path: file.disk.path, error: errorText(error) });
    }
  }
}
