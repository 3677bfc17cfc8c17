// ETCDCTL_* variables: each global flag that the command line leaves alone can be set by one. A variable beside its flag is an
// error that ends the program, one that nobody knows a warning.
import { ExitError } from "../cli/command.ts";
import type { Flag } from "../cli/flag.ts";
import { setFlag } from "../cli/flag.ts";
import type { FlagSet } from "../cli/flag-set.ts";
import { logLine } from "./log.ts";

const PREFIX = "ETCDCTL";

export function variableName(flag: string): string {
  return `${PREFIX}_${flag.toUpperCase().replaceAll("-", "_")}`;
}

/** `silent`: names that are no flags, and are not warned of. */
export function applyEnvironment(flags: FlagSet, globals: readonly Flag[], silent: readonly string[]): void {
  const onCommandLine = new Set<string>();
  const used = new Set<string>(
    silent.filter((name) => (process.env[variableName(name)] ?? "") !== "").map(variableName),
  );
  for (const { spec } of globals) {
    const flag = flags.lookup(spec.name);
    const name = variableName(spec.name);
    if (flag === undefined) continue;
    if (flag.changed) {
      onCommandLine.add(name);
      continue;
    }
    const value = process.env[name] ?? "";
    if (value === "") continue;
    used.add(name);
    setFlag(flag, value);
  }
  for (const [name, value] of Object.entries(process.env)) {
    if (used.has(name)) continue;
    if (onCommandLine.has(name)) {
      const text =
        "conflicting environment variable is shadowed by corresponding command-line flag (either unset environment variable or disable flag))";
      logLine("fatal", "", "flags/flag.go:86", text, { "environment-variable": name });
      throw new SilentExit(1);
    }
    if (name.startsWith(`${PREFIX}_`)) {
      logLine("warn", "", "flags/flag.go:94", "unrecognized environment variable", {
        "environment-variable": `${name}=${value ?? ""}`,
      });
    }
  }
}

/** Ends the program with a code and no further word. */
export class SilentExit extends Error {
  override readonly name = "SilentExit";
  readonly code: number;
  constructor(code: number) {
    super(`exit ${code}`);
    this.code = code;
  }
}

export const Exit = {
  Error: 1,
  BadConnection: 2,
  InvalidInput: 3,
  BadFeature: 4,
  Interrupted: 5,
  BadArgs: 128,
} as const;

export function fail(code: number, message: string): never {
  throw new ExitError(code, message);
}

/** The value, or the end of the program with the text that stands in its place. */
export function orFail<T>(
  value: T | string,
  code: number,
  wrap: (text: string) => string = (text) => text,
): T {
  if (typeof value === "string") return fail(code, wrap(value));
  return value;
}
