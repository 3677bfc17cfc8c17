// Reads etcd's write-ahead log: frames, the rolling checksum over all segments, and the rules for its torn end. Pure over the
// segments' bytes. Callers: the importer of data directories and etcdutl migrate. It never repairs a file.
import { must } from "../base/assert.ts";
import { copyBytes, equalBytes } from "../base/bytes.ts";
import { crc32c } from "../base/crc32c.ts";
import { FormatError, malformed } from "../base/format-error.ts";
import type { ByteSource } from "../bbolt/reader.ts";
import { DecodeError } from "../wire/decode-error.ts";
import { decodeEntry, decodeHardState, type Entry, type HardState } from "../wire/generated/raftpb.ts";
import { decodeMetadata, type Metadata } from "../wire/generated/wal-metadata.ts";
import {
  decodeRecord,
  decodeSnapshot,
  type Snapshot,
  type Record as WalRecord,
} from "../wire/generated/walpb.ts";
import { RecordType } from "./wal-record.ts";

export type WalSegment = { readonly name: string; readonly source: ByteSource };

/** What is wrong with a segment, and where. */
export class WalError extends Error {
  override readonly name = "WalError";
  readonly segment: string;
  readonly offset: number;
  constructor(segment: string, offset: number, reason: string) {
    super(reason);
    this.segment = segment;
    this.offset = offset;
  }
}

const FRAME_BYTES = 8;
/** A disk writes sectors whole: a sector of zeros inside the last record tells a torn write from rot. */
const SECTOR_BYTES = 512;

type Step = "record" | "end" | "torn";

/** Walks the records of segments, one after the other. */
class WalDecoder {
  readonly #segments: readonly WalSegment[];
  #segment = 0;
  #bytes: Uint8Array | undefined;
  #crc = 0;
  /** Behind the last valid record of the segment. */
  offset = 0;
  record: WalRecord = { type: 0, crc: 0, data: new Uint8Array(0) };

  constructor(segments: readonly WalSegment[]) {
    this.#segments = segments;
  }

  get name(): string {
    return this.#segments[Math.min(this.#segment, this.#segments.length - 1)]!.name;
  }

  get #isLast(): boolean {
    return this.#segment >= this.#segments.length - 1;
  }

  /** Reads the next record into `record`, the checksum records included, whose work is done here. */
  next(): Step {
    for (;;) {
      const segment = this.#segments[this.#segment];
      if (segment === undefined) return "end";
      this.#bytes ??= segment.source.read(0, segment.source.size);
      const left = this.#bytes.length - this.offset;
      if (left === 0 || (left >= FRAME_BYTES && this.#isZeroFrame())) {
        this.#segment++;
        this.#bytes = undefined;
        this.offset = 0;
        continue;
      }
      return this.#frame(this.#bytes, left);
    }
  }

  #isZeroFrame(): boolean {
    const bytes = this.#bytes!;
    for (let i = 0; i < FRAME_BYTES; i++) if (bytes[this.offset + i] !== 0) return false;
    return true;
  }

  #frame(bytes: Uint8Array, left: number): Step {
    if (left < FRAME_BYTES) return this.#torn("the file ends inside of a frame");
    const at = this.offset;
    let size = 0;
    for (let i = 6; i >= 0; i--) size = size * 256 + bytes[at + i]!;
    const top = bytes[at + 7]!;
    const padding = (top & 0x80) !== 0 ? top & 0x07 : 0;
    if (size + padding > left - FRAME_BYTES)
      return this.#torn("a record is longer than what is left of the file");
    const start = at + FRAME_BYTES;
    const end = start + size + padding;
    const record = this.#decode(bytes, start, start + size);
    if (record === undefined) return this.#broken(bytes, start, end, "a record cannot be decoded");
    if (record.type === RecordType.Crc) {
      // A checksum of 0 is a decoder's that has read nothing yet.
      if (this.#crc !== 0 && record.crc !== this.#crc)
        this.#fail("the checksum does not continue the segment before");
      this.#crc = record.crc;
    } else {
      const crc = crc32c(record.data, this.#crc);
      if (crc !== record.crc) return this.#broken(bytes, start, end, "a record's checksum does not match");
      this.#crc = crc;
    }
    this.offset = end;
    this.record = record;
    return "record";
  }

  #decode(bytes: Uint8Array, start: number, end: number): WalRecord | undefined {
    try {
      return decodeRecord(bytes, start, end);
    } catch (error) {
      if (error instanceof DecodeError) return undefined;
      throw error;
    }
  }

  #broken(bytes: Uint8Array, start: number, end: number, reason: string): Step {
    if (!this.#isLast || !hasZeroSector(bytes, start, end)) this.#fail(reason);
    return "torn";
  }

  /** Only the last segment may end in the middle of a record. */
  #torn(reason: string): Step {
    if (!this.#isLast) this.#fail(reason);
    return "torn";
  }

  #fail(reason: string): never {
    throw new WalError(this.name, this.offset, reason);
  }
}

function hasZeroSector(bytes: Uint8Array, start: number, end: number): boolean {
  let at = start;
  while (at < end) {
    const sectorEnd = Math.min(end, at + SECTOR_BYTES - (at % SECTOR_BYTES));
    let zero = true;
    for (let i = at; i < sectorEnd && zero; i++) zero = bytes[i] === 0;
    if (zero) return true;
    at = sectorEnd;
  }
  return false;
}

export type WalStart = { readonly index: number; readonly term: number };

export type WalContent = {
  /** Node and cluster id; undefined only in a log that has none (it is broken). */
  readonly metadata: Metadata | undefined;
  readonly hardState: HardState;
  /** Entries with an index above the start's, gapless; later ones may be uncommitted (above hardState.commit). */
  readonly entries: Entry[];
  /** All snapshot records, in order. See validSnapshots. */
  readonly snapshots: Snapshot[];
  /** The last segment ends in a half-written record, at this offset: etcd would cut it off. */
  readonly torn: { readonly segment: string; readonly offset: number } | undefined;
};

/**
 * All of the log above a snapshot, as etcd's ReadAll: an entry that comes again replaces itself and all behind it. Bytes of entries
 * are copies. Throws a WalError.
 */
export function readWal(segments: readonly WalSegment[], start: WalStart): WalContent {
  const decoder = new WalDecoder(segments);
  const snapshots: Snapshot[] = [];
  const entries: Entry[] = [];
  let metadata: Uint8Array | undefined;
  let identity: Metadata | undefined;
  let hardState: HardState = { term: 0, vote: 0n, commit: 0 };
  let step = decoder.next();
  for (; step === "record"; step = decoder.next()) {
    const { type, data } = decoder.record;
    try {
      if (type === RecordType.Entry) addEntry(entries, decodeEntry(data), start);
      else if (type === RecordType.State) hardState = decodeHardState(data);
      else if (type === RecordType.Snapshot) snapshots.push(decodeSnapshot(data));
      else if (type === RecordType.Metadata) {
        if (metadata !== undefined && !equalBytes(metadata, data))
          malformed(0, "wal: conflicting metadata found");
        metadata = copyBytes(data);
        identity = decodeMetadata(data);
      } else if (type !== RecordType.Crc) malformed(0, `unexpected block type ${type}`);
    } catch (error) {
      if (error instanceof FormatError) throw new WalError(decoder.name, decoder.offset, error.message);
      if (error instanceof DecodeError)
        throw new WalError(decoder.name, decoder.offset, "a record's message cannot be decoded");
      throw error;
    }
  }
  const torn = step === "torn" ? { segment: decoder.name, offset: decoder.offset } : undefined;
  return {
    metadata: identity,
    hardState,
    entries,
    snapshots,
    torn,
  };
}

function addEntry(entries: Entry[], entry: Entry, start: WalStart): void {
  if (entry.index <= start.index) return;
  const at = entry.index - start.index - 1;
  if (at > entries.length) {
    malformed(
      0,
      `wal: slice bounds out of range: entry ${entry.index} comes after entry ${start.index + entries.length}`,
    );
  }
  entries.length = at;
  entries.push({ term: entry.term, index: entry.index, type: entry.type, data: copyBytes(entry.data) });
}

/** The snapshot records that the log stands behind: those not above its commit index. */
export function validSnapshots(content: WalContent): Snapshot[] {
  return content.snapshots.filter((snapshot) => snapshot.index <= content.hardState.commit);
}

const NAME = /^([0-9a-f]{16})-([0-9a-f]{16})\.wal$/;

/** Sequence number and first entry of a segment, from its name. */
export function parseWalName(name: string): { sequence: number; index: number } | undefined {
  const match = NAME.exec(name);
  if (match === null) return undefined;
  return { sequence: Number.parseInt(match[1]!, 16), index: Number.parseInt(match[2]!, 16) };
}

export function walName(sequence: number, index: number): string {
  return `${sequence.toString(16).padStart(16, "0")}-${index.toString(16).padStart(16, "0")}.wal`;
}

/**
 * Of sorted segment names those that hold what follows `index`. An error text when the log begins later, or a segment is missing.
 */
export function selectWalNames(names: readonly string[], index: number): readonly string[] | string {
  const parsed = names.map((name) => must(parseWalName(name), "the name is a segment's"));
  const first = parsed.findLastIndex((each) => each.index <= index);
  if (first < 0) return `wal: file not found which matches the snapshot index '${index}'`;
  for (let i = first + 1; i < parsed.length; i++) {
    if (parsed[i]!.sequence !== parsed[i - 1]!.sequence + 1) {
      return `wal: file sequence numbers (starting from ${first}) do not increase continuously`;
    }
  }
  return names.slice(first);
}
