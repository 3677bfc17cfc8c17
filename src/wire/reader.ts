// The cursor that every generated decoder walks with. It never reads outside [start, end) of its bytes, whatever they hold: bad
// input ends in a DecodeError. `bytes` fields come out as views of the input: whoever keeps one copies it.
import { EMPTY } from "../base/bytes.ts";
import { invalidWireFormat } from "./decode-error.ts";
import { signedBigint, signedNumber, unsignedBigint, unsignedNumber } from "./long.ts";
import { utf8Decode } from "./utf8.ts";

/**
 * How deep messages may nest. Go allows 10,000; a decoder here recurses on the stack of JavaScript, of which 1,000 levels take
 * about a third. No honest Txn nests more than a few.
 */
export const MESSAGE_DEPTH_MAX = 1000;

/** One byte's bigints, made once: watch ids are mostly among them. */
const SMALL: readonly bigint[] = Array.from({ length: 0x80 }, (_, i) => BigInt(i));

export class Reader {
  readonly bytes: Uint8Array;
  readonly #buffer: ArrayBufferLike;
  readonly #offset: number;
  at: number;
  /** End of the message being read: moves in and out with enter and leave. */
  end: number;
  #depth = 0;
  #low = 0;
  #high = 0;

  constructor(bytes: Uint8Array, start: number, end: number) {
    if (!(start >= 0 && start <= end && end <= bytes.length)) invalidWireFormat();
    this.bytes = bytes;
    this.#buffer = bytes.buffer;
    this.#offset = bytes.byteOffset;
    this.at = start;
    this.end = end;
  }

  /** The next field's tag. Called only while at < end. */
  tag(): number {
    const byte = this.bytes[this.at]!;
    if (byte < 0x80) {
      this.at++;
      if (byte < 8) invalidWireFormat();
      return byte;
    }
    this.#long();
    const tag = this.#low >>> 0;
    if (this.#high !== 0 || tag < 8) invalidWireFormat();
    return tag;
  }

  /** Any varint into its halves. At most ten bytes, and no bit above 64. */
  #long(): void {
    const bytes = this.bytes;
    const end = this.end;
    let at = this.at;
    let low = 0;
    let high = 0;
    let byte = 0x80;
    for (let shift = 0; shift < 28 && byte >= 0x80; shift += 7) {
      if (at >= end) invalidWireFormat();
      byte = bytes[at++]!;
      low |= (byte & 0x7f) << shift;
    }
    if (byte >= 0x80) {
      if (at >= end) invalidWireFormat();
      byte = bytes[at++]!;
      low |= (byte & 0x7f) << 28;
      high = (byte & 0x7f) >> 4;
      for (let shift = 3; shift < 32 && byte >= 0x80; shift += 7) {
        if (at >= end) invalidWireFormat();
        byte = bytes[at++]!;
        if (shift === 31 && byte > 1) invalidWireFormat();
        high |= (byte & 0x7f) << shift;
      }
    }
    this.at = at;
    this.#low = low;
    this.#high = high;
  }

  /** The byte itself when the varint is one byte long, else -1 and nothing consumed. */
  #short(): number {
    if (this.at < this.end) {
      const byte = this.bytes[this.at]!;
      if (byte < 0x80) {
        this.at++;
        return byte;
      }
    }
    return -1;
  }

  int64Number(): number {
    const short = this.#short();
    if (short >= 0) return short;
    this.#long();
    return signedNumber(this.#low, this.#high);
  }

  uint64Number(): number {
    const short = this.#short();
    if (short >= 0) return short;
    this.#long();
    return unsignedNumber(this.#low, this.#high);
  }

  int64Bigint(): bigint {
    const short = this.#short();
    if (short >= 0) return SMALL[short]!;
    this.#long();
    return signedBigint(this.#low, this.#high);
  }

  uint64Bigint(): bigint {
    const short = this.#short();
    if (short >= 0) return SMALL[short]!;
    this.#long();
    return unsignedBigint(this.#low, this.#high);
  }

  uint32(): number {
    const short = this.#short();
    if (short >= 0) return short;
    this.#long();
    return this.#low >>> 0;
  }

  /** Numbers that no name is known for are kept. */
  enumeration(): number {
    const short = this.#short();
    if (short >= 0) return short;
    this.#long();
    return this.#low | 0;
  }

  bool(): boolean {
    const short = this.#short();
    if (short >= 0) return short !== 0;
    this.#long();
    return (this.#low | this.#high) !== 0;
  }

  #length(): number {
    let length = this.#short();
    if (length < 0) {
      this.#long();
      if (this.#high !== 0) invalidWireFormat();
      length = this.#low >>> 0;
    }
    if (length > this.end - this.at) invalidWireFormat();
    return length;
  }

  bytesField(): Uint8Array {
    const length = this.#length();
    if (length === 0) return EMPTY;
    const view = new Uint8Array(this.#buffer, this.#offset + this.at, length);
    this.at += length;
    return view;
  }

  string(): string {
    const length = this.#length();
    const start = this.at;
    this.at = start + length;
    return length === 0 ? "" : utf8Decode(this.bytes, start, this.at);
  }

  /** Narrows the reader to the length-delimited field at hand; `leave` takes back what this returns. */
  enter(): number {
    const length = this.#length();
    const outer = this.end;
    if (++this.#depth >= MESSAGE_DEPTH_MAX) invalidWireFormat();
    this.end = this.at + length;
    return outer;
  }

  leave(outer: number): void {
    this.end = outer;
    this.#depth--;
  }

  /** Passes over a field that nobody knows, or whose wire type is not the declared one. */
  skip(tag: number): void {
    switch (tag & 7) {
      case 0:
        this.#long();
        break;
      case 1:
        this.#advance(8);
        break;
      case 2:
        this.#advance(this.#length());
        break;
      case 3:
        this.#skipGroup(tag);
        break;
      case 5:
        this.#advance(4);
        break;
      default:
        invalidWireFormat();
    }
  }

  #advance(count: number): void {
    if (count > this.end - this.at) invalidWireFormat();
    this.at += count;
  }

  #skipGroup(tag: number): void {
    const open = [tag];
    while (open.length > 0) {
      if (this.at >= this.end) invalidWireFormat();
      const inner = this.tag();
      if ((inner & 7) === 3) {
        if (open.length + this.#depth >= MESSAGE_DEPTH_MAX) invalidWireFormat();
        open.push(inner);
      } else if ((inner & 7) === 4) {
        if (open.pop() !== inner - 1) invalidWireFormat();
      } else {
        this.skip(inner);
      }
    }
  }
}
