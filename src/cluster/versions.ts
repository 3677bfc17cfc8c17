// Versions of servers and of the cluster: what the leader decides from its members' versions, and which changes of the cluster's version
// are allowed. Pure; src/member/membership/version-monitor.ts asks the members and proposes. The rules are those of etcd's serverversion package.

export type Version = { readonly major: number; readonly minor: number; readonly patch: number };

/** What a cluster has for a version while its members' versions are not all known. */
export const MIN_CLUSTER_VERSION = "3.0.0";

/** `X.Y.Z`, with a pre-release or metadata behind it that nobody compares; undefined = none of this form. */
export function parseVersion(text: string): Version | undefined {
  const match = /^(\d+)\.(\d+)\.(\d+)(?:[-+][0-9A-Za-z.+-]*)?$/.exec(text);
  if (match === null) return undefined;
  return { major: Number(match[1]), minor: Number(match[2]), patch: Number(match[3]) };
}

/** What a client names as the target of a downgrade: `X.Y` or `X.Y.Z`. Of the patch nothing stays. */
export function parseTargetVersion(text: string): Version | undefined {
  const version = parseVersion(text) ?? parseVersion(`${text}.0`);
  return version === undefined ? undefined : minorOf(version);
}

export function formatVersion({ major, minor, patch }: Version): string {
  return `${major}.${minor}.${patch}`;
}

/** `3.7` of `3.7.0`: how etcd writes the cluster's version in its log. */
export function shortVersion(version: string): string {
  return version.split(".").slice(0, 2).join(".");
}

export function minorOf({ major, minor }: Version): Version {
  return { major, minor, patch: 0 };
}

export function isLess(a: Version, b: Version): boolean {
  if (a.major !== b.major) return a.major < b.major;
  return a.minor !== b.minor ? a.minor < b.minor : a.patch < b.patch;
}

export function isSame(a: Version, b: Version): boolean {
  return a.major === b.major && a.minor === b.minor && a.patch === b.patch;
}

/** One minor version down, and no further. */
export function isValidDowngrade(from: Version, to: Version): boolean {
  return isSame(to, { major: from.major, minor: from.minor - 1, patch: 0 });
}

/** Up within a major version, or one minor version down. */
export function isValidChange(from: Version, to: Version): boolean {
  const [a, b] = [minorOf(from), minorOf(to)];
  return isValidDowngrade(a, b) || (a.major === b.major && isLess(a, b));
}

/** A server older than its cluster's version could meet entries that it does not understand. */
export function isTooOld(server: string, cluster: string | undefined): boolean {
  const [own, decided] = [parseVersion(server), parseVersion(cluster ?? "")];
  return own !== undefined && decided !== undefined && isLess(minorOf(own), decided);
}

/** What is known of one member: undefined = it could not be asked. */
export type MemberVersion = { readonly id: bigint; readonly server: string | undefined };

/** The lowest server version; undefined = not every member's is known, so nothing is certain. */
export function lowestVersion(members: readonly MemberVersion[]): Version | undefined {
  let lowest: Version | undefined;
  for (const { server } of members) {
    const version = parseVersion(server ?? "");
    if (version === undefined) return undefined;
    if (lowest === undefined || isLess(version, lowest)) lowest = version;
  }
  return lowest;
}

export type VersionFacts = {
  /** The cluster's version now, if it has one. */
  readonly cluster: string | undefined;
  readonly downgradeTarget: string | undefined;
  readonly members: readonly MemberVersion[];
};

export type VersionDecision =
  | { readonly kind: "keep" }
  | { readonly kind: "set"; readonly version: string }
  /** The downgrade that was asked for leads from there not to its target. */
  | {
      readonly kind: "invalid";
      readonly from: "cluster-version" | "minimal-server-version";
      readonly version: string;
    };

const KEEP: VersionDecision = { kind: "keep" };

/** What the leader makes the cluster's version. */
export function decideClusterVersion({ cluster, downgradeTarget, members }: VersionFacts): VersionDecision {
  const lowest = lowestVersion(members);
  const current = parseVersion(cluster ?? "");
  if (current === undefined) return set(lowest ?? parseVersion(MIN_CLUSTER_VERSION)!);
  if (lowest === undefined) return KEEP;
  const target = parseVersion(downgradeTarget ?? "");
  if (target === undefined)
    return isLess(current, lowest) && isValidChange(current, lowest) ? set(lowest) : KEEP;
  if (isSame(target, current)) return KEEP;
  if (!isValidDowngrade(current, target)) return invalid("cluster-version", current);
  return isValidDowngrade(lowest, target) ? set(target) : invalid("minimal-server-version", lowest);
}

/** The members whose minor version is not the downgrade's target; undefined = not every member's is known. */
export function membersBeside(
  target: Version,
  members: readonly MemberVersion[],
): MemberVersion[] | undefined {
  const beside: MemberVersion[] = [];
  for (const member of members) {
    const version = parseVersion(member.server ?? "");
    if (version === undefined) return undefined;
    if (!isSame(minorOf(version), minorOf(target))) beside.push(member);
  }
  return beside;
}

function set(version: Version): VersionDecision {
  return { kind: "set", version: formatVersion(minorOf(version)) };
}

function invalid(from: "cluster-version" | "minimal-server-version", version: Version): VersionDecision {
  return { kind: "invalid", from, version: formatVersion(version) };
}
