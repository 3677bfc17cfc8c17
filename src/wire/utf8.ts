// Strings of messages: UTF-8 checked as Go checks it. Most are short and ASCII, so that case is a plain loop.
import { latin1FromBytes } from "../base/bytes.ts";
import { invalidUtf8 } from "./decode-error.ts";

/** Up to here appending characters beats slicing. */
const LOOP_BYTES_MAX = 24;

/** `ignoreBOM` keeps a leading U+FEFF, which is a character like any other here. */
const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export function utf8Decode(bytes: Uint8Array, start: number, end: number): string {
  for (let i = start; i < end; i++) if (bytes[i]! >= 0x80) return decodeMixed(bytes.subarray(start, end));
  if (end - start > LOOP_BYTES_MAX) return latin1FromBytes(bytes.subarray(start, end));
  let text = "";
  for (let i = start; i < end; i++) text += String.fromCharCode(bytes[i]!);
  return text;
}

function decodeMixed(bytes: Uint8Array): string {
  try {
    return strict.decode(bytes);
  } catch {
    return invalidUtf8();
  }
}

/** Bytes that utf8Write will take. A surrogate without its other half counts as U+FFFD. */
export function utf8Length(text: string): number {
  const length = text.length;
  let size = length;
  for (let i = 0; i < length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x80) continue;
    if (unit < 0x800) size += 1;
    else if (isPair(text, i, unit)) {
      size += 2;
      i++;
    } else size += 2;
  }
  return size;
}

/** Writes `text` at `at` and returns the end. */
export function utf8Write(text: string, out: Uint8Array, at: number): number {
  const length = text.length;
  for (let i = 0; i < length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x80) {
      out[at++] = unit;
    } else if (unit < 0x800) {
      out[at++] = 0xc0 | (unit >> 6);
      out[at++] = 0x80 | (unit & 0x3f);
    } else if (isPair(text, i, unit)) {
      at = writeFour(text.codePointAt(i++)!, out, at);
    } else {
      at = writeThree(unit >= 0xd800 && unit < 0xe000 ? 0xfffd : unit, out, at);
    }
  }
  return at;
}

function isPair(text: string, i: number, unit: number): boolean {
  if (unit < 0xd800 || unit >= 0xdc00 || i + 1 >= text.length) return false;
  const next = text.charCodeAt(i + 1);
  return next >= 0xdc00 && next < 0xe000;
}

function writeThree(point: number, out: Uint8Array, at: number): number {
  out[at] = 0xe0 | (point >> 12);
  out[at + 1] = 0x80 | ((point >> 6) & 0x3f);
  out[at + 2] = 0x80 | (point & 0x3f);
  return at + 3;
}

function writeFour(point: number, out: Uint8Array, at: number): number {
  out[at] = 0xf0 | (point >> 18);
  out[at + 1] = 0x80 | ((point >> 12) & 0x3f);
  out[at + 2] = 0x80 | ((point >> 6) & 0x3f);
  out[at + 3] = 0x80 | (point & 0x3f);
  return at + 4;
}
