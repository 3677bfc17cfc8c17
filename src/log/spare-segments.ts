// Prepares the next segment before it is needed: created under a temporary name, zero-filled, flushed, then renamed, so that a segment
// has its whole size from the first record on and a put never waits for the file system. It is begun when the segment being written is
// half full: zero-filling competes with the flushes of puts, so it is not done before it is foreseeable that it is needed. Log owns it;
// the appender takes from it.
import type { FileNumber } from "../mvcc/contract.ts";
import type { Clock } from "../ports/clock.ts";
import type { Digest } from "../ports/digest.ts";
import type { Disk } from "../ports/disk.ts";
import { encodeHeader, SEGMENT_MAGIC } from "./format.ts";
import { LogFile } from "./log-file.ts";
import { filePath, TEMPORARY_SUFFIX } from "./paths.ts";

export type SpareOptions = {
  readonly directory: string;
  readonly disk: Disk;
  readonly digest: Digest;
  readonly clock: Clock;
  /** The first segment is small, so that an empty member starts at once; each next one is twice as big, up to the limit of the day. */
  readonly firstBytes: number;
  readonly bytesMax: () => number;
  readonly nextNumber: () => FileNumber;
  /** Called with the error of a failed preparation; true = try once more at once. */
  readonly onFailure: (error: unknown) => Promise<boolean>;
};

/** After a failure; meanwhile the current segment goes on beyond its allocation. */
const RETRY_MILLIS = 2_000;

export class SpareSegments {
  readonly #options: SpareOptions;
  #ready: LogFile | undefined;
  #preparing: Promise<void> | undefined;
  #bytes: number;
  #closed = false;
  #notBefore = 0;

  constructor(options: SpareOptions, ready: LogFile | undefined, largestBytes: number) {
    this.#options = options;
    this.#ready = ready;
    this.#bytes = largestBytes === 0 ? options.firstBytes : largestBytes * 2;
  }

  get ready(): boolean {
    return this.#ready !== undefined;
  }

  /** One is being made. */
  get busy(): boolean {
    return this.#preparing !== undefined;
  }

  /** The prepared segment, if there is one. The next is begun when this one is half full, or at once when none was ready. */
  take(): LogFile | undefined {
    const file = this.#ready;
    if (file === undefined) {
      void this.prepare();
      return undefined;
    }
    this.#ready = undefined;
    this.#bytes = file.allocatedBytes * 2;
    return file;
  }

  /** Resolves when a segment is ready, or could not be made (onFailure was told). */
  prepare(): Promise<void> {
    if (this.#ready !== undefined || this.#closed) return Promise.resolve();
    if (this.#options.clock.now() < this.#notBefore) return Promise.resolve();
    this.#preparing ??= this.#prepare().finally(() => {
      this.#preparing = undefined;
    });
    return this.#preparing;
  }

  /** There may be room again. */
  retry(): void {
    this.#notBefore = 0;
    void this.prepare();
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#preparing;
    await this.#ready?.disk.close();
    this.#ready = undefined;
  }

  async #prepare(): Promise<void> {
    for (let attempt = 0; attempt < 2; attempt++) {
      const bytes = Math.min(this.#bytes, this.#options.bytesMax());
      try {
        this.#ready = await this.#make(this.#options.nextNumber(), bytes);
        return;
      } catch (error) {
        if (!(await this.#options.onFailure(error))) break;
        // What the reserve gave back is not much.
        this.#bytes = this.#options.firstBytes;
      }
    }
    this.#notBefore = this.#options.clock.now() + RETRY_MILLIS;
  }

  async #make(number: FileNumber, bytes: number): Promise<LogFile> {
    const { directory, disk, digest } = this.#options;
    const path = filePath(directory, number, "segment");
    const temporary = path + TEMPORARY_SUFFIX;
    const made = await disk.open(temporary, "create");
    try {
      const header = { magic: SEGMENT_MAGIC, file: number, allocatedBytes: bytes };
      await made.write([encodeHeader(header, digest.crc32)], 0);
      await made.allocate(bytes);
      await made.sync();
      await made.close();
      await disk.rename(temporary, path);
      await disk.syncDirectory(directory);
    } catch (error) {
      await made.close();
      if (await disk.exists(temporary)) await disk.remove(temporary);
      throw error;
    }
    return new LogFile(number, "segment", await disk.open(path, "write"), bytes, bytes);
  }
}
