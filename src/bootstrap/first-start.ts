// With which cluster a member without data begins: new or joined, named by flag, by DNS or by discovery. src/embed asks once, before the
// data directory is made; what it refuses has changed nothing.

import { lookup, resolveSrv } from "node:dns/promises";
import { readFile } from "node:fs/promises";
import { errorText } from "../base/error-text.ts";
import { Client } from "../client/client.ts";
import { hexId } from "../cluster/ids.ts";
import type { ClusterMember } from "../cluster/membership.ts";
import { type Config, type DiscoveryConfig, requestTimeoutMillis } from "../config/config.ts";
import { formatInitialCluster, parseInitialCluster } from "../config/urls.ts";
import { type InitialCluster, newCluster } from "../member/membership/initial-cluster.ts";
import type { PeerClient } from "../member/network/transport.ts";
import type { Digest } from "../ports/digest.ts";
import type { Logger } from "../ports/logger.ts";
import { bootstrapped, type Refusal } from "./bootstrapped.ts";
import { membersFromSrv } from "./dns-srv.ts";
import { doubleProblem, type InitialMembers, joinProblem, newClusterProblem } from "./initial-members.ts";
import { joinCluster, remoteUrls } from "./join.ts";
import type { Names } from "./same-urls.ts";
import { discoverCluster } from "./v3-discovery.ts";

/** How long a new member asks the others whether it has been here before. */
const BOOTSTRAPPED_TIMEOUT_MILLIS = 1000;

export type FirstStartWorld = {
  readonly peers: PeerClient;
  readonly digest: Digest;
  readonly logger: Logger;
};

/** The cluster, or the error that etcd logs as "discovery failed". */
export async function firstStart(
  config: Config,
  world: FirstStartWorld,
): Promise<InitialCluster | Refusal | string> {
  const names: Names = { lookup: firstAddress, wait, logger: world.logger };
  const members = await initialMembers(config, world.logger);
  if (typeof members === "string") return `error setting up initial cluster: ${members}`;
  if (config.initialClusterState === "existing") {
    const problem = joinProblem(config, members);
    if (problem !== undefined) return problem;
    const { learnersMax } = config;
    const { peers, logger } = world;
    return joinCluster(members, config.name, {
      peers,
      logger,
      names,
      learnersMax,
      dataDirectory: config.dataDir,
      requestTimeoutMillis: requestTimeoutMillis(config),
    });
  }
  const problem = await newClusterProblem(config, members, names);
  if (problem !== undefined) return problem;
  const { discovery } = config;
  const cluster = clusterOf(config, members, discovery?.token ?? config.initialClusterToken, world.digest);
  const running = await runningMembers(members, config.name, world.peers);
  // As etcd: who has a name and serves no client has never been ready.
  const lost = running.find(({ id, clientUrls }) => id === cluster.localId && clientUrls.length > 0);
  if (lost !== undefined) return bootstrapped(lost, running, config.dataDir);
  return discovery === undefined ? cluster : discovered(config, discovery, cluster, world);
}

/** Who belongs to the cluster, as far as the configuration says. By discovery that is only this member, for now. */
async function initialMembers(config: Config, logger: Logger): Promise<InitialMembers | string> {
  if (config.discovery !== undefined) return new Map([[config.name, config.advertisePeerUrls]]);
  const { discoverySrv } = config;
  let text = config.initialCluster;
  if (discoverySrv !== undefined) {
    const { name, advertisePeerUrls } = config;
    const question = { ...discoverySrv, name, advertisePeerUrls };
    const { pairs, error } = await membersFromSrv(question, { resolveSrv, lookup: firstAddress }, logger);
    if (error !== "") logger.warn("failed to resolve during SRV discovery", { error });
    if (pairs.length === 0) return error;
    for (const node of pairs) logger.info("got bootstrap from DNS for etcd-server", { node });
    text = pairs.join(",");
  }
  const parsed = parseInitialCluster(text);
  if (!parsed.ok) return parsed.error;
  if (discoverySrv !== undefined && !parsed.value.has(config.name))
    return `cannot find local etcd member "${config.name}" in SRV records`;
  return parsed.value;
}

function clusterOf(config: Config, members: InitialMembers, token: string, digest: Digest): InitialCluster {
  const texts = new Map([...members].map(([name, urls]) => [name, urls.map(({ text }) => text)]));
  return newCluster(texts, config.name, token, digest.sha1);
}

/** Those whom a running cluster of the same members knows; a member that lost its disk must not vote again under its old id. */
async function runningMembers(
  members: InitialMembers,
  name: string,
  peers: PeerClient,
): Promise<readonly ClusterMember[]> {
  const urls = remoteUrls(members, name);
  if (urls.length === 0) return [];
  try {
    return (await peers.members(urls, BOOTSTRAPPED_TIMEOUT_MILLIS)).members;
  } catch {
    return [];
  }
}

async function discovered(
  config: Config,
  discovery: DiscoveryConfig,
  alone: InitialCluster,
  { logger, digest }: FirstStartWorld,
): Promise<InitialCluster | string> {
  logger.info("Bootstrapping cluster using v3 discovery.");
  const pairs = formatInitialCluster(new Map([[config.name, config.advertisePeerUrls]]));
  const client = await discoveryClient(discovery);
  try {
    const { token } = discovery;
    const options = { client, token, requestTimeoutMillis: discovery.requestTimeoutMillis, logger, wait };
    const whole = parseInitialCluster(await discoverCluster(options, hexId(alone.localId), pairs));
    if (!whole.ok) return whole.error;
    const double = doubleProblem(whole.value);
    if (double !== undefined) return double.replace(/^initial/, "discovery");
    return clusterOf(config, whole.value, token, digest);
  } catch (error) {
    return errorText(error);
  } finally {
    client.close();
  }
}

async function discoveryClient(discovery: DiscoveryConfig): Promise<Client> {
  const { endpoints, insecureTransport, insecureSkipVerify, certFile, keyFile, caFile, user, password } =
    discovery;
  const read = (path: string): Promise<Buffer | undefined> =>
    path === "" ? Promise.resolve(undefined) : readFile(path);
  const [cert, key, ca] = await Promise.all([read(certFile), read(keyFile), read(caFile)]);
  // As etcd's client: files mean TLS, whatever --discovery-insecure-transport says, and it says so unless it is told otherwise.
  const filesGiven = [certFile, keyFile, caFile].some((path) => path !== "");
  const tls = {
    insecureSkipVerify,
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    ...(ca === undefined ? {} : { ca }),
  };
  return new Client({
    endpoints,
    dialTimeoutMillis: discovery.dialTimeoutMillis,
    keepaliveTimeMillis: discovery.keepaliveTimeMillis,
    keepaliveTimeoutMillis: discovery.keepaliveTimeoutMillis,
    ...(insecureTransport && !filesGiven ? {} : { tls }),
    ...(user === "" ? {} : { username: user, password }),
  });
}

async function firstAddress(hostname: string): Promise<string> {
  return (await lookup(hostname)).address;
}

function wait(millis: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, millis));
}
