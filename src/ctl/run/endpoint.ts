// endpoint health, status, hashkv; and which endpoints a command goes to, one by one.
import { errorText } from "../../base/error-text.ts";
import { errors } from "../../base/errors.ts";
import { formatDuration } from "../../cli/duration.ts";
import { goQuote } from "../../cli/quote.ts";
import { RpcError } from "../../client/errors.ts";
import { AlarmType, type HashKVResponse, type StatusResponse } from "../../wire/generated/etcdserverpb.ts";
import { type Context, connect, connectWith, openContext } from "../context.ts";
import { Exit, fail, SilentExit } from "../environment.ts";
import { hexId, humanBytes, integer } from "../format.ts";
import { fieldsHeader, type Shown, show } from "../show.ts";
import type { Run } from "../specs.ts";
import { drawTable } from "../table.ts";

/** Time since, as Go prints a duration. */
export function took(start: bigint): string {
  return formatDuration(process.hrtime.bigint() - start);
}

/** The endpoints of the flag, or with --cluster those that the members advertise. */
export async function endpointsOf(context: Context): Promise<readonly string[]> {
  if (!context.flags.bool("cluster")) return context.flags.strings("endpoints");
  const client = await connectWith({ ...context.options, sendBytesMax: 0, receiveBytesMax: 0 });
  try {
    const { members } = await client.cluster.memberList({ timeoutMillis: context.timeoutMillis });
    return members.flatMap((member) => member.clientUrls);
  } catch (error) {
    if (!(error instanceof RpcError)) throw error;
    return fail(Exit.Error, `failed to fetch endpoints from etcd cluster member list: ${error.message}`);
  } finally {
    client.close();
  }
}

type Health = { endpoint: string; health: boolean; took: string; error: string };

const ALARMS: Record<number, string> = { [AlarmType.NOSPACE]: "NOSPACE ", [AlarmType.CORRUPT]: "CORRUPT " };

async function checkHealth(context: Context, endpoint: string): Promise<Health> {
  const result: Health = { endpoint, health: false, took: "", error: "" };
  const deadline = Date.now() + context.timeoutMillis;
  const left = () => ({ timeoutMillis: Math.max(1, deadline - Date.now()) });
  let client: Awaited<ReturnType<typeof connect>>;
  try {
    client = await connect(context, endpoint, "client");
  } catch (error) {
    result.error = errorText(error);
    return result;
  }
  const start = process.hrtime.bigint();
  try {
    await client.kv.get("health", left());
    result.health = true;
  } catch (error) {
    if (!(error instanceof RpcError)) throw error;
    // A denied read has been through the whole cluster too.
    if (error.is(errors.permissionDenied)) result.health = true;
    else result.error = error.message;
  }
  result.took = took(start);
  if (result.health) {
    try {
      const { alarms } = await client.maintenance.alarmList(left());
      if (alarms.length > 0) {
        result.health = false;
        result.error = `Active Alarm(s): ${alarms.map((alarm) => ALARMS[alarm.alarm] ?? "UNKNOWN ").join("")}`;
      }
    } catch (error) {
      if (!(error instanceof RpcError)) throw error;
      result.health = false;
      result.error = "Unable to fetch the alarm list";
    }
  }
  client.close();
  return result;
}

function shownHealth(results: readonly Health[]): Shown {
  const healthy = results.filter((each) => each.error === "");
  const row = (each: Health): string[] => [each.endpoint, String(each.health), each.took, each.error];
  return {
    type: "",
    message: results,
    simple: () => {
      for (const each of results) {
        if (each.error === "") continue;
        process.stderr.write(`${each.endpoint} is unhealthy: failed to commit proposal: ${each.error}\n`);
      }
      return healthy.map(
        (each) => `${each.endpoint} is healthy: successfully committed proposal: took = ${each.took}\n`,
      );
    },
    fields: () =>
      results
        .map(
          (each) =>
            `"Endpoint" : ${goQuote(each.endpoint)}\n"Health" : ${each.health}\n"Took" : ${each.took}\n"Error" : ${each.error}\n\n`,
        )
        .join(""),
    table: () => drawTable(["endpoint", "health", "took", "error"], results.map(row)),
    json: async () => {
      const { jsonArray, jsonObject, jsonString } = await import("../json.ts");
      const one = (each: Health): string =>
        jsonObject([
          ["endpoint", jsonString(each.endpoint)],
          ["health", String(each.health)],
          ["took", jsonString(each.took)],
          ["error", each.error === "" ? undefined : jsonString(each.error)],
        ]);
      return results.length === 0 ? "null" : jsonArray(results.map(one));
    },
    protobuf: () => undefined,
  };
}

export const health: Run = async (invocation) => {
  const context = await openContext(invocation);
  const results: Health[] = [];
  const check = async (endpoint: string): Promise<void> => {
    results.push(await checkHealth(context, endpoint));
  };
  await Promise.all((await endpointsOf(context)).map(check));
  await show(context, shownHealth(results));
  if (results.some((each) => each.error !== "")) fail(Exit.Error, "unhealthy cluster");
};

/** Asks each endpoint in turn; those that fail are named on stderr. */
async function askEach<T>(
  context: Context,
  what: string,
  ask: (client: Awaited<ReturnType<typeof connect>>) => Promise<T>,
): Promise<{ answers: { endpoint: string; answer: T }[]; error: RpcError | undefined }> {
  const answers: { endpoint: string; answer: T }[] = [];
  let failure: RpcError | undefined;
  for (const endpoint of await endpointsOf(context)) {
    const client = await connect(context, endpoint);
    try {
      answers.push({ endpoint, answer: await ask(client) });
    } catch (error) {
      if (!(error instanceof RpcError)) throw error;
      failure = error;
      process.stderr.write(`Failed to get the ${what} of endpoint ${endpoint} (${error.message})\n`);
    } finally {
      client.close();
    }
  }
  return { answers, error: failure };
}

const STATUS_HEADINGS = [
  "endpoint",
  "ID",
  "version",
  "storage version",
  "db size",
  "in use",
  "percentage not in use",
  "quota",
  "is leader",
  "is learner",
  "raft term",
  "raft index",
  "raft applied index",
  "errors",
  "downgrade target version",
  "downgrade enabled",
];

function statusRow(endpoint: string, status: StatusResponse): string[] {
  const memberId = status.header?.memberId ?? 0n;
  // Integer division, as etcdctl does; a database of no size at all ends it in a panic, here it counts as full.
  const notInUse = status.dbSize === 0 ? 0 : 100 - Math.trunc((status.dbSizeInUse * 100) / status.dbSize);
  return [
    endpoint,
    hexId(memberId),
    status.version,
    status.storageVersion,
    humanBytes(status.dbSize),
    humanBytes(status.dbSizeInUse),
    `${notInUse}%`,
    humanBytes(status.dbSizeQuota),
    String(status.leader === memberId),
    String(status.isLearner),
    integer(status.raftTerm),
    integer(status.raftIndex),
    integer(status.raftAppliedIndex),
    status.errors.join(", "),
    status.downgradeInfo?.targetVersion ?? "",
    String(status.downgradeInfo?.enabled ?? false),
  ];
}

function fieldsStatus(context: Context, endpoint: string, status: StatusResponse): string {
  const lines: [string, string][] = [
    ["Version", goQuote(status.version)],
    ["StorageVersion", goQuote(status.storageVersion)],
    ["DBSize", integer(status.dbSize)],
    ["DBSizeInUse", integer(status.dbSizeInUse)],
    ["DBSizeQuota", integer(status.dbSizeQuota)],
    ["Leader", status.leader.toString()],
    ["IsLearner", String(status.isLearner)],
    ["RaftIndex", integer(status.raftIndex)],
    ["RaftTerm", integer(status.raftTerm)],
    ["RaftAppliedIndex", integer(status.raftAppliedIndex)],
    ["Errors", `[${status.errors.join(" ")}]`],
    ["Endpoint", goQuote(endpoint)],
    ["DowngradeTargetVersion", goQuote(status.downgradeInfo?.targetVersion ?? "")],
    ["DowngradeEnabled", String(status.downgradeInfo?.enabled ?? false)],
  ];
  const text = lines.map(([name, value]) => `"${name}" : ${value}\n`).join("");
  return `${fieldsHeader(context, status.header)}${text}\n`;
}

async function jsonEach(
  name: string,
  type: string,
  answers: readonly { endpoint: string; answer: object }[],
): Promise<string> {
  const { jsonArray, jsonMessage, jsonString } = await import("../json.ts");
  if (answers.length === 0) return "null";
  return jsonArray(
    answers.map(
      (each) => `{"Endpoint":${jsonString(each.endpoint)},"${name}":${jsonMessage(type, each.answer)}}`,
    ),
  );
}

export const status: Run = async (invocation) => {
  const context = await openContext(invocation);
  const options = { timeoutMillis: context.timeoutMillis };
  const { answers, error } = await askEach(context, "status", (client) => client.maintenance.status(options));
  const rows = (): string[][] => answers.map((each) => statusRow(each.endpoint, each.answer));
  await show(context, {
    type: "",
    message: answers,
    simple: () => rows().map((row) => `${row.join(", ")}\n`),
    fields: () => answers.map((each) => fieldsStatus(context, each.endpoint, each.answer)).join(""),
    table: () => drawTable(STATUS_HEADINGS, rows()),
    json: () => jsonEach("Status", "etcdserverpb.StatusResponse", answers),
    protobuf: () => undefined,
  });
  if (error !== undefined) throw new SilentExit(Exit.Error);
};

function hashRow(endpoint: string, response: HashKVResponse): string[] {
  return [endpoint, String(response.hash), integer(response.hashRevision)];
}

export const hashkv: Run = async (invocation) => {
  const context = await openContext(invocation);
  const options = { timeoutMillis: context.timeoutMillis };
  const revision = context.flags.number("rev");
  const { answers, error } = await askEach(context, "hash", (client) =>
    client.maintenance.hashKv(revision, options),
  );
  const rows = (): string[][] => answers.map((each) => hashRow(each.endpoint, each.answer));
  await show(context, {
    type: "",
    message: answers,
    simple: () => rows().map((row) => `${row.join(", ")}\n`),
    fields: () =>
      answers
        .map(
          ({ endpoint, answer }) =>
            `${fieldsHeader(context, answer.header)}"Endpoint" : ${goQuote(endpoint)}\n"Hash" : ${answer.hash}\n` +
            `"HashRevision" : ${integer(answer.hashRevision)}\n\n`,
        )
        .join(""),
    table: () => drawTable(["endpoint", "hash", "hash_revision"], rows()),
    json: () => jsonEach("HashKV", "etcdserverpb.HashKVResponse", answers),
    protobuf: () => undefined,
  });
  if (error !== undefined) fail(Exit.Error, error.message);
};
