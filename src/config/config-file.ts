// --config-file: YAML or JSON with etcd's keys. etcd reads it as JSON into Go structs, not strictly: unknown keys pass, durations are
// integer nanoseconds, a value of the wrong kind is refused in Go's words. Called by src/config/parse.

import { createRequire } from "node:module";
import type * as Yaml from "yaml";
import { errorText } from "../base/error-text.ts";
import { byteOrder } from "../node/metrics-format.ts";
import { experimentalFlag } from "./experimental-flags.ts";
import { FLAG_BY_NAME, type FlagKind } from "./flag-table.ts";
import { type FlagValues, parseOrigins } from "./flag-values.ts";
import { goFileError } from "./go-file-error.ts";
import { jsonKind } from "./logging.ts";
import { parseUrls } from "./urls.ts";

export type FileResult =
  | {
      readonly kind: "read";
      readonly gatesText: string;
      readonly clientAllowedCommonNames: readonly string[];
    }
  | { readonly kind: "problem"; readonly problem: string }
  | { readonly kind: "exit"; readonly code: number; readonly stderr: string };

/** Against files that grow without bound through aliases of aliases. */
const ALIASES_MAX = 100;

/** What Go's YAML library reads: YAML 1.1 (`yes` and `on` are true), without its dates and its numbers to the base of 60. */
const YAML_OPTIONS = {
  version: "1.1",
  uniqueKeys: false,
  intAsBigInt: true,
  strict: false,
  logLevel: "silent",
  customTags: (tags: Yaml.Tags): Yaml.Tags =>
    tags.filter(
      (tag) => typeof tag === "string" || (!tag.tag.endsWith(":timestamp") && tag.format !== "TIME"),
    ),
} as const;

type FileSource = { readFile(path: string): string };
type GoType =
  | "string"
  | "bool"
  | "uint"
  | "uint64"
  | "uint32"
  | "int"
  | "int64"
  | "time.Duration"
  | "[]string";

/** Flags that the file spells in a nested way, or not at all. */
const NOT_IN_FILE: ReadonlySet<string> = new Set([
  ..."config-file version discovery-fallback raft-read-timeout raft-write-timeout auto-tls".split(" "),
  ..."socket-reuse-port socket-reuse-address cert-file key-file client-cert-file client-key-file".split(" "),
  ..."client-cert-auth client-crl-file client-cert-allowed-hostname trusted-ca-file".split(" "),
  ..."peer-cert-file peer-key-file peer-client-cert-auth peer-client-cert-file peer-client-key-file".split(
    " ",
  ),
  ..."peer-trusted-ca-file peer-cert-allowed-cn peer-cert-allowed-hostname peer-auto-tls peer-crl-file".split(
    " ",
  ),
  ..."peer-skip-client-san-verification".split(" "),
]);

/** Keys of the struct of texts that etcd turns into other things afterwards; errors name that struct. */
const IN_CONFIG_JSON: ReadonlySet<string> = new Set([
  ..."listen-peer-urls listen-client-urls listen-client-http-urls initial-advertise-peer-urls".split(" "),
  ..."advertise-client-urls cors host-whitelist feature-gates".split(" "),
]);

/** Kinds that the file gives as one text, which is taken apart in the end. */
const STRUCTURED: ReadonlySet<FlagKind> = new Set(["urls", "origins", "unique-strings", "gates"]);

type Nested = {
  readonly struct: string;
  /** Go's name of the inner struct, which its errors show first. */
  readonly type: string;
  readonly keys: Readonly<Record<string, readonly [string, GoType]>>;
};

function security(side: "client" | "peer"): Nested {
  const prefix = side === "peer" ? "peer-" : "";
  return {
    struct: "configJSON",
    type: "securityConfig",
    keys: {
      "cert-file": [`${prefix}cert-file`, "string"],
      "key-file": [`${prefix}key-file`, "string"],
      "client-cert-file": [side === "peer" ? "peer-client-cert-file" : "client-cert-file", "string"],
      "client-key-file": [side === "peer" ? "peer-client-key-file" : "client-key-file", "string"],
      "client-cert-auth": [side === "peer" ? "peer-client-cert-auth" : "client-cert-auth", "bool"],
      "trusted-ca-file": [`${prefix}trusted-ca-file`, "string"],
      "auto-tls": [`${prefix}auto-tls`, "bool"],
      "allowed-cn": [side === "peer" ? "peer-cert-allowed-cn" : "", "[]string"],
      "allowed-hostname": [
        side === "peer" ? "peer-cert-allowed-hostname" : "client-cert-allowed-hostname",
        "[]string",
      ],
      "skip-client-san-verification": [side === "peer" ? "peer-skip-client-san-verification" : "", "bool"],
    },
  };
}

const NESTED: ReadonlyMap<string, Nested> = new Map<string, Nested>([
  ["client-transport-security", security("client")],
  ["peer-transport-security", security("peer")],
  [
    "socket-options",
    {
      struct: "Config",
      type: "SocketOpts",
      keys: {
        "reuse-port": ["socket-reuse-port", "bool"],
        "reuse-address": ["socket-reuse-address", "bool"],
      },
    },
  ],
]);

const NESTED_TYPES: Readonly<Record<string, string>> = {
  "client-transport-security": "embed.securityConfig",
  "peer-transport-security": "embed.securityConfig",
  "socket-options": "transport.SocketOpts",
  "discovery-config": "v3discovery.DiscoveryConfig",
};

export function readConfigFile(
  path: string,
  source: FileSource,
  values: FlagValues,
  experimental: Map<string, string>,
): FileResult {
  let text: string;
  try {
    text = source.readFile(path);
  } catch (error) {
    const verb = error instanceof Error && "code" in error && error.code === "EISDIR" ? "read" : "open";
    return problem(`${verb} ${path}: ${goFileError(error)}`);
  }
  const document = loadYaml().parseDocument(text, YAML_OPTIONS);
  const first = document.errors.find((error) => error.code !== "MULTIPLE_DOCS");
  if (first !== undefined) {
    const line = first.linePos?.[0].line ?? 1;
    const words = first.message.split("\n")[0]!.replace(/ at line \d+, column \d+:?$/, "");
    return problem(`error converting YAML to JSON: yaml: line ${line}: ${words}`);
  }
  let content: unknown;
  try {
    content = document.toJS({ mapAsMap: false, maxAliasCount: ALIASES_MAX });
  } catch (error) {
    const words = errorText(error);
    return problem(`error converting YAML to JSON: yaml: ${words}`);
  }
  if (content === null || content === undefined) return new FileReader(values, experimental).finish();
  if (!isObject(content)) {
    const kind = typeof content === "bigint" ? "number" : jsonKind(content);
    return unmarshalProblem(`${kind} into Go value of type embed.configYAML`);
  }
  return new FileReader(values, experimental).read(content);
}

/** Loaded only when there is a file: the library takes longer to load than a member takes to start. */
function loadYaml(): typeof Yaml {
  return createRequire(import.meta.url)("yaml");
}

function problem(text: string): FileResult {
  return { kind: "problem", problem: text };
}

function unmarshalProblem(what: string): FileResult {
  return problem(`error unmarshaling JSON: while decoding JSON: json: cannot unmarshal ${what}`);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Walks the keys in sorted order, as sigs.k8s.io/yaml hands them to Go's decoder: the first wrong one is reported. */
class FileReader {
  readonly #values: FlagValues;
  readonly #experimental: Map<string, string>;
  readonly #texts = new Map<string, string>();
  #clientAllowedCommonNames: readonly string[] = [];

  constructor(values: FlagValues, experimental: Map<string, string>) {
    this.#values = values;
    this.#experimental = experimental;
  }

  read(content: Record<string, unknown>): FileResult {
    for (const key of Object.keys(content).sort(byteOrder)) {
      const value = content[key];
      if (value === null || value === undefined) continue;
      const wrong = this.#readKey(key, value);
      if (wrong !== undefined) return wrong;
    }
    return this.finish();
  }

  /** Go matches keys without regard to case. */
  #readKey(given: string, value: unknown): FileResult | undefined {
    const key = given.toLowerCase();
    if (key === "discovery-config") return this.#readDiscovery(value);
    const nested = NESTED.get(key);
    if (nested !== undefined) return this.#readNested(key, nested, value);
    const twin =
      key === "experimental-snapshot-catch-up-entries" ? "experimental-snapshot-catchup-entries" : key;
    const experimental = experimentalFlag(twin);
    if (experimental !== undefined) return this.#readExperimental(twin, value);
    const flag = FLAG_BY_NAME.get(key);
    if (flag === undefined || NOT_IN_FILE.has(key) || /^discovery-(?!srv)/.test(key)) return undefined;
    const struct = IN_CONFIG_JSON.has(key) ? "configJSON" : "Config";
    const type = goType(key, flag.kind);
    const converted = convert(value, type);
    if (converted === undefined)
      return unmarshalProblem(wrongKind(value, `configYAML.${struct}.${key}`, type));
    if (type === "string" && STRUCTURED.has(flag.kind)) this.#texts.set(key, String(converted));
    else this.#values.put(key, converted);
    return undefined;
  }

  #readExperimental(name: string, value: unknown): FileResult | undefined {
    const flag = FLAG_BY_NAME.get(experimentalFlag(name)?.flag ?? "");
    const type = flag === undefined ? "bool" : goType(flag.name, flag.kind);
    const converted = convert(value, type);
    if (converted === undefined) return unmarshalProblem(wrongKind(value, `configYAML.Config.${name}`, type));
    this.#experimental.set(name, type === "time.Duration" ? `${converted}ns` : String(converted));
    return undefined;
  }

  #readNested(key: string, nested: Nested, value: unknown): FileResult | undefined {
    const path = `configYAML.${nested.struct}.${key}`;
    if (!isObject(value)) return unmarshalProblem(wrongKind(value, path, NESTED_TYPES[key]!));
    for (const name of Object.keys(value).sort(byteOrder)) {
      const one = value[name];
      const target = Object.hasOwn(nested.keys, name.toLowerCase())
        ? nested.keys[name.toLowerCase()]
        : undefined;
      if (target === undefined || one === null || one === undefined) continue;
      const converted = convert(one, target[1]);
      if (converted === undefined) {
        const field = `${nested.type}.${nested.struct}.${key}.${name}`;
        return unmarshalProblem(wrongKind(one, field, target[1]));
      }
      if (target[0] !== "") this.#values.put(target[0], converted);
      else if (Array.isArray(converted)) this.#clientAllowedCommonNames = converted;
    }
    return undefined;
  }

  /** Discovery is not supported yet: enough is read to say so. */
  #readDiscovery(value: unknown): FileResult | undefined {
    const path = "configYAML.Config.discovery-config";
    if (!isObject(value)) return unmarshalProblem(wrongKind(value, path, NESTED_TYPES["discovery-config"]!));
    if (typeof value["token"] === "string") this.#values.put("discovery-token", value["token"]);
    const endpoints =
      value["endpoints"] ?? (isObject(value["client"]) ? value["client"]["endpoints"] : undefined);
    if (Array.isArray(endpoints)) this.#values.put("discovery-endpoints", endpoints.map(String));
    return undefined;
  }

  finish(): FileResult {
    const gatesText = this.#texts.get("feature-gates") ?? "";
    if (gatesText !== "") {
      const wrong = this.#values.parse("feature-gates", gatesText);
      if (wrong !== undefined) return problem(wrong);
    }
    const wrong = this.#applyUrls() ?? this.#applyLists();
    if (wrong !== undefined) return wrong;
    this.#applyBootstrap();
    return { kind: "read", gatesText, clientAllowedCommonNames: this.#clientAllowedCommonNames };
  }

  #applyUrls(): FileResult | undefined {
    const order = [
      "listen-peer-urls",
      "listen-client-urls",
      "listen-client-http-urls",
      "initial-advertise-peer-urls",
    ];
    for (const key of [...order, "advertise-client-urls", "listen-metrics-urls"]) {
      const text = this.#texts.get(key) ?? "";
      if (text === "") continue;
      const urls = parseUrls(text.split(","));
      // etcd's own message names the wrong key here.
      const shown = key === "advertise-client-urls" ? "advertise-peer-urls" : key;
      if (!urls.ok) {
        return { kind: "exit", code: 1, stderr: `unexpected error setting up ${shown}: ${urls.error}\n` };
      }
      this.#values.put(key, urls.value);
    }
    return undefined;
  }

  #applyLists(): FileResult | undefined {
    const cors = this.#texts.get("cors") ?? "";
    if (cors !== "") {
      const origins = parseOrigins(cors);
      if (!origins.ok) {
        return {
          kind: "exit",
          code: 2,
          stderr: `panic: new UniqueURLs should never fail: ${origins.error}\n`,
        };
      }
      this.#values.put("cors", origins.value);
    }
    const hosts = this.#texts.get("host-whitelist") ?? "";
    if (hosts !== "") this.#values.put("host-whitelist", [...new Set(hosts.split(","))].sort(byteOrder));
    return undefined;
  }

  #applyBootstrap(): void {
    const values = this.#values;
    const discovery = values.text("discovery-srv") !== "" || values.texts("discovery-endpoints").length > 0;
    const standard = values.text("initial-cluster") === "default=http://localhost:2380";
    if (discovery && standard) values.put("initial-cluster", "");
    if (values.text("initial-cluster-state") === "") values.put("initial-cluster-state", "new");
    if (values.number("self-signed-cert-validity") === 0) values.put("self-signed-cert-validity", 1);
  }
}

function goType(key: string, kind: FlagKind): GoType {
  switch (kind) {
    case "duration":
      return "time.Duration";
    case "strings":
      return "[]string";
    case "unique-strings":
      return key === "log-outputs" ? "[]string" : "string";
    case "bool":
    case "uint":
    case "uint64":
    case "uint32":
    case "int":
    case "int64":
      return kind;
    default:
      return "string";
  }
}

const INTEGER_RANGES: Readonly<Partial<Record<GoType, readonly [bigint, bigint]>>> = {
  uint: [0n, 2n ** 64n - 1n],
  uint64: [0n, 2n ** 64n - 1n],
  uint32: [0n, 2n ** 32n - 1n],
  int: [-(2n ** 63n), 2n ** 63n - 1n],
  int64: [-(2n ** 63n), 2n ** 63n - 1n],
  "time.Duration": [-(2n ** 63n), 2n ** 63n - 1n],
};

/** The value as Go would decode it, or undefined when Go would refuse. */
function convert(value: unknown, type: GoType): string | boolean | number | readonly string[] | undefined {
  if (type === "string") return typeof value === "string" ? value : undefined;
  if (type === "bool") return typeof value === "boolean" ? value : undefined;
  if (type === "[]string") {
    return Array.isArray(value) && value.every((one) => typeof one === "string") ? value : undefined;
  }
  const whole =
    typeof value === "bigint" ? value : Number.isInteger(value) ? BigInt(Number(value)) : undefined;
  const range = INTEGER_RANGES[type];
  if (whole === undefined || range === undefined) return undefined;
  return whole >= range[0] && whole <= range[1] ? Number(whole) : undefined;
}

function wrongKind(value: unknown, field: string, type: string): string {
  const numeric = typeof value === "bigint" || typeof value === "number";
  if (type === "[]string" && Array.isArray(value)) {
    const one: unknown = value.find((item) => typeof item !== "string");
    return `${typeof one === "bigint" ? "number" : jsonKind(one)} into Go struct field ${field} of type string`;
  }
  // Beyond 64 bits Go has read a float and shows that.
  const size = typeof value === "bigint" && value >= 2n ** 64n ? Number(value) : value;
  const shown = numeric && type in INTEGER_RANGES ? ` ${String(size)}` : "";
  const kind = numeric ? "number" : jsonKind(value);
  return `${kind}${shown} into Go struct field ${field} of type ${type}`;
}
