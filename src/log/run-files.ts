// The runs that one writer makes: written and flushed beside the writer, kept together or removed together. It decides nothing of what they
// hold, and they must never count before a manifest names them.
import type { FileNumber } from "../mvcc/contract.ts";
import type { Digest } from "../ports/digest.ts";
import type { Disk } from "../ports/disk.ts";
import { Behind } from "./behind.ts";
import {
  END_BYTE,
  encodeHeader,
  encodeSeal,
  encodeTrailer,
  FRAME_BYTES,
  HEADER_BYTES,
  placeSeed,
  putFrame,
  putU32,
  RecordKind,
  RUN_MAGIC,
  TRAILER_BYTES,
} from "./format.ts";
import { LogFile } from "./log-file.ts";
import { filePath } from "./paths.ts";

/** Writes, and flushes of finished runs, that may wait for the disk: four megabytes and two runs. */
const WRITES_MAX = 16;
const FLUSHES_MAX = 2;

export type RunFileOptions = {
  readonly directory: string;
  readonly disk: Disk;
  readonly digest: Digest;
  readonly nextNumber: () => FileNumber;
};

export class RunFiles {
  readonly #options: RunFileOptions;
  readonly #finished: LogFile[] = [];
  /** Of all runs, finished or not. */
  readonly #files: LogFile[] = [];
  readonly #writes = new Behind(WRITES_MAX);
  readonly #flushes = new Behind(FLUSHES_MAX);

  constructor(options: RunFileOptions) {
    this.#options = options;
  }

  /** Has the disk do this behind what it was given before. */
  add(write: () => Promise<void>): void {
    this.#writes.add(write);
  }

  /** Within a write: makes the file, of about so many bytes. */
  async create(number: FileNumber, bytes: number): Promise<LogFile> {
    const { directory, disk } = this.#options;
    const handle = await disk.open(filePath(directory, number, "run"), "create");
    const file = new LogFile(number, "run", handle, 0, bytes);
    this.#files.push(file);
    return file;
  }

  /** Within a write: the run ends at `end`, with the checksums of its pages. It is flushed beside the next writes. */
  async seal(file: LogFile, end: number): Promise<void> {
    await writeSeal(file, end, this.#options.digest);
    this.#flushes.add(async () => {
      await file.disk.sync();
      this.#finished.push(file);
    });
  }

  /** Waits while too much is behind. */
  async drain(): Promise<void> {
    await this.#writes.room();
    await this.#flushes.room();
    this.#check();
  }

  /** All runs are flushed, and their names too, when it returns. */
  async finish(): Promise<LogFile[]> {
    await this.#settled();
    this.#check();
    if (this.#finished.length > 0) await this.#options.disk.syncDirectory(this.#options.directory);
    return this.#finished;
  }

  /** Removes what was written: after a failure. */
  async discard(): Promise<void> {
    await this.#settled();
    for (const { disk } of this.#files) {
      await disk.close();
      await this.#options.disk.remove(disk.path);
    }
  }

  async #settled(): Promise<void> {
    await this.#writes.settled();
    await this.#flushes.settled();
  }

  #check(): void {
    const failure = this.#writes.failure ?? this.#flushes.failure;
    if (failure !== undefined) throw failure.error;
  }
}

export function runHeader(number: FileNumber, digest: Digest): Uint8Array {
  return encodeHeader({ magic: RUN_MAGIC, file: number, allocatedBytes: 0 }, digest.crc32);
}

async function writeSeal(file: LogFile, end: number, digest: Digest): Promise<void> {
  file.dataEnd = end;
  file.sealed = true;
  const seal = encodeSeal({
    firstIndex: 0,
    lastIndex: 0,
    next: 0,
    pageCrcs: file.pageCrcs.subarray(0, file.pageCount()),
  });
  const seed = placeSeed(file.number, end);
  putFrame(seal, 0, seed, seal.length - FRAME_BYTES + 1, HEADER_BYTES, RecordKind.Seal);
  const last = Uint8Array.of(END_BYTE);
  putU32(seal, 0, digest.crc32(last, digest.crc32(seal.subarray(4), seed)));
  const trailer = encodeTrailer(RUN_MAGIC, file.number, end, digest.crc32);
  await file.disk.write([seal, last, trailer], end);
  file.diskBytes = end + seal.length + 1 + TRAILER_BYTES;
  file.sealedBytes = file.diskBytes;
}
