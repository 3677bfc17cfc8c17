// One open file of the log that values are read from: a segment or a run. It knows its page checksums and which of its blocks stand
// in the cache. The block cache, the appender, the scan and reclaim share it; only the appender moves `dataEnd`.
import type { FileNumber } from "../mvcc/contract.ts";
import type { DiskFile } from "../ports/disk.ts";

/** What is read and cached at once. */
export const BLOCK_SHIFT = 16;
export const BLOCK_BYTES = 1 << BLOCK_SHIFT;
/** What one checksum covers: small, because a single value read from a cold block verifies one page, not the block. */
export const PAGE_SHIFT = 12;
export const PAGE_BYTES = 1 << PAGE_SHIFT;
export const PAGES_PER_BLOCK: number = BLOCK_BYTES / PAGE_BYTES;

export type LogFileKind = "segment" | "run";

export class LogFile {
  readonly number: FileNumber;
  readonly kind: LogFileKind;
  readonly disk: DiskFile;
  /** Bytes reserved on disk; 0 for a run. */
  readonly allocatedBytes: number;
  /** Where records and values end: nothing beyond may be read. */
  dataEnd = 0;
  /** The size on disk as far as we made it, for the books. */
  diskBytes = 0;
  sealed = false;
  /** Where the trailer of a sealed file ends; 0 as long as it is not safe on disk, so that no manifest promises it. */
  sealedBytes = 0;
  /** Its values belong to a store that no checkpoint has shown yet: it looks dead and must not go. */
  adopted = false;
  /** Entries in it; 0 when it holds none. */
  firstIndex = 0;
  lastIndex = 0;
  /** crc32 of each complete page (and of the last, shorter one once sealed). */
  pageCrcs: Uint32Array;
  /** Cache slot of each block, or -1. */
  slots: Int32Array;

  constructor(
    number: FileNumber,
    kind: LogFileKind,
    disk: DiskFile,
    allocatedBytes: number,
    sizeBytes: number,
  ) {
    this.number = number;
    this.kind = kind;
    this.disk = disk;
    this.allocatedBytes = allocatedBytes;
    this.diskBytes = sizeBytes;
    const blocks = Math.max(1, Math.ceil(Math.max(allocatedBytes, sizeBytes) / BLOCK_BYTES));
    this.pageCrcs = new Uint32Array(blocks * PAGES_PER_BLOCK);
    this.slots = new Int32Array(blocks).fill(-1);
  }

  /** A segment may outgrow its allocation while the next one is not ready yet. */
  ensureBlock(block: number): void {
    if (block < this.slots.length) return;
    const blocks = Math.max(block + 1, this.slots.length * 2);
    const slots = new Int32Array(blocks).fill(-1);
    slots.set(this.slots);
    this.slots = slots;
    const crcs = new Uint32Array(blocks * PAGES_PER_BLOCK);
    crcs.set(this.pageCrcs);
    this.pageCrcs = crcs;
  }

  pageCount(): number {
    return Math.ceil(this.dataEnd / PAGE_BYTES);
  }
}
