// A walk over all rows up to a revision, in revision order, each as etcd's backend stores it: for backups, which look at every row twice.
// It reads the words of the revision table itself, each once, where SlotView would ask for every column by the slot; the bytes are those
// of key-value.ts. It must only walk while the store is held (Store.hold): then no row moves or goes.

import type { ByteRoom } from "../base/byte-room.ts";
import {
  sizeBigint,
  sizeUint64Number,
  sizeVarint32,
  writeBigint,
  writeUint64Number,
} from "../wire/writer.ts";
import type { Slot, ValueReader } from "./contract.ts";
import type { KeyArena } from "./key-arena.ts";
import {
  CREATE_REVISION_TAG,
  KEY_TAG,
  LEASE_TAG,
  MOD_REVISION_TAG,
  VALUE_TAG,
  VERSION_TAG,
} from "./key-value.ts";
import {
  CHUNK_BITS,
  CREATE,
  FILE,
  KEY,
  LEASE,
  LENGTH,
  MAIN,
  OFFSET,
  ROW_WORDS,
  SUB,
  SUB_MASK,
  VERSION,
  WIDE,
} from "./row-table.ts";
import type { Tables } from "./tables.ts";

const TWO_32 = 2 ** 32;
const NO_WORDS = new Int32Array(0);

export class StoredRows {
  /** Of the row that next() went to. */
  main = 0;
  sub = 0;
  tombstone = false;
  /** Bytes of its KeyValue. */
  size = 0;
  readonly #tables: Tables;
  readonly #arena: KeyArena;
  readonly #until: number;
  /** The chunk gone through: its place in the order, number, words, and how far. */
  #index = -1;
  #chunk = 0;
  #base = 0;
  #words: Int32Array = NO_WORDS;
  #at = 0;
  #end = 0;
  #keyLength = 0;
  #create = 0;
  #version = 0;

  constructor(tables: Tables, until: number) {
    this.#tables = tables;
    this.#arena = tables.arena;
    this.#until = until;
  }

  next(): boolean {
    this.#at += ROW_WORDS;
    for (;;) {
      while (this.#at >= this.#end) if (!this.#nextChunk()) return false;
      if (this.#words[this.#at + KEY] !== 0) break;
      this.#at += ROW_WORDS;
    }
    const words = this.#words;
    const at = this.#at;
    const main = this.#base + (words[at + MAIN]! >>> 0);
    if (main > this.#until) return false;
    const sub = words[at + SUB]!;
    this.main = main;
    this.sub = sub & SUB_MASK;
    this.tombstone = sub < 0;
    this.#keyLength = this.#arena.lengthOf(words[at + KEY]!);
    this.size = this.#sizeOf(words, at);
    return true;
  }

  /** Writes the KeyValue, `size` bytes. */
  write(values: ValueReader, room: ByteRoom, start: number): void {
    const keyLength = this.#keyLength;
    if (keyLength === 0) return;
    const words = this.#words;
    const row = this.#at;
    let at = writeField(KEY_TAG, keyLength, room, start);
    at += this.#arena.copyInto(words[row + KEY]!, room, at);
    if (this.tombstone) return;
    if (this.#create > 0) at = writeField(CREATE_REVISION_TAG, this.#create, room, at);
    at = writeField(MOD_REVISION_TAG, this.main, room, at);
    if (this.#version > 0) at = writeField(VERSION_TAG, this.#version, room, at);
    const length = words[row + LENGTH]! >>> 0;
    if (length > 0) {
      at = writeField(VALUE_TAG, length, room, at);
      const file = words[row + FILE]!;
      const offset = (file >>> 16) * TWO_32 + (words[row + OFFSET]! >>> 0);
      values.copyValue(this.#tables.files.numbers[file & 0xffff]!, offset, length, room.bytes, at);
      at += length;
    }
    const lease = words[row + LEASE]!;
    if (lease === 0) return;
    room.bytes[at] = LEASE_TAG;
    writeBigint(this.#tables.leases.ids[lease]!, room.bytes, at + 1);
  }

  #sizeOf(words: Int32Array, at: number): number {
    const keyLength = this.#keyLength;
    // The mark that `etcdutl snapshot restore --bump-revision` leaves is a row of no bytes at all.
    if (keyLength === 0) return 0;
    let size = 1 + sizeVarint32(keyLength) + keyLength;
    if (this.tombstone) return size;
    const main = this.main;
    const mainSize = 1 + sizeUint64Number(main);
    let create = main - (words[at + CREATE]! >>> 0);
    let version = words[at + VERSION]!;
    if (version === WIDE) {
      const wide = this.#tables.rows.wideOf(((this.#chunk << CHUNK_BITS) | (at / ROW_WORDS)) as Slot);
      create = wide.create;
      version = wide.version;
    } else version >>>= 0;
    this.#create = create;
    this.#version = version;
    if (create > 0) size += create === main ? mainSize : 1 + sizeUint64Number(create);
    size += mainSize;
    if (version > 0) size += 1 + sizeUint64Number(version);
    const length = words[at + LENGTH]! >>> 0;
    if (length > 0) size += 1 + sizeVarint32(length) + length;
    const lease = words[at + LEASE]!;
    return lease === 0 ? size : size + 1 + sizeBigint(this.#tables.leases.ids[lease]!);
  }

  #nextChunk(): boolean {
    const { rows } = this.#tables;
    if (++this.#index >= rows.order.length) return false;
    this.#chunk = rows.order[this.#index]!;
    this.#base = rows.bases[this.#chunk]!;
    this.#words = rows.words[this.#chunk]!;
    this.#at = 0;
    this.#end = rows.used[this.#chunk]! * ROW_WORDS;
    return true;
  }
}

/** Tag and varint; the usual lengths of both in one store. */
function writeField(tag: number, value: number, { bytes, view }: ByteRoom, at: number): number {
  if (value < 0x80) {
    view.setUint16(at, tag | (value << 8), true);
    return at + 2;
  }
  if (value >= 0x4000 && value < 0x200000) {
    const low = ((value & 0x7f) << 8) | ((value & 0x3f80) << 9);
    view.setUint32(at, tag | 0x808000 | low | ((value >>> 14) << 24), true);
    return at + 4;
  }
  bytes[at] = tag;
  return writeUint64Number(value, bytes, at + 1);
}
