// The metric that tells which feature gates are open. main.ts calls it once at start.
import type { Metrics } from "../ports/metrics.ts";
import { FEATURE_GATE_NAMES, type FeatureGates } from "./feature-gates.ts";

export function registerFeatureMetrics(metrics: Metrics, gates: FeatureGates): void {
  for (const name of FEATURE_GATE_NAMES) {
    const labels = { name, stage: gates.stage(name) };
    metrics.gauge("etcd_server_feature_enabled", "", labels).set(gates.enabled(name) ? 1 : 0);
  }
}
