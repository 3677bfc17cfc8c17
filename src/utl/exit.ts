// Exit codes of etcd's command line tools (pkg/cobrautl), and file errors in Go's words.

import { ExitError } from "../cli/command.ts";
import { goFileError } from "../config/go-file-error.ts";

export const ExitCode = { Error: 1, Panic: 2, BadFeature: 4, BadArgs: 128 } as const;

/** Runs a call of node:fs; its error ends the command as Go's would: `stat x: no such file or directory`. */
export function fileCall<T>(operation: string, path: string, call: () => T): T {
  try {
    return call();
  } catch (error) {
    throw new ExitError(ExitCode.Error, `${operation} ${path}: ${goFileError(error)}`);
  }
}
