// The feature gates of etcd 3.7 and the text form `A=true,B=false`. Parsed here, read by the parts that a gate concerns, shown by
// the metric etcd_server_feature_enabled.
import { byteOrder } from "../node/metrics-format.ts";
import { type Parsed, parseBool, parsed, unparsed } from "./go-values.ts";

type Stage = "ALPHA" | "BETA";

const GATES = {
  AllAlpha: { stage: "ALPHA", default: false },
  AllBeta: { stage: "BETA", default: false },
  CompactHashCheck: { stage: "ALPHA", default: false },
  FastLeaseKeepAlive: { stage: "BETA", default: true },
  InitialCorruptCheck: { stage: "ALPHA", default: false },
  LeaseCheckpoint: { stage: "ALPHA", default: false },
  LeaseCheckpointPersist: { stage: "ALPHA", default: false },
  PriorityRequest: { stage: "ALPHA", default: false },
  SetMemberLocalAddr: { stage: "ALPHA", default: false },
  StopGRPCServiceOnDefrag: { stage: "ALPHA", default: false },
  TxnModeWriteWithSharedBuffer: { stage: "BETA", default: true },
} as const satisfies Record<string, { stage: Stage; default: boolean }>;

export type FeatureGateName = keyof typeof GATES;

function isGate(name: string): name is FeatureGateName {
  return Object.hasOwn(GATES, name);
}

export const FEATURE_GATE_NAMES: readonly FeatureGateName[] = Object.keys(GATES)
  .filter(isGate)
  .sort(byteOrder);

export class FeatureGates {
  readonly #set: ReadonlyMap<FeatureGateName, boolean>;
  constructor(set: ReadonlyMap<FeatureGateName, boolean> = new Map()) {
    this.#set = set;
  }

  enabled(name: FeatureGateName): boolean {
    return this.#set.get(name) ?? GATES[name].default;
  }

  /** Somebody has said so, or the opposite. */
  isSet(name: FeatureGateName): boolean {
    return this.#set.has(name);
  }

  stage(name: FeatureGateName): Stage {
    return GATES[name].stage;
  }

  /** What was set, `A=true,B=false`, as etcd logs it. */
  text(): string {
    const pairs = [...this.#set].map(([name, on]) => `${name}=${on}`);
    return pairs.sort(byteOrder).join(",");
  }

  /** These gates with more set. AllAlpha and AllBeta reach only gates that nobody names. */
  with(text: string): Parsed<FeatureGates> {
    const named = new Map<FeatureGateName, boolean>();
    for (const pair of text.split(",")) {
      if (pair === "") continue;
      const at = pair.indexOf("=");
      const name = (at < 0 ? pair : pair.slice(0, at)).trim();
      if (at < 0) return unparsed(`missing bool value for ${name}`);
      const value = pair.slice(at + 1).trim();
      const on = parseBool(value);
      if (on === undefined) {
        const syntax = `strconv.ParseBool: parsing ${JSON.stringify(value)}: invalid syntax`;
        return unparsed(`invalid value of ${name}=${value}, err: ${syntax}`);
      }
      if (!isGate(name)) return unparsed(`unrecognized feature gate: ${name}`);
      named.set(name, on);
    }
    const all = new Map([...this.#set, ...named]);
    spread(named.get("AllAlpha"), "ALPHA", all);
    spread(named.get("AllBeta"), "BETA", all);
    return parsed(new FeatureGates(all));
  }
}

function spread(on: boolean | undefined, stage: Stage, all: Map<FeatureGateName, boolean>): void {
  if (on === undefined) return;
  for (const name of FEATURE_GATE_NAMES) if (GATES[name].stage === stage && !all.has(name)) all.set(name, on);
}

/** For the help text. */
export function describeGates(): string[] {
  return FEATURE_GATE_NAMES.map(
    (name) => `${name}=true|false (${GATES[name].stage} - default=${GATES[name].default})`,
  );
}
