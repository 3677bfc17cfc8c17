// Entry of etcdctl: builds the command tree, runs one command, ends with its exit code. Called by bin/etcdctl.
import { type Command, commandTree, execute, type Output } from "../cli/command.ts";
import { etcdctl } from "./commands.ts";
import { SilentExit } from "./environment.ts";

const OPTIONS_PROMPT =
  'Use "etcdctl options" for a list of global command-line options (applies to all commands).\n';

const output: Output = {
  out: (text) => {
    process.stdout.write(text);
  },
  err: (text) => {
    process.stderr.write(text);
  },
};

export async function main(words: readonly string[]): Promise<number> {
  const tree = commandTree(etcdctl, { hideHelpFlag: true, helpSuffix: OPTIONS_PROMPT, helpGroup: "utility" });
  if (words[0] === "__complete") return await runComplete(tree, words);
  try {
    return (await execute(tree, words, output)).code;
  } catch (error) {
    if (error instanceof SilentExit) return error.code;
    throw error;
  }
}

/** The words after `__complete` are somebody else's command line: no flag of them is ours. */
async function runComplete(tree: Command, words: readonly string[]): Promise<number> {
  const { completions } = await import("./run/completion.ts");
  const { choices, directive } = completions(tree, words.slice(1));
  output.out(`${choices.map((choice) => `${choice}\n`).join("")}:${directive}\n`);
  return 0;
}

/** Runs the command line of the process and ends it: what a command leaves open (sessions, watches) ends with it. */
export async function runProcess(): Promise<void> {
  process.stdout.on("error", () => process.exit(1));
  const code = await main(process.argv.slice(2));
  // A pipe takes what is written bit by bit; an exit before it has taken all would cut the output.
  await written(process.stdout);
  await written(process.stderr);
  process.exit(code);
}

function written(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => {
    stream.write("", () => resolve());
  });
}
