// The log lines of etcdutl: to stderr, in the layout of zap's console encoder with RFC 3339 seconds. Called by the commands that
// change files.
import type { Output } from "../cli/command.ts";
import { consoleLine, type LevelName } from "../node/logger-format.ts";
import type { Fields } from "../ports/logger.ts";

export type ConsoleLog = (level: LevelName, caller: string, message: string, fields?: Fields) => void;

/** Seconds, local time, "Z" in UTC. */
function rfc3339(date: Date): string {
  const east = -date.getTimezoneOffset();
  const local = new Date(date.getTime() + east * 60_000).toISOString().slice(0, 19);
  if (east === 0) return `${local}Z`;
  const size = Math.abs(east);
  const two = (n: number): string => String(n).padStart(2, "0");
  return `${local}${east < 0 ? "-" : "+"}${two(Math.floor(size / 60))}:${two(size % 60)}`;
}

export function consoleLog(output: Output): ConsoleLog {
  return (level, caller, message, fields) => {
    output.err(consoleLine(level, rfc3339(new Date()), "", caller, message, fields));
  };
}
