// The logger of the traces: log lines and the harness's own output go to one text, below a level none of them. Test support only.
import { assert } from "../../base/assert.ts";
import type { RaftLogger } from "../errors.ts";

const LEVELS = ["DEBUG", "INFO", "WARN", "ERROR", "FATAL", "NONE"];
const LEVEL_NONE = LEVELS.length - 1;

export class RedirectLogger implements RaftLogger {
  readonly debugEnabled = true;
  level = 0;
  text = "";

  /** Undefined, or what is wrong with the name. */
  setLevel(name: string): string | undefined {
    const level = LEVELS.indexOf(name.toUpperCase());
    if (level < 0) return `log levels must be either of [${LEVELS.join(" ")}]`;
    this.level = level;
    return undefined;
  }

  get quiet(): boolean {
    return this.level === LEVEL_NONE;
  }

  write(text: string): void {
    if (!this.quiet) this.text += text;
  }

  /** Runs `body` with its output two columns to the right. */
  indent(body: () => void): void {
    const before = this.text;
    this.text = "";
    body();
    const written = this.text;
    this.text = before;
    if (written === "") return;
    assert(!written.includes("\n\n"), "output has no blank lines");
    const lines = written.endsWith("\n") ? written.slice(0, -1) : written;
    this.text += `${lines
      .split("\n")
      .map((line) => `  ${line}`)
      .join("\n")}\n`;
  }

  debug(message: string): void {
    this.#log(0, message);
  }

  info(message: string): void {
    this.#log(1, message);
  }

  warn(message: string): void {
    this.#log(2, message);
  }

  error(message: string): void {
    this.#log(3, message);
  }

  #log(level: number, message: string): void {
    if (this.level <= level) this.write(`${LEVELS[level]} ${message}\n`);
  }
}
