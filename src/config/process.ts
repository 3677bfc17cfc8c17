// The configuration of this very process: prints, logs and ends it where src/config/parse says so. Called by main.ts, first thing.
import { readFileSync } from "node:fs";
import { createLogger, DEFAULT_LOGGING, type NodeLogger } from "../node/logger.ts";
import type { Config } from "./config.ts";
import { findDefaultHost } from "./default-host.ts";
import { goFileError } from "./go-file-error.ts";
import { quote } from "./go-values.ts";
import { type LogLine, type Outcome, parseConfig, type Sources } from "./parse.ts";

export type Configured = { readonly config: Config; readonly logger: NodeLogger };

/** `args` with the program first. Returns only when there is a server to start. */
export function configureProcess(args: readonly string[]): Configured {
  const sources: Sources = {
    args,
    environment: process.env,
    readFile: (path) => readFileSync(path, "utf8"),
    defaultHost: findDefaultHost,
  };
  const outcome = parseConfig(sources);
  if (outcome.kind === "printed") {
    process.stdout.write(outcome.stdout);
    process.stderr.write(outcome.stderr);
    return process.exit(outcome.exitCode);
  }
  const logger = openLogger(outcome);
  replay(logger, outcome.logged.lines);
  if (outcome.kind === "config") return { config: outcome.config, logger };
  logger.flushSync();
  return process.exit(outcome.exitCode);
}

function openLogger(outcome: Exclude<Outcome, { kind: "printed" }>): NodeLogger {
  const standard = createLogger(DEFAULT_LOGGING, "config/process.ts");
  replay(standard, outcome.logged.early);
  const options = outcome.logged.logging;
  if (options === undefined) return standard;
  standard.flushSync();
  try {
    return createLogger(options, "main.ts");
  } catch (error) {
    const path = error instanceof Error && "path" in error ? String(error.path) : "";
    const reason = `open sink ${quote(path)}: open ${path}: ${goFileError(error)}`;
    standard.warn("failed to verify flags", { error: reason });
    standard.flushSync();
    return process.exit(1);
  }
}

function replay(logger: NodeLogger, lines: readonly LogLine[]): void {
  for (const line of lines) logger.named(line.caller).write(line.level, line.message, line.fields);
}
