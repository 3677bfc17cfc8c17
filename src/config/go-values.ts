// Go's spelling of simple values: strconv and time parse and format them so, and etcd's flags, environment and messages show it.
// Called by the flag parser and the validation; a value that does not parse comes back as the error text.

export type Parsed<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly error: string };

export function parsed<T>(value: T): Parsed<T> {
  return { ok: true, value };
}

export function unparsed(error: string): { readonly ok: false; readonly error: string } {
  return { ok: false, error };
}

const PARSE_ERROR = unparsed("parse error");
const RANGE_ERROR = unparsed("value out of range");

/** strconv.ParseBool, or undefined. */
export function parseBool(text: string): boolean | undefined {
  switch (text) {
    case "1":
    case "t":
    case "T":
    case "true":
    case "TRUE":
    case "True":
      return true;
    case "0":
    case "f":
    case "F":
    case "false":
    case "FALSE":
    case "False":
      return false;
    default:
      return undefined;
  }
}

/** Go's integer literals: underscores only between digits, or after a prefix. */
const INTEGER = /^(0x(_?[0-9a-f])+|0o(_?[0-7])+|0b(_?[01])+|0(_?[0-7])*|[1-9](_?[0-9])*)$/;

/** strconv.ParseInt(text, 0, 64): decimal, 0x, 0o, 0b, a leading 0 for octal. Undefined = wrong syntax. */
function parseAnyBase(text: string): bigint | undefined {
  const negative = text.startsWith("-");
  const given = (/^[-+]/.test(text) ? text.slice(1) : text).toLowerCase();
  if (!INTEGER.test(given)) return undefined;
  const digits = given.replaceAll("_", "");
  const size = BigInt(/^0[0-7]+$/.test(digits) ? `0o${digits.slice(1)}` : digits);
  return negative ? -size : size;
}

/** A 64-bit count as a number: above 2^53 the nearest double, which every comparison with real counts still answers rightly. */
export function parseInteger(text: string, min: bigint, max: bigint): Parsed<number> {
  const value = parseAnyBase(text);
  if (value === undefined || (min === 0n && /^[-+]/.test(text))) return PARSE_ERROR;
  return value < min || value > max ? RANGE_ERROR : parsed(Number(value));
}

const NANOS: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  "\u00b5s": 1e3,
  "\u03bcs": 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
};

/** time.ParseDuration, in nanoseconds. */
export function parseDuration(text: string): Parsed<number> {
  const invalid = unparsed(`time: invalid duration ${quoteBytes(text)}`);
  const negative = text.startsWith("-");
  let rest = text.startsWith("-") || text.startsWith("+") ? text.slice(1) : text;
  if (rest === "0") return parsed(0);
  if (rest === "") return invalid;
  let nanos = 0;
  while (rest !== "") {
    const number = /^(\d+\.?\d*|\.\d+)/.exec(rest)?.[0];
    if (number === undefined) return invalid;
    rest = rest.slice(number.length);
    const unit = /^[^.\d]+/.exec(rest)?.[0];
    if (unit === undefined) return unparsed(`time: missing unit in duration ${quoteBytes(text)}`);
    const size = Object.hasOwn(NANOS, unit) ? NANOS[unit]! : undefined;
    if (size === undefined)
      return unparsed(`time: unknown unit ${quoteBytes(unit)} in duration ${quoteBytes(text)}`);
    rest = rest.slice(unit.length);
    nanos += Math.trunc(Number(number) * size);
  }
  if (nanos > 2 ** 63) return invalid;
  return parsed(negative ? -nanos : nanos);
}

/** time.Duration.String: `1m0s`, `100ms`, `1.5s`, `0s`. */
export function formatDuration(nanos: number): string {
  if (nanos === 0) return "0s";
  const sign = nanos < 0 ? "-" : "";
  const size = Math.abs(nanos);
  if (size < 1e3) return `${sign}${size}ns`;
  if (size < 1e6) return `${sign}${size / 1e3}\u00b5s`;
  if (size < 1e9) return `${sign}${size / 1e6}ms`;
  const tail = `${((size % 60e9) / 1e9).toFixed(9).replace(/\.?0+$/, "")}s`;
  const minutes = Math.floor(size / 60e9);
  const hours = Math.floor(minutes / 60);
  if (hours > 0) return `${sign}${hours}h${minutes % 60}m${tail}`;
  return minutes > 0 ? `${sign}${minutes}m${tail}` : `${sign}${tail}`;
}

/** Go's %q. */
export function quote(text: string): string {
  const quoted = JSON.stringify(text)
    .replace(/\\u00([01][0-9a-f])/g, "\\x$1")
    .replaceAll("\u007f", "\\x7f");
  const named = quoted.replaceAll("\\x07", "\\a").replaceAll("\\x0b", "\\v");
  return named.replace(/[\u0080-\u00a0\u00ad]/g, (one) => `\\u00${one.charCodeAt(0).toString(16)}`);
}

/** How package time quotes what it cannot read: everything outside ASCII byte by byte. */
function quoteBytes(text: string): string {
  let quoted = "";
  for (const byte of new TextEncoder().encode(text)) {
    const plain = byte >= 0x20 && byte < 0x7f;
    const escaped = byte === 0x22 || byte === 0x5c ? "\\" : "";
    quoted += plain ? escaped + String.fromCharCode(byte) : `\\x${byte.toString(16).padStart(2, "0")}`;
  }
  return `"${quoted}"`;
}
