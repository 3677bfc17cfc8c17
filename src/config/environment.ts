// The ETCD_* environment: the value of each flag that the command line does not set. Both set is a fatal conflict, as in etcd.
// Called by src/config/parse when no configuration file is used.
import { byteOrder } from "../node/metrics-format.ts";
import { flagKind, storeFlag } from "./command-line.ts";
import { experimentalNames } from "./experimental-flags.ts";
import { FLAGS, IGNORED_FLAGS } from "./flag-table.ts";
import type { FlagValues } from "./flag-values.ts";
import { quote } from "./go-values.ts";
import type { LogLine } from "./parse.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

const CALLER = "config/environment.ts";

export function environmentName(flag: string): string {
  return `ETCD_${flag.toUpperCase().replaceAll("-", "_")}`;
}

export type EnvironmentResult = {
  /** The last value that did not parse. */
  readonly problem: string | undefined;
  /** A flag and its variable are both set: etcd ends at once. */
  readonly conflict: boolean;
};

export function readEnvironment(
  environment: Environment,
  values: FlagValues,
  experimental: Map<string, string>,
  lines: LogLine[],
): EnvironmentResult {
  const special = environment["ETCD_VERSION"];
  if (special !== undefined && special !== "") {
    lines.push(
      line("warn", "cannot set special environment variable", { key: "ETCD_VERSION", value: special }),
    );
  }
  const taken = new Set([...values.set, ...experimental.keys()].map(environmentName));
  const used = new Set<string>(["ETCD_VERSION"]);
  let problem: string | undefined;
  for (const flag of allFlags()) {
    const variable = environmentName(flag);
    const value = environment[variable];
    if (value === undefined || value === "" || taken.has(variable) || variable === "ETCD_VERSION") continue;
    used.add(variable);
    const complaint = storeFlag(flag, value, values, experimental);
    if (complaint !== undefined) {
      const wrong = flagKind(flag) === "switch" && complaint === "parse error" ? "parse error" : complaint;
      problem = `invalid value ${quote(value)} for ${variable}: ${wrong}`;
      continue;
    }
    const fields = { "variable-name": variable, "variable-value": value };
    lines.push(line("info", "recognized and used environment variable", fields));
  }
  return { problem, conflict: findConflict(environment, used, taken, lines) };
}

function findConflict(
  environment: Environment,
  used: ReadonlySet<string>,
  taken: ReadonlySet<string>,
  lines: LogLine[],
): boolean {
  for (const [variable, value] of Object.entries(environment)) {
    if (value === undefined || used.has(variable)) continue;
    if (taken.has(variable)) {
      const how = "(either unset environment variable or disable flag))";
      const message = `conflicting environment variable is shadowed by corresponding command-line flag ${how}`;
      lines.push(line("fatal", message, { "environment-variable": variable }));
      return true;
    }
    if (variable.startsWith("ETCD_")) {
      const fields = { "environment-variable": `${variable}=${value}` };
      lines.push(line("warn", "unrecognized environment variable", fields));
    }
  }
  return false;
}

function allFlags(): string[] {
  return [...FLAGS.map((flag) => flag.name), ...IGNORED_FLAGS, ...experimentalNames()].sort(byteOrder);
}

function line(level: LogLine["level"], message: string, fields: LogLine["fields"]): LogLine {
  return { level, caller: CALLER, message, fields, standard: true };
}
