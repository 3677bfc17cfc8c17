// What `cairn heal` does to a stopped member and its cluster, step by step, each safe to be repeated after a crash: the note, the removal, the
// member anew as a learner (which no quorum counts), the old directory set aside. The command (heal.ts) brings flags and clients.

import type { ClusterId } from "../base/brand.ts";
import { type MemberId, memberId } from "../base/brand.ts";
import { utf8FromBytes } from "../base/bytes.ts";
import { hexId } from "../cluster/ids.ts";
import { isDiskErrorCode } from "../log/errors.ts";
import { MANIFEST_NAME } from "../log/manifest.ts";
import { LOCK_NAME, logDirectory } from "../log/paths.ts";
import { type HealTicket, readTicket, ticketPath, writeTicket } from "../member/upkeep/heal-ticket.ts";
import type { Disk } from "../ports/disk.ts";

export type HealMember = {
  readonly id: MemberId;
  readonly name: string;
  readonly peerUrls: readonly string[];
  readonly clientUrls: readonly string[];
  readonly isLearner: boolean;
};

/** The cluster, through its healthy members. Rejects with etcd's errors. */
export interface HealCluster {
  members(): Promise<{ readonly clusterId: ClusterId; readonly members: readonly HealMember[] }>;
  /** Those whom a CORRUPT alarm names; 0 = nobody in particular. */
  corrupt(): Promise<readonly bigint[]>;
  /** It answers at its client URLs, and sees a leader. */
  isHealthy(member: HealMember): Promise<boolean>;
  remove(id: MemberId): Promise<void>;
  addLearner(peerUrls: readonly string[]): Promise<MemberId>;
}

export type HealOptions = {
  readonly dataDirectory: string;
  readonly walDirectory: string;
  /** From --member-id; else the directory says. */
  readonly memberId: MemberId | undefined;
};

/** Why nothing was done. */
export class HealError extends Error {
  override readonly name = "HealError";
}

export async function heal(
  options: HealOptions,
  cluster: HealCluster,
  disk: Disk,
  say: (line: string) => void,
): Promise<void> {
  const { dataDirectory } = options;
  const found = await readTicket(disk, dataDirectory);
  if (found?.step === "ready") {
    say(
      `Already done: member ${hexId(found.oldId)} is ${hexId(found.newId)} now. Start it with its usual flags; it finishes by itself.`,
    );
    say(`(To heal it once more, remove ${ticketPath(dataDirectory)} first.)`);
    return;
  }
  const lock = await lockStopped(options, disk);
  try {
    const ticket = found ?? (await begin(options, cluster, disk, say));
    const newId = await replace(ticket, cluster, say);
    await setAside(options, ticket.oldId, disk, say);
    const { members } = await cluster.members();
    const others = members.filter(({ id }) => id !== newId).flatMap(({ peerUrls }) => peerUrls);
    await writeTicket(disk, dataDirectory, { ...ticket, step: "ready", newId, others });
    say(
      `Member ${hexId(newId)} takes the place of ${hexId(ticket.oldId)}. Start it now, with its usual flags: it catches up,`,
    );
    say("becomes what the old one was, and takes back the CORRUPT alarm that named it.");
  } finally {
    await lock?.unlock();
  }
}

/** The checks, then the note. Until it is written nothing has been changed anywhere. */
async function begin(
  options: HealOptions,
  cluster: HealCluster,
  disk: Disk,
  say: (line: string) => void,
): Promise<HealTicket> {
  const oldId = options.memberId ?? (await identityOf(options, disk));
  const { clusterId, members } = await cluster.members();
  const own = members.find(({ id }) => id === oldId);
  if (own === undefined)
    throw new HealError(
      `the cluster has no member ${hexId(oldId)}; was it removed? Then add it anew with an empty directory`,
    );
  await refuseWithoutQuorum(own, members, cluster);
  const { peerUrls, isLearner } = own;
  const ticket: HealTicket = {
    step: "begun",
    clusterId,
    oldId,
    newId: oldId,
    peerUrls,
    wasLearner: isLearner,
    others: [],
  };
  await writeTicket(disk, options.dataDirectory, ticket);
  say(
    `Healing member ${hexId(oldId)} (${own.name}) of cluster ${hexId(clusterId)} from ${members.length - 1} others.`,
  );
  return ticket;
}

/** The others must be a quorum by themselves, before and after the removal, and none of them may be named by an alarm. */
async function refuseWithoutQuorum(
  own: HealMember,
  members: readonly HealMember[],
  cluster: HealCluster,
): Promise<void> {
  const corrupt = await cluster.corrupt();
  const voters = members.filter(({ isLearner }) => !isLearner);
  const good: HealMember[] = [];
  for (const other of voters) {
    if (other.id === own.id || corrupt.includes(other.id)) continue;
    if (await cluster.isHealthy(other)) good.push(other);
  }
  const needed = Math.floor(voters.length / 2) + 1;
  if (good.length >= needed) return;
  const who = good.map(({ id, name }) => `${hexId(id)} (${name})`).join(", ") || "none";
  throw new HealError(
    `refused: without member ${hexId(own.id)} there would be no quorum. ${needed} other voters must be healthy and not named by a CORRUPT ` +
      `alarm, these are: ${who}. Bring the others back first; when their data is lost, restore a snapshot, or start one good member with ` +
      "--force-new-cluster. Nothing was changed",
  );
}

/** The old id out, the new one in. What an earlier run has done is seen in the list. */
async function replace(
  ticket: HealTicket,
  cluster: HealCluster,
  say: (line: string) => void,
): Promise<MemberId> {
  const { oldId, peerUrls } = ticket;
  let { members } = await cluster.members();
  if (members.some(({ id }) => id === oldId)) {
    await cluster.remove(oldId);
    say(`Removed member ${hexId(oldId)}.`);
    ({ members } = await cluster.members());
  }
  const wanted = [...peerUrls].sort().join();
  const added = members.find((each) => [...each.peerUrls].sort().join() === wanted);
  if (added?.name) throw new HealError(`member ${hexId(added.id)} (${added.name}) runs at ${wanted} already`);
  if (added !== undefined) return added.id;
  const id = await cluster.addLearner(peerUrls);
  say(`Added member ${hexId(id)} at ${peerUrls.join(",")} as a learner.`);
  return id;
}

/** Nothing is deleted: what went wrong can be looked into. */
async function setAside(
  { dataDirectory, walDirectory }: HealOptions,
  oldId: MemberId,
  disk: Disk,
  say: (line: string) => void,
): Promise<void> {
  const places = [
    [dataDirectory, "member"],
    ...(walDirectory === "" ? [] : [[walDirectory, "cairn"]]),
  ] as const;
  for (const [parent, name] of places) {
    const from = `${parent}/${name}`;
    if (!(await disk.exists(from))) continue;
    const to = await freeName(disk, `${from}.healed-${hexId(oldId!)}`);
    await disk.rename(from, to);
    await disk.syncDirectory(parent!);
    say(`Kept the old data as ${to}.`);
  }
}

async function freeName(disk: Disk, name: string): Promise<string> {
  for (let n = 1; ; n++) {
    const tried = n === 1 ? name : `${name}.${n}`;
    if (!(await disk.exists(tried))) return tried;
  }
}

/** Undefined: there is nothing to lock any more. */
async function lockStopped(
  { dataDirectory, walDirectory }: HealOptions,
  disk: Disk,
): Promise<{ unlock(): Promise<void> } | undefined> {
  if (!(await disk.exists(dataDirectory))) throw new HealError(`${dataDirectory} does not exist`);
  const directory = logDirectory(dataDirectory, walDirectory);
  if (!(await disk.exists(directory))) return undefined;
  try {
    return await disk.lock(`${directory}/${LOCK_NAME}`);
  } catch (error) {
    if (!isDiskErrorCode(error, "EAGAIN")) throw error;
    throw new HealError(`${directory} is in use: stop this member first`);
  }
}

/** From the manifest, believed without its checksum: a wrong id is no member, or one that the operator sees named. */
async function identityOf({ dataDirectory, walDirectory }: HealOptions, disk: Disk): Promise<MemberId> {
  const path = `${logDirectory(dataDirectory, walDirectory)}/${MANIFEST_NAME}`;
  try {
    const file = await disk.open(path, "read");
    const bytes = new Uint8Array(file.sizeSync());
    await file.read(bytes, 0);
    await file.close();
    const match = /"memberId":"(?:0x)?([0-9a-f]{1,16})"/.exec(utf8FromBytes(bytes));
    if (match !== null) return memberId(BigInt(`0x${match[1]}`));
  } catch (error) {
    if (!(error instanceof Error)) throw error;
  }
  throw new HealError(
    `${path} does not say whose data this is; name the member with --member-id (see etcdctl member list)`,
  );
}
