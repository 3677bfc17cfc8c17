// member add, remove, update, list, promote.
import { goQuote } from "../../cli/quote.ts";
import type {
  Member,
  MemberAddResponse,
  MemberListResponse,
  ResponseHeader,
} from "../../wire/generated/etcdserverpb.ts";
import { type Context, connect, openContext, orExit } from "../context.ts";
import { Exit, fail, orFail } from "../environment.ts";
import { hexId, hexIdPadded, integer, parseUint64 } from "../format.ts";
import { fieldsHeader, show } from "../show.ts";
import type { Run } from "../specs.ts";
import { isSerializable } from "./get.ts";

type MembersResponse = { readonly header: ResponseHeader | undefined; readonly members: readonly Member[] };

/** With --hex ids are strings of hex digits, and the parts of the answer are shown even when they are empty. */
async function jsonHex(
  response: MembersResponse & { readonly member?: Member | undefined },
): Promise<string> {
  const { jsonArray, jsonMembers, jsonObject } = await import("../json.ts");
  const member = (each: Member): string =>
    jsonObject([["ID", `"${hexId(each.id)}"`], ...jsonMembers("etcdserverpb.Member", each).slice(1)]);
  const { header } = response;
  const headerText =
    header === undefined
      ? "null"
      : jsonObject([
          ["cluster_id", `"${hexId(header.clusterId)}"`],
          ["member_id", `"${hexId(header.memberId)}"`],
          ["revision", header.revision === 0 ? undefined : integer(header.revision)],
          ["raft_term", header.raftTerm === 0 ? undefined : integer(header.raftTerm)],
        ]);
  return jsonObject([
    ["header", headerText],
    ...("member" in response
      ? [["member", response.member === undefined ? "null" : member(response.member)] as const]
      : []),
    ["members", jsonArray(response.members.map(member))],
  ]);
}

const clusterOf = (response: MembersResponse): string => hexIdPadded(response.header?.clusterId ?? 0n);

function memberIdOf(args: readonly string[]): bigint {
  if (args.length !== 1) fail(Exit.BadArgs, "member ID is not provided");
  return orFail(
    parseUint64(args[0]!, 16),
    Exit.BadArgs,
    (text) => `bad member ID arg (${text}), expecting ID in Hex`,
  );
}

async function showChange(
  context: Context,
  type: string,
  response: MembersResponse,
  text: string,
): Promise<void> {
  await show(context, {
    type,
    message: response,
    simple: () => [`${text} cluster ${clusterOf(response)}\n`],
    ...(context.hex ? { json: () => jsonHex(response) } : {}),
  });
}

function simpleAdd(name: string, peerUrls: string, response: MemberAddResponse): string {
  const member = response.member!;
  const configuration = response.members.flatMap((each) =>
    each.peerUrls.map((url) => `${each.id === member.id ? name : each.name}=${url}`),
  );
  return (
    `Member ${hexIdPadded(member.id)} added${member.isLearner ? " as learner " : " "}to cluster ${clusterOf(response)}\n` +
    `\nETCD_NAME=${goQuote(name)}\nETCD_INITIAL_CLUSTER=${goQuote(configuration.join(","))}\n` +
    `ETCD_INITIAL_ADVERTISE_PEER_URLS=${goQuote(peerUrls)}\nETCD_INITIAL_CLUSTER_STATE="existing"\n`
  );
}

export const add: Run = async (invocation) => {
  const { args, flags } = invocation;
  if (args.length < 1) fail(Exit.BadArgs, "member name not provided");
  if (args.length > 1) {
    const urls = args.filter((argument) => argument.toLowerCase().startsWith("http"));
    fail(
      Exit.BadArgs,
      `too many arguments${urls.map((url) => `, did you mean --peer-urls=${url}`).join("")}`,
    );
  }
  const peerUrls = flags.string("peer-urls");
  if (peerUrls === "") fail(Exit.BadArgs, "member peer urls not provided");
  const context = await openContext(invocation);
  const client = await connect(context);
  const options = { isLearner: flags.bool("learner"), timeoutMillis: context.timeoutMillis };
  const response = await orExit(client.cluster.memberAdd(peerUrls.split(","), options));
  client.close();
  await show(context, {
    type: "etcdserverpb.MemberAddResponse",
    message: response,
    simple: () => [simpleAdd(args[0]!, peerUrls, response)],
    ...(context.hex ? { json: () => jsonHex(response) } : {}),
  });
};

export const remove: Run = async (invocation) => {
  const id = memberIdOf(invocation.args);
  const context = await openContext(invocation);
  const client = await connect(context);
  const response = await orExit(client.cluster.memberRemove(id, { timeoutMillis: context.timeoutMillis }));
  client.close();
  const text = `Member ${hexIdPadded(id)} removed from`;
  await showChange(context, "etcdserverpb.MemberRemoveResponse", response, text);
};

export const update: Run = async (invocation) => {
  const id = memberIdOf(invocation.args);
  const peerUrls = invocation.flags.string("peer-urls");
  if (peerUrls === "") fail(Exit.BadArgs, "member peer urls not provided");
  const context = await openContext(invocation);
  const client = await connect(context);
  const options = { timeoutMillis: context.timeoutMillis };
  const response = await orExit(client.cluster.memberUpdate(id, peerUrls.split(","), options));
  client.close();
  await showChange(
    context,
    "etcdserverpb.MemberUpdateResponse",
    response,
    `Member ${hexIdPadded(id)} updated in`,
  );
};

export const promote: Run = async (invocation) => {
  const id = memberIdOf(invocation.args);
  const context = await openContext(invocation);
  const client = await connect(context);
  const response = await orExit(client.cluster.memberPromote(id, { timeoutMillis: context.timeoutMillis }));
  client.close();
  await showChange(
    context,
    "etcdserverpb.MemberPromoteResponse",
    response,
    `Member ${hexIdPadded(id)} promoted in`,
  );
};

const HEADINGS = ["ID", "Status", "Name", "Peer Addrs", "Client Addrs", "Is Learner"];

function rowsOf(response: MemberListResponse): string[][] {
  return response.members.map((member) => [
    hexId(member.id),
    member.name === "" ? "unstarted" : "started",
    member.name,
    member.peerUrls.join(","),
    member.clientUrls.join(","),
    String(member.isLearner),
  ]);
}

function fieldsList(context: Context, response: MemberListResponse): string {
  let text = fieldsHeader(context, response.header);
  for (const member of response.members) {
    text += `"ID" : ${context.hex ? hexId(member.id) : member.id}\n"Name" : ${goQuote(member.name)}\n`;
    for (const url of member.peerUrls) text += `"PeerURL" : ${goQuote(url)}\n`;
    for (const url of member.clientUrls) text += `"ClientURL" : ${goQuote(url)}\n`;
    text += `"IsLearner" : ${member.isLearner}\n\n`;
  }
  return text;
}

export const list: Run = async (invocation) => {
  const serializable = isSerializable(invocation.flags.string("consistency"), "l");
  const context = await openContext(invocation);
  const client = await connect(context);
  const response = await orExit(
    client.cluster.memberList({ serializable, timeoutMillis: context.timeoutMillis }),
  );
  client.close();
  const { drawTable } = await import("../table.ts");
  await show(context, {
    type: "etcdserverpb.MemberListResponse",
    message: response,
    simple: () => rowsOf(response).map((row) => `${row.join(", ")}\n`),
    fields: () => fieldsList(context, response),
    table: () => drawTable(HEADINGS, rowsOf(response)),
    ...(context.hex ? { json: () => jsonHex(response) } : {}),
  });
};
