// One flag of a command line, as Go's pflag knows them: its kind, how its text is read, how its default is shown in a usage.
// The texts of refusals are Go's own (strconv, time), because scripts match them.
import { formatDuration, parseDuration } from "./duration.ts";
import { goQuote } from "./quote.ts";

export type FlagKind =
  | "bool"
  | "string"
  | "int"
  | "int32"
  | "int64"
  | "uint"
  | "uint32"
  | "uint64"
  | "float64"
  | "duration"
  | "stringSlice"
  | "stringArray";

/** Integers and durations (nanoseconds) are bigints, so that no int64 loses digits. */
export type FlagValue = boolean | string | number | bigint | readonly string[];

export type FlagSpec = {
  readonly name: string;
  readonly kind: FlagKind;
  readonly usage: string;
  readonly short?: string;
  /** Durations: nanoseconds. Absent = the zero value of the kind. */
  readonly value?: FlagValue;
  readonly required?: boolean;
  readonly hidden?: boolean;
  /** Names the replacement; a use prints "Flag --x has been deprecated, …" and the flag is left out of usages. */
  readonly deprecated?: string;
};

/** A flag in use: the spec, its value now, and whether the command line set it. */
export type Flag = {
  readonly spec: FlagSpec;
  readonly initial: FlagValue;
  value: FlagValue;
  changed: boolean;
};

type Read = { readonly value: FlagValue } | { readonly error: string };

const ZERO: Record<FlagKind, FlagValue> = {
  bool: false,
  string: "",
  int: 0n,
  int32: 0n,
  int64: 0n,
  uint: 0n,
  uint32: 0n,
  uint64: 0n,
  float64: 0,
  duration: 0n,
  stringSlice: [],
  stringArray: [],
};

export function makeFlag(spec: FlagSpec): Flag {
  const initial = spec.value ?? ZERO[spec.kind];
  return { spec, initial, value: initial, changed: false };
}

/** True for flags that may stand alone: `--flag` means `--flag=true`. */
export function standsAlone(flag: Flag): boolean {
  return flag.spec.kind === "bool";
}

const TRUE = new Set(["1", "t", "T", "true", "TRUE", "True"]);
const FALSE = new Set(["0", "f", "F", "false", "FALSE", "False"]);

/** strconv's digits with base 0: prefixes 0x 0o 0b 0, underscores between digits when a prefix is there. */
const INTEGER =
  /^([+-]?)(0[xX](?:_?[0-9a-fA-F])+|0[oO](?:_?[0-7])+|0[bB](?:_?[01])+|0(?:_?[0-7])*|[1-9](?:_?[0-9])*)$/;

function readInteger(text: string, call: string, low: bigint, high: bigint): Read {
  const match = INTEGER.exec(text);
  if (match === null || (match[1] !== "" && call === "ParseUint")) {
    return { error: `strconv.${call}: parsing ${goQuote(text)}: invalid syntax` };
  }
  let digits = match[2]!.replaceAll("_", "");
  if (/^0[0-7]+$/.test(digits)) digits = `0o${digits.slice(1)}`;
  const value = match[1] === "-" ? -BigInt(digits) : BigInt(digits);
  if (value < low || value > high) {
    return { error: `strconv.${call}: parsing ${goQuote(text)}: value out of range` };
  }
  return { value };
}

function signed(text: string, bits: bigint): Read {
  return readInteger(text, "ParseInt", -(1n << (bits - 1n)), (1n << (bits - 1n)) - 1n);
}

function unsigned(text: string, bits: bigint): Read {
  return readInteger(text, "ParseUint", 0n, (1n << bits) - 1n);
}

function readBool(text: string): Read {
  if (TRUE.has(text)) return { value: true };
  if (FALSE.has(text)) return { value: false };
  return { error: `strconv.ParseBool: parsing ${goQuote(text)}: invalid syntax` };
}

function readFloat(text: string): Read {
  if (!/^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(text)) {
    return { error: `strconv.ParseFloat: parsing ${goQuote(text)}: invalid syntax` };
  }
  return { value: Number(text) };
}

function readDuration(text: string): Read {
  const parsed = parseDuration(text);
  return parsed.ok ? { value: parsed.nanos } : { error: parsed.error };
}

/** A list in one argument: commas part it, as encoding/csv does; double quotes keep a comma. */
function readCsv(text: string): string[] {
  if (text === "") return [];
  const fields: string[] = [];
  let field = "";
  let quoted = false;
  for (let i = 0; i < text.length; i++) {
    const c = text[i]!;
    if (quoted && c === '"' && text[i + 1] === '"') {
      field += c;
      i++;
    } else if (c === '"' && (quoted || field === "")) quoted = !quoted;
    else if (c === "," && !quoted) {
      fields.push(field);
      field = "";
    } else field += c;
  }
  fields.push(field);
  return fields;
}

/** A repeated list flag adds; the first use replaces the default. */
function appended(flag: Flag, more: readonly string[]): Read {
  return { value: flag.changed ? [...(flag.value as readonly string[]), ...more] : [...more] };
}

function readText(flag: Flag, text: string): Read {
  switch (flag.spec.kind) {
    case "bool":
      return readBool(text);
    case "string":
      return { value: text };
    case "int":
    case "int64":
      return signed(text, 64n);
    case "int32":
      return signed(text, 32n);
    case "uint":
    case "uint64":
      return unsigned(text, 64n);
    case "uint32":
      return unsigned(text, 32n);
    case "float64":
      return readFloat(text);
    case "duration":
      return readDuration(text);
    case "stringSlice":
      return appended(flag, readCsv(text));
    case "stringArray":
      return appended(flag, [text]);
  }
}

/** Sets the flag from its text; the error text of pflag when it cannot be read. */
export function setFlag(flag: Flag, text: string): string | undefined {
  const read = readText(flag, text);
  if ("error" in read) {
    const { short, name } = flag.spec;
    const shown = short === undefined ? `--${name}` : `-${short}, --${name}`;
    return `invalid argument ${goQuote(text)} for ${goQuote(shown)} flag: ${read.error}`;
  }
  flag.value = read.value;
  flag.changed = true;
  return undefined;
}

const TYPE_NAME: Record<FlagKind, string> = {
  bool: "",
  string: "string",
  int: "int",
  int32: "int32",
  int64: "int",
  uint: "uint",
  uint32: "uint32",
  uint64: "uint",
  float64: "float",
  duration: "duration",
  stringSlice: "strings",
  stringArray: "stringArray",
};

/** The placeholder of the flag's value and its usage: a back-quoted word in the usage names the placeholder. */
function placeholder(spec: FlagSpec): { name: string; usage: string } {
  const quoted = /`([^`]*)`/.exec(spec.usage);
  if (quoted === null) return { name: TYPE_NAME[spec.kind], usage: spec.usage };
  return { name: quoted[1]!, usage: spec.usage.replace(quoted[0], quoted[1]!) };
}

function shownDefault(flag: Flag): string {
  const value = flag.initial;
  if (flag.spec.kind === "duration")
    return value === 0n ? "" : ` (default ${formatDuration(value as bigint)})`;
  if (typeof value === "string") return value === "" ? "" : ` (default ${goQuote(value)})`;
  if (typeof value === "object") return value.length === 0 ? "" : ` (default [${value.join(",")}])`;
  return value === false || value === 0n || value === 0 ? "" : ` (default ${String(value)})`;
}

/** pflag's FlagUsages: one line per visible flag, sorted by name, usages in one column. */
export function flagUsages(flags: readonly Flag[]): string {
  const lines: { head: string; tail: string }[] = [];
  let longest = 0;
  for (const flag of [...flags].sort((a, b) => (a.spec.name < b.spec.name ? -1 : 1))) {
    const { spec } = flag;
    if (spec.hidden === true || spec.deprecated !== undefined) continue;
    const { name, usage } = placeholder(spec);
    const start = spec.short === undefined ? `      --${spec.name}` : `  -${spec.short}, --${spec.name}`;
    const head = name === "" ? start : `${start} ${name}`;
    longest = Math.max(longest, head.length);
    lines.push({ head, tail: usage + shownDefault(flag) });
  }
  const indent = `\n${" ".repeat(longest + 3)}`;
  return lines
    .map(({ head, tail }) => `${head.padEnd(longest)}   ${tail.replaceAll("\n", indent)}\n`)
    .join("");
}
