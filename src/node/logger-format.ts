// One log line as etcd's zap writes it: JSON or console. Pure text work, called by src/node/logger; it must never throw, whatever
// a field holds.
import type { Fields } from "../ports/logger.ts";

export type LevelName = "debug" | "info" | "warn" | "error" | "dpanic" | "panic" | "fatal";
export type LogFormat = "json" | "console";

const ORDER: Readonly<Record<LevelName, number>> = {
  debug: -1,
  info: 0,
  warn: 1,
  error: 2,
  dpanic: 3,
  panic: 4,
  fatal: 5,
};

export function levelNumber(level: LevelName): number {
  return ORDER[level];
}

/** zap's names in any case; the empty text is info. Undefined when zap would not know it. */
export function parseLevel(text: string): LevelName | undefined {
  const lower = text.toLowerCase();
  if (lower === "") return "info";
  if (lower === "warning") return "warn";
  return Object.hasOwn(ORDER, lower) ? (lower as LevelName) : undefined;
}

/** Local wall time with microseconds, `2026-01-02T03:04:05.678901Z`, or `…+0200` away from UTC. */
export class Timestamps {
  #second = Number.NaN;
  #prefix = "";
  #zone = "";

  /** `micros`: microseconds since 1970. */
  format(micros: number): string {
    const second = Math.floor(micros / 1e6);
    if (second !== this.#second) this.#startSecond(second);
    const fraction = Math.floor(micros - second * 1e6);
    return `${this.#prefix}${String(fraction).padStart(6, "0")}${this.#zone}`;
  }

  #startSecond(second: number): void {
    this.#second = second;
    const minutesWest = new Date(second * 1000).getTimezoneOffset();
    const local = new Date(second * 1000 - minutesWest * 60_000).toISOString();
    this.#prefix = `${local.slice(0, 19)}.`;
    this.#zone = minutesWest === 0 ? "Z" : zone(-minutesWest);
  }
}

function zone(minutesEast: number): string {
  const size = Math.abs(minutesEast);
  const hours = String(Math.floor(size / 60)).padStart(2, "0");
  return `${minutesEast < 0 ? "-" : "+"}${hours}${String(size % 60).padStart(2, "0")}`;
}

/** `{"level":…,"ts":…,"logger":…,"caller":…,"msg":…, fields}` with a line feed. `name` is left out when empty. */
export function jsonLine(
  level: LevelName,
  time: string,
  name: string,
  caller: string,
  message: string,
  fields: Fields | undefined,
): string {
  const logger = name === "" ? "" : `,"logger":${jsonText(name)}`;
  const head = `{"level":"${level}","ts":"${time}"${logger},"caller":${jsonText(caller)},"msg":${jsonText(message)}`;
  return `${head}${fields === undefined ? "" : jsonFields(fields, ",", ":", ",")}}\n`;
}

/** Tab-separated, the fields as one JSON object with spaces, as zap's console encoder does. */
export function consoleLine(
  level: LevelName,
  time: string,
  name: string,
  caller: string,
  message: string,
  fields: Fields | undefined,
): string {
  const logger = name === "" ? "" : `${name}\t`;
  const tail = fields === undefined ? "" : jsonFields(fields, "", ": ", ", ");
  return `${time}\t${level}\t${logger}${caller}\t${message}${tail === "" ? "" : `\t{${tail}}`}\n`;
}

function jsonFields(fields: Fields, first: string, colon: string, comma: string): string {
  let text = "";
  for (const name of Object.keys(fields)) {
    const value = fields[name];
    if (value === undefined) continue;
    text += `${text === "" ? first : comma}${jsonText(name)}${colon}${jsonValue(value, colon, comma, DEPTH_MAX)}`;
  }
  return text;
}

/** Deeper than this a value is shown as its type: a cycle ends here too. */
const DEPTH_MAX = 6;

function jsonValue(value: unknown, colon: string, comma: string, depth: number): string {
  switch (typeof value) {
    case "string":
      return jsonText(value);
    case "number":
      return Number.isFinite(value)
        ? String(value)
        : `"${Number.isNaN(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf"}"`;
    case "boolean":
    case "bigint":
      return String(value);
    case "undefined":
      return "null";
    case "function":
    case "symbol":
      return jsonText(typeof value);
    case "object":
      return value === null ? "null" : jsonObject(value, colon, comma, depth);
    default:
      return "null";
  }
}

function jsonObject(value: object, colon: string, comma: string, depth: number): string {
  if (value instanceof Error) return jsonText(value.message);
  if (value instanceof Date) return jsonText(value.toISOString());
  if (value instanceof Uint8Array) return jsonText(Buffer.from(value).toString("base64"));
  if (depth === 0) return jsonText(Array.isArray(value) ? "[array]" : "[object]");
  if (Array.isArray(value))
    return `[${value.map((one) => jsonValue(one, colon, comma, depth - 1)).join(comma)}]`;
  const parts: string[] = [];
  for (const [name, one] of Object.entries(value)) {
    if (one !== undefined) parts.push(`${jsonText(name)}${colon}${jsonValue(one, colon, comma, depth - 1)}`);
  }
  return `{${parts.join(comma)}}`;
}

/** As JSON.stringify, except that zap spells backspace and form feed as \u0008 and \u000c. */
function jsonText(text: string): string {
  const quoted = JSON.stringify(text);
  return /[\b\f]/.test(text) ? quoted.replace(/\\(.)/g, escapeAsZap) : quoted;
}

function escapeAsZap(pair: string, letter: string): string {
  return letter === "b" ? "\\u0008" : letter === "f" ? "\\u000c" : pair;
}
