// The initial cluster of a member without data, judged as etcd judges it: from --initial-cluster, from DNS, or by discovery. Later
// starts ignore those flags, so this is asked only when there is no data. Errors are etcd's texts.
import type { Config } from "../config/config.ts";
import { quote } from "../config/go-values.ts";
import { type EndpointUrl, formatInitialCluster } from "../config/urls.ts";
import { type Names, urlsDiffer } from "./same-urls.ts";

/** Name → peer URLs, in ascending order. */
export type InitialMembers = ReadonlyMap<string, readonly EndpointUrl[]>;

/** What keeps a new cluster from starting, or undefined. */
export async function newClusterProblem(
  config: Config,
  members: InitialMembers,
  names: Names,
): Promise<string | undefined> {
  return (
    localNameProblem(config, members) ??
    (await advertiseProblem(config, members, names)) ??
    doubleProblem(members)
  );
}

/** The same for a member that joins: its URLs are the running cluster's to say. */
export function joinProblem(config: Config, members: InitialMembers): string | undefined {
  const problem = localNameProblem(config, members) ?? doubleProblem(members);
  if (problem !== undefined || config.discovery === undefined) return problem;
  return "discovery URL should not be set when joining existing initial cluster";
}

export function doubleProblem(members: InitialMembers): string | undefined {
  const all = [...members.values()].flat().map((url) => url.text);
  if (new Set(all).size === all.length) return undefined;
  return `initial cluster ${formatInitialCluster(members)} has duplicate url`;
}

function localNameProblem(config: Config, members: InitialMembers): string | undefined {
  if (members.has(config.name)) return undefined;
  return `couldn't find local name ${quote(config.name)} in the initial cluster configuration`;
}

/** The own entry must mean exactly the advertised URLs. */
async function advertiseProblem(
  config: Config,
  members: InitialMembers,
  names: Names,
): Promise<string | undefined> {
  const own = members.get(config.name)!;
  const { advertisePeerUrls } = config;
  const difference = await urlsDiffer(advertisePeerUrls, own, names);
  if (difference === undefined) return undefined;
  const advertised = advertisePeerUrls.map((url) => url.text);
  const listed = own.map((url) => url.text);
  const unknown = listed.filter((url) => !advertised.includes(url)).map((url) => `${config.name}=${url}`);
  if (unknown.length > 0) {
    const missing = `--initial-cluster has ${unknown.join(",")} but missing from`;
    return `${missing} --initial-advertise-peer-urls=${advertised.join(",")} (${difference})`;
  }
  const missing = advertised.filter((url) => !listed.includes(url));
  const whole = formatInitialCluster(new Map([[config.name, advertisePeerUrls]]));
  return `--initial-advertise-peer-urls has ${missing.join(",")} but missing from --initial-cluster=${whole}`;
}
