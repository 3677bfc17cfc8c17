// The logging flags → options of src/node/logger, with etcd's checks. Called first of all checks, so that what follows can be
// logged where the user wants it.
import { DEFAULT_LOGGING, type LoggingOptions } from "../node/logger.ts";
import { parseLevel } from "../node/logger-format.ts";
import type { RotationConfig } from "../node/logger-rotation.ts";
import type { FlagValues } from "./flag-values.ts";
import { type Parsed, parsed, quote, unparsed } from "./go-values.ts";

const ROTATION_NEEDS_FILE =
  "--log-outputs requires a single file path when --log-rotate-config-json is defined";
/** lumberjack's own default when maxsize is 0. */
const MEGABYTES_DEFAULT = 100;

/** etcd panics (exit code 2) on a level it does not know, so that case has its own kind. */
export type LoggingProblem = { readonly panic: boolean; readonly error: string };

export function buildLogging(values: FlagValues): Parsed<LoggingOptions> | (LoggingProblem & { ok: false }) {
  const kind = values.text("logger");
  if (kind === "capnslog") return unparsed("--logger=capnslog is removed in v3.5");
  if (kind !== "zap") return unparsed(`unknown logger option ${quote(kind)}`);
  const given = values.texts("log-outputs");
  const outputs = given.length === 0 ? DEFAULT_LOGGING.outputs : given;
  if (outputs.length > 1 && outputs.includes("default")) {
    return unparsed(`multi logoutput for ${quote("default")} is not supported yet`);
  }
  const rotation = values.bool("enable-log-rotation")
    ? parseRotation(outputs, values.text("log-rotation-config-json"))
    : parsed(undefined);
  if (!rotation.ok) return rotation;
  const level = parseLevel(values.text("log-level"));
  if (level === undefined) {
    return { ok: false, panic: true, error: `unrecognized level: ${quote(values.text("log-level"))}` };
  }
  const format = values.text("log-format");
  if (format !== "" && format !== "json" && format !== "console") {
    return unparsed(`unknown log format: ${format}, supported values json, console`);
  }
  if (outputs.includes("systemd/journal") && outputs.length > 1) {
    const all = `[${outputs.map(quote).join(" ")}]`;
    return unparsed(
      `running with systemd/journal but other '--log-outputs' values (${all}) are configured with 'default'; ` +
        "override 'default' value with something else",
    );
  }
  return parsed({
    level,
    format: format === "console" ? "console" : "json",
    outputs,
    rotation: rotation.value,
  });
}

function parseRotation(outputs: readonly string[], text: string): Parsed<RotationConfig> {
  const files = outputs.filter(
    (output) => output !== "default" && output !== "stderr" && output !== "stdout",
  );
  if ((outputs.length === 1 && files.length === 0) || files.length > 1) return unparsed(ROTATION_NEEDS_FILE);
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    return unparsed(
      `improperly formatted log rotation config: ${error instanceof Error ? error.message : ""}`,
    );
  }
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    return unparsed(`invalid log rotation config: json: cannot unmarshal ${typeof json} into an object`);
  }
  const fields = new Map(Object.entries(json));
  const wrong = findWrongType(fields);
  if (wrong !== undefined) return unparsed(`invalid log rotation config: json: ${wrong}`);
  const count = (name: string): number => Number(fields.get(name) ?? 0);
  return parsed({
    sizeBytesMax: (count("maxsize") || MEGABYTES_DEFAULT) * 1024 * 1024,
    ageDaysMax: count("maxage"),
    backupsMax: count("maxbackups"),
    localTime: fields.get("localtime") === true,
    compress: fields.get("compress") === true,
  });
}

function findWrongType(fields: ReadonlyMap<string, unknown>): string | undefined {
  for (const name of ["maxsize", "maxage", "maxbackups"]) {
    const value = fields.get(name) ?? 0;
    if (!Number.isSafeInteger(value)) {
      return `cannot unmarshal ${jsonKind(value)} into Go struct field logRotationConfig.Logger.${name} of type int`;
    }
  }
  for (const name of ["localtime", "compress"]) {
    const value = fields.get(name) ?? false;
    if (typeof value !== "boolean") {
      return `cannot unmarshal ${jsonKind(value)} into Go struct field logRotationConfig.Logger.${name} of type bool`;
    }
  }
  return undefined;
}

/** How Go's json package names the kind of a value. */
export function jsonKind(value: unknown): string {
  if (Array.isArray(value)) return "array";
  return typeof value === "boolean" ? "bool" : typeof value;
}
