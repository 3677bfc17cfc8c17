// The bytes of ConfChange and ConfChangeV2 entries, as raft v3.7 writes raftpb: fields in order of their numbers, the set ones
// written even when zero. Reading accepts absent and present zeroes, any order and unknown fields, and never throws: the bytes
// come from other members.

import type { MemberId } from "../base/brand.ts";
import { EMPTY } from "../base/bytes.ts";
import { type ConfChange, type ConfChangeSingle, type ConfChangeV2, leavesJoint } from "./conf-change.ts";
import { EntryType } from "./message.ts";

const WIRE_VARINT = 0;
const WIRE_FIXED64 = 1;
const WIRE_BYTES = 2;
const WIRE_FIXED32 = 5;

/** What an entry carries, by its type. Undefined for a normal entry and for bytes that are not a change. */
export function decodeConfChangeEntry(
  type: EntryType,
  data: Uint8Array,
): ConfChange | ConfChangeV2 | undefined {
  if (type === EntryType.ConfChange) return decodeConfChange(data);
  if (type === EntryType.ConfChangeV2) return decodeConfChangeV2(data);
  return undefined;
}

export function encodeConfChange(change: ConfChange | ConfChangeV2): Uint8Array {
  return change.version === 1 ? encodeV1(change) : encodeV2(change);
}

function encodeV1(change: ConfChange): Uint8Array {
  const out: number[] = [];
  if (change.id !== 0n) putVarintField(out, 1, change.id);
  putVarintField(out, 2, BigInt(change.type));
  putVarintField(out, 3, change.nodeId);
  if (change.context.length > 0) putBytesField(out, 4, change.context);
  return Uint8Array.from(out);
}

function encodeV2(change: ConfChangeV2): Uint8Array {
  const out: number[] = [];
  // A change that only ends a joint configuration is empty, so that no limit of sizes can ever refuse it.
  if (!leavesJoint(change)) putVarintField(out, 1, BigInt(change.transition));
  for (const single of change.changes) {
    const inner: number[] = [];
    putVarintField(inner, 1, BigInt(single.type));
    putVarintField(inner, 2, single.nodeId);
    putBytesField(out, 2, inner);
  }
  if (change.context.length > 0) putBytesField(out, 3, change.context);
  return Uint8Array.from(out);
}

export function decodeConfChange(data: Uint8Array): ConfChange | undefined {
  const reader = new FieldReader(data);
  let id = 0n;
  let type = 0;
  let nodeId = 0n;
  let context = EMPTY;
  while (reader.next()) {
    if (reader.isVarint(1)) id = reader.varint;
    else if (reader.isVarint(2)) type = enumNumber(reader.varint);
    else if (reader.isVarint(3)) nodeId = reader.varint;
    else if (reader.isBytes(4)) context = reader.bytes;
  }
  if (reader.malformed) return undefined;
  return { version: 1, id, type, nodeId: nodeId as MemberId, context };
}

export function decodeConfChangeV2(data: Uint8Array): ConfChangeV2 | undefined {
  const reader = new FieldReader(data);
  let transition = 0;
  const changes: ConfChangeSingle[] = [];
  let context = EMPTY;
  while (reader.next()) {
    if (reader.isVarint(1)) transition = enumNumber(reader.varint);
    else if (reader.isBytes(2)) {
      const single = decodeSingle(reader.bytes);
      if (single === undefined) return undefined;
      changes.push(single);
    } else if (reader.isBytes(3)) context = reader.bytes;
  }
  if (reader.malformed) return undefined;
  return { version: 2, transition, changes, context };
}

function decodeSingle(data: Uint8Array): ConfChangeSingle | undefined {
  const reader = new FieldReader(data);
  let type = 0;
  let nodeId = 0n;
  while (reader.next()) {
    if (reader.isVarint(1)) type = enumNumber(reader.varint);
    else if (reader.isVarint(2)) nodeId = reader.varint;
  }
  return reader.malformed ? undefined : { type, nodeId: nodeId as MemberId };
}

/** Protobuf enums are 32 bits wide. */
function enumNumber(value: bigint): number {
  return Number(BigInt.asIntN(32, value));
}

function putVarint(out: number[], value: bigint): void {
  let rest = BigInt.asUintN(64, value);
  while (rest >= 0x80n) {
    out.push(Number(rest & 0x7fn) | 0x80);
    rest >>= 7n;
  }
  out.push(Number(rest));
}

function putVarintField(out: number[], field: number, value: bigint): void {
  out.push((field << 3) | WIRE_VARINT);
  putVarint(out, value);
}

function putBytesField(out: number[], field: number, bytes: ArrayLike<number>): void {
  out.push((field << 3) | WIRE_BYTES);
  putVarint(out, BigInt(bytes.length));
  for (let i = 0; i < bytes.length; i++) out.push(bytes[i]!);
}

/** Walks the fields of one message. After next() the field's number, kind and value are set; bad bytes end the walk. */
class FieldReader {
  readonly #data: Uint8Array;
  #at = 0;
  #field = 0;
  #wireType = 0;
  malformed = false;
  varint = 0n;
  bytes = EMPTY;

  constructor(data: Uint8Array) {
    this.#data = data;
  }

  isVarint(field: number): boolean {
    return this.#field === field && this.#wireType === WIRE_VARINT;
  }

  isBytes(field: number): boolean {
    return this.#field === field && this.#wireType === WIRE_BYTES;
  }

  next(): boolean {
    if (this.malformed || this.#at >= this.#data.length) return false;
    const tag = this.#readVarint();
    this.#field = Number(tag >> 3n);
    this.#wireType = Number(tag & 7n);
    if (this.#field === 0 || this.#field > 0x1fff_ffff) this.malformed = true;
    else this.#readValue();
    return !this.malformed;
  }

  #readValue(): void {
    switch (this.#wireType) {
      case WIRE_VARINT:
        this.varint = this.#readVarint();
        break;
      case WIRE_FIXED64:
        this.#skip(8);
        break;
      case WIRE_FIXED32:
        this.#skip(4);
        break;
      case WIRE_BYTES:
        this.#readBytes();
        break;
      default:
        this.malformed = true;
    }
  }

  #readBytes(): void {
    const length = Number(this.#readVarint());
    if (length > this.#data.length - this.#at) {
      this.malformed = true;
      return;
    }
    this.bytes = this.#data.subarray(this.#at, this.#at + length);
    this.#at += length;
  }

  #skip(length: number): void {
    this.#at += length;
    if (this.#at > this.#data.length) this.malformed = true;
  }

  #readVarint(): bigint {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.#data[this.#at];
      if (byte === undefined) break;
      this.#at++;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asUintN(64, value);
    }
    this.malformed = true;
    return 0n;
  }
}
