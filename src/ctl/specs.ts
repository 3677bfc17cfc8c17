// Parts of the command tree that commands themselves ask for: a txn line is a get, put or del, an interactive watch line has the
// flags of watch.
import type { Invocation } from "../cli/command.ts";
import type { FlagSpec } from "../cli/flag.ts";

/** What a command does. */
export type Run = (invocation: Invocation) => void | Promise<void>;

export function bool(name: string, usage: string, value = false): FlagSpec {
  return { name, kind: "bool", usage, value };
}

export function string(name: string, usage: string, value = ""): FlagSpec {
  return { name, kind: "string", usage, value };
}

export function int64(name: string, usage: string): FlagSpec {
  return { name, kind: "int64", usage };
}

export const getFlags: readonly FlagSpec[] = [
  string("consistency", "Linearizable(l) or Serializable(s)", "l"),
  string("order", "Order of results; ASCEND or DESCEND (ASCEND by default)"),
  string("sort-by", "Sort target; CREATE, KEY, MODIFY, VALUE, or VERSION"),
  int64("limit", "Maximum number of results"),
  bool("prefix", "Get keys with matching prefix"),
  bool("from-key", "Get keys that are greater than or equal to the given key using byte compare"),
  int64("rev", "Specify the kv revision"),
  bool("keys-only", "Get only the keys"),
  bool("count-only", "Get only the count"),
  bool("print-value-only", 'Only write values when using the "simple" output format'),
  int64("min-create-rev", "Minimum create revision"),
  int64("max-create-rev", "Maximum create revision"),
  int64("min-mod-rev", "Minimum modification revision"),
  int64("max-mod-rev", "Maximum modification revision"),
  bool("stream", "Use the RangeStream RPC"),
];

export const putFlags: readonly FlagSpec[] = [
  string("lease", "lease ID (in hexadecimal) to attach to the key", "0"),
  bool("prev-kv", "return the previous key-value pair before modification"),
  bool("ignore-value", "updates the key using its current value"),
  bool("ignore-lease", "updates the key using its current lease"),
];

export const delFlags: readonly FlagSpec[] = [
  bool("prefix", "delete keys with matching prefix"),
  bool("prev-kv", "return deleted key-value pairs"),
  bool("from-key", "delete keys that are greater than or equal to the given key using byte compare"),
  bool("range", "delete range of keys"),
];

export const watchFlags: readonly FlagSpec[] = [
  { ...bool("interactive", "Interactive mode"), short: "i" },
  bool("prefix", "Watch on a prefix if prefix is set"),
  int64("rev", "Revision to start watching"),
  bool("prev-kv", "get the previous key-value pair before the event happens"),
  bool("progress-notify", "get periodic watch progress notification from server"),
];

export const GET_USE = "get [options] <key> [range_end]";
export const PUT_USE = "put [options] <key> <value> (<value> can also be given from stdin)";
export const DEL_USE = "del [options] <key> [range_end]";

/** Loads a module at its first use. */
export function lazily<M>(load: () => Promise<M>, pick: (module: M) => Run): Run {
  return async (invocation) => await pick(await load())(invocation);
}

/** Groups of the help text. */
export const KV = "kv";
export const MAINTENANCE = "cluster maintenance";
export const CONCURRENCY = "concurrency";
export const AUTHENTICATION = "authentication";
export const UTILITY = "utility";
