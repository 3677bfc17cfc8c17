// The versions of the cluster and of this member's files. The leader asks all members for theirs and proposes what follows from the
// answers; every member lets its storage version follow the cluster's. Owned by Member, which tells it of first commits and of decided
// versions. What follows from what is src/cluster/versions.ts's.
import type { Millis } from "../../base/brand.ts";
import { hexId } from "../../cluster/ids.ts";
import {
  decideClusterVersion,
  formatVersion,
  isLess,
  isTooOld,
  type MemberVersion,
  MIN_CLUSTER_VERSION,
  membersBeside,
  parseVersion,
  shortVersion,
} from "../../cluster/versions.ts";
import type { Timer } from "../../ports/clock.ts";
import {
  encodeClusterVersionSetRequest,
  encodeDowngradeInfoSetRequest,
} from "../../wire/generated/membershippb.ts";
import { etcdErrorOf } from "../fault.ts";
import type { Member } from "../member.ts";
import { requestTimeoutMillis } from "../options.ts";
import { RequestField } from "../request.ts";

/** etcd's monitorVersionInterval: one second less than the network's write timeout. */
const INTERVAL_MILLIS = 4000 as Millis;
/** What etcd takes files for that name no version but hold a term. */
const STORAGE_VERSION_BEFORE = "3.5.0";

export class VersionMonitor {
  readonly #member: Member;
  readonly #timers = new Set<Timer>();
  #asking = false;
  #proposing = false;
  /** The version that the log lines told last. */
  #told: string | undefined;

  constructor(member: Member) {
    this.#member = member;
    this.#told = member.membership.version;
  }

  start(): void {
    this.#tellRecovered();
    this.#every(INTERVAL_MILLIS, () => {
      this.#decide();
      this.#followStorage();
    });
    const { downgradeCheckMillis } = this.#member.options;
    if (downgradeCheckMillis > 0) this.#every(downgradeCheckMillis as Millis, () => this.#endDowngrade());
  }

  stop(): void {
    for (const timer of this.#timers) timer.cancel();
  }

  /** The first entry of a term is applied: who leads now may decide at once. */
  firstCommit(): void {
    this.#decide();
  }

  /** A cluster version was applied. */
  versionSet(): void {
    const { logger, membership, options } = this.#member;
    const { version } = membership;
    if (version === undefined) return;
    const ids = { "cluster-id": hexId(membership.clusterId), "local-member-id": hexId(membership.localId) };
    const short = shortVersion(version);
    if (this.#told === undefined)
      logger.info("set initial cluster version", { ...ids, "cluster-version": short });
    else logger.info("updated cluster version", { ...ids, from: shortVersion(this.#told), to: short });
    this.#told = version;
    const problem = versionProblem(options.serverVersion, version);
    if (problem !== undefined) {
      logger.error(problem.text, problem.fields);
      this.#member.fatal(new Error(problem.text));
      return;
    }
    logger.info("enabled capabilities for version", { "cluster-version": short });
    this.#followStorage();
  }

  /** A snapshot has replaced the state. */
  restored(): void {
    const { version } = this.#member.membership;
    if (version !== undefined && version !== this.#told) this.versionSet();
  }

  #every(interval: Millis, act: () => void): void {
    const timer = this.#member.clock.after(interval, () => {
      this.#timers.delete(timer);
      if (this.#member.stopped) return;
      act();
      this.#every(interval, act);
    });
    this.#timers.add(timer);
  }

  #decide(): void {
    if (!this.#member.raft.isLeader || this.#asking || this.#proposing) return;
    this.#ask((members) => this.#decideFrom(members));
  }

  #decideFrom(members: readonly MemberVersion[]): void {
    const { membership, logger, raft, stopped } = this.#member;
    if (stopped || !raft.isLeader) return;
    this.#tellHigher(members);
    const { enabled, targetVersion } = membership.downgrade;
    const decision = decideClusterVersion({
      cluster: membership.version,
      downgradeTarget: enabled ? targetVersion : undefined,
      members,
    });
    switch (decision.kind) {
      case "keep":
        return;
      case "invalid":
        logger.error(`Cannot downgrade from ${decision.from} to downgrade-target`, {
          "downgrade-target": targetVersion,
          [decision.from]: decision.version,
        });
        logger.error("Failed to monitor cluster version", { error: "invalid downgrade target" });
        return;
      case "set":
        this.#propose(decision.version);
    }
  }

  #propose(version: string): void {
    const { membership, logger } = this.#member;
    const short = shortVersion(version);
    if (membership.version === undefined)
      logger.info("setting up initial cluster version using v3 API", { "cluster-version": short });
    else {
      const from = shortVersion(membership.version);
      logger.info("updating cluster version using v3 API", { from, to: short });
    }
    this.#proposing = true;
    this.#member.propose(RequestField.ClusterVersionSet, encodeClusterVersionSetRequest({ ver: version }), {
      applied: () => {
        this.#proposing = false;
        logger.info("cluster version is updated", { "cluster-version": short });
      },
      failed: (error) => {
        this.#proposing = false;
        const text = this.#member.stopped
          ? "aborting cluster version update; server is stopped"
          : "failed to update cluster version";
        logger.warn(text, { error: error.message });
      },
    });
  }

  /** The leader ends a downgrade when every member runs the target's version. */
  #endDowngrade(): void {
    const { membership, raft, logger } = this.#member;
    const { enabled, targetVersion } = membership.downgrade;
    const target = parseVersion(targetVersion);
    if (!raft.isLeader || !enabled || target === undefined || this.#asking) return;
    this.#ask((members) => {
      const beside = membersBeside(target, members);
      for (const { id, server } of beside ?? []) {
        logger.warn("remotes server has mismatching etcd version", {
          "remote-member-id": hexId(id),
          "current-server-version": formatVersion({ ...parseVersion(server!)!, patch: 0 }),
          "target-version": formatVersion({ ...target, patch: 0 }),
        });
      }
      if (beside === undefined || beside.length > 0) return;
      logger.info("the cluster has been downgraded", { "cluster-version": targetVersion });
      const body = encodeDowngradeInfoSetRequest({ enabled: false, ver: "" });
      this.#member.propose(RequestField.DowngradeInfoSet, body, {
        applied: () => {},
        failed: (error) => logger.warn("failed to cancel downgrade", { error: error.message }),
      });
    });
  }

  /** All members' server versions; without others at once. */
  #ask(then: (members: readonly MemberVersion[]) => void): void {
    const { membership, localId, options, network, logger } = this.#member;
    const own: MemberVersion = { id: localId, server: options.serverVersion };
    const others = membership.members().filter(({ id }) => id !== localId);
    if (others.length === 0) {
      then([own]);
      return;
    }
    this.#asking = true;
    const timeout = requestTimeoutMillis(options);
    const asked = others.map(({ id, peerUrls }) =>
      network.peers.versions(peerUrls, timeout).then(
        ({ server }): MemberVersion => ({ id, server }),
        (error: unknown): MemberVersion => {
          logger.warn("failed to get version", {
            "remote-member-id": hexId(id),
            error: etcdErrorOf(error).message,
          });
          return { id, server: undefined };
        },
      ),
    );
    Promise.all(asked).then(
      (found) => {
        this.#asking = false;
        if (!this.#member.stopped) then([own, ...found]);
      },
      (error: unknown) => this.#member.fatal(error),
    );
  }

  #tellHigher(members: readonly MemberVersion[]): void {
    const { options, logger } = this.#member;
    const local = parseVersion(options.serverVersion);
    for (const { id, server } of members) {
      const version = parseVersion(server ?? "");
      if (version === undefined || local === undefined || !isLess(local, version)) continue;
      logger.warn("leader found higher-versioned member", {
        "local-member-version": options.serverVersion,
        "remote-member-id": hexId(id),
        "remote-member-version": server,
      });
    }
  }

  /** One minor version at a time, as etcd migrates its files. Ours are the same in every version. */
  #followStorage(): void {
    const { membership, logger, options } = this.#member;
    const cluster = parseVersion(membership.version ?? "");
    if (cluster === undefined || membership.version === MIN_CLUSTER_VERSION) return;
    const from = membership.storageVersion ?? STORAGE_VERSION_BEFORE;
    const storage = parseVersion(from);
    if (storage === undefined || storage.major !== cluster.major || storage.minor === cluster.minor) return;
    logger.info("cluster version differs from storage version.", {
      "cluster-version": membership.version,
      "storage-version": from,
    });
    const step = storage.minor < cluster.minor ? 1 : -1;
    for (let minor = storage.minor; minor !== cluster.minor; ) {
      minor += step;
      logger.info("updated storage version", { "new-storage-version": `${cluster.major}.${minor}.0` });
    }
    membership.storageVersion = formatVersion({ ...cluster, patch: 0 });
    const { enabled, targetVersion } = membership.downgrade;
    if (!enabled) return;
    logger.info("The server is ready to downgrade", {
      "target-version": targetVersion,
      "server-version": options.serverVersion,
    });
  }

  /** What was read from the member's files, in etcd's words. */
  #tellRecovered(): void {
    const { membership, logger, options } = this.#member;
    const { version, downgrade } = membership;
    if (downgrade.enabled)
      logger.info("cluster is downgrading to target version", {
        "target-cluster-version": downgrade.targetVersion,
        "current-server-version": options.serverVersion,
      });
    if (version !== undefined)
      logger.info("enabled capabilities for version", { "cluster-version": shortVersion(version) });
    for (const { id, peerUrls, isLearner } of membership.isKnown ? membership.members() : []) {
      logger.info("recovered/added member from store", {
        "cluster-id": hexId(membership.clusterId),
        "local-member-id": hexId(membership.localId),
        "recovered-remote-peer-id": hexId(id),
        "recovered-remote-peer-urls": peerUrls,
        "recovered-remote-peer-is-learner": isLearner,
      });
    }
    if (version !== undefined)
      logger.info("set cluster version from store", { "cluster-version": shortVersion(version) });
  }
}

/** What this member's files are said to be written as; undefined before anything is applied. */
export function storageVersionOf({
  membership,
  raft,
}: Pick<Member, "membership" | "raft">): string | undefined {
  return membership.storageVersion ?? (raft.appliedIndex > 0 ? STORAGE_VERSION_BEFORE : undefined);
}

/** A member that must not start: its cluster has gone on to a version that this program does not know. */
export class VersionError extends Error {
  override readonly name = "VersionError";
  readonly fields: Readonly<Record<string, string>>;

  constructor(text: string, fields: Readonly<Record<string, string>>) {
    super(text);
    this.fields = fields;
  }
}

export function checkVersion(server: string, cluster: string | undefined): void {
  const problem = versionProblem(server, cluster);
  if (problem !== undefined) throw new VersionError(problem.text, problem.fields);
}

/** Why a server cannot be of a cluster of this version: the text of etcd's panic, and its fields. */
function versionProblem(
  server: string,
  cluster: string | undefined,
): { readonly text: string; readonly fields: Readonly<Record<string, string>> } | undefined {
  if (cluster === undefined || !isTooOld(server, cluster)) return undefined;
  return {
    text: "invalid downgrade; server version is lower than determined cluster version",
    fields: {
      "current-server-version": formatVersion({ ...parseVersion(server)!, patch: 0 }),
      "determined-cluster-version": shortVersion(cluster),
    },
  };
}
