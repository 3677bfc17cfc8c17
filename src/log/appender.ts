// Writes the log: stages records into blocks of the cache at their final place, then writes and flushes everything staged at once
// (group commit). The member's pump calls it. Nothing is acknowledged here: `done` is called when the bytes are safe, and
// never after a failed flush, whose outcome nobody can know.
import { assert } from "../base/assert.ts";
import type { Index } from "../base/brand.ts";
import { EMPTY } from "../base/bytes.ts";
import type { FileNumber } from "../mvcc/contract.ts";
import type { Clock } from "../ports/clock.ts";
import type { Digest } from "../ports/digest.ts";
import type { BlockCache } from "./block-cache.ts";
import type { Entry, EntryPlace, HardState, Identity, LogWriter } from "./contract.ts";
import type { EntryTable } from "./entry-table.ts";
import { isDiskErrorCode } from "./errors.ts";
import type { FlushMark } from "./flush-mark.ts";
import type { FlushPace } from "./flush-pace.ts";
import {
  END_BYTE,
  ENTRY_DATA_OFFSET,
  ENTRY_OVERHEAD_BYTES,
  encodeHeader,
  encodeSeal,
  encodeTrailer,
  FRAME_BYTES,
  HARD_STATE_BYTES,
  HEADER_BYTES,
  METADATA_BYTES,
  placeSeed,
  putBig,
  putFrame,
  putU32,
  putU64,
  RecordKind,
  SEAL_HEAD_BYTES,
  SEGMENT_MAGIC,
  TRAILER_BYTES,
} from "./format.ts";
import { BLOCK_BYTES, BLOCK_SHIFT, type LogFile, PAGE_BYTES, PAGES_PER_BLOCK } from "./log-file.ts";

const BLOCK_MASK = BLOCK_BYTES - 1;
const END_RECORD: Uint8Array = Uint8Array.of(END_BYTE);

export type AppenderOptions = {
  readonly digest: Digest;
  readonly clock: Clock;
  readonly cache: BlockCache;
  readonly table: EntryTable;
  readonly mark: FlushMark;
  readonly pace: FlushPace;
  /** A new, allocated segment, or undefined while none is ready; then the current one goes on beyond its allocation. */
  readonly takeSpare: () => LogFile | undefined;
  /** Whether something of ours writes megabytes: a flush may then have to wait for them, which the thread that serves clients must not. */
  readonly isDeviceBusy: () => boolean;
  /** The current segment is half full: called after each flush from then on, until the next segment. */
  readonly wantSpare: () => void;
  /** A segment is full, flushed and closed for writing. */
  readonly onSealed: (file: LogFile, bytesOnDisk: number) => void;
  /** The device is full: gives the reserve back or, when that is used up, waits for a while. Resolves when it is worth trying again. */
  readonly onNoSpace: () => Promise<void>;
  readonly onFatal: (error: Error) => void;
};

/** A stretch of one file that one flush writes. */
type Part = { file: LogFile; from: number; to: number; slots: number[]; sealed: boolean };

export class Appender implements LogWriter {
  readonly #options: AppenderOptions;
  readonly #digest: Digest;
  readonly #scratch = new Uint8Array(128);
  #file: LogFile;
  #identity: Identity | undefined;
  #hardState: HardState | undefined;
  /** Where the next record goes. */
  #position: number;
  /** Where the next flush begins; also what the records staged now carry as their batch. */
  #issued: number;
  #buffer: Uint8Array = EMPTY;
  /** Pinned blocks of the current file: the one that holds #issued and those after it. */
  #slots: number[] = [];
  /** Full segments whose last bytes are staged, waiting for the flush. */
  #sealedParts: Part[] = [];
  #flushing = false;
  /** What the asynchronous flush under way writes, and what flushSync wrote behind it: their blocks stay pinned until it ends. */
  #inFlight: Part[] = [];
  #behind: Part[] = [];
  #failed = false;
  #waiting: (() => void)[] = [];
  #stagedBytes = 0;
  #appendedBytes = 0;
  writtenMillis = 0;

  /** Goes on writing `file` at its dataEnd. */
  constructor(
    options: AppenderOptions,
    file: LogFile,
    identity: Identity | undefined,
    hardState: HardState | undefined,
  ) {
    this.#options = options;
    this.#digest = options.digest;
    this.#file = file;
    this.#identity = identity;
    this.#hardState = hardState;
    this.#position = Math.max(file.dataEnd, HEADER_BYTES);
    this.#issued = this.#position;
    this.#openBlock(true);
  }

  get file(): LogFile {
    return this.#file;
  }

  get identity(): Identity | undefined {
    return this.#identity;
  }

  get hardState(): HardState | undefined {
    return this.#hardState;
  }

  get flushing(): boolean {
    return this.#flushing;
  }

  get failed(): boolean {
    return this.#failed;
  }

  get prefersSync(): boolean {
    // Beyond the allocation a write may find no room, and giving the reserve back takes the asynchronous way.
    return (
      !this.#flushing &&
      !this.#options.isDeviceBusy() &&
      this.#options.pace.prefersInline(this.#stagedBytes) &&
      this.#position <= this.#file.allocatedBytes
    );
  }

  /** Bytes staged since the log was opened. */
  get appendedBytes(): number {
    return this.#appendedBytes;
  }

  /** Bytes staged and not yet safe. */
  get unflushedBytes(): number {
    return this.#stagedBytes;
  }

  /** Names the member and its cluster at the head of an empty segment, which follows `previous` (0 = none). */
  begin(identity: Identity, previous: number): void {
    assert(this.#identity === undefined, "a log is begun once");
    this.#identity = identity;
    this.#stageHead(previous);
  }

  append(entries: readonly Entry[], hardState: HardState | undefined): void {
    assert(this.#identity !== undefined, "a log is begun before it is appended to");
    for (let i = 0; i < entries.length; i++) this.#stageEntry(entries[i]!);
    if (hardState !== undefined) {
      this.#hardState = hardState;
      this.#stageHardState(hardState);
    }
  }

  placeOf(index: Index): EntryPlace {
    const table = this.#options.table;
    return { file: table.fileOf(index) as FileNumber, offset: table.offsetOf(index) };
  }

  /** Where the next record goes: what stands before it in this file is older. */
  get position(): number {
    return this.#position;
  }

  /** Ends the current segment now, if a next one is ready. */
  rotate(): boolean {
    if (this.#position === HEADER_BYTES) return false;
    const next = this.#options.takeSpare();
    if (next === undefined) return false;
    this.#seal(next);
    return true;
  }

  /**
   * Overtakes an asynchronous flush (a checkpoint may have one under way): its bytes are written once more, the same to the same
   * place, and flushed before ours, because the batch of our records says that all before them is safe.
   */
  flushSync(): void {
    if (this.#failed) return;
    const started = this.#options.clock.now();
    const parts = this.#issue();
    if (parts.length === 0 && !this.#flushing) return;
    try {
      this.writtenMillis = 0;
      for (const part of this.#inFlight) this.#writeSync(part);
      for (const part of parts) this.#writeSync(part);
    } catch (error) {
      this.#fail(error);
      throw error;
    }
    this.#options.mark.flushed(this.#file.number, this.#issued);
    if (this.#flushing) {
      this.#behind.push(...parts);
      return;
    }
    this.#options.pace.noteInline(this.#options.clock.now() - started);
    this.#finish(parts);
  }

  #writeSync(part: Part): void {
    const started = this.#options.clock.now();
    part.file.disk.writeSync(this.#chunksOf(part), part.from);
    this.writtenMillis += this.#options.clock.now() - started;
    part.file.disk.syncSync();
  }

  flush(done: () => void): void {
    if (this.#failed) return;
    this.#waiting.push(done);
    if (!this.#flushing) void this.#run();
  }

  async #run(): Promise<void> {
    this.#flushing = true;
    const waiting = this.#waiting;
    this.#waiting = [];
    const started = this.#options.clock.now();
    const parts = this.#issue();
    const file = this.#file.number;
    const issued = this.#issued;
    const bytes = this.#stagedBytes;
    this.#inFlight = parts;
    try {
      // Never calls back before flush() has returned, even with nothing to do.
      if (parts.length === 0) await Promise.resolve();
      let writtenMillis = 0;
      for (const part of parts) {
        const began = this.#options.clock.now();
        await this.#write(part);
        writtenMillis += this.#options.clock.now() - began;
        await part.file.disk.sync();
      }
      this.writtenMillis = writtenMillis;
    } catch (error) {
      this.#fail(error);
      return;
    }
    this.#options.mark.flushed(file, issued);
    const behind = this.#behind;
    this.#inFlight = [];
    this.#behind = [];
    if (parts.length > 0) this.#options.pace.notePooled(this.#options.clock.now() - started, bytes);
    this.#finish([...parts, ...behind]);
    this.#flushing = false;
    if (this.#waiting.length > 0) void this.#run();
    try {
      for (const done of waiting) done();
    } catch (error) {
      // What is safe is applied at once, which reads: a device that gives nothing back ends the member as one that takes nothing does.
      this.#fail(error);
    }
  }

  /**
   * Room may be missing only beyond the allocation; the reserve is there for that. When that is used up nothing is acknowledged until
   * there is room: what is not flushed yet has no outcome that could be in doubt.
   */
  async #write(part: Part): Promise<void> {
    const chunks = this.#chunksOf(part);
    for (;;) {
      try {
        await part.file.disk.write(chunks, part.from);
        return;
      } catch (error) {
        if (!isDiskErrorCode(error, "ENOSPC")) throw error;
        await this.#options.onNoSpace();
      }
    }
  }

  #fail(error: unknown): void {
    this.#failed = true;
    this.#options.onFatal(error instanceof Error ? error : new Error(String(error)));
  }

  /** Takes everything staged for a flush; what is staged from now on belongs to the next one. */
  #issue(): Part[] {
    const parts = this.#sealedParts;
    this.#sealedParts = [];
    if (this.#position > this.#issued) {
      parts.push({
        file: this.#file,
        from: this.#issued,
        to: this.#position,
        slots: this.#slots.slice(),
        sealed: false,
      });
      // Complete blocks belong to the flush from here on; the last one stays ours.
      this.#slots.splice(0, (this.#position >>> BLOCK_SHIFT) - (this.#issued >>> BLOCK_SHIFT));
      this.#issued = this.#position;
    }
    return parts;
  }

  #chunksOf(part: Part): Uint8Array[] {
    const chunks: Uint8Array[] = [];
    const base = part.from >>> BLOCK_SHIFT;
    for (let at = part.from; at < part.to; ) {
      const block = at >>> BLOCK_SHIFT;
      const end = Math.min(part.to, (block + 1) * BLOCK_BYTES);
      const start = at & BLOCK_MASK;
      chunks.push(this.#options.cache.buffer(part.slots[block - base]!).subarray(start, start + end - at));
      at = end;
    }
    return chunks;
  }

  #finish(parts: readonly Part[]): void {
    for (const part of parts) {
      const complete = part.sealed
        ? part.slots.length
        : (part.to >>> BLOCK_SHIFT) - (part.from >>> BLOCK_SHIFT);
      for (let i = 0; i < complete; i++) this.#options.cache.unpin(part.slots[i]!);
      this.#stagedBytes -= part.to - part.from;
      part.file.diskBytes = Math.max(part.file.diskBytes, part.to);
      if (!part.sealed) continue;
      part.file.sealedBytes = part.to;
      this.#options.onSealed(part.file, part.to);
    }
    if (2 * this.#position > this.#file.allocatedBytes) this.#options.wantSpare();
  }

  #stageEntry(entry: Entry): void {
    const length = entry.data.length;
    const need = ENTRY_OVERHEAD_BYTES + length;
    this.#makeRoom(need);
    const offset = this.#position;
    const at = offset & BLOCK_MASK;
    const file = this.#file;
    if (at + need < BLOCK_BYTES) {
      const buffer = this.#buffer;
      const seed = placeSeed(file.number, offset);
      putFrame(buffer, at, seed, need - FRAME_BYTES, this.#issued, RecordKind.Entry);
      buffer[at + 17] = entry.type;
      putU64(buffer, at + 18, entry.term);
      putU64(buffer, at + 26, entry.index);
      buffer.set(entry.data, at + ENTRY_DATA_OFFSET);
      buffer[at + need - 1] = END_BYTE;
      putU32(buffer, at, this.#digest.crc32(buffer.subarray(at + 4, at + need), seed));
      this.#position = offset + need;
      this.#stagedBytes += need;
      this.#appendedBytes += need;
      file.dataEnd = this.#position;
    } else {
      const head = this.#scratch;
      head[17] = entry.type;
      putU64(head, 18, entry.term);
      putU64(head, 26, entry.index);
      this.#stageRecord(RecordKind.Entry, ENTRY_DATA_OFFSET, entry.data);
    }
    if (file.firstIndex === 0) file.firstIndex = entry.index;
    if (entry.index > file.lastIndex) file.lastIndex = entry.index;
    this.#options.table.put(
      entry.index,
      entry.term,
      entry.type,
      file.number,
      offset + ENTRY_DATA_OFFSET,
      length,
    );
  }

  #stageHardState(state: HardState): void {
    this.#makeRoom(FRAME_BYTES + HARD_STATE_BYTES + 1);
    putU64(this.#scratch, FRAME_BYTES, state.term);
    putBig(this.#scratch, FRAME_BYTES + 8, state.vote);
    putU64(this.#scratch, FRAME_BYTES + 16, state.commit);
    this.#stageRecord(RecordKind.HardState, FRAME_BYTES + HARD_STATE_BYTES, EMPTY);
  }

  /** What every segment begins with, so that older ones can go: who we are, where we come from, what we voted. */
  #stageHead(previous: number): void {
    const identity = this.#identity!;
    putBig(this.#scratch, FRAME_BYTES, identity.memberId);
    putBig(this.#scratch, FRAME_BYTES + 8, identity.clusterId);
    putU64(this.#scratch, FRAME_BYTES + 16, previous);
    putU64(this.#scratch, FRAME_BYTES + 24, this.#options.table.lastIndex + 1);
    this.#stageRecord(RecordKind.Metadata, FRAME_BYTES + METADATA_BYTES, EMPTY);
    if (this.#hardState !== undefined) this.#stageHardState(this.#hardState);
  }

  /** Frames what stands in scratch (up to `headBytes`) and `data`, and copies it to its place, across blocks where needed. */
  #stageRecord(kind: RecordKind, headBytes: number, data: Uint8Array): void {
    const head = this.#scratch;
    const seed = placeSeed(this.#file.number, this.#position);
    putFrame(head, 0, seed, headBytes - FRAME_BYTES + data.length + 1, this.#issued, kind);
    let crc = this.#digest.crc32(head.subarray(4, headBytes), seed);
    if (data.length > 0) crc = this.#digest.crc32(data, crc);
    putU32(head, 0, this.#digest.crc32(END_RECORD, crc));
    this.#put(head.subarray(0, headBytes));
    this.#put(data);
    this.#put(END_RECORD);
    if (kind !== RecordKind.Seal) this.#file.dataEnd = this.#position;
  }

  #put(bytes: Uint8Array): void {
    this.#stagedBytes += bytes.length;
    this.#appendedBytes += bytes.length;
    for (let done = 0; done < bytes.length; ) {
      const at = this.#position & BLOCK_MASK;
      const count = Math.min(bytes.length - done, BLOCK_BYTES - at);
      this.#buffer.set(count === bytes.length ? bytes : bytes.subarray(done, done + count), at);
      this.#position += count;
      done += count;
      if ((this.#position & BLOCK_MASK) === 0) {
        if (!this.#file.sealed) this.#closePages(this.#position - BLOCK_BYTES, this.#position);
        this.#openBlock(false);
      }
    }
  }

  #openBlock(first: boolean): void {
    const { cache } = this.#options;
    const block = this.#position >>> BLOCK_SHIFT;
    const file = this.#file;
    const slot = first && file.dataEnd > 0 ? cache.adoptBlock(file, block) : cache.takeBlock(file, block);
    this.#buffer = cache.buffer(slot);
    this.#slots.push(slot);
    if (first && file.dataEnd === 0) {
      this.#buffer.set(
        encodeHeader(
          { magic: SEGMENT_MAGIC, file: file.number, allocatedBytes: file.allocatedBytes },
          this.#digest.crc32,
        ),
      );
      file.dataEnd = HEADER_BYTES;
    }
  }

  /** Takes the checksums of the pages in [from, to): `from` begins a block. */
  #closePages(from: number, to: number): void {
    const { pageCrcs } = this.#file;
    let page = (from >>> BLOCK_SHIFT) * PAGES_PER_BLOCK;
    for (let at = 0; at < to - from; at += PAGE_BYTES, page++) {
      pageCrcs[page] = this.#digest.crc32(this.#buffer.subarray(at, Math.min(at + PAGE_BYTES, to - from)));
    }
  }

  #makeRoom(need: number): void {
    const file = this.#file;
    const sealBytes = FRAME_BYTES + SEAL_HEAD_BYTES + file.pageCrcs.length * 4 + 1 + TRAILER_BYTES;
    if (this.#position + need + sealBytes <= file.allocatedBytes) return;
    // A record that no segment can hold stands alone in one, beyond its allocation.
    if (file.firstIndex === 0) return;
    this.rotate();
  }

  /** Closes the current segment with its page checksums and goes on in `next`. */
  #seal(next: LogFile): void {
    const file = this.#file;
    const sealOffset = this.#position;
    this.#closePages(sealOffset - (sealOffset & BLOCK_MASK), sealOffset);
    file.sealed = true;
    const pages = file.pageCount();
    const seal = encodeSeal({
      firstIndex: file.firstIndex,
      lastIndex: file.lastIndex,
      next: next.number,
      pageCrcs: file.pageCrcs.subarray(0, pages),
    });
    this.#scratch.set(seal.subarray(FRAME_BYTES, FRAME_BYTES + SEAL_HEAD_BYTES), FRAME_BYTES);
    this.#stageRecord(
      RecordKind.Seal,
      FRAME_BYTES + SEAL_HEAD_BYTES,
      seal.subarray(FRAME_BYTES + SEAL_HEAD_BYTES),
    );
    this.#put(encodeTrailer(SEGMENT_MAGIC, file.number, sealOffset, this.#digest.crc32));
    this.#sealedParts.push({
      file,
      from: this.#issued,
      to: this.#position,
      slots: this.#slots,
      sealed: true,
    });
    this.#slots = [];
    this.#file = next;
    this.#position = HEADER_BYTES;
    this.#issued = HEADER_BYTES;
    this.#openBlock(true);
    this.#stageHead(file.number);
  }
}
