// The cluster that a restored member is to be part of: the checks that etcd makes of --initial-cluster before it bootstraps, and the
// members and ids that follow from it.

import { lookup } from "node:dns/promises";
import type { ClusterId } from "../base/brand.ts";
import { errorText } from "../base/error-text.ts";
import { ExitError } from "../cli/command.ts";
import { goQuote } from "../cli/quote.ts";
import { computeClusterId, computeMemberId, hexId } from "../cluster/ids.ts";
import type { ClusterMember } from "../cluster/membership.ts";
import type { Parsed } from "../config/go-values.ts";
import {
  type EndpointUrl,
  formatInitialCluster,
  isUnix,
  parseInitialCluster,
  parseUrls,
  urlTexts,
} from "../config/urls.ts";
import { nodeDigest } from "../node/digest.ts";
import { ExitCode } from "./exit.ts";

export type InitialCluster = {
  readonly clusterId: ClusterId;
  /** Ascending by id. */
  readonly members: readonly ClusterMember[];
  readonly local: ClusterMember;
};

export type InitialClusterFlags = {
  readonly name: string;
  readonly token: string;
  readonly cluster: string;
  readonly peerUrls: string;
};

function fail(message: string): never {
  throw new ExitError(ExitCode.Error, message);
}

function urlsOf<T>(result: Parsed<T>): T {
  return result.ok ? result.value : fail(result.error);
}

/** A URL with its host looked up; localhost stays, as in etcd. */
async function resolved(url: EndpointUrl): Promise<string> {
  if (isUnix(url) || url.hostname === "localhost") return url.text;
  try {
    const { address, family } = await lookup(url.hostname);
    return `${url.scheme}://${family === 6 ? `[${address}]` : address}:${url.port}${url.path}`;
  } catch (error) {
    const reason = errorText(error);
    return fail(`failed to resolve ${goQuote(url.text)} (${reason})`);
  }
}

/** Why the two lists are not the same addresses, or undefined. */
async function difference(
  advertised: readonly EndpointUrl[],
  listed: readonly EndpointUrl[],
): Promise<string | undefined> {
  if (advertised.length !== listed.length) {
    const list = (urls: readonly EndpointUrl[]): string => `[${urlTexts(urls).map(goQuote).join(" ")}]`;
    return `len(${list(advertised)}) != len(${list(listed)})`;
  }
  if (advertised.every((url, i) => url.text === listed[i]!.text)) return undefined;
  const a = (await Promise.all(advertised.map(resolved))).sort();
  const b = (await Promise.all(listed.map(resolved))).sort();
  const at = a.findIndex((url, i) => url !== b[i]);
  return at < 0 ? undefined : `resolved urls: ${goQuote(a[at]!)} != ${goQuote(b[at]!)}`;
}

async function checkAdvertised(
  name: string,
  advertised: readonly EndpointUrl[],
  listed: readonly EndpointUrl[],
): Promise<void> {
  const reason = await difference(advertised, listed);
  if (reason === undefined) return;
  const [ours, theirs] = [urlTexts(advertised), urlTexts(listed)];
  const missing = theirs.filter((url) => !ours.includes(url)).map((url) => `${name}=${url}`);
  if (missing.length > 0) {
    const flag = `--initial-advertise-peer-urls=${ours.join(",")}`;
    fail(`--initial-cluster has ${missing.join(",")} but missing from ${flag} (${reason})`);
  }
  const extra = ours.filter((url) => !theirs.includes(url));
  const list = formatInitialCluster(new Map([[name, advertised]]));
  if (extra.length > 0) {
    fail(`--initial-advertise-peer-urls has ${extra.join(",")} but missing from --initial-cluster=${list}`);
  }
  fail(`failed to resolve ${ours.join(",")} to match --initial-cluster=${list} (${reason})`);
}

/** Throws an ExitError with etcd's text. */
export async function initialCluster(flags: InitialClusterFlags): Promise<InitialCluster> {
  const advertised = urlsOf(parseUrls(flags.peerUrls.split(",")));
  const cluster = urlsOf(parseInitialCluster(flags.cluster));
  const listed = cluster.get(flags.name);
  if (listed === undefined)
    fail(`couldn't find local name ${goQuote(flags.name)} in the initial cluster configuration`);
  await checkAdvertised(flags.name, advertised, listed);
  const all = [...cluster.values()].flatMap(urlTexts);
  if (new Set(all).size !== all.length)
    fail(`initial cluster ${formatInitialCluster(cluster)} has duplicate url`);
  const { sha1 } = nodeDigest();
  const members = [...cluster].map(([name, urls]): ClusterMember => {
    const peerUrls = urlTexts(urls);
    const id = computeMemberId(peerUrls, flags.token, undefined, sha1);
    return { id, peerUrls, isLearner: false, name, clientUrls: [] };
  });
  members.sort((a, b) => (a.id < b.id ? -1 : 1));
  const twice = members.find((member, i) => members[i + 1]?.id === member.id);
  if (twice !== undefined) fail(`member exists with identical ID ${hexId(twice.id)}`);
  const ids = members.map((member) => member.id);
  return {
    clusterId: computeClusterId(ids, sha1),
    members,
    local: members.find((member) => member.name === flags.name)!,
  };
}
