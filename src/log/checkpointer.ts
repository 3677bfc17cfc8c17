// Checkpoints: the index image, then the manifest that names it, then the removal of what neither names. One at a time, beside running
// traffic. The member says what the state is (CheckpointInput) and when (see `due`); reclaim and snapshot installs end with one.

import { assert } from "../base/assert.ts";
import type { Index, Term } from "../base/brand.ts";
import { errorText } from "../base/error-text.ts";
import type { Clock } from "../ports/clock.ts";
import type { Digest } from "../ports/digest.ts";
import type { Disk } from "../ports/disk.ts";
import type { Logger } from "../ports/logger.ts";
import type { CheckpointInput, CheckpointMeta, Identity, ImageSource, WrittenImage } from "./contract.ts";
import type { EntryTable } from "./entry-table.ts";
import type { FileSet } from "./file-set.ts";
import { ENTRY_DATA_OFFSET } from "./format.ts";
import { writeImage } from "./image.ts";
import type { LogFile } from "./log-file.ts";
import { type FileEntry, type Manifest, writeManifest } from "./manifest.ts";
import { filePath } from "./paths.ts";
import { hexOfId } from "./recover.ts";

/** Less log than this behind the last checkpoint is replayed faster than an image is worth. */
const CHECKPOINT_LOG_BYTES_MIN = 16 << 20;
/** An image as small as this may be written as often as entries ask for it. */
const SMALL_IMAGE_BYTES = 1 << 20;

export type CheckpointerOptions = {
  readonly directory: string;
  readonly disk: Disk;
  readonly digest: Digest;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly table: EntryTable;
  readonly files: FileSet;
  readonly identity: Identity;
  readonly nextNumber: () => number;
  readonly peekNumber: () => number;
  /** The segment being written, and where its next record will stand. */
  readonly tail: () => { file: LogFile; position: number };
  /** Resolves when everything staged is safe: a manifest never runs ahead of the log. */
  readonly flushed: () => Promise<void>;
  /** Bytes appended since the log was opened. */
  readonly appendedBytes: () => number;
  /** A checkpoint is due behind more entries than this (etcd's --snapshot-count), too, unless its image outweighs them. */
  readonly checkpointEntries: number;
  /** Entries kept below the applied one, for followers that lag (etcd's --snapshot-catchup-entries), and their bytes. */
  readonly catchUpEntries: number;
  readonly catchUpBytesMax: () => number;
  /** Bytes of entries kept for members that are being sent a snapshot. */
  readonly keptBytesMax: () => number;
};

/** A snapshot from the leader: it replaces the log up to its index. */
export type SnapshotPoint = { readonly index: Index; readonly term: Term };
type Install = SnapshotPoint & { readonly installed: (() => void) | undefined };

export class Checkpointer {
  readonly #options: CheckpointerOptions;
  #image: number;
  #imageBytes = 0;
  #sequence: number;
  /** appendedBytes at the last checkpoint; negative at first: what was replayed counts too. */
  #since: number;
  /** The entry of the last checkpoint. */
  #sinceIndex: number;
  /** For each snapshot under way its index: the entries behind it are wanted next. */
  readonly #keepers = new Set<{ readonly index: Index }>();

  constructor(options: CheckpointerOptions, manifest: Manifest | undefined, replayedBytes: number) {
    this.#options = options;
    this.#image = manifest?.image ?? 0;
    this.#sequence = manifest?.sequence ?? 0;
    this.#since = -replayedBytes;
    this.#sinceIndex = manifest?.appliedIndex ?? 0;
  }

  get imageBytes(): number {
    return this.#imageBytes;
  }

  /** Log written since the last checkpoint: what a restart would have to replay. */
  get bytesSince(): number {
    return this.#options.appendedBytes() - this.#since;
  }

  /** An image as big as the log it saves from replay doubles what is written, no more. */
  get due(): boolean {
    const bytes = this.bytesSince;
    if (bytes >= Math.max(CHECKPOINT_LOG_BYTES_MIN, this.#imageBytes)) return true;
    const { table, checkpointEntries } = this.#options;
    if (table.lastIndex - this.#sinceIndex <= checkpointEntries) return false;
    return this.#imageBytes <= Math.max(bytes, SMALL_IMAGE_BYTES);
  }

  /**
   * Writes image and manifest and drops `unneeded` files. With `snapshot` the entries are forgotten and the log goes on behind it;
   * nothing may be appended but hard states until `installed` is called, before any file goes.
   */
  async write(input: CheckpointInput, unneeded: readonly LogFile[], snapshot?: Install): Promise<void> {
    const { directory, disk, digest, files, table } = this.#options;
    const startBytes = this.#options.appendedBytes();
    const image = "next" in input.image ? await this.#writeImage(input, input.image) : input.image;
    this.#imageBytes = image.bytes;
    if (snapshot !== undefined) table.reset(snapshot.index, snapshot.term);
    else table.compactTo(this.startFor(input.appliedIndex));
    const drop = files.files.filter((file) => unneeded.includes(file) && !this.#needed(file));
    try {
      await this.#options.flushed();
      await writeManifest(disk, directory, this.#manifest(input, image.number, drop), digest);
    } catch (error) {
      // The entries are forgotten already: nobody may try again.
      throw snapshot === undefined ? error : new Error(`could not begin the log anew: ${errorText(error)}`);
    }
    const old = this.#image;
    this.#image = image.number;
    this.#since = startBytes;
    this.#sinceIndex = input.appliedIndex;
    snapshot?.installed?.();
    if (old !== 0) await this.#removeImage(old);
    files.retire(drop);
    await files.settled();
  }

  /** What it leaves behind when it fails is nothing. */
  async #writeImage(meta: CheckpointMeta, image: ImageSource): Promise<WrittenImage> {
    const { directory, disk, digest, clock } = this.#options;
    const number = this.#options.nextNumber();
    const path = filePath(directory, number, "image");
    try {
      const file = await disk.open(path, "create");
      let bytes: number;
      try {
        bytes = await writeImage(file, number, meta, image, { digest, clock });
      } finally {
        await file.close();
      }
      await disk.syncDirectory(directory);
      return { number, bytes };
    } catch (error) {
      image.cancel();
      await disk.remove(path).catch(() => undefined);
      throw error;
    }
  }

  /** True when raft still wants entries of this file, or it is being written. */
  #needed(file: LogFile): boolean {
    return !file.sealed || (file.kind === "segment" && file.number >= this.#replayFrom().file.number);
  }

  /** See Log.keepEntriesBehind. */
  keepBehind(index: Index): () => void {
    const keeper = { index };
    this.#keepers.add(keeper);
    return () => this.#keepers.delete(keeper);
  }

  /**
   * The entry behind which a checkpoint at `appliedIndex` keeps the log: at most the entries that etcd keeps for slow followers, and at
   * most so many bytes of them.
   */
  startFor(appliedIndex: number): number {
    const { table, keptBytesMax } = this.#options;
    const start = this.#usualStartFor(appliedIndex);
    if (this.#keepers.size === 0 || table.bytes > keptBytesMax()) return start;
    let kept = start;
    for (const { index } of this.#keepers) kept = Math.min(kept, index);
    return Math.max(table.startIndex, kept);
  }

  #usualStartFor(appliedIndex: number): number {
    const { table, catchUpEntries, catchUpBytesMax } = this.#options;
    const lowest = Math.max(table.startIndex, appliedIndex - catchUpEntries);
    const bytesMax = catchUpBytesMax();
    let bytes = 0;
    for (let index = appliedIndex; index > lowest; index--) {
      bytes += table.lengthOf(index);
      if (bytes > bytesMax) return index;
    }
    return lowest;
  }

  /** Where the first retained entry stands; without one, where the next will. */
  #replayFrom(): { file: LogFile; position: number } {
    const { table, files, tail } = this.#options;
    const first = table.startIndex + 1;
    if (!table.has(first)) return tail();
    const number = table.fileOf(first);
    const file = files.files.find((one) => one.number === number);
    assert(file !== undefined, "a retained entry's file is there");
    return { file, position: table.offsetOf(first) - ENTRY_DATA_OFFSET };
  }

  #manifest(input: CheckpointInput, image: number, drop: readonly LogFile[]): Manifest {
    const { table, files, identity } = this.#options;
    const from = this.#replayFrom();
    const kept = files.files.filter((file) => !drop.includes(file));
    this.#sequence++;
    return {
      sequence: this.#sequence,
      memberId: hexOfId(identity.memberId),
      clusterId: hexOfId(identity.clusterId),
      nextFile: this.#options.peekNumber(),
      image,
      appliedIndex: input.appliedIndex,
      appliedTerm: input.appliedTerm,
      startIndex: table.startIndex,
      startTerm: table.startTerm,
      replayFile: from.file.number,
      replayOffset: from.position,
      segments: kept.filter((file) => file.kind === "segment").map(entryOf),
      runs: kept.filter((file) => file.kind === "run").map(entryOf),
    };
  }

  async #removeImage(number: number): Promise<void> {
    const path = filePath(this.#options.directory, number, "image");
    try {
      await this.#options.disk.remove(path);
    } catch (error) {
      this.#options.logger.warn("could not remove a file", { path, error: errorText(error) });
    }
  }
}

function entryOf(file: LogFile): FileEntry {
  return { file: file.number, bytes: file.sealedBytes };
}
