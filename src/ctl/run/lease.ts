// lease grant, revoke, timetolive, list, keep-alive.
import type {
  LeaseGrantResponse,
  LeaseKeepAliveResponse,
  LeaseLeasesResponse,
  LeaseTimeToLiveResponse,
  ResponseHeader,
} from "../../wire/generated/etcdserverpb.ts";
import { type Context, connect, openContext, orExit } from "../context.ts";
import { Exit, fail, orFail } from "../environment.ts";
import { type Chunk, hexLease, integer, parseInt64, quoteBytes } from "../format.ts";
import { fieldsHeader, type Shown, show } from "../show.ts";
import type { Run } from "../specs.ts";

const HEADER = "etcdserverpb.ResponseHeader";

/** Lease answers are structs of clientv3's own that embed the header: JSON shows it inline, protobuf shows it alone. */
function shownLease(
  header: ResponseHeader | undefined,
  message: object,
  members: (json: typeof import("../json.ts")) => (readonly [string, string])[],
  text: Pick<Shown, "simple" | "fields">,
): Shown {
  return {
    type: HEADER,
    message,
    ...text,
    json: async () => {
      const json = await import("../json.ts");
      return json.jsonObject([
        ...(header === undefined ? [] : json.jsonMembers(HEADER, header)),
        ...members(json),
      ]);
    },
    protobuf: () => (header === undefined ? undefined : { type: HEADER, message: header }),
  };
}

function leaseOf(text: string): bigint {
  return orFail(
    parseInt64(text, 16),
    Exit.BadArgs,
    (error) => `bad lease ID arg (${error}), expecting ID in Hex`,
  );
}

const idText = (context: Context, id: bigint): string => (context.hex ? hexLease(id) : id.toString());

export const grant: Run = async (invocation) => {
  const { args } = invocation;
  if (args.length !== 1) fail(Exit.BadArgs, "lease grant command needs TTL argument");
  const ttl = orFail(parseInt64(args[0]!, 10), Exit.BadArgs, (error) => `bad TTL (${error})`);
  const context = await openContext(invocation);
  const client = await connect(context);
  const call = client.lease.grant(Number(ttl), { timeoutMillis: context.timeoutMillis });
  const response: LeaseGrantResponse = await orExit(
    call,
    Exit.Error,
    (text) => `failed to grant lease (${text})`,
  );
  client.close();
  const { header, id } = response;
  await show(
    context,
    shownLease(
      header,
      response,
      (json) => [
        ["ID", id.toString()],
        ["TTL", json.jsonNumber(response.ttl)],
        ["Error", json.jsonString(response.error)],
      ],
      {
        simple: () => [`lease ${hexLease(id)} granted with TTL(${integer(response.ttl)}s)\n`],
        fields: () =>
          `${fieldsHeader(context, header)}"ID" : ${idText(context, id)}\n"TTL" : ${integer(response.ttl)}\n`,
      },
    ),
  );
};

export const revoke: Run = async (invocation) => {
  if (invocation.args.length !== 1) fail(Exit.BadArgs, "lease revoke command needs 1 argument");
  const id = leaseOf(invocation.args[0]!);
  const context = await openContext(invocation);
  const client = await connect(context);
  const call = client.lease.revoke(id, { timeoutMillis: context.timeoutMillis });
  const response = await orExit(call, Exit.Error, (text) => `failed to revoke lease (${text})`);
  client.close();
  await show(context, {
    type: "etcdserverpb.LeaseRevokeResponse",
    message: response,
    simple: () => [`lease ${hexLease(id)} revoked\n`],
    fields: () => fieldsHeader(context, response.header),
  });
};

function simpleTimeToLive(response: LeaseTimeToLiveResponse, keys: boolean): Chunk[] {
  const { id, ttl, grantedTtl } = response;
  if (grantedTtl === 0 && ttl === -1) return [`lease ${hexLease(id)} already expired\n`];
  const chunks: Chunk[] = [
    `lease ${hexLease(id)} granted with TTL(${integer(grantedTtl)}s), remaining(${integer(ttl)}s)`,
  ];
  if (keys) {
    chunks.push(", attached keys([");
    response.keys.forEach((key, i) => {
      chunks.push(i === 0 ? "" : " ", key);
    });
    chunks.push("])");
  }
  return [...chunks, "\n"];
}

export const timeToLive: Run = async (invocation) => {
  const { args, flags } = invocation;
  if (args.length !== 1) fail(Exit.BadArgs, "lease timetolive command needs lease ID as argument");
  const keys = flags.bool("keys");
  const context = await openContext(invocation);
  const client = await connect(context);
  const id = leaseOf(args[0]!);
  const response = await orExit(client.lease.timeToLive(id, { keys }), Exit.BadConnection);
  client.close();
  const { header } = response;
  await show(
    context,
    shownLease(
      header,
      response,
      (json) => [
        ["id", response.id.toString()],
        ["ttl", json.jsonNumber(response.ttl)],
        ["granted-ttl", json.jsonNumber(response.grantedTtl)],
        ["keys", response.keys.length === 0 ? "null" : json.jsonArray(response.keys.map(json.jsonBytes))],
      ],
      {
        simple: () => simpleTimeToLive(response, keys),
        fields: () =>
          `${fieldsHeader(context, header)}"ID" : ${idText(context, response.id)}\n"TTL" : ${integer(response.ttl)}\n` +
          `"GrantedTTL" : ${integer(response.grantedTtl)}\n` +
          response.keys.map((key) => `"Key" : ${quoteBytes(key)}\n`).join(""),
      },
    ),
  );
};

export const list: Run = async (invocation) => {
  const context = await openContext(invocation);
  const client = await connect(context);
  const response: LeaseLeasesResponse = await orExit(client.lease.list(), Exit.BadConnection);
  client.close();
  const { header, leases } = response;
  await show(
    context,
    shownLease(
      header,
      response,
      (json) => [["leases", json.jsonArray(leases.map((lease) => `{"id":${lease.id}}`))]],
      {
        simple: () => [
          `found ${leases.length} leases\n`,
          ...leases.map((lease) => `${hexLease(lease.id)}\n`),
        ],
        fields: () =>
          fieldsHeader(context, header) +
          leases.map((lease) => `"ID" : ${idText(context, lease.id)}\n`).join(""),
      },
    ),
  );
};

async function showKeepAlive(context: Context, response: LeaseKeepAliveResponse): Promise<void> {
  const { header, id, ttl } = response;
  await show(
    context,
    shownLease(
      header,
      response,
      (json) => [
        ["ID", id.toString()],
        ["TTL", json.jsonNumber(ttl)],
      ],
      {
        simple: () => [`lease ${hexLease(id)} keepalived with TTL(${integer(ttl)})\n`],
        fields: () =>
          `${fieldsHeader(context, header)}"ID" : ${idText(context, id)}\n"TTL" : ${integer(ttl)}\n`,
      },
    ),
  );
}

export const keepAlive: Run = async (invocation) => {
  const { args, flags, output } = invocation;
  if (args.length !== 1) fail(Exit.BadArgs, "lease keep-alive command needs lease ID as argument");
  const id = leaseOf(args[0]!);
  const context = await openContext(invocation);
  const client = await connect(context);
  if (flags.bool("once")) {
    await showKeepAlive(context, await orExit(client.lease.keepAliveOnce(id), Exit.BadConnection));
    client.close();
    return;
  }
  const all = async (): Promise<void> => {
    for await (const response of client.lease.keepAlive(id)) await showKeepAlive(context, response);
  };
  await orExit(all(), Exit.BadConnection);
  client.close();
  if (context.format === "simple") output.out(`lease ${hexLease(id)} expired or revoked.\n`);
};
