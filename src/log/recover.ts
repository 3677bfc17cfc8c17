// Opens what a data directory holds: manifest, sealed segments and runs by their footers, and the tail record by record. It only
// reads: whatever is wrong, the directory stays as it was. What must be put right (a torn flush to cut, leftovers to remove) is
// returned as a list for Log.start.
import type { Index, Term } from "../base/brand.ts";
import { hexFromBytes } from "../base/bytes.ts";
import type { Digest } from "../ports/digest.ts";
import type { Disk, DiskFile } from "../ports/disk.ts";
import type { HardState, Identity } from "./contract.ts";
import { EntryTable } from "./entry-table.ts";
import { CorruptionError, LogOpenError } from "./errors.ts";
import { type FlushPlace, readFlushMark } from "./flush-mark.ts";
import { openFile, readSeal } from "./footer.ts";
import {
  ENTRY_DATA_OFFSET,
  getBig,
  getU64,
  HEADER_BYTES,
  putBig,
  RecordKind,
  TRAILER_BYTES,
} from "./format.ts";
import { type ImageHead, readImageHead } from "./image.ts";
import { BLOCK_SHIFT, type LogFile, PAGE_BYTES } from "./log-file.ts";
import { type Manifest, readManifest } from "./manifest.ts";
import { FLUSH_MARK_NAME, filePath, parseName, TEMPORARY_SUFFIX } from "./paths.ts";
import { type ScanResult, scanRecords } from "./scan.ts";
import { judgeTail } from "./tail.ts";

export type RecoverOptions = {
  readonly directory: string;
  readonly disk: Disk;
  readonly digest: Digest;
  readonly expected: Identity | undefined;
};

export type Recovered = {
  readonly manifest: Manifest | undefined;
  /** What the index image begins with, when there is one. */
  readonly image: ImageHead | undefined;
  readonly identity: Identity | undefined;
  readonly hardState: HardState | undefined;
  readonly table: EntryTable;
  /** All segments and runs that hold values or entries, without `active` and `spare`. */
  readonly files: LogFile[];
  /** The segment to go on with; empty (dataEnd 0) when its predecessor had just been sealed. */
  readonly active: LogFile | undefined;
  /** The segment sealed before an empty `active`, or 0. */
  readonly previous: number;
  readonly spare: LogFile | undefined;
  /** How far the log was flushed when somebody was last told so. */
  readonly flushMark: FlushPlace | undefined;
  /** Bytes of a flush nobody was told of: zeroed, and a shortened file made whole, before writing goes on. */
  readonly cut: { readonly file: LogFile; readonly from: number; readonly to: number } | undefined;
  /** Sealed segments not yet shortened to their size. */
  readonly untrimmed: { readonly file: LogFile; readonly size: number }[];
  /** Paths of leftovers of a crash. */
  readonly leftovers: string[];
  readonly nextFile: number;
};

export function hexOfId(id: bigint): string {
  const bytes = new Uint8Array(8);
  putBig(bytes, 0, id);
  return hexFromBytes(bytes.reverse());
}

export async function recover(options: RecoverOptions): Promise<Recovered> {
  return await new Recovery(options).run();
}

class Recovery {
  readonly #options: RecoverOptions;
  readonly #opened: DiskFile[] = [];
  #manifest: Manifest | undefined;
  #image: ImageHead | undefined;
  #identity: Identity | undefined;
  #hardState: HardState | undefined;
  #table = new EntryTable(0, 0);
  #files: LogFile[] = [];
  #active: LogFile | undefined;
  #spare: LogFile | undefined;
  #previous = 0;
  /** The segment that the last sealed one names as its successor, or 0. */
  #successor = 0;
  #flushMark: FlushPlace | undefined;
  #cut: Recovered["cut"];
  #untrimmed: { file: LogFile; size: number }[] = [];
  #leftovers: string[] = [];
  #nextFile = 1;

  constructor(options: RecoverOptions) {
    this.#options = options;
  }

  async run(): Promise<Recovered> {
    try {
      await this.#run();
    } catch (error) {
      for (const file of this.#opened) await file.close();
      throw error;
    }
    return {
      manifest: this.#manifest,
      image: this.#image,
      identity: this.#identity,
      hardState: this.#hardState,
      table: this.#table,
      files: this.#files,
      active: this.#active,
      previous: this.#previous,
      spare: this.#spare,
      flushMark: this.#flushMark,
      cut: this.#cut,
      untrimmed: this.#untrimmed,
      leftovers: this.#leftovers,
      nextFile: this.#nextFile,
    };
  }

  async #run(): Promise<void> {
    const { directory, disk, digest, expected } = this.#options;
    const names = await disk.list(directory);
    const manifest = await readManifest(disk, directory, digest);
    this.#manifest = manifest;
    if (manifest !== undefined) {
      this.#checkCluster(BigInt(`0x${manifest.clusterId}`), expected);
      this.#table = new EntryTable(manifest.startIndex, manifest.startTerm);
      this.#nextFile = manifest.nextFile;
    }
    if (names.includes(FLUSH_MARK_NAME)) this.#flushMark = await readFlushMark(disk, directory, digest);
    const segments = this.#sort(names, manifest);
    for (const { file, bytes } of manifest?.runs ?? []) await this.#openRun(file, bytes);
    if (manifest !== undefined && manifest.image !== 0) {
      this.#image = await readImageHead(
        disk,
        filePath(directory, manifest.image, "image"),
        manifest.image,
        digest,
      );
    }
    for (const number of segments) {
      const replayed = manifest === undefined || number >= manifest.replayFile;
      await this.#openSegment(number, replayed);
    }
    this.#checkEnd(manifest);
  }

  /** Sorts names into segments to open, in order, and leftovers; opens the runs. */
  #sort(names: readonly string[], manifest: Manifest | undefined): number[] {
    const { directory } = this.#options;
    const segments: number[] = [];
    const found = new Set<string>(names);
    for (const { file } of manifest?.segments ?? []) this.#mustExist(found, file, "segment");
    for (const { file } of manifest?.runs ?? []) this.#mustExist(found, file, "run");
    if (manifest !== undefined && manifest.image !== 0) this.#mustExist(found, manifest.image, "image");
    for (const name of names) {
      if (name.endsWith(TEMPORARY_SUFFIX)) this.#leftovers.push(`${directory}/${name}`);
      const parsed = parseName(name);
      if (parsed === undefined) continue;
      this.#nextFile = Math.max(this.#nextFile, parsed.number + 1);
      const wanted =
        parsed.kind === "segment"
          ? manifest === undefined ||
            parsed.number >= manifest.replayFile ||
            manifest.segments.some(({ file }) => file === parsed.number)
          : parsed.kind === "run"
            ? manifest?.runs.some(({ file }) => file === parsed.number)
            : manifest?.image === parsed.number;
      if (wanted !== true) this.#leftovers.push(`${directory}/${name}`);
      else if (parsed.kind === "segment") segments.push(parsed.number);
    }
    return segments.sort((a, b) => a - b);
  }

  #mustExist(found: ReadonlySet<string>, number: number, kind: "segment" | "run" | "image"): void {
    const path = filePath(this.#options.directory, number, kind);
    if (!found.has(path.slice(this.#options.directory.length + 1))) {
      throw new CorruptionError(path, 0, "the manifest names this file, but it is missing");
    }
  }

  async #openSegment(number: number, replayed: boolean): Promise<void> {
    const { directory, disk, digest } = this.#options;
    const handle = await disk.open(filePath(directory, number, "segment"), "write");
    this.#opened.push(handle);
    const file = await openFile(handle, "segment", number, digest);
    const listed = this.#manifest?.segments.find((one) => one.file === number)?.bytes ?? 0;
    // A seal that no manifest promises may be all that a crash kept of the last flush: only what stands before it says whether it counts.
    const trailer =
      listed > 0 && listed <= file.diskBytes ? await readSeal(file, digest, listed, true) : undefined;
    if (trailer === undefined && (listed > 0 || !replayed))
      throw this.#corrupt(file, listed, "the segment's footer is missing");
    if (trailer !== undefined && file.diskBytes > listed) this.#untrimmed.push({ file, size: listed });
    if (!replayed) {
      this.#files.push(file);
      return;
    }
    if (this.#active !== undefined) return await this.#checkUnused(file);
    if (this.#successor !== 0 && number !== this.#successor) {
      throw new CorruptionError(filePath(directory, this.#successor, "segment"), 0, "the segment is missing");
    }
    const result = await scanRecords(
      handle,
      number,
      digest,
      (kind, bytes, start, end, offset) => this.#visit(file, kind, bytes, start, end, offset),
      trailer === undefined ? file.pageCrcs : undefined,
    );
    if (trailer !== undefined) {
      if (result.sealOffset !== trailer.offset) throw this.#corrupt(file, result.end, "a record is bad");
      this.#closeSealed(file, trailer.next);
    } else await this.#openTail(file, result);
  }

  async #openRun(number: number, size: number): Promise<void> {
    const { directory, disk, digest } = this.#options;
    const handle = await disk.open(filePath(directory, number, "run"), "read");
    this.#opened.push(handle);
    const file = await openFile(handle, "run", number, digest);
    if (file.diskBytes !== size) throw this.#corrupt(file, file.diskBytes, `the file had ${size} bytes`);
    const seal = await readSeal(file, digest, size, true);
    if (seal === undefined) throw this.#corrupt(file, size, "the run's footer is missing");
    this.#files.push(file);
  }

  #closeSealed(file: LogFile, next: number): void {
    this.#successor = next;
    this.#previous = file.number;
    this.#files.push(file);
  }

  /** A segment without a footer at its end: the newest one, or one that was sealed just before the crash. */
  async #openTail(file: LogFile, result: ScanResult): Promise<void> {
    const { digest } = this.#options;
    let end = result.end;
    if (result.sealOffset >= 0) {
      const size = result.end + TRAILER_BYTES;
      const seal = await readSeal(file, digest, size, false);
      if (seal !== undefined) {
        this.#untrimmed.push({ file, size });
        this.#closeSealed(file, seal.next);
        return;
      }
      // The flush that sealed it is torn: nobody was told of it, and the next segment is still empty.
      end = result.sealOffset;
    }
    const allocatedBytes = file.allocatedBytes;
    const flushed = this.#flushedIn(file, end);
    const tailEnd = await judgeTail(
      { file: file.disk, number: file.number, end, flushed, allocatedBytes },
      digest,
    );
    if (tailEnd > end || file.diskBytes < allocatedBytes) this.#cut = { file, from: end, to: tailEnd };
    this.#active = file;
    if (end === HEADER_BYTES) {
      file.dataEnd = 0;
      return;
    }
    file.dataEnd = end;
    file.ensureBlock(end >>> BLOCK_SHIFT);
    const partial = end % PAGE_BYTES;
    if (partial > 0) {
      const page = new Uint8Array(partial);
      await file.disk.read(page, end - partial);
      file.pageCrcs[(end - partial) / PAGE_BYTES] = digest.crc32(page);
    }
  }

  /** How far this segment, in which the log breaks off, was flushed for certain; undefined when nothing is known. */
  #flushedIn(file: LogFile, end: number): number | undefined {
    const mark = this.#flushMark;
    if (mark === undefined) return undefined;
    if (mark.file > file.number) {
      throw this.#corrupt(
        file,
        end,
        `the segment breaks off, but file ${mark.file} behind it had been flushed`,
      );
    }
    return mark.file === file.number ? mark.offset : 0;
  }

  /** Behind the newest segment only a prepared, unused one may follow. */
  async #checkUnused(file: LogFile): Promise<void> {
    const result = await scanRecords(file.disk, file.number, this.#options.digest, () => {}, undefined);
    if (result.end > HEADER_BYTES) {
      const broken = this.#active!;
      throw this.#corrupt(broken, broken.dataEnd, "the segment breaks off, but a later one has records");
    }
    const whole = file.diskBytes >= file.allocatedBytes;
    if (this.#spare === undefined && whole && (await isZero(file.disk, HEADER_BYTES))) this.#spare = file;
    else {
      this.#leftovers.push(file.disk.path);
      await file.disk.close();
    }
  }

  #visit(
    file: LogFile,
    kind: RecordKind,
    bytes: Uint8Array,
    start: number,
    end: number,
    offset: number,
  ): void {
    switch (kind) {
      case RecordKind.Metadata:
        this.#visitMetadata(file, bytes, start, offset);
        break;
      case RecordKind.Entry:
        this.#visitEntry(file, bytes, start, end, offset);
        break;
      case RecordKind.HardState:
        this.#hardState = {
          term: getU64(bytes, start) as HardState["term"],
          vote: getBig(bytes, start + 8),
          commit: getU64(bytes, start + 16) as HardState["commit"],
        };
        break;
      case RecordKind.Seal:
        break;
    }
  }

  #visitMetadata(file: LogFile, bytes: Uint8Array, start: number, offset: number): void {
    const identity: Identity = {
      memberId: getBig(bytes, start) as Identity["memberId"],
      clusterId: getBig(bytes, start + 8) as Identity["clusterId"],
    };
    this.#checkCluster(identity.clusterId, this.#options.expected);
    const known = this.#identity;
    if (
      known !== undefined &&
      (known.memberId !== identity.memberId || known.clusterId !== identity.clusterId)
    ) {
      throw this.#corrupt(file, offset, "the segment belongs to another member");
    }
    const previous = getU64(bytes, start + 16);
    if (this.#manifest === undefined && known === undefined && previous !== 0) {
      throw new CorruptionError(
        `${this.#options.directory}/MANIFEST`,
        0,
        "the manifest is missing, although the oldest segment is not the first one",
      );
    }
    if (this.#previous !== 0 && previous !== this.#previous) {
      throw this.#corrupt(file, offset, `the segment follows file ${previous}, not ${this.#previous}`);
    }
    this.#identity = identity;
  }

  #visitEntry(file: LogFile, bytes: Uint8Array, start: number, end: number, offset: number): void {
    const index = getU64(bytes, start + 9);
    if (file.firstIndex === 0) file.firstIndex = index;
    file.lastIndex = Math.max(file.lastIndex, index);
    const manifest = this.#manifest;
    if (manifest !== undefined && file.number === manifest.replayFile && offset < manifest.replayOffset)
      return;
    const table = this.#table;
    if (index <= table.startIndex) return;
    if (index > table.lastIndex + 1) {
      throw this.#corrupt(file, offset, `entry ${index} follows entry ${table.lastIndex}`);
    }
    const at = offset + ENTRY_DATA_OFFSET;
    table.put(index, getU64(bytes, start + 1), bytes[start]!, file.number, at, end - start - 17);
  }

  #checkEnd(manifest: Manifest | undefined): void {
    const { directory } = this.#options;
    this.#hardState = atLeast(this.#hardState, this.#table.startIndex, this.#table.startTerm);
    const mark = this.#flushMark;
    if (this.#active === undefined && this.#successor === 0 && mark !== undefined) {
      throw new CorruptionError(filePath(directory, mark.file, "segment"), 0, "the segment is missing");
    }
    if (this.#active === undefined && this.#successor !== 0) {
      throw new CorruptionError(filePath(directory, this.#successor, "segment"), 0, "the segment is missing");
    }
    if (manifest !== undefined && this.#table.lastIndex < manifest.appliedIndex) {
      throw new CorruptionError(
        filePath(directory, manifest.replayFile, "segment"),
        0,
        `the log ends at entry ${this.#table.lastIndex}, before entry ${manifest.appliedIndex}, which was applied`,
      );
    }
  }

  #checkCluster(clusterId: bigint, expected: Identity | undefined): void {
    if (expected === undefined || expected.clusterId === clusterId) return;
    throw new LogOpenError(
      "other-cluster",
      this.#options.directory,
      `${this.#options.directory} belongs to cluster ${hexOfId(clusterId)}, not to ${hexOfId(expected.clusterId)}; ` +
        "point --data-dir to this member's own directory, or to an empty one to join anew",
    );
  }

  #corrupt(file: LogFile, offset: number, reason: string): CorruptionError {
    return new CorruptionError(file.disk.path, offset, reason);
  }
}

/**
 * A killed process may have written, and made files, that it had not flushed yet. They were read back as good, so others will be told of
 * them, and what is appended next may stand in another file: they have to be safe first.
 */
export async function makeSafe(
  { manifest, files, active }: Recovered,
  disk: Disk,
  directory: string,
): Promise<void> {
  const safe = new Set(manifest?.segments.filter(({ bytes }) => bytes > 0).map(({ file }) => file));
  for (const file of files)
    if (file.kind === "segment" && file !== active && !safe.has(file.number)) await file.disk.sync();
  await active?.disk.sync();
  await disk.syncDirectory(directory);
}

async function isZero(file: DiskFile, from: number): Promise<boolean> {
  const chunk = new Uint8Array(Math.min(1 << 20, Math.ceil((file.sizeSync() + 1) / PAGE_BYTES) * PAGE_BYTES));
  const words = new Int32Array(chunk.buffer);
  for (let at = from; ; at += chunk.length) {
    const read = await file.read(chunk, at);
    chunk.fill(0, read);
    for (let i = 0; i < words.length; i++) if (words[i] !== 0) return false;
    if (read < chunk.length) return true;
  }
}

/**
 * A snapshot was installed, and the crash came before the hard state that goes with it. What it holds is committed, and a member that has
 * entries of a term has been in that term; it voted for nobody there, or that would be on the disk.
 */
function atLeast(state: HardState | undefined, index: Index, term: Term): HardState | undefined {
  if (index === 0) return state;
  if (state === undefined || state.term < term) return { term, vote: 0n, commit: index };
  return state.commit < index ? { ...state, commit: index } : state;
}
