// The log on the real machine: levels, names, callers and outputs around src/ports/logger. main.ts makes one and hands named ones
// to the parts. Lines are buffered for a turn of the event loop and flushed before the process ends; sampling bounds a flood.
import type { Fields, Logger } from "../ports/logger.ts";
import {
  consoleLine,
  jsonLine,
  type LevelName,
  type LogFormat,
  levelNumber,
  Timestamps,
} from "./logger-format.ts";
import type { RotationConfig } from "./logger-rotation.ts";
import { type LogSink, openSink } from "./logger-sinks.ts";

export type LoggingOptions = {
  readonly level: LevelName;
  readonly format: LogFormat;
  /** As --log-outputs: default, stderr, stdout, systemd/journal, or files. */
  readonly outputs: readonly string[];
  readonly rotation: RotationConfig | undefined;
};

export const DEFAULT_LOGGING: LoggingOptions = {
  level: "info",
  format: "json",
  outputs: ["default"],
  rotation: undefined,
};

/** As etcd configures zap: of lines with the same level and text, the first 100 in a second, then every 100th. */
const SAMPLE_FIRST = 100;
const SAMPLE_THEREAFTER = 100;
/** Different texts that sampling remembers within a second. */
const SAMPLE_TEXTS_MAX = 4096;

export interface NodeLogger extends Logger {
  /** The same outputs under another name (`raft`, or "" for none) and a fixed caller, e.g. `member/member.ts`. */
  named(caller: string, name?: string): NodeLogger;
  write(level: LevelName, message: string, fields?: Fields): void;
  /** Writes the line, flushes, and ends the process with code 1, as zap does. */
  fatal(message: string, fields?: Fields): never;
  /** For a graceful end: resolves when all lines are out. */
  flush(): Promise<void>;
  /** For an end without delay. */
  flushSync(): void;
  close(): void;
}

class LogCore {
  readonly threshold: number;
  readonly #line: typeof jsonLine;
  readonly #sinks: readonly LogSink[];
  readonly #timestamps = new Timestamps();
  #clockOffsetMillis = Date.now() - performance.now();
  readonly #seen = new Map<string, number>();
  #seenUntil = 0;

  constructor(options: LoggingOptions, sinks: readonly LogSink[]) {
    this.threshold = levelNumber(options.level);
    this.#line = options.format === "json" ? jsonLine : consoleLine;
    this.#sinks = sinks;
  }

  write(level: LevelName, name: string, caller: string, message: string, fields: Fields | undefined): void {
    const monotonic = performance.now();
    if (!this.#sampled(level, message, monotonic)) return;
    const line = this.#line(level, this.#time(monotonic), name, caller, message, fields);
    for (const sink of this.#sinks) sink.write(line);
  }

  async flush(): Promise<void> {
    await Promise.all(this.#sinks.map((sink) => sink.flush()));
  }

  flushSync(): void {
    for (const sink of this.#sinks) sink.flushSync();
  }

  close(): void {
    for (const sink of this.#sinks) sink.close();
  }

  /** Date has milliseconds only, performance.now does not follow the wall clock: together they give microseconds. */
  #time(monotonic: number): string {
    const wall = Date.now();
    if (Math.abs(wall - this.#clockOffsetMillis - monotonic) > 2) this.#clockOffsetMillis = wall - monotonic;
    return this.#timestamps.format((this.#clockOffsetMillis + monotonic) * 1000);
  }

  #sampled(level: LevelName, message: string, monotonic: number): boolean {
    if (monotonic > this.#seenUntil) {
      this.#seen.clear();
      this.#seenUntil = monotonic + 1000;
    }
    const key = level + message;
    const count = (this.#seen.get(key) ?? 0) + 1;
    if (count > 1 || this.#seen.size < SAMPLE_TEXTS_MAX) this.#seen.set(key, count);
    return count <= SAMPLE_FIRST || (count - SAMPLE_FIRST) % SAMPLE_THEREAFTER === 0;
  }
}

class NamedLogger implements NodeLogger {
  readonly #core: LogCore;
  readonly #caller: string;
  readonly #name: string;
  readonly debugEnabled: boolean;

  constructor(core: LogCore, caller: string, name: string) {
    this.#core = core;
    this.#caller = caller;
    this.#name = name;
    this.debugEnabled = core.threshold <= levelNumber("debug");
  }

  named(caller: string, name = ""): NodeLogger {
    return new NamedLogger(this.#core, caller, name);
  }

  write(level: LevelName, message: string, fields?: Fields): void {
    if (levelNumber(level) < this.#core.threshold) return;
    this.#core.write(level, this.#name, this.#caller, message, fields);
  }

  debug(message: string, fields?: Fields): void {
    if (this.debugEnabled) this.#core.write("debug", this.#name, this.#caller, message, fields);
  }

  info(message: string, fields?: Fields): void {
    this.write("info", message, fields);
  }

  warn(message: string, fields?: Fields): void {
    this.write("warn", message, fields);
  }

  error(message: string, fields?: Fields): void {
    this.write("error", message, fields);
  }

  fatal(message: string, fields?: Fields): never {
    this.write("fatal", message, fields);
    this.#core.flushSync();
    process.exit(1);
  }

  flush(): Promise<void> {
    return this.#core.flush();
  }

  flushSync(): void {
    this.#core.flushSync();
  }

  close(): void {
    this.#core.close();
  }
}

/** Opens the outputs. Throws when a file cannot be opened, with the file system's words. */
export function createLogger(options: LoggingOptions, caller: string): NodeLogger {
  const targets = new Set(options.outputs.map((target) => (target === "default" ? "stderr" : target)));
  // zap discards everything as soon as one output is /dev/null.
  const sinks = targets.has("/dev/null")
    ? []
    : [...targets].sort().map((target) => openSink(target, options.rotation));
  return new NamedLogger(new LogCore(options, sinks), caller, "");
}
