// How the process ends: SIGTERM and SIGINT stop the server gracefully, a second one ends it at once; what nobody caught is a
// programmer's error and ends it with code 2. Called once by main.ts. Nothing may end the process with unwritten log lines.

import { AssertionError } from "../base/assert.ts";
import { errorText } from "../base/error-text.ts";
import type { NodeLogger } from "./logger.ts";

type StopSignal = "SIGTERM" | "SIGINT";

/** Go's names of the signals, which etcd logs. */
const NAMES: Readonly<Record<StopSignal, string>> = { SIGTERM: "terminated", SIGINT: "interrupt" };
const NUMBERS: Readonly<Record<StopSignal, number>> = { SIGTERM: 15, SIGINT: 2 };

/** Go's exit code of a panic, and ours of a failed assertion. */
const PANIC_EXIT_CODE = 2;

/**
 * `stop` is called once. When it is done the process dies of the same signal, as etcd does, so that a supervisor sees a stop and
 * not a success; process 1 of a container, which a signal cannot kill, exits with 0.
 */
export function handleSignals(logger: NodeLogger, stop: () => Promise<void>): void {
  let stopping = false;
  const receive = (signal: StopSignal): void => {
    if (stopping) {
      logger.warn("received another signal; exiting at once", { signal: NAMES[signal] });
      logger.flushSync();
      process.exit(128 + NUMBERS[signal]);
    }
    stopping = true;
    logger.info("received signal; shutting down", { signal: NAMES[signal] });
    stop()
      .then(() => logger.flush())
      .then(
        () => dieOf(signal, logger, receive),
        (error: unknown) => endOnBug(logger, "the graceful stop failed", error),
      );
  };
  process.on("SIGTERM", receive);
  process.on("SIGINT", receive);
}

function dieOf(signal: StopSignal, logger: NodeLogger, receive: (signal: StopSignal) => void): void {
  logger.flushSync();
  if (process.pid === 1) process.exit(0);
  process.off("SIGTERM", receive);
  process.off("SIGINT", receive);
  process.kill(process.pid, signal);
}

/** A failed assertion, or anything else that nobody caught: the state is unknown, so the process ends. */
export function handleUncaught(logger: NodeLogger): void {
  process.on("uncaughtException", (error) => endOnBug(logger, describeBug(error), error));
  process.on("unhandledRejection", (error) => endOnBug(logger, describeBug(error), error));
}

function describeBug(error: unknown): string {
  return error instanceof AssertionError ? "assertion failed" : "uncaught exception";
}

function endOnBug(logger: NodeLogger, message: string, error: unknown): never {
  const stacktrace = error instanceof Error ? error.stack : undefined;
  logger.write("fatal", message, {
    error: errorText(error),
    stacktrace,
  });
  logger.flushSync();
  process.exit(PANIC_EXIT_CODE);
}
