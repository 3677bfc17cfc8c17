// Writes the records of etcd's write-ahead log: the rolling checksum, and frames padded to eight bytes. Caller: etcdutl's restore,
// which makes the log of a new cluster. The bytes go where the caller puts them; what follows in a preallocated file is zeros.
import { concatBytes } from "../base/bytes.ts";
import { crc32c } from "../base/crc32c.ts";
import { type Entry, encodeEntry, encodeHardState, type HardState } from "../wire/generated/raftpb.ts";
import { encodeMetadata, type Metadata } from "../wire/generated/wal-metadata.ts";
import { encodeSnapshot, type Snapshot, sizeRecord, writeRecord } from "../wire/generated/walpb.ts";
import { RecordType } from "./wal-record.ts";

const EMPTY_DATA = new Uint8Array(0);
const FRAME_BYTES = 8;

export class WalEncoder {
  readonly #chunks: Uint8Array[] = [];
  #crc: number;

  /** `crc` is the checksum that the segment before ends with; 0 for the first. */
  constructor(metadata: Metadata, crc = 0) {
    this.#crc = crc;
    this.#append(RecordType.Crc, EMPTY_DATA);
    this.#append(RecordType.Metadata, encodeMetadata(metadata));
  }

  entry(entry: Entry): void {
    this.#append(RecordType.Entry, encodeEntry(entry));
  }

  hardState(state: HardState): void {
    this.#append(RecordType.State, encodeHardState(state));
  }

  snapshot(snapshot: Snapshot): void {
    this.#append(RecordType.Snapshot, encodeSnapshot(snapshot));
  }

  /** All that was written so far. */
  bytes(): Uint8Array {
    return concatBytes(this.#chunks);
  }

  /** What the next segment must begin with. */
  get crc(): number {
    return this.#crc;
  }

  #append(type: number, data: Uint8Array): void {
    this.#crc = crc32c(data, this.#crc);
    const record = { type, crc: this.#crc, data };
    const size = sizeRecord(record);
    const padding = (8 - (size % 8)) % 8;
    const frame = new Uint8Array(FRAME_BYTES + size + padding);
    new DataView(frame.buffer).setBigUint64(0, BigInt(size), true);
    if (padding !== 0) frame[7] = 0x80 | padding;
    writeRecord(record, frame, FRAME_BYTES);
    this.#chunks.push(frame);
  }
}
