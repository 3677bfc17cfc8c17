// alarm list and disarm, defrag, move-leader, downgrade.
import type { Client } from "../../client/client.ts";
import { RpcError } from "../../client/errors.ts";
import {
  type AlarmResponse,
  DowngradeAction,
  type DowngradeResponse,
} from "../../wire/generated/etcdserverpb.ts";
import { type Context, connect, openContext, orExit } from "../context.ts";
import { Exit, fail, orFail, SilentExit } from "../environment.ts";
import { hexId, parseUint64 } from "../format.ts";
import { fieldsHeader, show } from "../show.ts";
import type { Run } from "../specs.ts";
import { endpointsOf, took } from "./endpoint.ts";

const ALARM_NAMES = ["NONE", "NOSPACE", "CORRUPT"];

async function showAlarms(context: Context, response: AlarmResponse): Promise<void> {
  const name = (alarm: number): string => ALARM_NAMES[alarm] ?? String(alarm);
  await show(context, {
    type: "etcdserverpb.AlarmResponse",
    message: response,
    simple: () =>
      response.alarms.map(({ memberId, alarm }) => {
        const member = memberId === 0n ? [] : [`memberID:${memberId}`];
        return `${[...member, ...(alarm === 0 ? [] : [`alarm:${name(alarm)}`])].join(" ")}\n`;
      }),
    fields: () =>
      fieldsHeader(context, response.header) +
      response.alarms
        .map(({ memberId, alarm }) => {
          return `"MemberID" : ${context.hex ? hexId(memberId) : memberId}\n"AlarmType" : ${name(alarm)}\n\n`;
        })
        .join(""),
  });
}

export const alarmList: Run = async (invocation) => {
  if (invocation.args.length !== 0) fail(Exit.BadArgs, "alarm list command accepts no arguments");
  const context = await openContext(invocation);
  const client = await connect(context);
  const response = await orExit(client.maintenance.alarmList({ timeoutMillis: context.timeoutMillis }));
  client.close();
  await showAlarms(context, response);
};

export const alarmDisarm: Run = async (invocation) => {
  if (invocation.args.length !== 0) fail(Exit.BadArgs, "alarm disarm command accepts no arguments");
  const context = await openContext(invocation);
  const client = await connect(context);
  const options = { timeoutMillis: context.timeoutMillis };
  const response = await orExit(client.maintenance.alarmDisarm(undefined, undefined, options));
  client.close();
  await showAlarms(context, response);
};

export const defrag: Run = async (invocation) => {
  const context = await openContext(invocation);
  let failures = 0;
  for (const endpoint of await endpointsOf(context)) {
    const client = await connect(context, endpoint);
    const start = process.hrtime.bigint();
    try {
      await client.maintenance.defragment({ timeoutMillis: context.timeoutMillis });
      invocation.output.out(`Finished defragmenting etcd member[${endpoint}]. took ${took(start)}\n`);
    } catch (error) {
      if (!(error instanceof RpcError)) throw error;
      failures++;
      process.stderr.write(
        `Failed to defragment etcd member[${endpoint}]. took ${took(start)}. (${error.message})\n`,
      );
    } finally {
      client.close();
    }
  }
  if (failures > 0) throw new SilentExit(Exit.Error);
};

export const moveLeader: Run = async (invocation) => {
  if (invocation.args.length !== 1) fail(Exit.BadArgs, "move-leader command needs 1 argument");
  const target = orFail(parseUint64(invocation.args[0]!, 16), Exit.BadArgs);
  const context = await openContext(invocation);
  const deadline = Date.now() + context.timeoutMillis;
  const left = () => ({ timeoutMillis: Math.max(1, deadline - Date.now()) });
  let leader: { client: Client; id: bigint } | undefined;
  for (const endpoint of context.options.endpoints) {
    const client = await connect(context, endpoint);
    const status = await orExit(client.maintenance.status(left()));
    if (status.header?.memberId === status.leader) {
      leader = { client, id: status.leader };
      break;
    }
    client.close();
  }
  if (leader === undefined) {
    return fail(Exit.BadArgs, `no leader endpoint given at [${context.options.endpoints.join(" ")}]`);
  }
  const response = await orExit(leader.client.maintenance.moveLeader(target, left()));
  leader.client.close();
  const from = hexId(leader.id);
  await show(context, {
    type: "etcdserverpb.MoveLeaderResponse",
    message: response,
    simple: () => [`Leadership transferred from ${from} to ${hexId(target)}\n`],
  });
};

async function downgrade(
  invocation: Parameters<Run>[0],
  action: DowngradeAction,
  version: string,
  verb: string,
): Promise<void> {
  const context = await openContext(invocation);
  const client = await connect(context);
  const options = { timeoutMillis: context.timeoutMillis };
  const response: DowngradeResponse = await orExit(client.maintenance.downgrade(action, version, options));
  client.close();
  await show(context, {
    type: "etcdserverpb.DowngradeResponse",
    message: response,
    simple: () => [`Downgrade ${verb} success, cluster version ${response.version}\n`],
  });
}

function targetVersion(args: readonly string[]): string {
  if (args.length < 1) fail(Exit.BadArgs, "TARGET_VERSION not provided");
  if (args.length > 1) fail(Exit.BadArgs, "too many arguments");
  if (args[0] === "") fail(Exit.BadArgs, "target version not provided");
  return args[0]!;
}

export const downgradeValidate: Run = (invocation) =>
  downgrade(invocation, DowngradeAction.VALIDATE, targetVersion(invocation.args), "validate");

export const downgradeEnable: Run = (invocation) =>
  downgrade(invocation, DowngradeAction.ENABLE, targetVersion(invocation.args), "enable");

export const downgradeCancel: Run = (invocation) =>
  downgrade(invocation, DowngradeAction.CANCEL, "", "cancel");
