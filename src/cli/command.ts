// A tree of commands in the manner of Go's cobra, which etcdctl and etcdutl are made with: commands, flags that subcommands
// inherit, unique prefixes of command names, and cobra's texts for what is wrong. Callers: src/ctl, src/utl. It never exits the
// process and never writes but through the given Output: execute() answers with the exit code.
import { must } from "../base/assert.ts";
import type { Flag, FlagSpec } from "./flag.ts";
import { makeFlag, standsAlone } from "./flag.ts";
import { FlagSet } from "./flag-set.ts";
import { goQuote } from "./quote.ts";
import { suggestions } from "./suggest.ts";
import { helpText, usageText } from "./usage.ts";

/** Where a command writes. `out` and `err` take text as it is: line ends are the caller's. */
export type Output = { out(text: string | Uint8Array): void; err(text: string): void };

/** What a command's run function is handed. */
export type Invocation = {
  readonly command: Command;
  readonly flags: FlagSet;
  readonly args: readonly string[];
  readonly output: Output;
};

/** Checks the arguments that are no flags; the text of what is wrong with them. */
export type ArgsCheck = (args: readonly string[], command: Command) => string | undefined;

export type CommandSpec = {
  /** First word = name: "restore <filename> [options]". */
  readonly use: string;
  readonly short?: string;
  readonly long?: string;
  readonly example?: string;
  readonly aliases?: readonly string[];
  readonly suggestFor?: readonly string[];
  readonly hidden?: boolean;
  /** Id of a group of the parent, for the usage. */
  readonly group?: string;
  readonly groups?: readonly { readonly id: string; readonly title: string }[];
  readonly args?: ArgsCheck;
  readonly flags?: readonly FlagSpec[];
  readonly persistentFlags?: readonly FlagSpec[];
  readonly flagsInUseLine?: boolean;
  readonly commands?: readonly CommandSpec[];
  readonly run?: (invocation: Invocation) => void | Promise<void>;
};

/** What differs between the two tools' roots. */
export type RootOptions = {
  /** etcdutl's help is the usage alone. */
  readonly helpIsUsage?: boolean;
  /** etcdctl hides root's own --help … */
  readonly hideHelpFlag?: boolean;
  /** … and closes every help with a line. */
  readonly helpSuffix?: string;
  readonly helpGroup?: string;
};

/** Ends a command with an exit code; the text goes to stderr after "Error: ". */
export class ExitError extends Error {
  override readonly name = "ExitError";
  readonly code: number;
  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

/** `error` is what the command line itself did wrong: already printed, but etcdutl's main prints it once more. */
export type Outcome = { readonly code: number; readonly error: string | undefined };

export const args = {
  none: ((given, command) =>
    given.length > 0
      ? `unknown command ${goQuote(given[0]!)} for ${goQuote(command.path())}`
      : undefined) as ArgsCheck,
  exactly: (count: number): ArgsCheck => {
    return (given) =>
      given.length === count ? undefined : `accepts ${count} arg(s), received ${given.length}`;
  },
  atLeast: (count: number): ArgsCheck => {
    return (given) =>
      given.length >= count ? undefined : `requires at least ${count} arg(s), only received ${given.length}`;
  },
  atMost: (count: number): ArgsCheck => {
    return (given) =>
      given.length <= count ? undefined : `accepts at most ${count} arg(s), received ${given.length}`;
  },
  between: (low: number, high: number): ArgsCheck => {
    return (given) =>
      given.length >= low && given.length <= high
        ? undefined
        : `accepts between ${low} and ${high} arg(s), received ${given.length}`;
  },
  oneOf: (valid: readonly string[]): ArgsCheck => {
    return (given, command) => {
      const wrong = given.find((argument) => !valid.includes(argument));
      if (wrong === undefined) return undefined;
      return `invalid argument ${goQuote(wrong)} for ${goQuote(command.path())}${suggestions(command, given[0]!)}`;
    };
  },
  all: (...checks: readonly ArgsCheck[]): ArgsCheck => {
    return (given, command) => {
      for (const check of checks) {
        const error = check(given, command);
        if (error !== undefined) return error;
      }
      return undefined;
    };
  },
} as const;

export class Command {
  readonly spec: CommandSpec;
  readonly parent: Command | undefined;
  readonly options: RootOptions;
  readonly name: string;
  readonly commands: Command[] = [];
  /** Own flags and everything inherited. */
  readonly flags: FlagSet = new FlagSet();
  /** Own flags, --help among them: what the usage lists first. */
  readonly localFlags: Flag[] = [];
  readonly inheritedFlags: Flag[] = [];
  readonly #persistent: Flag[];

  constructor(spec: CommandSpec, options: RootOptions, parent?: Command) {
    this.spec = spec;
    this.options = options;
    this.parent = parent;
    this.name = spec.use.split(" ", 1)[0]!;
    this.#persistent = (spec.persistentFlags ?? []).map(makeFlag);
    const hidden = parent === undefined && options.hideHelpFlag === true;
    const help = makeFlag({ name: "help", short: "h", kind: "bool", usage: `help for ${this.name}`, hidden });
    for (const flag of [...(spec.flags ?? []).map(makeFlag), ...this.#persistent, help]) {
      if (this.flags.lookup(flag.spec.name) !== undefined) continue;
      this.flags.share(flag);
      this.localFlags.push(flag);
    }
    for (let above = parent; above !== undefined; above = above.parent) {
      for (const flag of above.#persistent) {
        if (this.flags.lookup(flag.spec.name) !== undefined) continue;
        this.flags.share(flag);
        this.inheritedFlags.push(flag);
      }
    }
    for (const child of spec.commands ?? []) this.commands.push(new Command(child, options, this));
  }

  path(): string {
    return this.parent === undefined ? this.name : `${this.parent.path()} ${this.name}`;
  }

  get runnable(): boolean {
    return this.spec.run !== undefined;
  }

  /** Shown in usages: not hidden, and it or something below it runs. */
  get available(): boolean {
    if (this.spec.hidden === true) return false;
    return this.runnable || this.commands.some((child) => child.available);
  }

  /** The subcommand of this name or alias, or the only one that begins so. */
  child(name: string): Command | undefined {
    const exact = this.commands.find((c) => c.name === name || c.spec.aliases?.includes(name));
    if (exact !== undefined) return exact;
    const names = (c: Command): string[] => [c.name, ...(c.spec.aliases ?? [])];
    const matches = this.commands.filter((c) => names(c).some((n) => n.startsWith(name)));
    return matches.length === 1 ? matches[0] : undefined;
  }

  /** The arguments that are no flags and no values of flags, as far as this command's flags tell. */
  #positions(given: readonly string[]): number[] {
    const found: number[] = [];
    for (let i = 0; i < given.length; i++) {
      const argument = given[i]!;
      if (argument === "--") break;
      if (this.#takesNext(argument)) i++;
      else if (argument !== "" && !argument.startsWith("-")) found.push(i);
    }
    return found;
  }

  #takesNext(argument: string): boolean {
    if (argument.includes("=") || !argument.startsWith("-")) return false;
    if (argument.startsWith("--")) {
      const flag = this.flags.lookup(argument.slice(2));
      return flag === undefined || !standsAlone(flag);
    }
    if (argument.length !== 2) return false;
    const flag = this.flags.lookupShort(argument[1]!);
    return flag === undefined || !standsAlone(flag);
  }

  /** Goes down the tree; `rest` is what the found command has to parse. */
  find(given: readonly string[]): { command: Command; rest: readonly string[]; error: string | undefined } {
    const first = this.#positions(given)[0];
    const next = first === undefined ? undefined : this.child(given[first]!);
    if (first !== undefined && next !== undefined) {
      return next.find([...given.slice(0, first), ...given.slice(first + 1)]);
    }
    return {
      command: this,
      rest: given,
      error: this.#unknown(first === undefined ? undefined : given[first]),
    };
  }

  #unknown(argument: string | undefined): string | undefined {
    const strict = this.spec.args === undefined && this.commands.length > 0 && this.parent === undefined;
    if (!strict || argument === undefined) return undefined;
    return `unknown command ${goQuote(argument)} for ${goQuote(this.path())}${suggestions(this, argument)}`;
  }
}

/** Builds the tree, cobra's own `help` command included. */
export function commandTree(spec: CommandSpec, options: RootOptions = {}): Command {
  const help: CommandSpec = {
    use: "help [command]",
    short: "Help about any command",
    long: `Help provides help for any command in the application.\nSimply type ${spec.use} help [path to command] for full details.`,
    run: ({ command, args: path, output }) => {
      const root = must(command.parent, "help stands below the root");
      const found = root.find(path);
      if (found.error === undefined) return output.out(helpText(found.command));
      output.err(`Unknown help topic [${path.map((p) => `\`${p}\``).join(" ")}]\n${usageText(root, false)}`);
    },
  };
  const grouped = options.helpGroup === undefined ? help : { ...help, group: options.helpGroup };
  return new Command({ ...spec, commands: [...(spec.commands ?? []), grouped] }, options);
}

/** The checks between the command line and the run: help, arguments, required flags. */
function refusal(command: Command): string | undefined {
  const wrong = command.spec.args?.(command.flags.args, command);
  if (wrong !== undefined) return wrong;
  const missing = command.flags.all().filter((flag) => flag.spec.required === true && !flag.changed);
  if (missing.length === 0) return undefined;
  return `required flag(s) "${missing.map((flag) => flag.spec.name).join('", "')}" not set`;
}

/** Runs a command line (without the program's name). Never throws but for a defect. */
export async function execute(root: Command, given: readonly string[], output: Output): Promise<Outcome> {
  const { command, rest, error } = root.find(given);
  if (error !== undefined) {
    output.err(`Error: ${error}\nRun '${command.path()} --help' for usage.\n`);
    return { code: 1, error };
  }
  const parseError = command.flags.parse(rest);
  for (const notice of command.flags.notices) output.err(`${notice}\n`);
  if (parseError === undefined && (command.flags.bool("help") || !command.runnable)) {
    output.out(helpText(command));
    return { code: 0, error: undefined };
  }
  const refused = parseError ?? refusal(command);
  if (refused !== undefined) {
    output.err(`Error: ${refused}\n${usageText(command)}\n`);
    return { code: 1, error: refused };
  }
  try {
    await command.spec.run!({ command, flags: command.flags, args: command.flags.args, output });
  } catch (failure) {
    if (!(failure instanceof ExitError)) throw failure;
    output.err(`Error: ${failure.message}\n`);
    return { code: failure.code, error: undefined };
  }
  return { code: 0, error: undefined };
}
