// Runs a program to its end with a time limit and gives back what it printed. Every case of the interop suite uses it.
// It must never leave a child behind: whatever outlives its time is killed.
import { spawn } from "node:child_process";
import { endWithRun } from "./children.ts";

export interface CommandOptions {
  readonly input?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly timeoutMs?: number;
  /** Called for each whole line of standard output as it appears. */
  readonly onLine?: (line: string) => void;
}

export interface CommandResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export function runCommand(argv: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
  const timeoutMs = options.timeoutMs ?? 60_000;
  return new Promise((resolve, reject) => {
    const child = spawn(argv[0]!, argv.slice(1), {
      cwd: options.cwd,
      env: { ...process.env, ...options.env },
      stdio: ["pipe", "pipe", "pipe"],
    });
    endWithRun(child);
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    let partial = "";
    let timedOut = false;
    const timer = setTimeout(() => {
      timedOut = true;
      child.kill("SIGKILL");
    }, timeoutMs);
    child.stdout.on("data", (chunk: Buffer) => {
      stdout.push(chunk);
      if (options.onLine === undefined) return;
      const lines = (partial + chunk.toString("utf8")).split("\n");
      partial = lines.pop()!;
      for (const line of lines) options.onLine(line);
    });
    child.stderr.on("data", (chunk: Buffer) => stderr.push(chunk));
    child.stdin.on("error", () => {
      // A program that ends without reading its input is judged by its exit code.
    });
    child.on("error", (error) => {
      clearTimeout(timer);
      reject(error);
    });
    child.on("close", (code) => {
      clearTimeout(timer);
      const err = Buffer.concat(stderr).toString("utf8");
      resolve({
        code: code ?? 128,
        stdout: Buffer.concat(stdout).toString("utf8"),
        stderr: timedOut ? `${err}\n[killed after ${timeoutMs} ms]` : err,
      });
    });
    child.stdin.end(options.input ?? "");
  });
}

/** Runs a program that must succeed and gives its standard output. */
export async function mustRun(argv: readonly string[], options: CommandOptions = {}): Promise<string> {
  const result = await runCommand(argv, options);
  if (result.code !== 0) {
    throw new Error(`exit ${result.code}: ${argv.join(" ")}\n${tail(result.stdout)}\n${tail(result.stderr)}`);
  }
  return result.stdout;
}

/** The last lines of a long text, enough to see why something failed. */
export function tail(text: string, lines = 30): string {
  return text.trimEnd().split("\n").slice(-lines).join("\n");
}
