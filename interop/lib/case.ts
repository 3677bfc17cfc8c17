// What a case of the interop suite is, and the helpers that most cases need: a server for the length of a body, and plain checks.
// Case files use it, run.ts runs them. A case must end by itself within its limit and clean up what it started.
import { makeCertificates } from "./certificates.ts";
import { makeRunDir, removeRunDir } from "./paths.ts";
import { Server, type ServerCommand, type ServerOptions } from "./server.ts";

export interface Settings {
  /** The server under test. */
  readonly subject: ServerCommand;
  readonly quick: boolean;
  readonly seed: number;
  /** Operations of the differential run. */
  readonly operations: number;
  /** How long hostile clients go on. */
  readonly seconds: number;
  /** kill -9 rounds of the crash test. */
  readonly rounds: number;
}

export interface Case {
  /** What is guaranteed when it passes. */
  readonly name: string;
  readonly limitMs?: number;
  run(settings: Settings): Promise<void>;
}

export type ServerExtras = Omit<ServerOptions, "dataDir" | "tls"> & { readonly tls?: boolean };

/** Runs the body against a fresh server and takes server and data away afterwards. */
export async function withServer(
  command: ServerCommand,
  extras: ServerExtras,
  body: (server: Server, dir: string) => Promise<void>,
): Promise<void> {
  const dir = makeRunDir(command.label);
  const { tls, ...options } = extras;
  const certificates = tls === true ? { tls: await makeCertificates(`${dir}/tls`) } : {};
  const server = await Server.start(command, { ...options, ...certificates, dataDir: `${dir}/data` });
  try {
    await body(server, dir);
  } catch (error) {
    throw withLog(error, server);
  } finally {
    await server.stop();
    removeRunDir(dir);
  }
}

/** Warnings that every start of ours brings. */
const usual = /on single port|to use default name|token is not cryptographically/;

function withLog(error: unknown, server: Server): Error {
  const lines = server.log().trimEnd().split("\n");
  const log = lines
    .filter((line) => !usual.test(line))
    .slice(-8)
    .join("\n");
  return new Error(`${error instanceof Error ? error.message : String(error)}\nlog of the server:\n${log}`);
}

export function equal(actual: unknown, expected: unknown, what: string): void {
  const a = show(actual);
  const e = show(expected);
  if (a !== e) throw new Error(`${what}:\n  expected ${e}\n  got      ${a}`);
}

export function match(text: string, pattern: RegExp, what: string): RegExpExecArray {
  const found = pattern.exec(text);
  if (found === null) throw new Error(`${what}: ${pattern} is not in\n${text}`);
  return found;
}

export function check(ok: boolean, what: string): void {
  if (!ok) throw new Error(what);
}

function show(value: unknown): string {
  return (
    JSON.stringify(value, (_key, inner: unknown) => (typeof inner === "bigint" ? `${inner}` : inner)) ??
    "undefined"
  );
}
