// The command line as Go's flag package reads it: one or two dashes, `-flag=value` or `-flag value`, booleans without a value, the
// first word without a dash ends the flags. Called by src/config/parse; the complaints are Go's and etcd's own.

import { experimentalFlag } from "./experimental-flags.ts";
import { FLAG_BY_NAME, IGNORED_FLAGS } from "./flag-table.ts";
import type { FlagValues } from "./flag-values.ts";
import { quote } from "./go-values.ts";

export type CommandLine =
  | { readonly kind: "parsed"; readonly rest: readonly string[] }
  | { readonly kind: "help" }
  | { readonly kind: "wrong"; readonly message: string };

/** Stores every flag in `values`; experimental-* twins go to `experimental` as typed. */
export function readCommandLine(
  args: readonly string[],
  values: FlagValues,
  experimental: Map<string, string>,
): CommandLine {
  let at = 0;
  while (at < args.length) {
    const arg = args[at]!;
    if (arg.length < 2 || !arg.startsWith("-")) break;
    at++;
    if (arg === "--") break;
    const name = arg.startsWith("--") ? arg.slice(2) : arg.slice(1);
    if (name === "" || name.startsWith("-") || name.startsWith("=")) return wrong(`bad flag syntax: ${arg}`);
    const flag = splitFlag(name);
    const kind = flagKind(flag.name);
    if (kind === undefined) {
      if (flag.name === "help" || flag.name === "h") return { kind: "help" };
      return wrong(`flag provided but not defined: -${flag.name}`);
    }
    let value = flag.value;
    if (value === undefined && kind === "switch") value = "true";
    if (value === undefined && at < args.length) value = args[at++];
    if (value === undefined) return wrong(`flag needs an argument: -${flag.name}`);
    const message = setFlag(flag.name, value, kind, values, experimental);
    if (message !== undefined) return wrong(message);
  }
  return { kind: "parsed", rest: args.slice(at) };
}

function wrong(message: string): CommandLine {
  return { kind: "wrong", message };
}

function splitFlag(text: string): { name: string; value: string | undefined } {
  const at = text.indexOf("=");
  return at < 0 ? { name: text, value: undefined } : { name: text.slice(0, at), value: text.slice(at + 1) };
}

/** A switch stands alone; undefined = no such flag. */
export function flagKind(name: string): "switch" | "value" | undefined {
  if (IGNORED_FLAGS.includes(name)) return "switch";
  const twin = experimentalFlag(name);
  if (twin?.gate !== undefined) return "switch";
  const flag = FLAG_BY_NAME.get(twin?.flag ?? name);
  if (flag === undefined) return undefined;
  return flag.kind === "bool" ? "switch" : "value";
}

/** Go's complaint, as the command line shows it. */
function setFlag(
  name: string,
  value: string,
  kind: "switch" | "value",
  values: FlagValues,
  experimental: Map<string, string>,
): string | undefined {
  const problem = storeFlag(name, value, values, experimental);
  if (problem === undefined) return undefined;
  if (kind === "switch") return `invalid boolean value ${quote(value)} for -${name}: ${problem}`;
  return `invalid value ${quote(value)} for flag -${name}: ${problem}`;
}

/** Go's bare complaint, which each source wraps in its own words. */
export function storeFlag(
  name: string,
  value: string,
  values: FlagValues,
  experimental: Map<string, string>,
): string | undefined {
  if (IGNORED_FLAGS.includes(name)) return undefined;
  const twin = experimentalFlag(name);
  if (twin === undefined) return values.parse(name, value);
  const problem = twin.check(value);
  if (problem === undefined) experimental.set(name, value);
  return problem;
}
