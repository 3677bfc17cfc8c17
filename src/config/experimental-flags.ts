// The --experimental-* flags of etcd 3.6, which 3.7 dropped: still accepted here, because manifests of running clusters carry them,
// with etcd 3.6's warnings and its refusal of old and new name together.

import type { FeatureGateName } from "./feature-gates.ts";
import { FLAG_BY_NAME } from "./flag-table.ts";
import { FlagValues } from "./flag-values.ts";
import { parseBool } from "./go-values.ts";

export type ExperimentalFlag = {
  /** The flag that replaces it, or undefined when a gate does. */
  readonly flag: string | undefined;
  readonly gate: FeatureGateName | undefined;
  check(value: string): string | undefined;
};

const PREFIX = "experimental-";

const GATE_TWINS: ReadonlyMap<string, FeatureGateName> = new Map<string, FeatureGateName>([
  ["experimental-stop-grpc-service-on-defrag", "StopGRPCServiceOnDefrag"],
  ["experimental-initial-corrupt-check", "InitialCorruptCheck"],
  ["experimental-compact-hash-check-enabled", "CompactHashCheck"],
  ["experimental-txn-mode-write-with-shared-buffer", "TxnModeWriteWithSharedBuffer"],
  ["experimental-enable-lease-checkpoint", "LeaseCheckpoint"],
  ["experimental-enable-lease-checkpoint-persist", "LeaseCheckpointPersist"],
]);

/** Names without the prefix, as 3.6 had them; the second is how its warning spells the releases. */
const FLAG_TWINS: ReadonlyMap<string, "3.6" | "v3.6" | "quiet" | "unary"> = new Map([
  ["compact-hash-check-time", "3.6"],
  ["corrupt-check-time", "v3.6"],
  ["compaction-batch-limit", "v3.6"],
  ["watch-progress-notify-interval", "v3.6"],
  ["warning-apply-duration", "v3.6"],
  ["bootstrap-defrag-threshold-megabytes", "v3.6"],
  ["memory-mlock", "v3.6"],
  ["snapshot-catchup-entries", "v3.6"],
  ["compaction-sleep-interval", "v3.6"],
  ["downgrade-check-time", "v3.6"],
  ["peer-skip-client-san-verification", "quiet"],
  ["warning-unary-request-duration", "unary"],
  ["enable-distributed-tracing", "3.6"],
  ["distributed-tracing-address", "3.6"],
  ["distributed-tracing-service-name", "3.6"],
  ["distributed-tracing-instance-id", "3.6"],
  ["distributed-tracing-sampling-rate", "3.6"],
]);

export function experimentalFlag(name: string): ExperimentalFlag | undefined {
  const gate = GATE_TWINS.get(name);
  if (gate !== undefined) {
    return {
      flag: undefined,
      gate,
      check: (value) => (parseBool(value) === undefined ? "parse error" : undefined),
    };
  }
  const flag = name.slice(PREFIX.length);
  if (!name.startsWith(PREFIX) || !FLAG_TWINS.has(flag)) return undefined;
  return { flag, gate: undefined, check: (value) => new FlagValues().parse(flag, value) };
}

export function experimentalNames(): string[] {
  return [...GATE_TWINS.keys(), ...[...FLAG_TWINS.keys()].map((name) => PREFIX + name)];
}

/** Moves the old names' values to the new ones. Answers etcd's refusal, or undefined. */
export function applyExperimental(
  experimental: ReadonlyMap<string, string>,
  values: FlagValues,
  gatesText: string,
): string | undefined {
  for (const [name, value] of experimental) {
    const twin = experimentalFlag(name);
    const problem =
      twin?.gate === undefined
        ? applyFlag(name, twin?.flag ?? "", value, values)
        : applyGate(name, twin.gate, value, values, gatesText);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

function applyFlag(name: string, flag: string, value: string, values: FlagValues): string | undefined {
  if (values.set.has(flag)) {
    if (FLAG_TWINS.get(flag) === "unary")
      return `both --${name} and --${flag} flags are set. Use only --${flag}`;
    return `cannot set --${name} and --${flag} at the same time, please use --${flag} only`;
  }
  return values.parse(flag, value);
}

function applyGate(
  name: string,
  gate: FeatureGateName,
  value: string,
  values: FlagValues,
  gatesText: string,
): string | undefined {
  const on = parseBool(value);
  const gates = values.gates();
  if (gatesText.includes(gate)) {
    const now = `--feature-gates=${gate}=${gates.enabled(gate)}`;
    return `cannot specify both flags: --${name}=${on} and ${now} at the same time, please just use ${now}`;
  }
  const next = gates.with(`${gate}=${on}`);
  if (!next.ok) return next.error;
  values.put("feature-gates", next.value);
  return undefined;
}

/** etcd 3.6's warning about an old name, or undefined where it had none. */
export function experimentalWarning(name: string): string | undefined {
  if (name === "experimental-compact-hash-check-enabled") {
    return `--${name} is deprecated in 3.6 and will be decommissioned in 3.7. Use '--feature-gates=CompactHashCheck=true' instead.`;
  }
  if (name === "experimental-txn-mode-write-with-shared-buffer") {
    return `--${name} is deprecated in v3.6 and will be decommissioned in v3.7. Use '--feature-gates=TxnModeWriteWithSharedBuffer=true' instead.`;
  }
  const flag = name.slice(PREFIX.length);
  switch (FLAG_TWINS.get(flag)) {
    case "v3.6": {
      const shown = flag === "compaction-sleep-interval" ? flag : `--${flag}`;
      return `--${name} is deprecated in v3.6 and will be decommissioned in v3.7. Use '${shown}' instead.`;
    }
    case "3.6": {
      const shown = flag.includes("tracing") ? `--${flag}` : `'--${flag}'`;
      return `--${name} is deprecated in 3.6 and will be decommissioned in 3.7. Use ${shown} instead.`;
    }
    case "unary":
      return `--${name} is deprecated, and will be decommissioned in v3.7. Use --${flag} instead.`;
    default:
      return undefined;
  }
}

/** True for names that exist in the table: guards the list above against typing errors (a test calls it). */
export function twinsExist(): boolean {
  return [...FLAG_TWINS.keys()].every((name) => FLAG_BY_NAME.has(name));
}
