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

/** strconv.ParseInt(text, 0, 64): decimal, 0x, 0o, 0b, a leading 0 for octal, underscores between digits. Undefined = syntax. */
function parseAnyBase(text: string): bigint | undefined {
  const negative = text.startsWith("-");
  let digits = text.startsWith("-") || text.startsWith("+") ? text.slice(1) : text;
  if (/__|_$|^_/.test(digits)) return undefined;
  digits = digits.toLowerCase().replaceAll("_", "");
  if (/^0[0-7]+$/.test(digits)) digits = `0o${digits.slice(1)}`;
  if (!/^(0x[0-9a-f]+|0o[0-7]+|0b[01]+|0|[1-9][0-9]*)$/.test(digits)) return undefined;
  const size = BigInt(digits);
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
  const invalid = unparsed(`time: invalid duration ${quote(text)}`);
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
    if (unit === undefined) return unparsed(`time: missing unit in duration ${quote(text)}`);
    const size = Object.hasOwn(NANOS, unit) ? NANOS[unit]! : undefined;
    if (size === undefined) return unparsed(`time: unknown unit ${quote(unit)} in duration ${quote(text)}`);
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
  const seconds = size / 1e9;
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(minutes / 60);
  const tail = `${Number((seconds - minutes * 60).toFixed(9))}s`;
  if (hours > 0) return `${sign}${hours}h${minutes % 60}m${tail}`;
  return minutes > 0 ? `${sign}${minutes}m${tail}` : `${sign}${tail}`;
}

/** Go's %q. */
export function quote(text: string): string {
  const quoted = JSON.stringify(text)
    .replace(/\\u00([01][0-9a-f])/g, "\\x$1")
    .replaceAll("\u007f", "\\x7f");
  return quoted.replaceAll("\\x07", "\\a").replaceAll("\\x0b", "\\v");
}
