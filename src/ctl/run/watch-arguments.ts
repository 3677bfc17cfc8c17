// What the words after `watch` mean: keys from arguments or variables, and after "--" a command to run. The rules for what goes
// together are etcdctl's, odd corners included.
import type { FlagSet } from "../../cli/flag-set.ts";

export type WatchArguments = { readonly keys: readonly string[]; readonly command: readonly string[] };

export type WatchInput = {
  /** Everything after the word `watch`, flags and "--" included. */
  readonly raw: readonly string[];
  /** What the flag parser has left of them (not used when interactive). */
  readonly args: readonly string[];
  readonly envKey: string;
  readonly envRange: string;
  /** The flags of an interactive line, to be parsed here; undefined on the command line. */
  readonly interactive: FlagSet | undefined;
};

const BAD_NUMBER = "bad number of arguments";
const CONFLICT = "bad number of arguments (found conflicting environment key)";
const NO_COMMAND = "bad number of arguments (found separator --, but no commands)";

/** The meaning, or what is wrong. */
export function parseWatchArguments(input: WatchInput): WatchArguments | string {
  const { raw, envKey, envRange, interactive } = input;
  const dash = raw.indexOf("--");
  if (dash >= 0 && dash === raw.length - 1) return NO_COMMAND;
  if (interactive !== undefined) {
    const error = interactive.parse(raw);
    if (error !== undefined) return error;
  }
  const args = interactive?.args ?? input.args;
  if (dash < 0) {
    const given = interactive === undefined ? raw.length : args.length;
    if (given < 1 && envKey === "") return BAD_NUMBER;
    if (args.length > 0 && envKey !== "") return CONFLICT;
  } else if (interactive === undefined && envKey !== "" && hasKeyBeforeDash(args, raw, dash)) return CONFLICT;
  const variables = envKey === "" ? [] : [envKey, ...(envRange === "" ? [] : [envRange])];
  const all = [...variables, ...args];
  if (dash < 0) return { keys: all, command: [] };
  const command = raw.slice(dash + 1);
  // The last word that equals the command's first: where the flag parser, which drops "--", has put the command.
  const end = all.lastIndexOf(command[0]!);
  return { keys: all.slice(0, Math.max(0, end)), command };
}

/** Compares from the back: an argument left over when the separator is reached stood before it. */
function hasKeyBeforeDash(args: readonly string[], raw: readonly string[], dash: number): boolean {
  let at = raw.length - 1;
  for (let i = args.length - 1; i >= 0; i--) {
    if (args[i] === raw[at]) at--;
    else if (at === dash) return true;
  }
  return false;
}
