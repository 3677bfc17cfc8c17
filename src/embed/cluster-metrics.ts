// Metrics whose series come and go with the cluster: its version, its members, its alarms. Rendered when /metrics is asked for.
import { AlarmType, alarmName } from "../cluster/alarms.ts";
import { hexId } from "../cluster/ids.ts";
import type { Member } from "../member/member.ts";
import type { MetricDefinition, MetricsRegistry } from "../node/metrics.ts";
import { ETCD_METRICS } from "../node/metrics-catalog.ts";
import { labelList } from "../node/metrics-format.ts";

export function registerCluster(metrics: MetricsRegistry, member: Member): void {
  const { membership, applyContext } = member;
  remembered(metrics, "etcd_cluster_version", () => {
    const { version } = membership;
    return version === undefined ? [] : [{ cluster_version: shortVersion(version) }];
  });
  const local = hexId(member.localId);
  // As etcd counts: this member is among them.
  remembered(metrics, "etcd_network_known_peers", () =>
    membership.members().map(({ id }) => ({ Local: local, Remote: hexId(id) })),
  );
  remembered(metrics, "etcd_debugging_server_alarms", () =>
    applyContext.alarms.get(AlarmType.None).map(({ memberId, alarm }) => ({
      server_id: hexId(memberId),
      alarm_type: alarmName(alarm),
    })),
  );
}

/** A gauge that is 1 for every series that `current` names now, and 0 for those that it named at an earlier scrape. */
function remembered(
  metrics: MetricsRegistry,
  name: string,
  current: () => readonly Readonly<Record<string, string>>[],
): void {
  const seen = new Set<string>();
  metrics.rendered(definitionOf(name), () => {
    const now = new Set(current().map(labelList));
    for (const labels of now) seen.add(labels);
    return [...seen]
      .sort()
      .map((labels) => `${name}{${labels}} ${now.has(labels) ? 1 : 0}\n`)
      .join("");
  });
}

function definitionOf(name: string): MetricDefinition {
  return ETCD_METRICS.find((one) => one.name === name) ?? { name, type: "gauge", help: "" };
}

/** `3.7` of `3.7.0`. */
function shortVersion(version: string): string {
  return version.split(".").slice(0, 2).join(".");
}
