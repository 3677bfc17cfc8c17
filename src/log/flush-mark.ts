// How far the log was flushed a moment ago: one small record, overwritten in place at most once a second and never flushed itself.
// The appender tells it of every flush, recovery reads it. It lags on purpose: a flush whose answers may still be on their way is not
// one that anybody relies on, and is judged by its shape. Exact when the log is idle or closed. It survives a killed process; a power
// cut may leave an older one, which is true as well. It must never name a place that was not safe before.

import { type Millis, millis } from "../base/brand.ts";
import { errorText } from "../base/error-text.ts";
import type { FileNumber } from "../mvcc/contract.ts";
import type { Clock, Timer } from "../ports/clock.ts";
import type { Digest } from "../ports/digest.ts";
import type { Disk, DiskFile } from "../ports/disk.ts";
import type { Logger } from "../ports/logger.ts";
import { FORMAT_VERSION, getU32, getU64, putU32, putU64 } from "./format.ts";
import { FLUSH_MARK_NAME } from "./paths.ts";

const MAGIC = 0x4d464e43; // "CNFM"
const MARK_BYTES = 32;
const CRC_AT = MARK_BYTES - 4;
/** A flush is noted when it is one to two of these old. No client takes longer to read an answer and rely on it, then lose it. */
const LAG_MILLIS: Millis = millis(1_000);

/** Everything in the log before this place was flushed. */
export type FlushPlace = { readonly file: number; readonly offset: number };

/** The place that the directory's mark names; undefined when there is none, or a damaged one. */
export async function readFlushMark(
  disk: Disk,
  directory: string,
  digest: Digest,
): Promise<FlushPlace | undefined> {
  const file = await disk.open(`${directory}/${FLUSH_MARK_NAME}`, "read");
  try {
    const bytes = new Uint8Array(MARK_BYTES);
    if ((await file.read(bytes, 0)) < MARK_BYTES) return undefined;
    if (getU32(bytes, 0) !== MAGIC || getU32(bytes, 4) !== FORMAT_VERSION) return undefined;
    if (digest.crc32(bytes.subarray(0, CRC_AT)) !== getU32(bytes, CRC_AT)) return undefined;
    return { file: getU64(bytes, 8), offset: getU64(bytes, 16) };
  } finally {
    await file.close();
  }
}

export type FlushMarkOptions = {
  readonly disk: Disk;
  readonly directory: string;
  readonly digest: Digest;
  readonly clock: Clock;
  readonly logger: Logger;
};

export class FlushMark {
  readonly #options: FlushMarkOptions;
  readonly #disk: DiskFile;
  readonly #bytes = new Uint8Array(MARK_BYTES);
  /** The newest safe place, the one of the last look, and what is written. */
  #latest: FlushPlace;
  #aged: FlushPlace;
  #noted: FlushPlace;
  #timer: Timer | undefined;

  /** `found` is what recovery read; without it the mark is made, or made whole again, and names the begin of `file`. */
  static async open(
    options: FlushMarkOptions,
    found: FlushPlace | undefined,
    file: FileNumber,
  ): Promise<FlushMark> {
    const { disk, directory } = options;
    const handle = await disk.open(`${directory}/${FLUSH_MARK_NAME}`, "write");
    const mark = new FlushMark(options, handle, found ?? { file, offset: 0 });
    if (found === undefined) {
      await handle.write([mark.#encode()], 0);
      await handle.sync();
      await disk.syncDirectory(directory);
    }
    return mark;
  }

  constructor(options: FlushMarkOptions, disk: DiskFile, place: FlushPlace) {
    this.#options = options;
    this.#disk = disk;
    this.#latest = place;
    this.#aged = place;
    this.#noted = place;
  }

  /** Everything before this place is safe. */
  flushed(file: FileNumber, offset: number): void {
    const latest = this.#latest;
    if (file < latest.file || (file === latest.file && offset <= latest.offset)) return;
    this.#latest = { file, offset };
    this.#timer ??= this.#options.clock.after(LAG_MILLIS, this.#look);
  }

  readonly #look = (): void => {
    if (this.#aged !== this.#noted) this.#note(this.#aged);
    this.#aged = this.#latest;
    const behind = this.#latest !== this.#noted;
    this.#timer = behind ? this.#options.clock.after(LAG_MILLIS, this.#look) : undefined;
  };

  /** A mark that cannot be written stays behind, which is no lie. */
  #note(place: FlushPlace): void {
    this.#noted = place;
    try {
      this.#disk.writeSync([this.#encode()], 0);
    } catch (error) {
      const fields = { path: this.#disk.path, error: errorText(error) };
      this.#options.logger.warn("could not note how far the log was flushed", fields);
    }
  }

  #encode(): Uint8Array {
    const bytes = this.#bytes;
    putU32(bytes, 0, MAGIC);
    putU32(bytes, 4, FORMAT_VERSION);
    putU64(bytes, 8, this.#noted.file);
    putU64(bytes, 16, this.#noted.offset);
    putU32(bytes, CRC_AT, this.#options.digest.crc32(bytes.subarray(0, CRC_AT)));
    return bytes;
  }

  /** Nothing is on its way any more: what is safe can be noted at once. */
  async close(): Promise<void> {
    this.#timer?.cancel();
    if (this.#latest !== this.#noted) this.#note(this.#latest);
    await this.#disk.close();
  }
}
