// The state as of now in Cairn's own form (copy-format.ts), chunk by chunk while writes go on. Compaction waits for it, as for a backup.
import { concatBytes } from "../../base/bytes.ts";
import { CopyArea } from "../../base/copy-area.ts";
import { putU64 } from "../../log/format.ts";
import { ValueWindow, WINDOW_BYTES } from "../../log/value-window.ts";
import type { StateCopy } from "../../mvcc/state-copy.ts";
import type { Digest } from "../../ports/digest.ts";
import type { Member } from "../member.ts";
import { encodeTables } from "../tables.ts";
import { INDEX_BYTES, MAGIC, RECORD_HEAD_BYTES, RecordKind, sealRecord } from "./copy-format.ts";

/** A chunk of values; longer when one value is, and for a block. */
const CHUNK_BYTES = 256 << 10;
/** Two, used in turns: the one before may still be on its way. */
const CHUNKS = 2;

export class CopyWriter {
  readonly form = "copy";
  /** Not known before all is sent. */
  readonly bytesTotal = undefined;
  readonly #digest: Digest;
  readonly #copy: StateCopy;
  readonly #values: ValueWindow;
  /** Values are copied within it: to a chunk, from the window behind the chunks. */
  readonly #area = new CopyArea(CHUNKS * CHUNK_BYTES + WINDOW_BYTES);
  /** Undefined once they are sent. */
  #tables: Uint8Array | undefined;
  /** For what is no chunk of values. */
  readonly #others = new Array<Uint8Array>(CHUNKS).fill(new Uint8Array(0));
  #turn = 0;
  /** The row that the copy stands at has a value, which was not sent yet. */
  #hasValue = false;

  constructor({ store, log, raft, lessor, membership, applyContext }: Member, digest: Digest) {
    this.#digest = digest;
    const index = new Uint8Array(INDEX_BYTES);
    putU64(index, 0, raft.appliedIndex);
    this.#tables = concatBytes([index, encodeTables(lessor, membership, applyContext.alarms)]);
    this.#copy = store.copy();
    this.#values = new ValueWindow(log.values, this.#area, CHUNKS * CHUNK_BYTES);
  }

  /** Nothing is to be done ahead of the first chunk. */
  plan(): boolean {
    return true;
  }

  /** The next chunk, a view until the call after the next; undefined at the end. */
  next(): Uint8Array | undefined {
    this.#turn = (this.#turn + 1) % CHUNKS;
    if (this.#tables !== undefined) return this.#first(this.#tables);
    if (this.#hasValue) return this.#valuesRecord();
    const block = this.#copy.nextBlock();
    if (block === undefined) return undefined;
    this.#hasValue = this.#copy.nextValue();
    return this.#record(RecordKind.Block, block);
  }

  release(): void {
    this.#copy.cancel();
  }

  #first(tables: Uint8Array): Uint8Array {
    this.#tables = undefined;
    const record = this.#record(RecordKind.Tables, tables);
    const chunk = new Uint8Array(MAGIC.length + record.length);
    chunk.set(MAGIC);
    chunk.set(record, MAGIC.length);
    return chunk;
  }

  #record(kind: number, payload: Uint8Array): Uint8Array {
    const size = RECORD_HEAD_BYTES + payload.length;
    let bytes = this.#others[this.#turn]!;
    if (bytes.length < size) {
      bytes = new Uint8Array(size);
      this.#others[this.#turn] = bytes;
    }
    bytes.set(payload, RECORD_HEAD_BYTES);
    sealRecord(this.#digest, bytes, kind, payload.length);
    return bytes.subarray(0, size);
  }

  #valuesRecord(): Uint8Array {
    const copy = this.#copy;
    if (RECORD_HEAD_BYTES + copy.length > CHUNK_BYTES) {
      const { file, offset, length } = copy;
      const record = this.#record(RecordKind.Values, this.#values.readValue(file, offset, length));
      this.#hasValue = copy.nextValue();
      return record;
    }
    const from = this.#turn * CHUNK_BYTES;
    const bytes = this.#area.bytes.subarray(from, from + CHUNK_BYTES);
    let at = RECORD_HEAD_BYTES;
    for (; this.#hasValue && at + copy.length <= CHUNK_BYTES; this.#hasValue = copy.nextValue()) {
      this.#values.copyValue(copy.file, copy.offset, copy.length, bytes, at);
      at += copy.length;
    }
    sealRecord(this.#digest, bytes, RecordKind.Values, at - RECORD_HEAD_BYTES);
    return bytes.subarray(0, at);
  }
}
