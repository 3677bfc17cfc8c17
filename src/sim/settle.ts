// What an operator does before a simulated cluster is looked at for the last time: who was removed without hearing of it goes, who is left
// as a learner is promoted, and alarms of those who are gone are disarmed. Then all members are equals.
import { AlarmType } from "../cluster/alarms.ts";
import {
  AlarmAction,
  decodeMemberPromoteResponse,
  encodeAlarmRequest,
  encodeMemberPromoteRequest,
} from "../wire/generated/etcdserverpb.ts";
import type { SimClient } from "./client.ts";
import { leading, type SimContext, sleep } from "./context.ts";
import type { Machine } from "./machine.ts";

const PROMOTIONS_MAX = 20;

export async function settle(sim: SimContext, client: SimClient): Promise<void> {
  const leader = leading(sim);
  if (leader === undefined) {
    sim.history.violation("nobody leads at the end");
    return;
  }
  const { membership, applyContext } = leader.member;
  for (const machine of sim.members) {
    const known = membership.member(machine.id);
    if (known === undefined) machine.remove();
    else if (known.isLearner) await promote(sim, client, machine);
  }
  for (const { memberId, alarm } of applyContext.alarms.get(AlarmType.None)) {
    if (membership.member(memberId) !== undefined) continue;
    const request = encodeAlarmRequest({ action: AlarmAction.DEACTIVATE, memberId, alarm });
    await client.call("Maintenance/Alarm", request, () => undefined);
  }
  // Until everybody has heard of it.
  await sleep(sim, 1000);
}

async function promote(sim: SimContext, client: SimClient, { id }: Machine): Promise<void> {
  const request = encodeMemberPromoteRequest({ id });
  let answer = "";
  for (let n = 0; n < PROMOTIONS_MAX; n++) {
    const promoted = await client.call("Cluster/MemberPromote", request, decodeMemberPromoteResponse);
    if (promoted.kind === "ok") return;
    if (promoted.kind === "error") answer = promoted.error.message;
    await sleep(sim, 1000);
  }
  sim.history.violation(`a learner cannot be promoted at the end: ${answer}`);
}

/** Raft's configuration and the member list, which clients see, are two tables that must tell the same, on every member. */
export function checkConfigurations(sim: SimContext): void {
  const told = new Map<string, string>();
  for (const machine of sim.members) {
    if (!machine.up) continue;
    const { member } = machine;
    const { confState } = member.raft;
    const members = member.membership.members();
    const ids = (learners: boolean): string =>
      members
        .filter(({ isLearner }) => isLearner === learners)
        .map(({ id }) => id)
        .join(" ");
    const sorted = (list: readonly bigint[]): string => [...list].sort((a, b) => (a < b ? -1 : 1)).join(" ");
    const listed = `voters ${ids(false)}, learners ${ids(true)}`;
    const used = `voters ${sorted(confState.voters)}, learners ${sorted(confState.learners)}`;
    if (listed !== used) sim.history.violation(`the member list says ${listed}, and raft counts ${used}`);
    told.set(listed, member.options.name);
  }
  if (told.size > 1)
    sim.history.violation(`members differ about who is one: ${[...told.keys()].join(" | ")}`);
}
