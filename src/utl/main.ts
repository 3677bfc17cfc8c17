// The program `etcdutl`: parses the command line, runs it, and ends with etcdutl's exit code. bin/etcdutl imports it.
import { writeSync } from "node:fs";
import { commandTree, execute, type Outcome, type Output } from "../cli/command.ts";
import { complete } from "../cli/completion.ts";
import { ETCDUTL } from "./commands.ts";

const COMPLETE = "__complete";

/** Runs etcdutl with these arguments. */
export async function runEtcdutl(given: readonly string[], output: Output): Promise<Outcome> {
  const root = commandTree(ETCDUTL, { helpIsUsage: true });
  if (given[0] === COMPLETE) {
    complete(root, given.slice(1), output);
    return { code: 0, error: undefined };
  }
  const outcome = await execute(root, given, output);
  // etcdutl's main prints once more what its command parser has already printed.
  if (outcome.error !== undefined) output.err(`Error: ${outcome.error}\n`);
  return outcome;
}

/** Whole, and at once: a pipe may be full for a moment. */
function writeAll(fd: number, text: string | Uint8Array): void {
  const bytes = typeof text === "string" ? Buffer.from(text) : text;
  for (let at = 0; at < bytes.length; ) {
    try {
      at += writeSync(fd, bytes, at);
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "EAGAIN")) throw error;
    }
  }
}

export async function main(): Promise<void> {
  const { code } = await runEtcdutl(process.argv.slice(2), {
    out: (text) => writeAll(1, text),
    err: (text) => writeAll(2, text),
  });
  process.exitCode = code;
}
