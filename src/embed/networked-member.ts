// From flags and data directory to a member with its ways to the others: which cluster it begins with, what keeps it from starting, and the
// checks before it may serve. It never listens.
import { errorText } from "../base/error-text.ts";
import { firstStart } from "../bootstrap/first-start.ts";
import { joinHealed } from "../bootstrap/heal-join.ts";
import type { Config } from "../config/config.ts";
import { quotaLine, STARTUP_MESSAGE, startupFields } from "../config/startup-line.ts";
import { EtcdDataError } from "../etcdfile/import.ts";
import { LogOpenError } from "../log/errors.ts";
import { logDirectory } from "../log/paths.ts";
import type { Member } from "../member/member.ts";
import { advice } from "../member/membership/advice.ts";
import type { InitialCluster } from "../member/membership/initial-cluster.ts";
import { VersionError } from "../member/membership/version-monitor.ts";
import type { PeerClient } from "../member/network/transport.ts";
import { NoDataError, openMember, type World } from "../member/open.ts";
import { readTicket, TICKET_NAME } from "../member/upkeep/heal-ticket.ts";
import { finishHealing } from "../member/upkeep/healing.ts";
import type { NodeLogger } from "../node/logger.ts";
import type { PeerNetwork } from "../peer/network.ts";
import type { Disk } from "../ports/disk.ts";
import { memberOptions } from "./member-options.ts";
import { cannotStart, StartError } from "./start-error.ts";

/** What Cairn itself puts into a data directory. etcd warns of the certificates of --auto-tls, which are its own. */
const OWN_NAMES: ReadonlySet<string> = new Set(["member", "fixtures", TICKET_NAME]);
/** What helps a member whose data is wrong. */
const HEAL_STEP =
  "cairn heal --data-dir DIR --endpoints CLIENT-URLS-OF-THE-OTHERS, where this member's directory is; then start it";

/** The member, with its ways to the others. The network is closed again when there can be no member. */
export async function openNetworkedMember(
  network: PeerNetwork,
  config: Config,
  logger: NodeLogger,
  here: World,
): Promise<Member> {
  try {
    const cluster = await initialCluster(config, logger, network.client, here);
    const world = { ...here, connect: network.connect };
    const known = cluster === undefined;
    const member = await open(config, cluster, world).catch(async (error: unknown) => {
      // A first start that was cut off has left a directory and nothing else: which cluster it is of, it must ask again.
      if (!(error instanceof NoDataError)) throw error;
      return open(config, await firstCluster(config, logger, network.client, here), world);
    });
    if (known) await checkCorruption(member, config, logger);
    return member;
  } catch (error) {
    await network.close();
    throw error;
  }
}

/** Only a member without data looks at the flags that name its first cluster; undefined when there is data. */
async function initialCluster(
  config: Config,
  logger: NodeLogger,
  peers: PeerClient,
  { disk, digest }: World,
): Promise<InitialCluster | undefined> {
  const known =
    (await disk.exists(logDirectory(config.dataDir, config.walDir))) ||
    (await disk.exists(`${config.dataDir}/member/snap/db`));
  logger.info(STARTUP_MESSAGE, startupFields(config, known));
  const quota = quotaLine(config);
  logger.info(quota.message, quota.fields);
  await warnOfStrangers(disk, config.dataDir, logger);
  const ticket = await readTicket(disk, config.dataDir).catch(cannotStart);
  if (ticket !== undefined) {
    const healed = await joinHealed(ticket, peers);
    if (typeof healed !== "string") return healed;
    if (known && ticket.step === "ready") return undefined;
    throw new StartError("failed to start etcd", { error: healed });
  }
  return known ? undefined : firstCluster(config, logger, peers, { digest });
}

/** As etcd: nothing but a member's directory belongs in a data directory. */
async function warnOfStrangers(disk: Disk, dataDir: string, logger: NodeLogger): Promise<void> {
  // What cannot be read is told by who opens it next.
  const names = await disk.list(dataDir).catch(() => []);
  for (const filename of names.sort()) {
    if (OWN_NAMES.has(filename)) continue;
    logger.warn("found invalid file under data directory", { filename, "data-dir": dataDir });
  }
}

async function firstCluster(
  config: Config,
  logger: NodeLogger,
  peers: PeerClient,
  { digest }: Pick<World, "digest">,
): Promise<InitialCluster> {
  const cluster = await firstStart(config, {
    peers,
    digest,
    logger: logger.named("bootstrap/first-start.ts"),
  });
  if (typeof cluster === "string") throw new StartError("discovery failed", { error: cluster });
  if (cluster.kind === "refused")
    throw new StartError("discovery failed", { error: cluster.error, ...cluster.fields });
  return cluster;
}

/** A member that `cairn heal` has replaced finishes that itself. */
export async function healIfAsked(member: Member, { disk }: World): Promise<void> {
  const ticket = await readTicket(disk, member.options.dataDirectory);
  if (ticket?.newId === member.localId) await finishHealing(member, ticket, disk);
}

/** A member that differs from the others must not serve. One that is new has nothing to compare. */
async function checkCorruption(member: Member, config: Config, logger: NodeLogger): Promise<void> {
  const { featureGates } = config;
  const isAsked = featureGates.enabled("InitialCorruptCheck");
  if (!isAsked && featureGates.isSet("InitialCorruptCheck")) return;
  const check = isAsked ? member.corruptionCheck.initial() : member.corruptionCheck.impliedInitial();
  // What nobody asked for, and could not be made, keeps nobody from serving.
  const problem = await check.catch((error: unknown) => (isAsked ? errorText(error) : undefined));
  if (problem === undefined) return;
  logger.error("checkInitialHashKV failed", { error: problem });
  await member.close();
  const why = "this member's data differs from the others'";
  throw new StartError("failed to start etcd", { error: problem, ...advice(why, [HEAL_STEP]) });
}

async function open(config: Config, cluster: InitialCluster | undefined, here: World): Promise<Member> {
  try {
    return await openMember(memberOptions(config, cluster), here);
  } catch (error) {
    if (error instanceof LogOpenError || error instanceof EtcdDataError) {
      throw new StartError("failed to open the data directory", {
        "data-dir": config.dataDir,
        path: error.path,
        kind: error.kind,
        error: error.message,
      });
    }
    if (error instanceof VersionError) throw new StartError(error.message, error.fields);
    throw error;
  }
}
