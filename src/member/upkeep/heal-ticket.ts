// The note that `cairn heal` leaves in a data directory: this member is replaced by itself under a new id. It is written before the cluster is
// changed and goes when the new member has caught up, so that whatever is cut off in between is found and finished. Readable text.

import { formatBigJson, jsonBool, jsonObject, jsonText, parseBigJson } from "../../base/big-json.ts";
import { type ClusterId, clusterId, type MemberId, memberId } from "../../base/brand.ts";
import { utf8FromBytes, utf8ToBytes } from "../../base/bytes.ts";
import { errorText } from "../../base/error-text.ts";
import { hexId } from "../../cluster/ids.ts";
import type { Disk } from "../../ports/disk.ts";

/** Its file in the data directory. */
export const TICKET_NAME = "cairn-heal.json";
const FORMAT = "1";

export type HealTicket = {
  /** "begun": the cluster may have been changed, the directory not. "ready": the next start joins as `newId`. */
  readonly step: "begun" | "ready";
  readonly clusterId: ClusterId;
  readonly oldId: MemberId;
  /** Only of a ticket that is ready; else the old one. */
  readonly newId: MemberId;
  readonly peerUrls: readonly string[];
  readonly wasLearner: boolean;
  /** Peer URLs of the others, who tell the new member who belongs to the cluster. */
  readonly others: readonly string[];
};

export function ticketPath(dataDirectory: string): string {
  return `${dataDirectory}/${TICKET_NAME}`;
}

export async function readTicket(disk: Disk, dataDirectory: string): Promise<HealTicket | undefined> {
  const path = ticketPath(dataDirectory);
  if (!(await disk.exists(path))) return undefined;
  const file = await disk.open(path, "read");
  try {
    const bytes = new Uint8Array(file.sizeSync());
    await file.read(bytes, 0);
    return decode(utf8FromBytes(bytes), path);
  } finally {
    await file.close();
  }
}

/** Durable when it resolves: either the old one or the new one is there after a crash. */
export async function writeTicket(disk: Disk, dataDirectory: string, ticket: HealTicket): Promise<void> {
  const path = ticketPath(dataDirectory);
  const temporary = `${path}.tmp`;
  if (await disk.exists(temporary)) await disk.remove(temporary);
  const file = await disk.open(temporary, "create");
  await file.write([utf8ToBytes(encode(ticket))], 0);
  await file.sync();
  await file.close();
  await disk.rename(temporary, path);
  await disk.syncDirectory(dataDirectory);
}

export async function removeTicket(disk: Disk, dataDirectory: string): Promise<void> {
  await disk.remove(ticketPath(dataDirectory));
  await disk.syncDirectory(dataDirectory);
}

function encode(ticket: HealTicket): string {
  const { step, peerUrls, wasLearner, others } = ticket;
  const ids = {
    clusterId: hexId(ticket.clusterId),
    oldId: hexId(ticket.oldId),
    newId: hexId(ticket.newId),
  };
  return `${formatBigJson({ format: FORMAT, step, ...ids, peerUrls: [...peerUrls], wasLearner, others: [...others] })}\n`;
}

function decode(text: string, path: string): HealTicket {
  try {
    const json = jsonObject(parseBigJson(text), "the ticket");
    const id = (name: string): bigint => BigInt(`0x${jsonText(json[name], name)}`);
    const texts = (name: string): string[] => {
      const list = json[name];
      return Array.isArray(list) ? list.map((each) => jsonText(each, name)) : [];
    };
    return {
      step: jsonText(json["step"], "step") === "ready" ? "ready" : "begun",
      clusterId: clusterId(id("clusterId")),
      oldId: memberId(id("oldId")),
      newId: memberId(id("newId")),
      peerUrls: texts("peerUrls"),
      wasLearner: jsonBool(json["wasLearner"], "wasLearner"),
      others: texts("others"),
    };
  } catch (error) {
    const reason = errorText(error);
    throw new Error(
      `${path} is no note of cairn heal (${reason}); run cairn heal again, or remove it if this member was never healed`,
    );
  }
}
