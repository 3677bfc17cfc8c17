// HPACK decoding (RFC 7541) of one connection: the dynamic table, and header blocks cut into fields. Called by connection; a
// string is made only for a literal, an indexed field is shared. `generation` changes with every change of the dynamic table,
// which is what makes a memo of whole blocks exact (header-memo.ts). Never reads outside the block it was given.
import { type FieldKind, fieldKind, HeaderField } from "./header-field.ts";
import { huffmanDecode } from "./huffman.ts";
import { HEADER_TABLE_BYTES } from "./protocol.ts";
import { STATIC_TABLE } from "./static-table.ts";

const STATIC: readonly HeaderField[] = STATIC_TABLE.map(
  ([name, value]) => new HeaderField(name, value, fieldKind(name)),
);
const STATIC_COUNT = STATIC.length;
/** Every entry costs at least 32, so the ring never wraps onto a living entry. */
const RING = HEADER_TABLE_BYTES / 32;
const RING_MASK = RING - 1;

/** Below this a loop beats the call into the engine. */
const LOOP_CHARACTERS_MAX = 16;

function latin1(buffer: Buffer, start: number, end: number): string {
  if (end - start > LOOP_CHARACTERS_MAX) return buffer.toString("latin1", start, end);
  let text = "";
  for (let i = start; i < end; i++) text += String.fromCharCode(buffer[i]!);
  return text;
}

const NOTHING = Buffer.alloc(0);

export class HpackDecoder {
  readonly #ring: (HeaderField | undefined)[] = new Array<HeaderField | undefined>(RING).fill(undefined);
  #first = 0; // slot of the newest entry
  #count = 0;
  #size = 0;
  #sizeMax = HEADER_TABLE_BYTES;
  #at = 0;
  #end = 0;
  #buffer: Buffer = NOTHING;
  #scratch: Buffer = NOTHING; // made when the first Huffman string comes
  #broken = false;
  generation = 0;
  /** Set by decode when the list passed `listBytesMax`; the table is right all the same. */
  listTooLarge = false;

  /**
   * The fields of one whole block, or undefined for a compression error, after which the connection cannot go on. Beyond
   * `listBytesMax` fields are still decoded, for the table's sake, but not kept.
   */
  decode(buffer: Buffer, start: number, end: number, listBytesMax: number): HeaderField[] | undefined {
    this.#buffer = buffer;
    this.#at = start;
    this.#end = end;
    this.#broken = false;
    this.listTooLarge = false;
    const fields = this.#fields(listBytesMax);
    this.#buffer = NOTHING; // an idle connection holds no socket buffer
    return fields;
  }

  #fields(listBytesMax: number): HeaderField[] | undefined {
    const fields: HeaderField[] = [];
    let listBytes = 0;
    while (this.#at < this.#end) {
      const byte = this.#buffer[this.#at]!;
      if ((byte & 0xe0) === 0x20) {
        if (fields.length > 0 || !this.#resize(this.#integer(5))) return undefined;
        continue;
      }
      const field = byte >= 0x80 ? this.#lookup(this.#integer(7)) : this.#literal(byte);
      if (field === undefined || this.#broken) return undefined;
      listBytes += field.size;
      if (listBytes <= listBytesMax) fields.push(field);
      else this.listTooLarge = true;
    }
    return this.#broken ? undefined : fields;
  }

  /** An integer with an n-bit prefix at the current place. Beyond 2^28 it is an error: nothing we accept is so large. */
  #integer(prefixBits: number): number {
    const mask = (1 << prefixBits) - 1;
    let value = this.#buffer[this.#at++]! & mask;
    if (value < mask) return value;
    for (let shift = 0; shift <= 21; shift += 7) {
      if (this.#at >= this.#end) break;
      const byte = this.#buffer[this.#at++]!;
      value += (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    this.#broken = true;
    return 0;
  }

  #lookup(index: number): HeaderField | undefined {
    if (index <= STATIC_COUNT) return STATIC[index - 1];
    const place = index - STATIC_COUNT - 1;
    return place < this.#count ? this.#ring[(this.#first + place) & RING_MASK] : undefined;
  }

  #literal(byte: number): HeaderField | undefined {
    const indexing = (byte & 0xc0) === 0x40;
    const nameIndex = this.#integer(indexing ? 6 : 4);
    let name: string;
    let kind: FieldKind;
    if (nameIndex === 0) {
      name = this.#string();
      kind = fieldKind(name);
    } else {
      const named = this.#lookup(nameIndex);
      if (named === undefined) return undefined;
      name = named.name;
      kind = named.kind;
    }
    const value = this.#string();
    if (this.#broken) return undefined;
    const field = new HeaderField(name, value, kind);
    if (indexing) this.#insert(field);
    return field;
  }

  #string(): string {
    if (this.#broken || this.#at >= this.#end) {
      this.#broken = true;
      return "";
    }
    const huffman = this.#buffer[this.#at]! >= 0x80;
    const length = this.#integer(7);
    const start = this.#at;
    const end = start + length;
    if (this.#broken || end > this.#end) {
      this.#broken = true;
      return "";
    }
    this.#at = end;
    if (!huffman) return latin1(this.#buffer, start, end);
    if (this.#scratch.length < 2 * length) this.#scratch = Buffer.allocUnsafeSlow(4 * length);
    const decoded = huffmanDecode(this.#buffer, start, end, this.#scratch);
    if (decoded >= 0) return latin1(this.#scratch, 0, decoded);
    this.#broken = true;
    return "";
  }

  #insert(field: HeaderField): void {
    this.generation++;
    this.#evict(this.#sizeMax - field.size);
    if (field.size > this.#sizeMax) return; // it only empties the table
    this.#first = (this.#first - 1) & RING_MASK;
    this.#ring[this.#first] = field;
    this.#count++;
    this.#size += field.size;
  }

  #evict(until: number): void {
    while (this.#count > 0 && this.#size > until) {
      const last = (this.#first + this.#count - 1) & RING_MASK;
      this.#size -= this.#ring[last]!.size;
      this.#ring[last] = undefined;
      this.#count--;
    }
  }

  #resize(size: number): boolean {
    if (this.#broken || size > HEADER_TABLE_BYTES) return false;
    this.generation++;
    this.#sizeMax = size;
    this.#evict(size);
    return true;
  }
}
