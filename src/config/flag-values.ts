// The values of all flags, typed by their kind, wherever they came from (command line, environment, file). Filled by the sources,
// read once by src/config/build.
import { AssertionError, must, unreachable } from "../base/assert.ts";
import { byteOrder } from "../node/metrics-format.ts";
import { FeatureGates } from "./feature-gates.ts";
import { FLAG_BY_NAME, FLAGS, type FlagDefinition } from "./flag-table.ts";
import { type Parsed, parseBool, parseDuration, parsed, parseInteger, quote, unparsed } from "./go-values.ts";
import { type EndpointUrl, parseUrls, withoutDoubles } from "./urls.ts";

type FlagValue = string | boolean | number | readonly string[] | readonly EndpointUrl[] | FeatureGates;

const UINT64_MAX = 2n ** 64n - 1n;
const INT64_MIN = -(2n ** 63n);
const INT64_MAX = 2n ** 63n - 1n;

export class FlagValues {
  readonly #values = new Map<string, FlagValue>();
  /** Names that somebody set, in whatever source. */
  readonly set = new Set<string>();

  constructor() {
    for (const flag of FLAGS)
      this.#values.set(flag.name, must(parseDefault(flag), `${flag.name} has a good default`));
  }

  /** Parses and stores what was typed; answers Go's complaint about it, or undefined. */
  parse(name: string, text: string): string | undefined {
    const flag = must(FLAG_BY_NAME.get(name), `${name} is a flag`);
    const value = parseKind(flag, text, this.#values.get(name));
    if (!value.ok) return value.error;
    this.put(name, value.value);
    return undefined;
  }

  /** Stores a value that is of the right kind already. */
  put(name: string, value: FlagValue): void {
    this.#values.set(name, value);
    this.set.add(name);
  }

  /** Takes over everything from another set of values. */
  become(other: FlagValues): void {
    for (const [name, value] of other.#values) this.#values.set(name, value);
    this.set.clear();
    for (const name of other.set) this.set.add(name);
  }

  text(name: string): string {
    const value = this.#get(name);
    return typeof value === "string" ? value : wrongKind(name);
  }

  bool(name: string): boolean {
    const value = this.#get(name);
    return typeof value === "boolean" ? value : wrongKind(name);
  }

  number(name: string): number {
    const value = this.#get(name);
    return typeof value === "number" ? value : wrongKind(name);
  }

  /** Durations are kept in nanoseconds, as Go does. */
  millis(name: string): number {
    return this.number(name) / 1e6;
  }

  texts(name: string): readonly string[] {
    const value = this.#get(name);
    return Array.isArray(value)
      ? value.filter((one): one is string => typeof one === "string")
      : wrongKind(name);
  }

  urls(name: string): readonly EndpointUrl[] {
    const value = this.#get(name);
    if (!Array.isArray(value)) return wrongKind(name);
    return value.filter((one): one is EndpointUrl => typeof one === "object");
  }

  gates(): FeatureGates {
    const value = this.#get("feature-gates");
    return value instanceof FeatureGates ? value : wrongKind("feature-gates");
  }

  #get(name: string): FlagValue {
    return must(this.#values.get(name), `${name} is a flag`);
  }
}

function wrongKind(name: string): never {
  throw new AssertionError(`the flag ${name} is asked for by its own kind`);
}

function parseDefault(flag: FlagDefinition): FlagValue | undefined {
  if (flag.default === "" && flag.kind !== "string") return flag.kind === "gates" ? new FeatureGates() : [];
  const value = parseKind(flag, flag.default, undefined);
  return value.ok ? value.value : undefined;
}

function parseKind(flag: FlagDefinition, text: string, before: FlagValue | undefined): Parsed<FlagValue> {
  switch (flag.kind) {
    case "string":
      return parsed(text);
    case "bool": {
      const value = parseBool(text);
      return value === undefined ? unparsed("parse error") : parsed(value);
    }
    case "uint":
    case "uint64":
      return parseInteger(text, 0n, UINT64_MAX);
    case "uint32":
      return parseUint32(text);
    case "int":
    case "int64":
      return parseInteger(text, INT64_MIN, INT64_MAX);
    case "duration": {
      const value = parseDuration(text);
      return value.ok ? value : unparsed("parse error");
    }
    case "urls":
      return parseUrlFlag(text, before);
    case "origins":
      return parseOrigins(text);
    case "strings":
      return parsed(text.split(","));
    case "unique-strings":
      return parsed([...new Set(text.split(","))].sort(byteOrder));
    case "choice":
      return flag.choices.includes(text) ? parsed(text) : unparsed("invalid value");
    case "v2-stages": {
      const wrong = text.split(",").find((stage) => !flag.choices.includes(stage));
      return wrong === undefined ? parsed(text) : unparsed(`invalid value ${quote(wrong)}`);
    }
    case "gates":
      return (before instanceof FeatureGates ? before : new FeatureGates()).with(text);
    default:
      return unreachable(flag.kind);
  }
}

/** etcd's own uint32 flag shows strconv's words instead of the flag package's. */
function parseUint32(text: string): Parsed<number> {
  const value = parseInteger(text, 0n, 2n ** 32n - 1n);
  if (value.ok) return value;
  const problem = value.error === "parse error" ? "invalid syntax" : value.error;
  return unparsed(`strconv.ParseUint: parsing ${quote(text)}: ${problem}`);
}

/** An empty text leaves the URLs as they are: etcd's flag only notes that it was set. */
function parseUrlFlag(text: string, before: FlagValue | undefined): Parsed<FlagValue> {
  if (text === "") return parsed(before ?? []);
  const urls = parseUrls(text.split(","));
  return urls.ok ? parsed(withoutDoubles(urls.value)) : urls;
}

/** --cors: `*`, or URLs, kept as their text. */
export function parseOrigins(text: string): Parsed<readonly string[]> {
  if (text === "*") return parsed(["*"]);
  const urls = parseUrls(text.split(","));
  return urls.ok ? parsed(withoutDoubles(urls.value).map((url) => url.text)) : urls;
}
