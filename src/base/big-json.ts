// JSON as Go's encoding/json reads and writes it, where 64-bit ids stand as bare numbers: JSON.parse would lose their digits. Every
// integer is read as a bigint. Used for members, conf states, the old v2 store, and whatever else etcd keeps or sends as JSON.
import { malformed } from "./format-error.ts";

export type Json = null | boolean | number | bigint | string | Json[] | JsonObject;
/** Fields in the order of the text. A field that is undefined is left out when written. */
export type JsonObject = { [name: string]: Json | undefined };

/** Deeper nesting than any of etcd's documents has. */
const DEPTH_MAX = 200;

const NUMBER = /-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?/y;
const SPACE = /[ \t\r\n]*/y;

class Parser {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  document(): Json {
    const value = this.#value(0);
    this.#space();
    if (this.#at < this.#text.length) malformed(this.#at, "there is more after the JSON value");
    return value;
  }

  #space(): void {
    SPACE.lastIndex = this.#at;
    SPACE.test(this.#text);
    this.#at = SPACE.lastIndex;
  }

  #take(char: string): boolean {
    this.#space();
    if (this.#text[this.#at] !== char) return false;
    this.#at++;
    return true;
  }

  #expect(char: string): void {
    if (!this.#take(char)) malformed(this.#at, `JSON lacks a ${char}`);
  }

  #value(depth: number): Json {
    if (depth > DEPTH_MAX) malformed(this.#at, "JSON nests too deep");
    if (this.#take("{")) return this.#object(depth);
    if (this.#take("[")) return this.#array(depth);
    if (this.#text[this.#at] === '"') return this.#string();
    for (const [word, value] of [
      ["null", null],
      ["true", true],
      ["false", false],
    ] as const) {
      if (!this.#text.startsWith(word, this.#at)) continue;
      this.#at += word.length;
      return value;
    }
    return this.#number();
  }

  #object(depth: number): JsonObject {
    // A null prototype: a field named __proto__ is a field.
    const object: JsonObject = Object.create(null);
    if (this.#take("}")) return object;
    do {
      this.#space();
      const name = this.#string();
      this.#expect(":");
      object[name] = this.#value(depth + 1);
    } while (this.#take(","));
    this.#expect("}");
    return object;
  }

  #array(depth: number): Json[] {
    const array: Json[] = [];
    if (this.#take("]")) return array;
    do array.push(this.#value(depth + 1));
    while (this.#take(","));
    this.#expect("]");
    return array;
  }

  #string(): string {
    const text = this.#text;
    const start = this.#at;
    if (text[start] !== '"') malformed(start, "JSON lacks a string");
    let end = start + 1;
    while (end < text.length && text[end] !== '"') end += text[end] === "\\" ? 2 : 1;
    this.#at = end + 1;
    try {
      return JSON.parse(text.slice(start, end + 1)) as string;
    } catch {
      return malformed(start, "JSON has a broken string");
    }
  }

  #number(): number | bigint {
    NUMBER.lastIndex = this.#at;
    const match = NUMBER.exec(this.#text);
    if (match === null) malformed(this.#at, "JSON lacks a value");
    this.#at = NUMBER.lastIndex;
    return match[1] === undefined && match[2] === undefined ? BigInt(match[0]) : Number(match[0]);
  }
}

/** Throws a FormatError, whose offset counts characters. */
export function parseBigJson(text: string): Json {
  return new Parser(text).document();
}

const SPECIAL = /["\\<>&\p{Cc}\u2028\u2029]/gu;
const SHORT_ESCAPES = new Map<string, string>([
  ['"', '\\"'],
  ["\\", "\\\\"],
  ["\b", "\\b"],
  ["\f", "\\f"],
  ["\n", "\\n"],
  ["\r", "\\r"],
  ["\t", "\\t"],
]);

function escaped(char: string): string {
  const code = char.charCodeAt(0);
  // Go leaves DEL and the upper controls as they are.
  if (code >= 0x7f && code <= 0x9f) return char;
  return SHORT_ESCAPES.get(char) ?? `\\u${code.toString(16).padStart(4, "0")}`;
}

/** With Go's escapes: also <, >, & and the two line separators. */
export function jsonString(text: string): string {
  return `"${text.replace(SPECIAL, escaped)}"`;
}

/** As json.Marshal: no spaces, fields in the order of the object, bigints as bare digits. */
export function formatBigJson(value: Json): string {
  if (typeof value === "string") return jsonString(value);
  if (value === null || typeof value !== "object") return String(value);
  if (Array.isArray(value)) return `[${value.map(formatBigJson).join(",")}]`;
  const fields: string[] = [];
  for (const [name, field] of Object.entries(value)) {
    if (field !== undefined) fields.push(`${jsonString(name)}:${formatBigJson(field)}`);
  }
  return `{${fields.join(",")}}`;
}

/** The value as an object; anything else is malformed. */
export function jsonObject(value: Json | undefined, what: string): JsonObject {
  if (value === null || typeof value !== "object" || Array.isArray(value))
    malformed(0, `${what} is not an object`);
  return value;
}

/** An unsigned 64-bit field; absent = 0, as in Go. */
export function jsonUint64(value: Json | undefined, what: string): bigint {
  if (value === undefined || value === null) return 0n;
  if (typeof value !== "bigint" || value < 0n || value >= 1n << 64n)
    malformed(0, `${what} is not an unsigned number`);
  return value;
}

/** A list of strings; absent or null = empty. */
export function jsonStrings(value: Json | undefined, what: string): string[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) malformed(0, `${what} is not a list`);
  return value.map((each) => jsonText(each, what));
}

/** A string; absent or null = empty. */
export function jsonText(value: Json | undefined, what: string): string {
  if (value === undefined || value === null) return "";
  if (typeof value !== "string") malformed(0, `${what} is not a string`);
  return value;
}

/** A boolean; absent or null = false. */
export function jsonBool(value: Json | undefined, what: string): boolean {
  if (value === undefined || value === null) return false;
  if (typeof value !== "boolean") malformed(0, `${what} is not true or false`);
  return value;
}
