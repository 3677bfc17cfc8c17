// From `etcd`'s arguments, environment and file to a Config, in etcd's order: flags, then environment or file, then checks. Pure:
// what it wants to print, log or end with comes back as the outcome; src/config/process does it.
import { CAIRN_VERSION, SERVER_VERSION } from "../base/version.ts";
import { DEFAULT_LOGGING, type LoggingOptions } from "../node/logger.ts";
import type { LevelName } from "../node/logger-format.ts";
import type { Fields } from "../ports/logger.ts";
import { buildConfig, startProblem, startWarnings } from "./build.ts";
import { readCommandLine } from "./command-line.ts";
import type { Config } from "./config.ts";
import { readConfigFile } from "./config-file.ts";
import { applyDefaultHost } from "./default-host.ts";
import { type Environment, readEnvironment } from "./environment.ts";
import { applyExperimental, experimentalWarning } from "./experimental-flags.ts";
import { FlagValues } from "./flag-values.ts";
import { helpText, usageText } from "./help.ts";
import { buildLogging } from "./logging.ts";
import { notYetProblem, notYetText } from "./not-yet.ts";
import { ADVERTISE_REQUIRED, validate } from "./validate.ts";

export type LogLine = {
  readonly level: LevelName;
  readonly caller: string;
  readonly message: string;
  readonly fields: Fields | undefined;
  /** For the default logger (stderr, JSON), even when another one is configured. */
  readonly standard: boolean;
};

export type Logged = {
  readonly lines: readonly LogLine[];
  /** Undefined while the flags for it were not read or were wrong: then the default holds. */
  readonly logging: LoggingOptions | undefined;
};

export type Outcome =
  | { readonly kind: "config"; readonly config: Config; readonly logged: Logged }
  | { readonly kind: "failed"; readonly exitCode: number; readonly logged: Logged }
  | { readonly kind: "printed"; readonly exitCode: number; readonly stdout: string; readonly stderr: string };

export type Sources = {
  /** The program first, as in Go's os.Args. */
  readonly args: readonly string[];
  readonly environment: Environment;
  /** Throws what the file system says. */
  readFile(path: string): string;
  /** The machine's own address on its default route, or why there is none. */
  defaultHost(): { readonly host: string } | { readonly problem: string };
};

const CALLER = "config/parse.ts";
const PARSE_FAILED = "failed to verify flags";

export function parseConfig(sources: Sources): Outcome {
  const args = sources.args.slice(1);
  const command = args[0];
  if (command === "gateway" || command === "grpc-proxy") {
    const text = notYetText(`etcd ${command}`, "only the server itself can be started");
    return { kind: "printed", exitCode: 1, stdout: "", stderr: `${text}\n` };
  }
  const values = new FlagValues();
  const experimental = new Map<string, string>();
  const line = readCommandLine(args, values, experimental);
  if (line.kind === "help") return { kind: "printed", exitCode: 0, stdout: helpText(), stderr: usageText() };
  if (line.kind === "wrong") {
    return { kind: "printed", exitCode: 2, stdout: "", stderr: `${line.message}\n${usageText()}` };
  }
  const attempt = new Attempt(sources, values, experimental);
  const positional = line.rest[0];
  if (positional !== undefined) return attempt.fail(`${JSON.stringify(positional)} is not a valid flag`);
  if (values.bool("version")) return { kind: "printed", exitCode: 0, stdout: versionText(), stderr: "" };
  return attempt.run();
}

/** One reading of all sources: collects log lines on the way, and stops at the first problem. */
class Attempt {
  readonly #sources: Sources;
  readonly #values: FlagValues;
  readonly #experimental: Map<string, string>;
  readonly #lines: LogLine[] = [];
  #logging: LoggingOptions | undefined = undefined;
  #fromFile = false;
  #clientAllowedCommonNames: readonly string[] = [];

  constructor(sources: Sources, values: FlagValues, experimental: Map<string, string>) {
    this.#sources = sources;
    this.#values = values;
    this.#experimental = experimental;
  }

  run(): Outcome {
    const path = this.#values.text("config-file") || (this.#sources.environment["ETCD_CONFIG_FILE"] ?? "");
    const failed = path === "" ? this.#readFlags() : this.#readFile(path);
    if (failed !== undefined) return failed;
    const values = this.#values;
    const problem = this.#validate(values, path);
    if (problem !== undefined) return problem;
    this.#log("info", "Running: ", { args: this.#sources.args });
    const later = notYetProblem(values);
    if (later !== undefined) return this.#fatal(later);
    this.#applyDefaults(values);
    startWarnings(values, this.#warn);
    const input = {
      values,
      logging: this.#logging ?? DEFAULT_LOGGING,
      clientAllowedCommonNames: this.#clientAllowedCommonNames,
    };
    const start = startProblem(input);
    if (start !== undefined) return this.#fatal(start.error, start.message);
    const config = buildConfig(input);
    return { kind: "config", config, logged: this.#logged() };
  }

  fail(problem: string): Outcome {
    // A file that fails leaves etcd with its default logger.
    const standard = this.#fromFile;
    this.#log("info", "Running: ", { args: this.#sources.args }, standard);
    this.#log("warn", PARSE_FAILED, { error: problem }, standard);
    if (problem === ADVERTISE_REQUIRED) {
      this.#log("warn", "advertise client URLs are not set", { error: problem }, standard);
    }
    return { kind: "failed", exitCode: 1, logged: this.#logged() };
  }

  #readFlags(): Outcome | undefined {
    const values = this.#values;
    const result = readEnvironment(this.#sources.environment, values, this.#experimental, this.#lines);
    if (result.conflict) return { kind: "failed", exitCode: 1, logged: this.#logged() };
    if (result.problem !== undefined) return this.fail(result.problem);
    const twins = this.#applyTwins("");
    if (twins !== undefined) return twins;
    for (const name of ["raft-read-timeout", "raft-write-timeout"]) {
      if (values.millis(name) >= 5000) continue;
      this.#log("info", `${name} increased to minimum value: 5s`, undefined, true);
    }
    if (values.set.has("listen-client-urls") && !values.set.has("advertise-client-urls")) {
      values.put("advertise-client-urls", []);
    }
    const discovery =
      values.text("discovery-srv") !== "" ||
      values.text("discovery-srv-name") !== "" ||
      values.texts("discovery-endpoints").length > 0;
    if (discovery && !values.set.has("initial-cluster")) values.put("initial-cluster", "");
    if (values.text("discovery-fallback") !== "proxy") return undefined;
    return this.fail(`v2 proxy is deprecated, and --discovery-fallback can't be configured as "proxy"`);
  }

  #readFile(path: string): Outcome | undefined {
    // What the command line set is forgotten: the file alone counts.
    this.#fromFile = true;
    const fresh = new FlagValues();
    this.#experimental.clear();
    const file = readConfigFile(path, this.#sources, fresh, this.#experimental);
    if (file.kind === "exit")
      return { kind: "printed", exitCode: file.code, stdout: "", stderr: file.stderr };
    this.#values.become(fresh);
    if (file.kind === "problem") return this.fail(file.problem);
    this.#clientAllowedCommonNames = file.clientAllowedCommonNames;
    return this.#applyTwins(file.gatesText);
  }

  #applyTwins(gatesText: string): Outcome | undefined {
    const text =
      gatesText === "" && this.#values.set.has("feature-gates") ? this.#values.gates().text() : gatesText;
    const problem = applyExperimental(this.#experimental, this.#values, text);
    return problem === undefined ? undefined : this.fail(problem);
  }

  #validate(values: FlagValues, path: string): Outcome | undefined {
    const logging = buildLogging(values);
    if (!logging.ok) {
      if (!("panic" in logging)) return this.fail(logging.error);
      return { kind: "printed", exitCode: 2, stdout: "", stderr: `panic: ${logging.error}\n` };
    }
    this.#logging = logging.value;
    const problem = validate(values, this.#warn);
    if (path !== "" && problem === undefined) {
      const message =
        "loaded server configuration, other configuration command line flags and environment variables " +
        "will be ignored if provided";
      this.#log("info", message, { path });
    }
    if (path === "" || problem === undefined) this.#warnDeprecated(values);
    return problem === undefined ? undefined : this.fail(problem);
  }

  #warnDeprecated(values: FlagValues): void {
    if (values.set.has("max-snapshots")) {
      this.#log("warn", "--max-snapshots is deprecated in 3.6 and will be decommissioned in 3.8.");
    }
    if (values.set.has("v2-deprecation")) {
      const rest = "The default value is enforced, ignoring user input.";
      this.#log("warn", `--v2-deprecation is deprecated and scheduled for removal in v3.8. ${rest}`);
    }
    for (const name of this.#experimental.keys()) {
      const warning = experimentalWarning(name);
      if (warning !== undefined) this.#log("warn", warning);
    }
  }

  #applyDefaults(values: FlagValues): void {
    const host = applyDefaultHost(values, this.#sources.defaultHost);
    if (host !== undefined) this.#log("info", host.message, host.fields);
    if (values.text("data-dir") !== "") return;
    const directory = `${values.text("name")}.etcd`;
    values.put("data-dir", directory);
    this.#log("warn", "'data-dir' was empty; using default", { "data-dir": directory });
  }

  /** What etcd finds wrong only while it starts: a fatal line, under the same text for nearly all of them. */
  #fatal(problem: string, message = "discovery failed"): Outcome {
    this.#log("fatal", message, { error: problem });
    return { kind: "failed", exitCode: 1, logged: this.#logged() };
  }

  readonly #warn = (message: string, fields?: Fields): void => {
    this.#log("warn", message, fields);
  };

  #log(level: LevelName, message: string, fields?: Fields, standard = false): void {
    this.#lines.push({ level, caller: CALLER, message, fields, standard });
  }

  #logged(): Logged {
    return { lines: this.#lines, logging: this.#logging };
  }
}

/** Four lines as etcd's: scripts take the first one apart. */
export function versionText(): string {
  const architecture = process.arch === "x64" ? "amd64" : process.arch;
  return [
    `etcd Version: ${SERVER_VERSION}`,
    `Git SHA: Not provided (Cairn ${CAIRN_VERSION})`,
    `Go Version: none (Node ${process.version})`,
    `Go OS/Arch: ${process.platform}/${architecture}`,
    "",
  ].join("\n");
}
