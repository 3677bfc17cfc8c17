// The configuration of this very process: prints, logs and ends it where src/config/parse says so. Called by main.ts, first thing.
import { readFileSync } from "node:fs";
import { findDefaultHost } from "../node/default-route.ts";
import { createLogger, DEFAULT_LOGGING, type LoggingOptions, type NodeLogger } from "../node/logger.ts";
import type { Config } from "./config.ts";
import { goFileError } from "./go-file-error.ts";
import { quote } from "./go-values.ts";
import { type LogLine, parseConfig, type Sources } from "./parse.ts";

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
  const standard = createLogger(DEFAULT_LOGGING, "main.ts");
  const options = outcome.logged.logging;
  const logger = options === undefined ? standard : openLogger(options, standard, args);
  replay(outcome.logged.lines, logger, standard);
  // Whoever ends the process later, no line is lost.
  process.on("exit", () => logger.flushSync());
  if (outcome.kind === "config") return { config: outcome.config, logger };
  return process.exit(outcome.exitCode);
}

function openLogger(options: LoggingOptions, standard: NodeLogger, args: readonly string[]): NodeLogger {
  try {
    return createLogger(options, "main.ts");
  } catch (error) {
    const path = error instanceof Error && "path" in error ? String(error.path) : undefined;
    const words = goFileError(error);
    const reason = path === undefined ? words : `open sink ${quote(path)}: open ${path}: ${words}`;
    standard.info("Running: ", { args });
    standard.warn("failed to verify flags", { error: reason });
    standard.flushSync();
    return process.exit(1);
  }
}

/** In order, though two loggers may share one stderr: each line is written before the next. */
function replay(lines: readonly LogLine[], logger: NodeLogger, standard: NodeLogger): void {
  for (const line of lines) {
    const chosen = line.standard ? standard : logger;
    chosen.named(line.caller).write(line.level, line.message, line.fields);
    chosen.flushSync();
  }
}
