// What etcd checks only when a member starts on an empty data directory: the initial cluster. Later starts ignore those flags, so
// main.ts (or the member) asks only when there is no data. Pure.
import type { Config } from "./config.ts";
import { quote } from "./go-values.ts";
import { notYetText } from "./not-yet.ts";
import { type EndpointUrl, formatInitialCluster, parseInitialCluster } from "./urls.ts";

export type Bootstrap =
  | { readonly ok: true; readonly members: ReadonlyMap<string, readonly EndpointUrl[]> }
  /** etcd logs it as fatal, with the message "discovery failed", and ends with code 1. */
  | { readonly ok: false; readonly error: string };

export function verifyBootstrap(config: Config): Bootstrap {
  const parsed = parseInitialCluster(config.initialCluster);
  if (!parsed.ok) return refuse(`error setting up initial cluster: ${parsed.error}`);
  const members = parsed.value;
  const own = members.get(config.name);
  if (own === undefined) {
    return refuse(`couldn't find local name ${quote(config.name)} in the initial cluster configuration`);
  }
  if (config.initialClusterState === "existing") {
    const why = "a member cannot join a cluster that exists; start a cluster of its own with 'new'";
    return refuse(hasDoubles(members) ?? notYetText("--initial-cluster-state=existing", why));
  }
  const problem = advertiseProblem(config, own) ?? hasDoubles(members);
  if (problem !== undefined) return refuse(problem);
  if (members.size > 1) {
    const why = `clusters have one member; ${formatInitialCluster(members)} names ${members.size}`;
    return refuse(notYetText("--initial-cluster with several members", why));
  }
  return { ok: true, members };
}

function refuse(error: string): Bootstrap {
  return { ok: false, error };
}

/** The own entry must list exactly the advertised URLs. (etcd also accepts names that resolve to the same addresses.) */
function advertiseProblem(config: Config, own: readonly EndpointUrl[]): string | undefined {
  const advertised = config.advertisePeerUrls.map((url) => url.text);
  const listed = own.map((url) => url.text);
  const unknown = listed.filter((url) => !advertised.includes(url)).map((url) => `${config.name}=${url}`);
  if (unknown.length > 0) {
    const missing = `--initial-cluster has ${unknown.join(",")} but missing from`;
    return `${missing} --initial-advertise-peer-urls=${advertised.join(",")} (${difference(advertised, listed)})`;
  }
  const missing = advertised.filter((url) => !listed.includes(url));
  if (missing.length === 0) return undefined;
  const whole = formatInitialCluster(new Map([[config.name, config.advertisePeerUrls]]));
  return `--initial-advertise-peer-urls has ${missing.join(",")} but missing from --initial-cluster=${whole}`;
}

function difference(advertised: readonly string[], listed: readonly string[]): string {
  if (advertised.length !== listed.length) return `len(${quoted(advertised)}) != len(${quoted(listed)})`;
  const at = advertised.findIndex((url, i) => url !== listed[i]);
  return `resolved urls: ${quote(advertised[at] ?? "")} != ${quote(listed[at] ?? "")}`;
}

function quoted(texts: readonly string[]): string {
  return `[${texts.map(quote).join(" ")}]`;
}

function hasDoubles(members: ReadonlyMap<string, readonly EndpointUrl[]>): string | undefined {
  const all = [...members.values()].flat().map((url) => url.text);
  if (new Set(all).size === all.length) return undefined;
  return `initial cluster ${formatInitialCluster(members)} has duplicate url`;
}
