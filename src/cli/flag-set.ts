// The flags that one command accepts, and the parser of its arguments: pflag's rules (--flag value, --flag=value, -f value,
// -fvalue, -f=value, bundles of short bools, flags anywhere, "--" ends them). Flags of parent commands are shared objects.
import { must } from "../base/assert.ts";
import type { Flag, FlagKind, FlagSpec } from "./flag.ts";
import { makeFlag, setFlag, standsAlone } from "./flag.ts";
import { goQuoteRune } from "./quote.ts";

/** What a shorthand bundle leaves: the letters still to read, or an error text. */
type Step = { rest: string } | { error: string };

export class FlagSet {
  readonly #byName = new Map<string, Flag>();
  readonly #byShort = new Map<string, Flag>();
  /** Arguments that are no flags, after parse. */
  args: string[] = [];
  /** How many of `args` stood before "--"; -1 without one. */
  argsLengthAtDash = -1;
  /** "Flag --x has been deprecated, …" lines that parse() wants printed. */
  readonly notices: string[] = [];

  add(spec: FlagSpec): void {
    this.share(makeFlag(spec));
  }

  /** Takes over a flag of a parent; a flag of the same name that is already there wins. */
  share(flag: Flag): void {
    if (this.#byName.has(flag.spec.name)) return;
    this.#byName.set(flag.spec.name, flag);
    if (flag.spec.short !== undefined) this.#byShort.set(flag.spec.short, flag);
  }

  lookup(name: string): Flag | undefined {
    return this.#byName.get(name);
  }

  lookupShort(letter: string): Flag | undefined {
    return this.#byShort.get(letter);
  }

  /** All flags, sorted by name. */
  all(): Flag[] {
    return [...this.#byName.values()].sort((a, b) => (a.spec.name < b.spec.name ? -1 : 1));
  }

  /** Reads the arguments of the command. Returns the error text of the first one that is wrong. */
  parse(args: readonly string[]): string | undefined {
    const queue = [...args];
    while (queue.length > 0) {
      const argument = queue.shift()!;
      if (!argument.startsWith("-") || argument.length === 1) {
        this.args.push(argument);
        continue;
      }
      if (argument === "--") {
        this.argsLengthAtDash = this.args.length;
        this.args.push(...queue);
        return undefined;
      }
      const error = argument.startsWith("--")
        ? this.#parseLong(argument, queue)
        : this.#parseShort(argument, queue);
      if (error !== undefined) return error;
    }
    return undefined;
  }

  #parseLong(argument: string, queue: string[]): string | undefined {
    const text = argument.slice(2);
    if (text.startsWith("-") || text.startsWith("=")) return `bad flag syntax: ${argument}`;
    const equals = text.indexOf("=");
    const name = equals < 0 ? text : text.slice(0, equals);
    const flag = this.#byName.get(name);
    if (flag === undefined) return `unknown flag: --${name}`;
    if (equals >= 0) return this.#set(flag, text.slice(equals + 1));
    if (standsAlone(flag)) return this.#set(flag, "true");
    if (queue.length === 0) return `flag needs an argument: --${name}`;
    return this.#set(flag, queue.shift()!);
  }

  #parseShort(argument: string, queue: string[]): string | undefined {
    let letters = argument.slice(1);
    while (letters.length > 0) {
      const step = this.#parseLetter(letters, queue);
      if ("error" in step) return step.error;
      letters = step.rest;
    }
    return undefined;
  }

  #parseLetter(letters: string, queue: string[]): Step {
    const letter = letters[0]!;
    const flag = this.#byShort.get(letter);
    if (flag === undefined) return { error: `unknown shorthand flag: ${goQuoteRune(letter)} in -${letters}` };
    let value: string;
    let rest = "";
    if (letters.length > 2 && letters[1] === "=") value = letters.slice(2);
    else if (standsAlone(flag)) {
      value = "true";
      rest = letters.slice(1);
    } else if (letters.length > 1) value = letters.slice(1);
    else if (queue.length > 0) value = queue.shift()!;
    else return { error: `flag needs an argument: ${goQuoteRune(letter)} in -${letters}` };
    const error = this.#set(flag, value);
    return error === undefined ? { rest } : { error };
  }

  #set(flag: Flag, text: string): string | undefined {
    const { deprecated, name } = flag.spec;
    if (deprecated !== undefined) this.notices.push(`Flag --${name} has been deprecated, ${deprecated}`);
    return setFlag(flag, text);
  }

  #value(name: string, ...kinds: FlagKind[]): Flag["value"] {
    const flag = must(this.#byName.get(name), `flag --${name} is declared`);
    return must(
      kinds.includes(flag.spec.kind) ? flag.value : undefined,
      `flag --${name} is a ${kinds.join(" or ")}`,
    );
  }

  changed(name: string): boolean {
    return this.#byName.get(name)?.changed ?? false;
  }

  bool(name: string): boolean {
    return this.#value(name, "bool") as boolean;
  }

  string(name: string): string {
    return this.#value(name, "string") as string;
  }

  strings(name: string): readonly string[] {
    return this.#value(name, "stringSlice", "stringArray") as readonly string[];
  }

  /** Any integer flag, in full. */
  int(name: string): bigint {
    return this.#value(name, "int", "int32", "int64", "uint", "uint32", "uint64") as bigint;
  }

  /** Any integer or float flag as the nearest double. */
  number(name: string): number {
    return Number(this.#value(name, "int", "int32", "int64", "uint", "uint32", "uint64", "float64"));
  }

  /** Milliseconds of a duration flag. */
  durationMillis(name: string): number {
    return Number(this.#value(name, "duration")) / 1e6;
  }
}
