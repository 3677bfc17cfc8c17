// The last part of `cairn heal`, done by the healed member itself once it runs: it catches up as a learner, becomes the voter that it was, is
// compared with the others, takes back the CORRUPT alarm that named it, and drops its note. Begun anew at every start until then.
import type { Millis } from "../../base/brand.ts";
import { AlarmType } from "../../cluster/alarms.ts";
import { hexId } from "../../cluster/ids.ts";
import type { Disk } from "../../ports/disk.ts";
import { AlarmAction, encodeAlarmRequest } from "../../wire/generated/etcdserverpb.ts";
import { EtcdFault } from "../fault.ts";
import type { Member } from "../member.ts";
import { RequestField } from "../request.ts";
import { type HealTicket, removeTicket } from "./heal-ticket.ts";

const RETRY_MILLIS = 500 as Millis;

/** Resolves when the member is healed, or stopped; until then a failed step is tried again. */
export async function finishHealing(member: Member, ticket: HealTicket, disk: Disk): Promise<void> {
  const { logger, options, localId, clock } = member;
  const ids = { "local-member-id": hexId(localId), "replaced-member-id": hexId(ticket.oldId) };
  logger.info("healing: catching up with the cluster", ids);
  let told = "";
  while (!member.stopped) {
    try {
      await caughtUp(member);
      if (!ticket.wasLearner && member.membership.local?.isLearner !== false) await promote(member);
      const problem = await member.corruptionCheck.initial();
      if (problem !== undefined) {
        logger.error("healing: the data still differs from the others'; the alarm stays", {
          ...ids,
          error: problem,
        });
        return;
      }
      await disarm(member, ticket);
      await removeTicket(disk, options.dataDirectory);
      logger.info("healed: this member has the others' data", ids);
      return;
    } catch (error) {
      if (!(error instanceof EtcdFault)) throw error;
      if (error.message !== told) logger.warn("healing: not yet", { ...ids, error: error.message });
      told = error.message;
    }
    await new Promise<void>((resolve) => clock.after(RETRY_MILLIS, resolve));
  }
}

/** Everything that the leader had committed when it was asked is applied here. */
function caughtUp(member: Member): Promise<void> {
  return new Promise((resolve, reject) => {
    member.read({ ready: resolve, failed: (error) => reject(new EtcdFault(error)) });
  });
}

function promote(member: Member): Promise<void> {
  return new Promise((resolve, reject) => {
    const waiter = {
      changed: () => resolve(),
      failed: (error: EtcdFault["etcdError"]) => reject(new EtcdFault(error)),
    };
    member.reconfiguration.promote(member.localId, waiter, () => member.stopped);
  });
}

/** The alarm of the member that is no more, and one of ours; that of another stays. */
async function disarm(member: Member, { oldId }: HealTicket): Promise<void> {
  for (const { memberId, alarm } of [...member.applyContext.alarms.get(AlarmType.Corrupt)]) {
    if (memberId !== oldId && memberId !== member.localId) continue;
    const body = encodeAlarmRequest({ action: AlarmAction.DEACTIVATE, memberId, alarm });
    await new Promise<void>((resolve, reject) => {
      member.propose(RequestField.Alarm, body, {
        applied: () => resolve(),
        failed: (error) => reject(new EtcdFault(error)),
      });
    });
  }
}
