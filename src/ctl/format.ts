// Values as Go prints them: %q of bytes, %x of ids, sizes, durations, numbers read from arguments. etcdctl's output is made of
// these, and scripts depend on every character.
import { latin1FromBytes } from "../base/bytes.ts";
import { goQuote } from "../cli/quote.ts";

/** Pieces of output: text is UTF-8, bytes go out as they are. */
export type Chunk = string | Uint8Array;

export function joinChunks(chunks: readonly Chunk[]): Buffer {
  return Buffer.concat(chunks.map((chunk) => (typeof chunk === "string" ? Buffer.from(chunk) : chunk)));
}

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** How many bytes a UTF-8 sequence with this first byte has; 0 = none begins so. */
function sequenceLength(first: number): number {
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first < 0xe0) return 2;
  if (first >= 0xe0 && first < 0xf0) return 3;
  return first >= 0xf0 && first < 0xf5 ? 4 : 0;
}

function decodeAt(bytes: Uint8Array, at: number): { rune: string; length: number } | undefined {
  const length = sequenceLength(bytes[at]!);
  if (length === 0 || at + length > bytes.length) return undefined;
  try {
    return { rune: strict.decode(bytes.subarray(at, at + length)), length };
  } catch {
    return undefined;
  }
}

/** Printable ASCII without quotes and backslashes: what nearly every key is made of. */
function isPlain(bytes: Uint8Array): boolean {
  for (const byte of bytes) if (byte < 0x20 || byte > 0x7e || byte === 0x22 || byte === 0x5c) return false;
  return true;
}

/** %q of a Go string, which may hold any bytes. */
export function quoteBytes(bytes: Uint8Array): string {
  if (isPlain(bytes)) return `"${latin1FromBytes(bytes)}"`;
  let out = "";
  for (let at = 0; at < bytes.length; ) {
    const decoded = decodeAt(bytes, at);
    if (decoded === undefined) out += `\\x${bytes[at++]!.toString(16).padStart(2, "0")}`;
    else {
      out += goQuote(decoded.rune).slice(1, -1);
      at += decoded.length;
    }
  }
  return `"${out}"`;
}

const SIMPLE_ESCAPES: Readonly<Record<string, number>> = {
  a: 7,
  b: 8,
  f: 12,
  n: 10,
  r: 13,
  t: 9,
  v: 11,
  "\\": 92,
  '"': 34,
};

/** Reads one Go string literal ("…" or `…`) at `at`, as Sscanf's %q does. */
export function scanQuoted(text: string, at: number): { value: Uint8Array; end: number } | undefined {
  const quote = text[at];
  if (quote === "`") {
    const end = text.indexOf("`", at + 1);
    return end < 0 ? undefined : { value: Buffer.from(text.slice(at + 1, end)), end: end + 1 };
  }
  if (quote !== '"') return undefined;
  const parts: Buffer[] = [];
  for (let i = at + 1; i < text.length; i++) {
    const c = text[i]!;
    if (c === '"') return { value: Buffer.concat(parts), end: i + 1 };
    if (c !== "\\") {
      const rune = String.fromCodePoint(text.codePointAt(i)!);
      parts.push(Buffer.from(rune));
      i += rune.length - 1;
      continue;
    }
    const escaped = scanEscape(text, i + 1);
    if (escaped === undefined) return undefined;
    parts.push(escaped.bytes);
    i = escaped.end - 1;
  }
  return undefined;
}

/** What follows a backslash. */
function scanEscape(text: string, at: number): { bytes: Buffer; end: number } | undefined {
  const c = text[at] ?? "";
  const simple = SIMPLE_ESCAPES[c];
  if (simple !== undefined) return { bytes: Buffer.of(simple), end: at + 1 };
  const octal = /^[0-3][0-7]{2}/.exec(text.slice(at, at + 3));
  if (octal !== null) return { bytes: Buffer.of(Number.parseInt(octal[0], 8)), end: at + 3 };
  const digits = c === "x" ? 2 : c === "u" ? 4 : c === "U" ? 8 : 0;
  const hex = text.slice(at + 1, at + 1 + digits);
  if (digits === 0 || hex.length !== digits || !/^[0-9a-fA-F]+$/.test(hex)) return undefined;
  const code = Number.parseInt(hex, 16);
  if (digits === 2) return { bytes: Buffer.of(code), end: at + 3 };
  if (code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) return undefined;
  return { bytes: Buffer.from(String.fromCodePoint(code)), end: at + 1 + digits };
}

/** `\x66\x6f\x6f`: how --hex shows keys and values. */
export function hexBytes(bytes: Uint8Array): string {
  let out = "";
  for (const byte of bytes) out += `\\x${byte.toString(16).padStart(2, "0")}`;
  return out;
}

/** %x of an unsigned id. */
export function hexId(id: bigint): string {
  return BigInt.asUintN(64, id).toString(16);
}

/** %16x: padded with spaces. */
export function hexIdPadded(id: bigint): string {
  return hexId(id).padStart(16);
}

/** %016x of a signed lease id. */
export function hexLease(id: bigint): string {
  return id < 0n ? `-${(-id).toString(16).padStart(15, "0")}` : id.toString(16).padStart(16, "0");
}

const SIZE_UNITS = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];

/** Go's %.0f rounds a half to the even neighbour: 20.5 kB are 20. */
function roundHalfEven(value: number): number {
  const whole = Math.floor(value);
  if (value - whole === 0.5) return whole + (whole % 2);
  return Math.round(value);
}

/** humanize.Bytes: powers of 1000, one digit after the point below ten. */
export function humanBytes(size: number): string {
  if (size < 10) return `${size} B`;
  const power = Math.floor(Math.log(size) / Math.log(1000));
  const value = Math.floor((size / 1000 ** power) * 10 + 0.5) / 10;
  return `${value < 10 ? value.toFixed(1) : roundHalfEven(value)} ${SIZE_UNITS[power]!}`;
}

/** A counted number as an integer, however large. */
export function integer(value: number): string {
  return Number.isSafeInteger(value) ? String(value) : BigInt(value).toString();
}

const I64_MAX = 2n ** 63n - 1n;
const U64_MAX = 2n ** 64n - 1n;

function parseInteger(text: string, base: 10 | 16, call: string, low: bigint, high: bigint): bigint | string {
  const digits = base === 10 ? /^[+-]?[0-9]+$/ : /^[+-]?[0-9a-fA-F]+$/;
  if (!digits.test(text) || (low === 0n && /^[+-]/.test(text))) {
    return `strconv.${call}: parsing ${goQuote(text)}: invalid syntax`;
  }
  const magnitude = text.replace(/^[+-]/, "");
  const absolute = BigInt(base === 16 ? `0x${magnitude}` : magnitude);
  const value = text.startsWith("-") ? -absolute : absolute;
  if (value < low || value > high) return `strconv.${call}: parsing ${goQuote(text)}: value out of range`;
  return value;
}

/** strconv.ParseInt to 64 bits: the value, or Go's error text. */
export function parseInt64(text: string, base: 10 | 16): bigint | string {
  return parseInteger(text, base, "ParseInt", -I64_MAX - 1n, I64_MAX);
}

export function parseUint64(text: string, base: 10 | 16): bigint | string {
  return parseInteger(text, base, "ParseUint", 0n, U64_MAX);
}
