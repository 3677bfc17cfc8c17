// Byte helpers for core and member. This file alone may declare the few Buffer methods that the hot path needs, and hands them
// on as functions: the rest of the inside does not know that Buffer exists.
type BufferLike = {
  latin1Slice(start: number, end: number): string;
};
type BufferConstructor = {
  from(buffer: ArrayBufferLike, offset: number, length: number): Uint8Array & BufferLike;
  from(text: string, encoding: "latin1" | "utf8"): Uint8Array;
  allocUnsafe(size: number): Uint8Array;
  compare(a: Uint8Array, b: Uint8Array): -1 | 0 | 1;
};
declare const Buffer: BufferConstructor;

export const EMPTY: Uint8Array = new Uint8Array(0);

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Uninitialised bytes, from a shared pool when small: the caller writes all of them. */
export function allocate(size: number): Uint8Array {
  return Buffer.allocUnsafe(size);
}

/** Below this length a loop in JavaScript beats the call into the engine. */
const LOOP_BYTES_MAX = 24;

export function latin1FromBytes(bytes: Uint8Array): string {
  const length = bytes.length;
  if (length <= LOOP_BYTES_MAX) {
    let text = "";
    for (let i = 0; i < length; i++) text += String.fromCharCode(bytes[i]!);
    return text;
  }
  return Buffer.from(bytes.buffer, bytes.byteOffset, length).latin1Slice(0, length);
}

export function latin1ToBytes(text: string): Uint8Array {
  return Buffer.from(text, "latin1");
}

export function utf8ToBytes(text: string): Uint8Array {
  return encoder.encode(text);
}

/** Invalid sequences become U+FFFD, as in Go's string conversions for display. */
export function utf8FromBytes(bytes: Uint8Array): string {
  return decoder.decode(bytes);
}

/** Byte order, shorter first. */
export function compareBytes(a: Uint8Array, b: Uint8Array): -1 | 0 | 1 {
  return Buffer.compare(a, b);
}

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  const length = a.length;
  if (length !== b.length) return false;
  for (let i = 0; i < length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** A copy that the caller owns. A decoded Uint8Array is a view valid for the call only; whoever keeps it copies it. */
export function copyBytes(bytes: Uint8Array): Uint8Array {
  // Not bytes.slice(): a Buffer's slice is a view of the same memory.
  return new Uint8Array(bytes);
}

export function concatBytes(chunks: readonly Uint8Array[]): Uint8Array {
  let size = 0;
  for (const chunk of chunks) size += chunk.length;
  const out = allocate(size);
  let at = 0;
  for (const chunk of chunks) {
    out.set(chunk, at);
    at += chunk.length;
  }
  return out;
}

export function hexFromBytes(bytes: Uint8Array): string {
  let text = "";
  for (let i = 0; i < bytes.length; i++) text += bytes[i]!.toString(16).padStart(2, "0");
  return text;
}

const TWO_32 = 0x1_0000_0000;

/** Big endian, 64 bits, of a safe integer; returns the end. */
export function writeUint64(value: number, out: Uint8Array, at: number): number {
  const high = value < TWO_32 ? 0 : Math.floor(value / TWO_32);
  const low = value >>> 0;
  out[at] = high >>> 24;
  out[at + 1] = high >>> 16;
  out[at + 2] = high >>> 8;
  out[at + 3] = high;
  out[at + 4] = low >>> 24;
  out[at + 5] = low >>> 16;
  out[at + 6] = low >>> 8;
  out[at + 7] = low;
  return at + 8;
}
