// A deliberately dumb store on top of a real Log, for tests of the log: every entry puts one key, a Map knows where each value stands,
// the image is all rows. It says what must be readable; it has nothing of mvcc but the shape that checkpoint and reclaim need.
import { type Index, index, revision, term } from "../base/brand.ts";
import { concatBytes, copyBytes, equalBytes } from "../base/bytes.ts";
import type {
  CheckpointInput,
  Entry,
  ImageSource,
  LogSource,
  ReclaimCursor,
  ReclaimStore,
  Relocation,
} from "../log/contract.ts";
import type { Log } from "../log/log.ts";
import type { FileNumber } from "../mvcc/contract.ts";
import type { Random } from "../ports/random.ts";

type Row = { main: number; file: number; offset: number; length: number };

const HEAD_BYTES = 6;
const ROW_BYTES = 44;

/** Numerical Recipes' generator: enough for dice. */
export function dice(start: number): Random {
  let state = start >>> 0;
  const next = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state >>> 8;
  };
  return {
    below: (bound) => next() % bound,
    bytes: (size) => Uint8Array.from({ length: size }, () => next() & 0xff),
  };
}

/** A value that tells key and index at every byte, none of them zero. */
export function bytesFor(key: number, at: number, length: number): Uint8Array {
  const value = new Uint8Array(length);
  for (let i = 0; i < length; i++) value[i] = 1 + ((key * 59 + at * 31 + i * 7 + (i >> 6)) % 255);
  return value;
}

export function entryFor(at: number, key: number, length: number, inTerm = 1): Entry {
  const head = new Uint8Array(HEAD_BYTES);
  const view = new DataView(head.buffer);
  view.setUint16(0, key);
  view.setUint32(2, at);
  return {
    term: term(inTerm),
    index: index(at),
    type: 0,
    data: concatBytes([head, bytesFor(key, at, length)]),
  };
}

function imageOf(rows: readonly { readonly key: number; readonly row: Row }[]): ImageSource {
  const bytes = new Uint8Array(ROW_BYTES);
  const view = new DataView(bytes.buffer);
  let at = 0;
  return {
    next: () => {
      const next = rows[at++];
      if (next === undefined) return undefined;
      const { key, row } = next;
      [key, row.main, row.file, row.offset, row.length].forEach((n, i) => {
        view.setFloat64(i * 8, n);
      });
      return bytes;
    },
    cancel: () => {
      at = rows.length;
    },
  };
}

export class LogModel implements LogSource, ReclaimStore {
  readonly store: ReclaimStore = this;
  relocatable = true;
  readonly rows = new Map<number, Row>();
  applied = 0;

  get appliedIndex(): Index {
    return this.applied as Index;
  }

  apply(at: number, data: Uint8Array, file: FileNumber, offset: number): void {
    const key = new DataView(data.buffer, data.byteOffset).getUint16(0);
    const length = data.length - HEAD_BYTES;
    this.rows.set(key, { main: at, file: length === 0 ? 0 : file, offset: offset + HEAD_BYTES, length });
    this.applied = at;
  }

  /** What a member does at start: image, then the tail of the log up to `to`. */
  async restore(log: Log, to?: number): Promise<void> {
    this.rows.clear();
    this.applied = log.checkpointMeta?.appliedIndex ?? 0;
    if (log.checkpointMeta !== undefined) {
      for await (const chunk of log.imageChunks()) this.#load(chunk);
    }
    const last = Math.max(this.applied, to ?? log.raft.lastIndex());
    await log.replay(index(this.applied + 1), index(last), (at, _term, _type, data, file, offset) => {
      this.apply(at, data, file, offset);
    });
  }

  /** Reads every row's value; the first one that is not what was put is returned in words. */
  wrongRow(log: Log): string | undefined {
    for (const [key, row] of this.rows) {
      const found = log.values.readValue(row.file as FileNumber, row.offset, row.length);
      const wanted = bytesFor(key, row.main, row.length);
      if (!equalBytes(found, wanted)) return `key ${key} of entry ${row.main} at ${row.file}:${row.offset}`;
    }
    return undefined;
  }

  get liveBytes(): number {
    let bytes = 0;
    for (const row of this.rows.values()) bytes += row.length;
    return bytes;
  }

  liveBytesOf(file: FileNumber): number {
    let bytes = 0;
    for (const row of this.rows.values()) if (row.file === file) bytes += row.length;
    return bytes;
  }

  rowsInFiles(files: ReadonlySet<FileNumber>): ReclaimCursor {
    const keys = [...this.rows.keys()].sort((a, b) => a - b);
    let at = 0;
    return {
      next: (max, visit) => {
        for (const end = Math.min(keys.length, at + max); at < end; at++) {
          const row = this.rows.get(keys[at]!);
          if (row === undefined || !files.has(row.file as FileNumber)) continue;
          visit(revision(row.main), 0, row.file as FileNumber, row.offset, row.length);
        }
        return at < keys.length;
      },
    };
  }

  relocate({ main, toFile: file, toOffset: offset }: Relocation): void {
    for (const row of this.rows.values()) {
      if (row.main !== main) continue;
      row.file = file;
      row.offset = offset;
    }
  }

  checkpoint(): CheckpointInput {
    const rows = [...this.rows].map(([key, row]) => ({ key, row: { ...row } }));
    return {
      appliedIndex: this.applied as Index,
      appliedTerm: term(1),
      confState: Uint8Array.of(1, 2, 3),
      tables: Uint8Array.of(4, 5),
      image: imageOf(rows),
    };
  }

  #load(chunk: Uint8Array): void {
    const bytes = copyBytes(chunk);
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    const n = (i: number): number => view.getFloat64(i * 8);
    this.rows.set(n(0), { main: n(1), file: n(2), offset: n(3), length: n(4) });
  }
}
