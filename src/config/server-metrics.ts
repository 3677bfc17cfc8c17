// Metrics that state facts of the configuration: which version and which features run. main.ts calls it once at start; the member
// adds its id and the cluster version when it knows them.
import { SERVER_VERSION } from "../base/version.ts";
import type { Metrics } from "../ports/metrics.ts";
import type { Config } from "./config.ts";
import { FEATURE_GATE_NAMES } from "./feature-gates.ts";

export function registerServerMetrics(metrics: Metrics, config: Config): void {
  metrics.gauge("etcd_server_version", "", { server_version: SERVER_VERSION }).set(1);
  metrics.gauge("etcd_server_go_version", "", { server_go_version: `node${process.versions.node}` }).set(1);
  for (const name of FEATURE_GATE_NAMES) {
    const labels = { name, stage: config.featureGates.stage(name) };
    metrics.gauge("etcd_server_feature_enabled", "", labels).set(config.featureGates.enabled(name) ? 1 : 0);
  }
  const quota = Number.isFinite(config.quotaBackendBytes) ? config.quotaBackendBytes : -1;
  metrics.gauge("etcd_server_quota_backend_bytes", "").set(quota);
}
