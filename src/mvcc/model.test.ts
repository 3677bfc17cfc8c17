// The deliberately dumb model that the store is compared with, and the independent second making of etcd's hashes: a list of
// rows searched from end to end, generations as etcd's key_index.go builds them, CRC-32C bit by bit, protobuf by BigInt. Slow on
// purpose; it shares no code with the store. Named like a test so that it is built with them; it holds none.

export type ModelRow = {
  key: string;
  main: number;
  sub: number;
  tombstone: boolean;
  create: number;
  version: number;
  lease: bigint;
  file: number;
  offset: number;
  length: number;
};

export type ModelHash = { hash: number; compactRevision: number; revision: number };

export class Model {
  /** Every row ever written. */
  rows: ModelRow[] = [];
  /** What etcd's backend would still hold once its compactions are done. */
  backend: ModelRow[] = [];
  current = 1;
  compacted = -1;
  hashes: ModelHash[] = [];

  /** As a restart finds it: the hashes of compactions were in memory only. */
  clone(): Model {
    const clone = new Model();
    const copies = new Map(this.rows.map((row) => [row, { ...row }]));
    clone.rows = [...copies.values()];
    clone.backend = this.backend.map((row) => copies.get(row)!);
    clone.current = this.current;
    clone.compacted = this.compacted;
    return clone;
  }

  /** The newest row of `key` at or below `at`. */
  newest(key: string, at: number): ModelRow | undefined {
    let found: ModelRow | undefined;
    for (const row of this.rows) if (row.key === key && row.main <= at) found = row;
    return found;
  }

  find(key: string, at: number): ModelRow | undefined {
    const row = this.newest(key, at);
    return row?.tombstone === true ? undefined : row;
  }

  range(key: string, end: string, at: number): ModelRow[] {
    const keys = [...new Set(this.rows.map((row) => row.key))].sort((a, b) => (a < b ? -1 : 1));
    const inside = keys.filter((k) => (end === "" ? k === key : k >= key && (end === "\0" || k < end)));
    return inside.map((k) => this.find(k, at)).filter((row) => row !== undefined);
  }

  put(
    main: number,
    sub: number,
    key: string,
    lease: bigint,
    file: number,
    offset: number,
    length: number,
  ): void {
    const old = this.find(key, main);
    const create = old?.create ?? main;
    const version = (old?.version ?? 0) + 1;
    const place = length === 0 ? { file: 0, offset: 0 } : { file, offset };
    this.#add({ key, main, sub, tombstone: false, create, version, lease, ...place, length });
  }

  delete(main: number, sub: number, key: string): void {
    const none = { create: 0, version: 0, lease: 0n, file: 0, offset: 0, length: 0 };
    this.#add({ key, main, sub, tombstone: true, ...none });
  }

  #add(row: ModelRow): void {
    this.rows.push(row);
    this.backend.push(row);
  }

  /** etcd's treeIndex.Compact (`forHash` false) and Keep (true). */
  keep(at: number, forHash: boolean): Set<ModelRow> {
    const available = new Set<ModelRow>();
    for (const key of new Set(this.backend.map((row) => row.key))) {
      const generations: ModelRow[][] = [[]];
      for (const row of this.backend.filter((one) => one.key === key)) {
        generations.at(-1)!.push(row);
        if (row.tombstone) generations.push([]);
      }
      let index = 0;
      while (index < generations.length - 1 && generations[index]!.at(-1)!.main < at) index++;
      const generation = generations[index]!;
      const found = generation.findLastIndex((row) => row.main <= at);
      if (found === -1) continue;
      const isTomb = found === generation.length - 1 && index !== generations.length - 1;
      if (!(forHash && isTomb)) available.add(generation[found]!);
    }
    return available;
  }

  /** etcd's kvHasher fed with the whole backend. */
  hashWith(compactRevision: number, revision: number, keep: Set<ModelRow>): ModelHash {
    const bytes: number[] = [...Buffer.from("key")];
    for (const row of this.backend) {
      if (row.main > revision) continue;
      if (row.main <= compactRevision && keep.size > 0 && !keep.has(row)) continue;
      if (row.main === compactRevision && row.tombstone) continue;
      bytes.push(...bucketKey(row), ...storedKeyValue(row));
    }
    return { hash: slowCrc32c(bytes), compactRevision, revision };
  }

  /** `finished`: the newest compaction that is done. */
  hashByRev(revision: number, finished: number): ModelHash {
    const known = this.hashes.find((hash) => hash.revision === revision && revision <= finished);
    if (known !== undefined) return known;
    const at = revision === 0 ? this.current : revision;
    return this.hashWith(this.compacted, at, this.keep(at, true));
  }

  /** `completed`: all compactions before had finished. */
  compact(revision: number, completed: boolean): void {
    const keep = this.keep(revision, false);
    if (completed) {
      this.hashes.push(this.hashWith(this.compacted, revision, keep));
      this.hashes = this.hashes.sort((a, b) => a.revision - b.revision).slice(-10);
    }
    this.compacted = revision;
    this.backend = this.backend.filter((row) => row.main > revision || keep.has(row));
  }
}

/** Mulberry32: enough for choosing test cases. */
export class Random {
  #state: number;
  constructor(seed: number) {
    this.#state = seed | 0;
  }
  below(n: number): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % n;
  }
}

/** A value may be moved by a multiple of this and is the same there. */
export const VALUE_PERIOD = 1009;

/** The bytes that the tests pretend to have stored at a place. */
export function valueBytes(offset: number, length: number): number[] {
  return Array.from({ length }, (_, i) => ((offset % VALUE_PERIOD) * 7 + i) & 255);
}

function bucketKey(row: ModelRow): number[] {
  const bytes = Buffer.alloc(17);
  bytes.writeBigUInt64BE(BigInt(row.main), 0);
  bytes.write("_", 8);
  bytes.writeBigUInt64BE(BigInt(row.sub), 9);
  return row.tombstone ? [...bytes, 0x74] : [...bytes];
}

export function varint(n: bigint): number[] {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, n);
  for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
  return [...bytes, Number(rest)];
}

function field(number: number, n: bigint): number[] {
  return n === 0n ? [] : [number << 3, ...varint(n)];
}

function bytesField(number: number, bytes: number[]): number[] {
  return bytes.length === 0 ? [] : [(number << 3) | 2, ...varint(BigInt(bytes.length)), ...bytes];
}

/** mvccpb.KeyValue as etcd's backend stores it. */
export function storedKeyValue(row: ModelRow): number[] {
  const key = bytesField(1, [...Buffer.from(row.key, "latin1")]);
  if (row.tombstone) return key;
  return [
    ...key,
    ...field(2, BigInt(row.create)),
    ...field(3, BigInt(row.main)),
    ...field(4, BigInt(row.version)),
    ...bytesField(5, valueBytes(row.offset, row.length)),
    ...field(6, row.lease),
  ];
}

export function slowCrc32c(bytes: number[]): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 0 ? crc >>> 1 : (crc >>> 1) ^ 0x82f63b78;
  }
  return ~crc >>> 0;
}
